package consul

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"consular/consul/devconsul"
	"consular/marathon/transport"
)

// management is the token of the cluster with ACLs that may do everything.
const management = "11111111-2222-4333-8444-555555555555"

const aclHCL = `acl {
	enabled = true
	default_policy = "deny"
	tokens {
		initial_management = "` + management + `"
		agent = "` + management + `"
	}
}`

// The real Consul that all tests share, started by the first that asks.
var (
	open      = &shared{config: devconsul.Config{Clients: 2}}
	protected = &shared{config: devconsul.Config{HCL: aclHCL, Token: management}}
)

type shared struct {
	config  devconsul.Config
	once    sync.Once
	cluster *devconsul.Cluster
	err     error
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, s := range []*shared{open, protected, small} {
		if s.cluster == nil {
			continue
		}
		if err := s.cluster.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func (s *shared) get(t *testing.T) *devconsul.Cluster {
	t.Helper()
	s.once.Do(func() {
		// Not t.Context: the cluster outlives the test.
		if s.config.Binary, s.err = devconsul.Find(context.Background(), "", os.Stderr); s.err == nil {
			s.cluster, s.err = devconsul.Start(context.Background(), s.config)
		}
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.cluster
}

// connect returns a Cluster of the agents around address.
func connect(t testing.TB, address *url.URL, change ...func(*Config)) *Cluster {
	t.Helper()
	config := Config{Address: address, Transport: dialWithin(t, 2*time.Second), Prefix: "consular", Format: FormatRaw}
	for _, f := range change {
		f(&config)
	}
	c, err := NewCluster(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// dialWithin returns a transport whose connections must not take longer.
func dialWithin(t testing.TB, limit time.Duration) *transport.Transport {
	t.Helper()
	over, err := transport.New(transport.Config{Connect: limit, Head: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(over.CloseIdleConnections)
	return over
}

func withToken(token string) func(*Config) {
	return func(c *Config) { c.Token = func() string { return token } }
}

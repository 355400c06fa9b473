package reconcile_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"consular/consul/devconsul"
	"consular/reconcile/settings"
)

// sealed is a guarded cluster with TLS and client certificates everywhere, those
// that Consul's own commands make.
type sealed struct {
	*guarded
	certs certificates
	// cert and key are consular's own.
	cert, key string
}

// certificates makes certificates with a Consul binary, below an authority in dir.
type certificates struct {
	*testing.T
	binary, dir string
}

func newCertificates(t *testing.T) certificates {
	t.Helper()
	binary, err := devconsul.Find(t.Context(), "", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	c := certificates{t, binary, t.TempDir()}
	c.consul(c.dir, "ca", "create")
	return c
}

func (c certificates) ca() string { return filepath.Join(c.dir, "consul-agent-ca.pem") }

// consul runs one of "consul tls".
func (c certificates) consul(dir string, arguments ...string) {
	c.Helper()
	command := exec.CommandContext(c.Context(), c.binary, append([]string{"tls"}, arguments...)...)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		c.Fatalf("consul tls %q: %v: %s", arguments, err, out)
	}
}

// issue returns the files of a certificate and its key; kind is server, client or cli.
func (c certificates) issue(kind string, addresses ...string) (cert, key string) {
	c.Helper()
	dir := c.TempDir()
	arguments := []string{"cert", "create", "-" + kind, "-dc", "dc1", "-ca", c.ca(), "-key", filepath.Join(c.dir, "consul-agent-ca-key.pem")}
	for _, address := range addresses {
		arguments = append(arguments, "-additional-ipaddress="+address)
	}
	c.consul(dir, arguments...)
	base := filepath.Join(dir, "dc1-"+kind+"-consul-0")
	return base + ".pem", base + "-key.pem"
}

func newSealed(t *testing.T) *sealed {
	t.Helper()
	s := &sealed{certs: newCertificates(t)}
	// The certificates hold the addresses, which must be known before.
	network := fmt.Sprintf("127.%d.%d", 64+rand.IntN(128), 1+rand.IntN(250))
	agent := func(kind, address string) string {
		cert, key := s.certs.issue(kind, address)
		return fmt.Sprintf(agentTLS, s.certs.ca(), cert, key)
	}
	s.guarded = newGuarded(t, devconsul.Config{
		Clients: 1, Network: network, HCL: denyByDefault, Token: management,
		AgentHCL: map[string]string{"server": agent("server", network+".1"), "client-1": agent("client", network+".2")},
	}, func(a *devconsul.Agent) string { return "https://" + a.Host + ":8501" })
	s.cert, s.key = s.certs.issue("cli")
	s.useToken(s.newToken(minimal()))
	s.serveMarathon()
	s.options = append(s.options, "--marathon", s.master.URL, "--consul-token-file", s.token,
		"--marathon-ca-file", s.certs.ca(), "--marathon-cert-file", s.cert, "--marathon-key-file", s.key)
	return s
}

// Plain HTTP stays open beside it, for the test itself.
const agentTLS = `
	ports { https = 8501 }
	tls {
		defaults {
			ca_file = "%s"
			cert_file = "%s"
			key_file = "%s"
		}
		https { verify_incoming = true }
		internal_rpc {
			verify_incoming = true
			verify_outgoing = true
			verify_server_hostname = true
		}
	}`

// serveMarathon puts Marathon behind TLS that demands a certificate.
func (s *sealed) serveMarathon() {
	s.Helper()
	cert, key := s.certs.issue("server")
	pair, err := tls.LoadX509KeyPair(cert, key)
	s.must(err)
	ca, err := os.ReadFile(s.certs.ca())
	s.must(err)
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca)
	s.master = httptest.NewUnstartedServer(s.marathon.Handler())
	s.master.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	s.master.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.master.StartTLS()
	s.Cleanup(s.master.Close)
}

func (s *sealed) consulFiles() []string {
	return []string{"--consul-ca-file", s.certs.ca(), "--consul-cert-file", s.cert, "--consul-key-file", s.key}
}

func TestMutualTLSEverywhere(t *testing.T) {
	s := newSealed(t)
	s.app("/web", 3)
	t.Run("options", func(t *testing.T) {
		if unread, log, clean := s.sync(s.consulFiles()...); !clean {
			t.Errorf("not clean: %q\n%s", unread, log)
		}
		s.wantState(s.want())
	})
	s.app("/late", 2)
	t.Run("Consul's environment", func(t *testing.T) {
		t.Setenv("CONSUL_CACERT", s.certs.ca())
		t.Setenv("CONSUL_CLIENT_CERT", s.cert)
		t.Setenv("CONSUL_CLIENT_KEY", s.key)
		t.Setenv("CONSUL_HTTP_SSL", "true")
		bare := s.dev.Server().Host + ":8501" // https by the environment
		if unread, log, clean := s.sync("--consul", bare); !clean {
			t.Errorf("not clean: %q\n%s", unread, log)
		}
		s.wantState(s.want())
	})
	strange := newCertificates(t)
	strangeCert, strangeKey := strange.issue("cli")
	for name, test := range map[string]struct {
		options []string
		says    string
	}{
		"other authority":    {[]string{"--consul-ca-file", strange.ca()}, "unknown authority: trusted are those of " + strange.ca()},
		"system's authority": {[]string{"--consul-ca-file", ""}, "unknown authority: trusted are those of the system"},
		"no certificate":     {[]string{"--consul-cert-file", "", "--consul-key-file", ""}, "our certificate file is not set"},
		"stranger":           {[]string{"--consul-cert-file", strangeCert, "--consul-key-file", strangeKey}, "our certificate file is " + strangeCert},
		"other name":         {[]string{"--consul-tls-server-name", "consul.test"}, "not consul.test: the TLS server name is set to it"},
		"not TLS":            {[]string{"--consul", "http://" + s.dev.Server().Host + ":8501"}, "Client sent an HTTP request to an HTTPS server"},
	} {
		t.Run(name, func(t *testing.T) {
			unread, _, clean := s.sync(append(s.consulFiles(), test.options...)...)
			if said := strings.Join(unread, "\n"); clean || !strings.Contains(said, test.says) {
				t.Errorf("could not read %s\nwant a word of %s", said, test.says)
			}
			s.wantState(s.want())
		})
	}
	t.Run("a name that all agents' certificates have", func(t *testing.T) {
		unread, _, clean := s.sync(append(s.consulFiles(), "--consul-tls-server-name", "localhost")...)
		if !clean {
			t.Errorf("could not read %q", unread)
		}
	})
}

// consular runs with certificates that nobody takes, and then with others, under
// the same names.
func TestCertificatesRotateWhileRunning(t *testing.T) {
	s := newSealed(t)
	s.app("/web", 2)
	strange := newCertificates(t)
	badCert, badKey := strange.issue("cli")
	goodCA, goodCert, goodKey := s.certs.ca(), s.cert, s.key
	dir := t.TempDir()
	install := func(name, from string) string {
		data, err := os.ReadFile(from)
		s.must(err)
		s.must(os.WriteFile(filepath.Join(dir, name), data, 0o600))
		return filepath.Join(dir, name)
	}
	ca, cert, key := install("ca.pem", strange.ca()), install("cert.pem", badCert), install("key.pem", badKey)
	var options []string
	for _, side := range []string{"--marathon", "--consul"} {
		options = append(options, side+"-ca-file", ca, side+"-cert-file", cert, side+"-key-file", key)
	}
	var journal logBuffer
	logger := zerolog.New(&journal)
	stop := s.run(s.configure(logger, options...), logger)
	defer stop()
	s.says(&journal, "trusted are those of "+ca)
	install("ca.pem", goodCA)
	install("cert.pem", goodCert)
	s.says(&journal, "private key does not match public key")
	install("key.pem", goodKey)
	s.converges(&journal)
}

// run runs consular until stop is called.
func (g *guarded) run(s settings.Settings, log zerolog.Logger) (stop func()) {
	g.Helper()
	r, err := s.Reconciler(log)
	g.must(err)
	ctx, cancel := context.WithCancel(g.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			g.Error(err)
		}
	})
	return func() { cancel(); running.Wait() }
}

// says waits until the log does.
func (g *guarded) says(log *logBuffer, text string) {
	g.Helper()
	g.eventually(func() bool { return strings.Contains(log.String(), text) }, func() string {
		return fmt.Sprintf("the log does not say %s:\n%s", text, log)
	})
}

// converges waits until Consul is right.
func (g *guarded) converges(log *logBuffer) {
	g.Helper()
	g.eventually(func() bool { return slices.Equal(g.state(), g.want()) }, func() string {
		return fmt.Sprintf("in Consul is\n%q, want\n%q\n%s", g.state(), g.want(), log)
	})
}

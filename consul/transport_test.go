package consul

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"
)

// What is tested here is what no Consul answers, but what may stand in its place.

func TestRedirectIsNotFollowed(t *testing.T) {
	followed := false
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		followed = followed || r.URL.Path == "/elsewhere"
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	_, err := c.Main().Services(t.Context())
	if status, ok := errors.AsType[api.StatusError](err); !ok || status.Code != http.StatusTemporaryRedirect || followed {
		t.Errorf("followed: %t, %v", followed, err)
	}
}

func TestAnswerOfAProxyIsNoAnswerOfConsul(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<html>\n<body>\n"+strings.Repeat("not found\n", 100))
	})
	_, listed := c.Labels().List(t.Context())
	for what, err := range map[string]error{"keys": listed, "deregister": c.Main().Deregister(t.Context(), "web.1")} {
		if err == nil || strings.Contains(err.Error(), "\n") || len(err.Error()) > 500 {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestNullIsNotEmpty(t *testing.T) {
	for _, body := range []string{`null`, `{"a": null}`, `{"a":`, ``} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		if services, err := c.Main().Services(t.Context()); err == nil {
			t.Errorf("%q is %v", body, services)
		}
	}
}

func TestAnswerTooLarge(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"a": {"ID": "`+strings.Repeat("x", 1000)+`"}}`)
	}, func(c *Config) { c.MaxAnswer = 1000 })
	if _, err := c.Main().Services(t.Context()); err == nil || !strings.Contains(err.Error(), "more than 1000 bytes") {
		t.Errorf("got: %v", err)
	}
}

func TestUserOfAddressIsSentAndNotShown(t *testing.T) {
	user, password := "", ""
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ = r.BasicAuth()
		w.WriteHeader(http.StatusInternalServerError)
	}, func(c *Config) { c.Address.User = url.UserPassword("me", "secret") })
	_, err := c.Main().Services(t.Context())
	if user != "me" || password != "secret" {
		t.Errorf("sent %q, %q", user, password)
	}
	if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(c.Main().Address(), "me") {
		t.Errorf("%s: %v", c.Main().Address(), err)
	}
}

func TestPathOfAddressIsTheMainAgentsAlone(t *testing.T) {
	asked := ""
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { asked = r.URL.Path; _, _ = io.WriteString(w, `{}`) },
		func(c *Config) { c.Address.Path = "/proxy/" })
	if _, err := c.Main().Services(t.Context()); err != nil || asked != "/proxy/v1/agent/services" {
		t.Errorf("main: %s, %v", asked, err)
	}
}

// A silent agent must not hold its worker for ever; a slow one is let finish.
func TestSilence(t *testing.T) {
	for name, test := range map[string]struct {
		head, gap time.Duration
		gaps      int
		ok        bool
	}{
		"answers at once":   {0, 0, 1, true},
		"slow head":         {19 * time.Second, 0, 1, true},
		"silent":            {21 * time.Second, 0, 1, false},
		"slow throughout":   {0, 4 * time.Second, 20, true},
		"falls silent":      {0, 6 * time.Second, 1, false},
		"both, but in time": {19 * time.Second, 4 * time.Second, 3, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := connect(t, &url.URL{Scheme: "http", Host: "agent"}, func(c *Config) {
					c.Transport = slowly{test.head, test.gap, test.gaps}
				})
				_, err := c.Main().Services(t.Context())
				if (err == nil) != test.ok || Unreachable(err) {
					t.Errorf("got: %v", err)
				}
				if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("not a time-out: %v", err)
				}
			})
		})
	}
}

// slowly answers {} after some time, in as many parts as there are gaps.
type slowly struct {
	head, gap time.Duration
	gaps      int
}

func (s slowly) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := wait(r.Context(), s.head); err != nil {
		return nil, err
	}
	read, write := io.Pipe()
	go s.body(r.Context(), write)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: read, Request: r}, nil
}

func (s slowly) body(ctx context.Context, to *io.PipeWriter) {
	for range s.gaps {
		if err := wait(ctx, s.gap); err != nil {
			_ = to.CloseWithError(err)
			return
		}
		_, _ = io.WriteString(to, " ")
	}
	_, _ = io.WriteString(to, "{}")
	_ = to.Close()
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func serve(t *testing.T, handler http.HandlerFunc, change ...func(*Config)) *Cluster {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	address, err := ParseAddress(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return connect(t, address, change...)
}

package consul

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// An operator rotates the token: each has its accessor, which is asked for once.
func TestTokenAccessor(t *testing.T) {
	address := protected.get(t).Server().URL()
	admin := connect(t, address, withToken(management))
	old := newToken(t, admin, `service_prefix "" { policy = "write" }`)
	rotated := newToken(t, admin, `node_prefix "" { policy = "read" }`)
	current, asked := "", 0
	c := connect(t, address, func(c *Config) {
		c.Token = func() string { return current }
		c.Transport = counting(&asked, c.Transport)
	})
	for i, test := range []struct{ secret, accessor string }{{}, {old.SecretID, old.AccessorID}, {rotated.SecretID, rotated.AccessorID}} {
		current = test.secret
		for range 3 {
			if got, err := c.TokenAccessor(t.Context()); err != nil || got != test.accessor {
				t.Errorf("accessor %q, %v; want %q", got, err, test.accessor)
			}
		}
		if asked != i {
			t.Errorf("%d requests for %d tokens", asked, i)
		}
	}
	current = strings.ReplaceAll(management, "1", "9")
	if got, err := c.TokenAccessor(t.Context()); err == nil || strings.Contains(err.Error(), current) {
		t.Errorf("a token that does not exist: accessor %q, %v", got, err)
	}
}

// Without ACLs a token names nobody, and one request tells that.
func TestTokenAccessorWithoutACLs(t *testing.T) {
	asked := 0
	c := connect(t, open.get(t).Server().URL(), withToken("some token"), func(c *Config) { c.Transport = counting(&asked, c.Transport) })
	for range 3 {
		if got, err := c.TokenAccessor(t.Context()); err != nil || got != "" {
			t.Errorf("accessor %q, %v", got, err)
		}
	}
	if asked != 1 {
		t.Errorf("%d requests", asked)
	}
}

// ACLs that are turned on while we run have an accessor for the token we have.
func TestTokenAccessorOnceACLsAreOn(t *testing.T) {
	on := false
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v1/agent/self":
			_, _ = io.WriteString(w, `{"Config": {"NodeID": "1"}, "DebugConfig": {"ACLsEnabled": true}}`)
		case on:
			_, _ = io.WriteString(w, `{"AccessorID": "2"}`)
		default:
			http.Error(w, "ACL support disabled", http.StatusUnauthorized)
		}
	}, withToken("some token"))
	wants := func(want string) {
		t.Helper()
		if got, err := c.TokenAccessor(t.Context()); err != nil || got != want {
			t.Errorf("accessor %q, %v; want %q", got, err, want)
		}
	}
	wants("")
	on = true
	wants("")
	if _, err := c.Main().Self(t.Context()); err != nil {
		t.Fatal(err)
	}
	wants("2")
}

// A proxy's 401 is not Consul's.
func TestTokenAccessorOfAProxyIsNone(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, withToken("some token"))
	if got, err := c.TokenAccessor(t.Context()); err == nil {
		t.Errorf("accessor %q", got)
	}
}

// counting counts the requests that go through a transport.
func counting(n *int, next Transport) Transport {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		*n++
		return next.RoundTrip(r)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (f roundTrip) Conceal(err error) error { return err }

package consul

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

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

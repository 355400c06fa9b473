package consul

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
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
	status, ok := errors.AsType[api.StatusError](err)
	if !ok || status.Code != http.StatusTemporaryRedirect || followed || !strings.Contains(err.Error(), "redirects to /elsewhere") {
		t.Errorf("followed: %t, %v", followed, err)
	}
}

// Consul's own pages are none of its API: /ui redirects, and all below it is a page.
func TestPagesOfTheUIAreNoAnswers(t *testing.T) {
	address := open.get(t).Server().URL()
	address.Path = "/ui"
	c := connect(t, address)
	_, errSelf := c.Main().Self(t.Context())
	_, errKeys := c.Labels().List(t.Context())
	for what, err := range map[string]error{
		"self": errSelf, "keys": errKeys, "deregister": c.Main().Deregister(t.Context(), "web.1"),
	} {
		if err == nil || !strings.Contains(err.Error(), `the path "/ui" of --consul`) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", what, err)
		}
	}
	address.Path = ""
	for path, want := range map[string]string{"/ui": "redirects to /ui/", "/ui/": "a web page"} {
		_, err := connect(t, address).Main().client.Raw().Query(path, new(any), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Only Consul Enterprise has namespaces and partitions: this one would refuse everything.
func TestNamespaceOfTheEnvironmentIsNotSent(t *testing.T) {
	t.Setenv("CONSUL_NAMESPACE", "team")
	t.Setenv("CONSUL_PARTITION", "part")
	c := connect(t, open.get(t).Server().URL(), func(c *Config) { c.Prefix = "namespace" })
	register(t, c.Main(), Service{ID: "namespace.1", Name: "namespace", Address: "10.0.0.1"})
	set(t, c.Labels(), Key{Service: "web", Label: "a"})
	if keys := list(t, c.Labels()); len(keys) != 1 {
		t.Errorf("keys %v", keys)
	}
	if nodes, err := c.Catalog().Nodes(t.Context()); err != nil || len(nodes) == 0 {
		t.Errorf("nodes %v, %v", nodes, err)
	}
}

// What is wrong when a connection fails is said only where it may be that.
func TestHintsFitWhatFailed(t *testing.T) {
	const (
		loopback = "client_addr"
		proxy    = "HTTP_PROXY"
		port     = "8500"
	)
	refusing := closedPort(t)
	viaProxy := func(c *Config) {
		proxied := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: refusing})}
		c.Transport = roundTrip(proxied.RoundTrip)
	}
	refused := func(c *Config) {
		c.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		})
	}
	page := func(c *Config) {
		c.Transport = roundTrip(func(_ *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "<html>nginx</html>")
			return w.Result(), nil
		})
	}
	for _, test := range []struct {
		address string
		change  func(*Config)
		want    string
		not     []string
	}{
		{refusing, func(*Config) {}, loopback, []string{proxy, port}},
		{"10.0.0.1:8501", viaProxy, proxy, []string{loopback, port}},
		{"10.0.0.1", viaProxy, proxy, []string{loopback, port}},
		{"10.0.0.1", refused, port, []string{loopback, proxy}},
		{"https://10.0.0.1", refused, port, []string{loopback, proxy}},
		{"10.0.0.1", page, port, []string{loopback, proxy}},
		{"10.0.0.1:8501", page, "nginx", []string{loopback, proxy, port}},
	} {
		address, err := ParseAddress(test.address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = connect(t, address, test.change).Main().Services(t.Context())
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v; want a hint at %s", test.address, err, test.want)
			continue
		}
		for _, hint := range test.not {
			if strings.Contains(err.Error(), hint) {
				t.Errorf("%s: %v; want no hint at %s", test.address, err, hint)
			}
		}
		if test.want == proxy && Unreachable(err) {
			t.Errorf("the agent behind a proxy that is away may be there: %v", err)
		}
	}
}

func TestAnswerOfAProxyIsNoAnswerOfConsul(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<html>\n<body>\n"+strings.Repeat("not found\n", 100))
	})
	_, listed := c.Labels().List(t.Context())
	for what, err := range map[string]error{"keys": listed, "deregister": c.Main().Deregister(t.Context(), "web.1")} {
		if err == nil || strings.Contains(err.Error(), "\n") || len(err.Error()) > 600 {
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
	ended := make(chan struct{})
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(ended)
		_, err := io.WriteString(w, `{"a": {"ID": "`)
		for err == nil { // until nobody reads it any more
			_, err = io.WriteString(w, strings.Repeat("x", 1000))
		}
	}, func(c *Config) { c.MaxAnswer = 1000 })
	if _, err := c.Main().Services(t.Context()); err == nil || !strings.Contains(err.Error(), "more than 1000 bytes: --max-answer") {
		t.Errorf("got: %v", err)
	}
	<-ended
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

func serve(t testing.TB, handler http.HandlerFunc, change ...func(*Config)) *Cluster {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	address, err := ParseAddress(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return connect(t, address, change...)
}

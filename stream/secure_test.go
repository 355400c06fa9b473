package stream

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"consular/marathon"
	"consular/marathon/simulator"
	"consular/marathon/transport"

	"github.com/rs/zerolog"
)

// token is a bearer token in a file.
func token(t *testing.T, file, text string) marathon.Credentials {
	t.Helper()
	rotate(t, file, text)
	s, err := transport.NewSecret(file, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return marathon.Credentials{Token: s, Type: marathon.TokenBearer}
}

func rotate(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTokenGoesToTheLeaderAndNoFurther(t *testing.T) {
	credentials := token(t, filepath.Join(t.TempDir(), "token"), "s3cret")
	l := listen(t, 5*time.Second, one, map[string][]answer{
		"one.test:8080":    {redirects("http://evil.test:8080/login"), redirects(leader + "/v2/events")},
		"leader.test:8080": {redirects("http://evil.test:8080/v2/events"), stays(head, attached("a"))},
		"evil.test:8080":   {stays(head, attached("a"))},
	}, func(c *Config) { c.Transport = credentials.Authorize(c.Transport) }, nil)
	l.wantTold(t, "disconnected refused", "connected "+one, "event_stream_attached")
	for _, req := range l.requests() {
		if req.Host == "evil.test:8080" || req.Header.Get("Authorization") != "Bearer s3cret" {
			t.Errorf("asked %s with Authorization %q", req.Host, req.Header.Get("Authorization"))
		}
	}
	if strings.Contains(l.log.String(), "s3cret") {
		t.Errorf("the log has the token:\n%s", l.log)
	}
}

// A refused token is no reason to end, and a new one is used at the next attempt.
func TestTokenRotatesWhileMarathonRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	credentials := token(t, file, "old")
	attempts := 0
	l := listen(t, 20*time.Second, one, map[string][]answer{"one.test:8080": {
		says("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
		says("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
		stays(head, attached("a")),
	}}, func(c *Config) {
		inner := credentials.Authorize(c.Transport)
		c.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
			if attempts++; attempts == 2 {
				rotate(t, file, "new")
			}
			return inner.RoundTrip(req)
		})
	}, nil)
	l.wantTold(t, "disconnected refused", "connected "+one, "event_stream_attached")
	var sent []string
	for _, req := range l.requests() {
		sent = append(sent, req.Header.Get("Authorization"))
	}
	if got := strings.Join(sent, ", "); got != "Bearer old, Bearer new, Bearer new" {
		t.Errorf("sent %s", got)
	}
}

// The simulator over TLS, behind a token, with an authority of our own.
func TestStreamOverTLS(t *testing.T) {
	m := simulator.New(simulator.Config{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		m.Handler().ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	defer m.CloseStreams()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	rotate(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))

	secure := func(c transport.TLS) *transport.Transport {
		waits := transport.Config{Connect: 5 * time.Second, Head: 15 * time.Second, TLS: c}
		over, err := transport.New(waits)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(over.CloseIdleConnections)
		return over
	}
	credentials := token(t, filepath.Join(dir, "token"), "s3cret")
	connect := func(over *transport.Transport, want string) []Gap {
		met := make(chan struct{})
		handler := &until{ear: &ear{}, want: want, nth: 1, met: met}
		run(t, Config{
			URLs: parse(t, server.URL), IdleTimeout: 45 * time.Second, MaxEvent: 1 << 20,
			Transport: credentials.Authorize(over), Log: zerolog.Nop(),
		}, handler, met)
		return handler.gaps
	}
	connect(secure(transport.TLS{CAFile: ca}), "event_stream_attached")
	connect(secure(transport.TLS{Insecure: true}), "event_stream_attached")
	gaps := connect(secure(transport.TLS{}), "disconnected connect")
	if got := gaps[0].Error(); !strings.Contains(got, "trusted are those of the system") || !strings.Contains(got, server.URL) {
		t.Errorf("gap %q", got)
	}
	gaps = connect(secure(transport.TLS{CAFile: ca, ServerName: "other.test"}), "disconnected connect")
	if got := gaps[0].Error(); !strings.Contains(got, "not other.test") {
		t.Errorf("gap %q", got)
	}
}

// What the log, errors and Handlers are told never has what a URL's user part
// has, at debug too: TestSecretsAreNeverShown. A URL that is refused is no exception.
func TestRefusedURLIsShownWithoutItsUser(t *testing.T) {
	for _, u := range []*url.URL{
		{Scheme: "ftp", Host: "a", User: url.UserPassword("joe", "s3cret")},
		{Scheme: "http", Host: "a", RawQuery: "token=s3cret", User: url.User("joe")},
		{Scheme: "http", User: url.UserPassword("joe", "s3cret")},
	} {
		err := Config{URLs: []*url.URL{u}}.Check()
		if err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "joe") {
			t.Errorf("error is %v", err)
		}
	}
}

package consul

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestAddressAndTheEnvironment(t *testing.T) {
	for _, test := range []struct{ address, ssl, auth, want, wantFromThere string }{
		{"consul:8501", "", "", "http://consul:8501", "http://consul:8501"},
		{"consul:8501", "false", "", "http://consul:8501", "http://consul:8501"},
		{"consul:8501", "true", "", "https://consul:8501", "https://consul:8501"},
		{"[::1]:8501", "1", "", "https://[::1]:8501", "https://[::1]:8501"},
		{"http://consul:8501", "true", "", "http://consul:8501", "https://consul:8501"},
		{"https://consul:8501", "false", "", "https://consul:8501", "https://consul:8501"},
		{"consul", "", "joe:a:b", "http://joe:a%3Ab@consul", "http://joe:a%3Ab@consul"},
		{"http://ann:pw@consul", "", "joe:a", "http://ann:pw@consul", "http://ann:pw@consul"},
	} {
		e, err := ReadEnvironment(func(name string) string {
			return map[string]string{"CONSUL_HTTP_SSL": test.ssl, "CONSUL_HTTP_AUTH": test.auth}[name]
		})
		if err != nil {
			t.Fatal(err)
		}
		for fromThere, want := range map[bool]string{false: test.want, true: test.wantFromThere} {
			if u, err := e.ParseAddress(test.address, fromThere); err != nil || u.String() != want {
				t.Errorf("%s (from the environment: %t) is %v, %v; want %s", test.address, fromThere, u, err, want)
			}
		}
	}
}

func TestEnvironmentIsReadAndChecked(t *testing.T) {
	t.Setenv("CONSUL_HTTP_SSL_VERIFY", "false")
	if e, err := ReadEnvironment(os.Getenv); err != nil || !e.Insecure || e.HTTPS || e.User != nil {
		t.Errorf("read %+v, %v", e, err)
	}
	for _, name := range []string{"CONSUL_HTTP_SSL", "CONSUL_HTTP_SSL_VERIFY"} {
		t.Setenv(name, "maybe")
		if _, err := ReadEnvironment(os.Getenv); err == nil || !strings.HasPrefix(err.Error(), name+` "maybe"`) {
			t.Errorf("error is %v, want one that names %s", err, name)
		}
		t.Setenv(name, "")
	}
}

// What cannot be obeyed is refused: half a namespace is none.
func TestEnvironmentThatCannotBeObeyed(t *testing.T) {
	for _, name := range []string{"CONSUL_NAMESPACE", "CONSUL_PARTITION"} {
		_, err := ReadEnvironment(func(n string) string {
			return map[string]string{name: "team"}[n]
		})
		if err == nil || !strings.HasPrefix(err.Error(), name+` "team": `) {
			t.Errorf("error is %v, want one that names %s", err, name)
		}
	}
}

// A token that is replaced while a write with the old one is under way costs
// nothing, and the write arrives whole.
func TestRefusedTokenThatHasChangedIsTriedAtOnce(t *testing.T) {
	token := "old"
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked = append(asked, r.Header.Get("X-Consul-Token")+" "+string(body[:min(8, len(body))]))
		if r.Header.Get("X-Consul-Token") == "old" {
			if len(asked) == 2 {
				token = "new"
			}
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "ACL not found")
		}
	}, func(c *Config) { c.Token = func() string { return token } })
	service := Service{ID: "web.1", Name: "web", Address: "10.0.0.1"}
	if err := c.Main().Register(t.Context(), service); err == nil || !strings.Contains(err.Error(), "ACL not found") || len(asked) != 1 {
		t.Errorf("with the only token: %v, asked %q", err, asked)
	}
	if err := c.Main().Register(t.Context(), service); err != nil {
		t.Errorf("with the new token: %v, asked %q", err, asked)
	}
	if len(asked) != 3 || asked[2] != "new "+asked[0][4:] || !strings.Contains(asked[0], `{"`) {
		t.Errorf("asked %q", asked)
	}
}

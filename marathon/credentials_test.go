package marathon

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"consular/marathon/transport"
)

func secret(t *testing.T, text string) *transport.Secret {
	t.Helper()
	s, err := transport.NewSecret("", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func basic(pair string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) }

func TestCredentialsAreSent(t *testing.T) {
	for name, test := range map[string]struct {
		credentials Credentials
		user        string // of the URL
		want        string
	}{
		"none":                    {Credentials{Type: TokenDCOS}, "", ""},
		"those of the URL":        {Credentials{Type: TokenDCOS}, "joe:pw@", basic("joe:pw")},
		"DC/OS":                   {Credentials{Token: secret(t, "abc"), Type: TokenDCOS}, "", "token=abc"},
		"bearer":                  {Credentials{Token: secret(t, "abc"), Type: TokenBearer}, "", "Bearer abc"},
		"Basic":                   {Credentials{User: "ann", Password: secret(t, "s3cret"), Type: TokenDCOS}, "", basic("ann:s3cret")},
		"options win":             {Credentials{User: "ann", Password: secret(t, "s3cret"), Type: TokenDCOS}, "joe:pw@", basic("ann:s3cret")},
		"password for URL's user": {Credentials{Password: secret(t, "s3cret"), Type: TokenDCOS}, "joe@", basic("joe:s3cret")},
		"user for URL's password": {Credentials{User: "ann", Type: TokenDCOS}, "joe:pw@", basic("ann:pw")},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			client := authorizedClient(t, test.credentials, test.user, func(w http.ResponseWriter, r *http.Request) {
				got = append(got, r.Header.Get("Authorization"))
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"version":"1.11.26"}`))
			})
			if _, err := client.Info(t.Context()); err != nil || !slices.Equal(got, []string{test.want}) {
				t.Errorf("sent %q, %v; want %q once", got, err, test.want)
			}
		})
	}
}

// authorizedClient returns a client of a server; user is "user:password@" or "".
func authorizedClient(t *testing.T, c Credentials, user string, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	base, err := transport.New(transport.Config{Connect: time.Second, Head: 3 * time.Second, Silence: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(base.CloseIdleConnections)
	masters, err := ParseURLs(strings.Replace(server.URL, "http://", "http://"+user, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(masters); err != nil {
		t.Fatal(err)
	}
	client, err := NewClient(Config{URLs: masters, Timeout: time.Second, MaxAnswer: 1 << 20, Transport: c.Authorize(base)})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// A token that is replaced while a request with the old one is under way costs nothing.
func TestRefusedTokenThatHasChangedIsTriedAtOnce(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		file := filepath.Join(t.TempDir(), "token")
		rotate := func(text string) {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Error(err)
			}
		}
		rotate("old")
		token, err := transport.NewSecret(file, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		client := authorizedClient(t, Credentials{Token: token, Type: TokenBearer}, "", func(w http.ResponseWriter, r *http.Request) {
			asked++
			w.Header().Set("Content-Type", "application/json")
			if r.Header.Get("Authorization") == "Bearer old" {
				if asked == 2 {
					rotate("new")
				}
				w.WriteHeader(status)
				_, _ = w.Write([]byte(`{"message":"no"}`))
				return
			}
			_, _ = w.Write([]byte(`{"version":"1.11.26"}`))
		})
		_, err = client.Info(t.Context())
		if err == nil || asked != 1 || strings.Contains(err.Error(), "old") || !strings.Contains(err.Error(), http.StatusText(status)) {
			t.Errorf("refused with the only token: %v, after %d requests", err, asked)
		}
		if _, err := client.Info(t.Context()); err != nil || asked != 3 {
			t.Errorf("with the new token: %v, after %d requests in all, want 3", err, asked)
		}
	}
}

// A server may say what it was sent: that is no reason to log it.
func TestCredentialsThatAServerRepeatsAreNotShown(t *testing.T) {
	for name, test := range map[string]struct {
		credentials Credentials
		user        string
	}{
		"DC/OS":  {Credentials{Token: secret(t, "s3cret"), Type: TokenDCOS}, ""},
		"bearer": {Credentials{Token: secret(t, "s3cret"), Type: TokenBearer}, ""},
		"Basic":  {Credentials{User: "ann", Password: secret(t, "s3cret"), Type: TokenDCOS}, ""},
		"URL":    {Credentials{Type: TokenDCOS}, "joe:s3cret@"},
	} {
		client := authorizedClient(t, test.credentials, test.user, func(w http.ResponseWriter, r *http.Request) {
			sent := r.Header.Get("Authorization")
			_, encoded, _ := strings.Cut(sent, " ")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			// The beginning of what is cut off tells as much.
			message := "no: " + sent + ", " + encoded + ", s3cret, " + strings.Repeat("x", 160) + sent
			_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
		})
		_, err := client.Info(t.Context())
		if err == nil || strings.Contains(err.Error(), "s3") || !strings.Contains(err.Error(), `"no: ***`) {
			t.Errorf("%s: error is %v", name, err)
		}
		for _, pair := range []string{"ann:s3cret", "joe:s3cret"} {
			if encoded, _ := strings.CutPrefix(basic(pair), "Basic "); strings.Contains(err.Error(), encoded[:4]) {
				t.Errorf("%s: error is %v", name, err)
			}
		}
	}
}

func TestCredentialsThatContradictEachOther(t *testing.T) {
	for want, test := range map[string]struct {
		credentials Credentials
		masters     string
	}{
		`--marathon-token-type "basic": must be`: {Credentials{Type: "basic"}, "http://a"},
		"--marathon-token-file: cannot":          {Credentials{User: "ann", Password: secret(t, "pw"), Token: secret(t, "abc"), Type: TokenDCOS}, "http://a"},
		"--marathon-token-file: cannot ":         {Credentials{Password: secret(t, "pw"), Token: secret(t, "abc"), Type: TokenDCOS}, "http://a"},
		"--marathon-token-file: cannot b":        {Credentials{Token: secret(t, "abc"), Type: TokenDCOS}, "http://a,http://joe:pw@b"},
		"--marathon-user: has no password":       {Credentials{User: "ann", Type: TokenDCOS}, "http://joe:pw@a,http://b"},
		"password of Marathon: --marathon-user":  {Credentials{Password: secret(t, "pw"), Type: TokenDCOS}, "http://joe@a,http://b"},
	} {
		masters, err := ParseURLs(test.masters)
		if err != nil {
			t.Fatal(err)
		}
		if err := test.credentials.Check(masters); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "pw") {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
}

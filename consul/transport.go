package consul

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/consul/api"
)

func newHTTPClient(config Config) *http.Client {
	if config.MaxAnswer == 0 {
		config.MaxAnswer = defaultMaxAnswer
	}
	return &http.Client{
		Transport: &exchange{config: config, next: config.Transport},
		// Consul redirects only paths that it has cleaned: to another key.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// exchange is what every request and answer goes through: credentials go in, and an
// answer that is too large, filtered, or not Consul's comes out as an error.
type exchange struct {
	config Config
	next   Transport
}

// RoundTrip implements http.RoundTripper.
func (e *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	withoutNamespace(r.URL)
	answer, token, err := e.send(r)
	if err != nil {
		return nil, err
	}
	answer.Body = &limitedBody{ReadCloser: answer.Body, left: e.config.MaxAnswer, limit: e.config.MaxAnswer}
	if err = elsewhere(answer); err == nil && r.Method == http.MethodGet {
		err = filtered(answer, token)
	}
	if err != nil {
		answer.Body.Close()
		return nil, err
	}
	return answer, nil
}

// withoutNamespace takes out what the library adds because of CONSUL_NAMESPACE and
// CONSUL_PARTITION: only Consul Enterprise has these, and we know nothing of them.
func withoutNamespace(u *url.URL) {
	query := u.Query()
	if query.Has("ns") || query.Has("partition") {
		query.Del("ns")
		query.Del("partition")
		u.RawQuery = query.Encode()
	}
}

// elsewhere returns an error when somebody else than Consul's API has answered: a
// redirect, which says where to, or a web page, such as Consul's own UI.
func elsewhere(answer *http.Response) error {
	if to := answer.Header.Get("Location"); to != "" && answer.StatusCode/100 == 3 {
		return api.StatusError{Code: answer.StatusCode, Body: "redirects to " + to}
	}
	if answer.StatusCode == http.StatusOK && strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") {
		return errWebPage
	}
	return nil
}

// send returns the answer, and the token that it is an answer to. When Consul
// refuses a token that has been rotated meanwhile, the new one is tried at once.
func (e *exchange) send(r *http.Request) (answer *http.Response, token string, err error) {
	token = e.authenticate(r)
	answer, err = e.next.RoundTrip(r)
	if err != nil || answer.StatusCode != http.StatusUnauthorized && answer.StatusCode != http.StatusForbidden {
		return answer, token, err
	}
	again := r.Clone(r.Context())
	now := e.authenticate(again)
	if now == token || !rewind(again) {
		return answer, token, nil
	}
	answer.Body.Close()
	answer, err = e.next.RoundTrip(again)
	return answer, now, err
}

// rewind makes the body of a request that was sent whole again, if it can.
func rewind(r *http.Request) bool {
	if r.Body == nil || r.Body == http.NoBody {
		return true
	}
	if r.GetBody == nil {
		return false
	}
	body, err := r.GetBody()
	r.Body = body
	return err == nil
}

// authenticate returns the token that it sends.
func (e *exchange) authenticate(r *http.Request) string {
	if user := e.config.Address.User; user != nil {
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
	}
	token := ""
	if e.config.Token != nil {
		token = e.config.Token()
	}
	if token == "" {
		r.Header.Del("X-Consul-Token")
	} else {
		r.Header.Set("X-Consul-Token", token)
	}
	return token
}

// filtered returns ErrFiltered when ACLs may have left something out. Without a token
// nothing in an empty answer tells that they have: agent/services and kv?recurse
// then say 200 {} and 404, with no other header. It is done here since the
// library overlooks these headers where X-Consul-LastContact is missing, as it
// is from agent/services.
func filtered(answer *http.Response, token string) error {
	switch {
	case answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusNotFound:
		return nil // an error, which speaks for itself
	case answer.Header.Get("X-Consul-Results-Filtered-By-Acls") == "true":
		return ErrFiltered
	case token == "" && answer.Header.Get("X-Consul-Default-Acl-Policy") == "deny":
		return fmt.Errorf("%w: no token was sent", ErrFiltered)
	}
	return nil
}

// limitedBody is a body that must not be larger than its limit.
type limitedBody struct {
	io.ReadCloser
	left, limit int64
}

// Read implements io.Reader.
func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("an answer of more than %d bytes: --max-answer", b.limit)
	}
	return n, err
}

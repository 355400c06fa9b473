package marathon

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"consular/marathon/transport"
)

// TokenType is how a token is sent in the header Authorization.
type TokenType string

const (
	// TokenDCOS is "token=…", as DC/OS wants it.
	TokenDCOS TokenType = "dcos"
	// TokenBearer is "Bearer …" (RFC 6750).
	TokenBearer TokenType = "bearer"
)

// Credentials are what Marathon, or a proxy before it, asks of us: HTTP Basic or
// a token. The zero value leaves it to what stands in the masters' URLs.
type Credentials struct {
	// User and Password are sent by HTTP Basic. What is missing of the two is
	// taken from the master's URL.
	User     string
	Password *transport.Secret
	// Token is sent in the way that Type says.
	Token *transport.Secret
	Type  TokenType
}

// Check reports what cannot be sent to masters with these URLs.
func (c Credentials) Check(masters []*url.URL) error {
	users, passwords := true, true
	anyUser := false
	for _, u := range masters {
		_, password := u.User.Password()
		users, passwords = users && u.User.Username() != "", passwords && password
		anyUser = anyUser || u.User != nil
	}
	basic := c.User != "" || c.Password != nil
	switch {
	case c.Type != TokenDCOS && c.Type != TokenBearer:
		return fmt.Errorf("--marathon-token-type %q: must be dcos or bearer", c.Type)
	case c.Token != nil && (basic || anyUser):
		return errors.New("--marathon-token-file: cannot be sent together with a user or password, which are given too")
	case c.User != "" && c.Password == nil && !passwords:
		return errors.New("--marathon-user: has no password: --marathon-password-file or CONSULAR_MARATHON_PASSWORD is missing")
	case c.Password != nil && c.User == "" && !users:
		return errors.New("password of Marathon: --marathon-user is missing")
	}
	return nil
}

// Authorize returns a Transport that adds the credentials to every request,
// instead of those from a URL. Whoever uses it sends no request to anybody who
// is not to have them. When Marathon refuses them and they have been rotated
// meanwhile, the new ones are tried at once.
func (c Credentials) Authorize(next Transport) Transport {
	return &authorized{credentials: c, next: next}
}

// authorized sends requests with credentials.
type authorized struct {
	credentials Credentials
	next        Transport
}

// RoundTrip implements http.RoundTripper.
func (a *authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := a.credentials.header(req)
	resp, err := a.send(req, sent)
	if err != nil || resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden {
		return resp, err
	}
	// Every request is a GET: it has no body that would have to be sent again.
	if now := a.credentials.header(req); now != sent {
		resp.Body.Close()
		return a.send(req, now)
	}
	return resp, nil
}

// Conceal implements Transport.
func (a *authorized) Conceal(err error) error { return a.next.Conceal(err) }

// CloseIdleConnections closes those of the Transport below.
func (a *authorized) CloseIdleConnections() {
	(&http.Client{Transport: a.next}).CloseIdleConnections()
}

func (a *authorized) send(req *http.Request, authorization string) (*http.Response, error) {
	if authorization != "" {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", authorization)
	}
	return a.next.RoundTrip(req)
}

// header returns the header Authorization for a request, "" for the one that it
// has already.
func (c Credentials) header(req *http.Request) string {
	switch {
	case c.Token != nil && c.Type == TokenBearer:
		return "Bearer " + c.Token.Text()
	case c.Token != nil:
		return "token=" + c.Token.Text()
	case c.User == "" && c.Password == nil:
		return ""
	}
	user, password, _ := req.BasicAuth()
	if c.User != "" {
		user = c.User
	}
	if c.Password != nil {
		password = c.Password.Text()
	}
	basic := http.Request{Header: http.Header{}}
	basic.SetBasicAuth(user, password)
	return basic.Header.Get("Authorization")
}

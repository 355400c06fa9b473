package consul

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// maxConnections to one agent: far below the 200 from one address that Consul
// allows (limits.http_max_conns_per_client), and registrations are serial there.
const maxConnections = 8

// headTimeouts is how many of Config.Timeout the head of an answer may take:
// one to connect, three to answer.
const headTimeouts = 4

// NewTransport returns a transport for all agents of a cluster, for Config.Transport.
// No connection may take longer than connect, the TLS handshake not counted.
// It uses the proxies of the environment.
func NewTransport(connect time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: connect, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: connect,
		MaxConnsPerHost:     maxConnections,
		MaxIdleConnsPerHost: maxConnections,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
	}
}

func newHTTPClient(config Config) *http.Client {
	e := &exchange{config: config, next: config.Transport}
	if e.next == nil {
		e.next = NewTransport(config.Timeout)
	}
	if e.config.MaxAnswer == 0 {
		e.config.MaxAnswer = defaultMaxAnswer
	}
	return &http.Client{
		Transport: e,
		// Consul redirects only paths that it has cleaned: to another key.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// exchange is what every request and answer goes through: credentials go in,
// and an answer that is slow, too large or filtered comes out as an error.
type exchange struct {
	config Config
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (e *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	limit := headTimeouts * e.config.Timeout
	timer := time.AfterFunc(limit, func() { cancel(silence(limit)) })
	answer, token, err := e.send(r.Clone(ctx))
	timer.Stop()
	if err != nil {
		cancel(nil)
		return nil, cause(ctx, err)
	}
	answer.Body = &watchedBody{
		body:    answer.Body,
		cancel:  cancel,
		cause:   func(err error) error { return cause(ctx, err) },
		silence: e.config.Timeout,
		left:    e.config.MaxAnswer,
		limit:   e.config.MaxAnswer,
	}
	if r.Method == http.MethodGet {
		err = filtered(answer, token)
	}
	if err != nil {
		answer.Body.Close()
		return nil, err
	}
	return answer, nil
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

// watchedBody ends a body that falls silent or does not end.
type watchedBody struct {
	body io.ReadCloser
	// cancel ends the request, and cause tells why it ended.
	cancel      context.CancelCauseFunc
	cause       func(error) error
	silence     time.Duration
	left, limit int64
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	timer := time.AfterFunc(b.silence, func() { b.cancel(silence(b.silence)) })
	defer timer.Stop()
	n, err := b.body.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("an answer of more than %d bytes", b.limit)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.cause(err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *watchedBody) Close() error {
	b.cancel(nil)
	return b.body.Close()
}

// silence is the error of an answer that took too long. It is an
// os.ErrDeadlineExceeded, and so a time-out to whoever asks.
func silence(limit time.Duration) error {
	return fmt.Errorf("no answer for %s: %w", limit, os.ErrDeadlineExceeded)
}

// cause prefers our reason for ending a request to what the transport made of it.
func cause(ctx context.Context, err error) error {
	if reason := context.Cause(ctx); errors.Is(reason, os.ErrDeadlineExceeded) {
		return reason
	}
	return err
}

// Package transport makes HTTP requests that never wait for ever. Marathon's
// REST API, its event stream and Consul are all reached through it.
//
// Every wait has a limit of its own, rather than one for the whole exchange: a
// snapshot of a large cluster may well take minutes, as long as it keeps coming.
//
// It also keeps what proves who we are, secrets and certificates, and reads it
// anew when the files it is in change; and it takes secrets out of what others say.
package transport

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"
)

// idleConnLimit is how many idle connections are kept for each host.
const idleConnLimit = 4

// maxHeader is the size of the largest head of an answer, in bytes.
const maxHeader = 256 << 10

// Config says how long to wait for what.
type Config struct {
	// Connect limits the dial, name lookup included, and, apart from that, the TLS handshake.
	Connect time.Duration
	// Head limits the time from the start of a request, connecting included,
	// to the head of its answer. WithHead overrides it for one request.
	Head time.Duration
	// Silence limits how long one read of a body waits for a byte, and with it what
	// all of them wait for, to TimeFor what has come; 0 is no limit of either. A reader
	// that takes its time between two reads counts for neither.
	Silence time.Duration
	// MaxConnsPerHost limits the connections to one host and port; 0 is no limit.
	// Waiting for one of them counts towards Head.
	MaxConnsPerHost int
	// TLS serves https. Its files are read by New, and looked at again before a
	// request, though not more often than once a second; new connections use
	// what is in them then.
	TLS TLS
	// Dial opens connections; nil does so through the system's network.
	Dial DialFunc
	// Notice is told when the files of TLS have changed; nil is nobody.
	Notice Notice
}

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Check reports what is wrong with c, naming the field.
func (c Config) Check() error {
	switch {
	case c.Connect <= 0:
		return fmt.Errorf("connect timeout %v: must be more than 0", c.Connect)
	case c.Head <= 0:
		return fmt.Errorf("head timeout %v: must be more than 0", c.Head)
	case c.Silence < 0:
		return fmt.Errorf("silence timeout %v: must not be less than 0", c.Silence)
	case c.MaxConnsPerHost < 0:
		return fmt.Errorf("connections per host %d: must not be less than 0", c.MaxConnsPerHost)
	}
	return c.TLS.Check()
}

// Transport is an http.RoundTripper with the limits of its Config. It honours
// HTTP_PROXY, HTTPS_PROXY and NO_PROXY, and unpacks gzip. It speaks HTTP/1.1
// only, so that one stalled answer never shares its connection with others.
// It is safe for concurrent use.
//
// A limit that was exceeded is a *TimeoutError.
type Transport struct {
	config Config
	pool   *pool
	sent   sent
}

// New returns a Transport, or an error if c is not usable. It reads the files
// of TLS, and connects to nobody.
func New(c Config) (*Transport, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	}
	dial = limitDial(dial, c.Connect)
	pool, err := newPool(c.TLS, c.Notice, func(config *tls.Config) *http.Transport {
		return &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            dial,
			TLSClientConfig:        config,
			TLSHandshakeTimeout:    c.Connect,
			MaxConnsPerHost:        c.MaxConnsPerHost,
			MaxIdleConnsPerHost:    cmp.Or(c.MaxConnsPerHost, idleConnLimit),
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: maxHeader,
		}
	})
	if err != nil {
		return nil, err
	}
	return &Transport{config: c, pool: pool}, nil
}

// CloseIdleConnections closes the connections that no request is using.
func (t *Transport) CloseIdleConnections() { t.pool.transport().CloseIdleConnections() }

// RoundTrip sends one request. The body of its answer must be closed, as
// net/http demands: that stops its timer.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.sent.note(req)
	ctx, cancel := context.WithCancelCause(req.Context())
	limit := headLimit(req.Context(), t.config.Head)
	head := startWatch(cancel, "head of the answer", limit)
	resp, err := t.pool.transport().RoundTrip(req.WithContext(ctx))
	if !head.stop() && err == nil {
		// The head came just as the time was over: its body would be cut off.
		resp.Body.Close()
		err = head.err
	}
	if err != nil {
		err = t.explain(ctx, err)
		cancel(nil)
		return nil, err
	}
	resp.Body = newBody(ctx, cancel, resp.Body, t.config.Silence)
	return resp, nil
}

type headKey struct{}

// WithHead returns a context whose requests wait d for the head of their answer
// instead of Config.Head; 0 is no limit.
func WithHead(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, headKey{}, d)
}

func headLimit(ctx context.Context, usual time.Duration) time.Duration {
	if d, ok := ctx.Value(headKey{}).(time.Duration); ok {
		return d
	}
	return usual
}

package marathon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"consular/marathon/transport"
)

// How many times Config.Timeout the head of an answer may take. A standby holds
// a request for 2.75 s in an election, and a large snapshot is built before its
// first byte is sent.
const (
	headTimeouts         = 3
	snapshotHeadTimeouts = 12
)

// ErrForbidden is what Marathon, or a proxy before it, refuses to these credentials: it
// answered 401 or 403.
var ErrForbidden = errors.New("permission denied")

// ErrNotFound is what Marathon itself does not know: it said so, with a 404, or
// was not asked, for what cannot be the ID of an app.
var ErrNotFound = errors.New("not in Marathon")

// Client reads Marathon's REST API. It asks the master that answered last, and
// the others in turn when that one fails. It follows no redirect. It is safe
// for concurrent use.
type Client struct {
	masters   []master
	http      *http.Client
	transport Transport
	timeout   time.Duration
	maxAnswer int64
	// first is the index of the master to ask first.
	first atomic.Int64
	sent  atomic.Int64
	clock clock
}

// NewClient returns a Client, or an error if c is not usable. It sends nothing.
func NewClient(c Config) (*Client, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	client := &Client{timeout: c.Timeout, maxAnswer: c.MaxAnswer, transport: c.Transport, http: &http.Client{
		Transport: c.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}}
	for _, u := range c.URLs {
		client.masters = append(client.masters, newMaster(u))
	}
	return client, nil
}

// Requests returns how many requests were sent since the client was made.
func (c *Client) Requests() int64 { return c.sent.Load() }

// Apps returns all apps with their tasks, or an error: never part of them.
// Source: GET /v2/apps?embed=apps.tasks.
func (c *Client) Apps(ctx context.Context) (Snapshot, error) {
	return c.apps(ctx, "embed=apps.tasks")
}

// AppsWithReadiness is Apps with each app's ReadinessCheckResults.
// Source: GET /v2/apps?embed=apps.tasks&embed=apps.readiness.
func (c *Client) AppsWithReadiness(ctx context.Context) (Snapshot, error) {
	return c.apps(ctx, "embed=apps.tasks&embed=apps.readiness")
}

func (c *Client) apps(ctx context.Context, query string) (Snapshot, error) {
	ctx = transport.WithHead(ctx, snapshotHeadTimeouts*c.timeout)
	resource := resource{path: []string{"v2", "apps"}, query: query}
	var snapshot Snapshot
	err := c.get(ctx, resource, func(body io.Reader) (err error) {
		snapshot, err = ReadSnapshot(body)
		return err
	})
	if err != nil {
		return Snapshot{}, fmt.Errorf("read all apps: %w", err)
	}
	snapshot.From = c.masters[c.first.Load()].String()
	return snapshot, nil
}

// App returns one app with its tasks. The error is ErrNotFound when Marathon
// does not have it: also for the ID of a pod, and for a new app for the moments
// before its group_change_success. Source: GET /v2/apps/{id}.
func (c *Client) App(ctx context.Context, id string) (App, error) {
	return c.app(ctx, id, "")
}

// AppWithReadiness is App with its ReadinessCheckResults.
// Source: GET /v2/apps/{id}?embed=app.readiness.
func (c *Client) AppWithReadiness(ctx context.Context, id string) (App, error) {
	return c.app(ctx, id, "embed=app.readiness")
}

func (c *Client) app(ctx context.Context, id, query string) (App, error) {
	if err := checkID(id); err != nil {
		return App{}, fmt.Errorf("read app: %w: %w", ErrNotFound, err)
	}
	var app App
	err := c.getSoon(ctx, resource{path: appPath(id), query: query, appID: id}, func(body io.Reader) (err error) {
		app, err = readApp(body, id)
		return err
	})
	if err != nil {
		return App{}, fmt.Errorf("read app %.200s: %w", id, err)
	}
	return app, nil
}

// Version returns what an app's definition of the given version says, which
// never changes. The error is ErrNotFound when Marathon has forgotten it.
// Source: GET /v2/apps/{id}/versions/{version}.
func (c *Client) Version(ctx context.Context, id, version string) (Definition, error) {
	if err := checkID(id); err != nil {
		return Definition{}, fmt.Errorf("read version of app: %w: %w", ErrNotFound, err)
	}
	if err := checkVersion(version); err != nil {
		return Definition{}, fmt.Errorf("read app %.200s: %w", id, err)
	}
	path := append(appPath(id), "versions", url.PathEscape(version))
	var definition Definition
	err := c.getSoon(ctx, resource{path: path, appID: id}, func(body io.Reader) (err error) {
		definition, err = readVersion(body, id)
		return err
	})
	if err != nil {
		return Definition{}, fmt.Errorf("read version %.200s of app %.200s: %w", version, id, err)
	}
	return definition, nil
}

// Info returns what Marathon says of itself. The error is ErrForbidden when it is refused,
// for it needs a permission of its own (from 0.14 on, where an authorizer plugin is loaded).
// Source: GET /v2/info.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var info Info
	err := c.getSoon(ctx, resource{path: []string{"v2", "info"}}, func(body io.Reader) (err error) {
		info, err = readInfo(body)
		return err
	})
	if err != nil {
		return Info{}, fmt.Errorf("read Marathon's info: %w", err)
	}
	return info, nil
}

// resource is something that every master has.
type resource struct {
	// path is below the master's URL, each segment escaped.
	path  []string
	query string
	// appID is the app that a 404 may be about; "" when none is ErrNotFound.
	appID string
}

// getSoon is get for what Marathon has at hand.
func (c *Client) getSoon(ctx context.Context, r resource, read func(io.Reader) error) error {
	return c.get(transport.WithHead(ctx, headTimeouts*c.timeout), r, read)
}

// get asks one master after the other until one gives an answer. Each attempt
// calls read at most once; read is to forget what an earlier attempt gave it.
func (c *Client) get(ctx context.Context, r resource, read func(io.Reader) error) error {
	var failed mastersError
	first := c.first.Load()
	for i := range int64(len(c.masters)) {
		n := (first + i) % int64(len(c.masters))
		err := c.transport.Conceal(c.ask(ctx, c.masters[n], r, read))
		if err == nil || errors.Is(err, ErrNotFound) {
			c.first.Store(n)
			return err
		}
		failed = append(failed, fmt.Errorf("%s: %w", c.masters[n], err))
		if ctx.Err() != nil {
			break
		}
	}
	return failed
}

// ask sends one request to one master.
func (c *Client) ask(ctx context.Context, m master, r resource, read func(io.Reader) error) error {
	target := m.url.JoinPath(r.path...)
	target.RawQuery = r.query
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return err
	}
	// Marathon before 1.6 prefers text, and 1.11 refuses requests that do.
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "consular")
	m.authorize(req)
	c.sent.Add(1)
	resp, err := c.http.Do(req)
	if wrong, ok := errors.AsType[*url.Error](err); ok {
		// The master is named by the caller.
		err = wrong.Err
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := refused(resp, r.appID); err != nil {
		return err
	}
	c.clock.read(resp.Header, time.Now())
	return tooLarge(read(http.MaxBytesReader(nil, resp.Body, c.maxAnswer)))
}

// mastersError is what each of the masters that were asked answered.
type mastersError []error

func (e mastersError) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "; ")
}

// Unwrap returns the errors of all masters.
func (e mastersError) Unwrap() []error { return e }

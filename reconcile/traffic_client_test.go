package reconcile_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"sync"
	"time"
)

// trafficClient is a client that never stops: visitors of all kinds ask the proxy for
// all apps, whatever happens, and note each answer.
type trafficClient struct {
	// proxy is the host and port of virtual hosts, own those of a port of an app's own.
	proxy, own string
	visits     sync.WaitGroup
	stop       context.CancelFunc

	mu       sync.Mutex
	requests int
	failures []trafficFailure
	// first has when each task was first seen to answer, served which app it is of.
	first map[string]time.Time
	// tasks are those that answered a visitor's last request, by visitor.
	tasks map[string]string
	// apps are who answered for a host, in turns: "/shop/old", "/shop/new".
	apps map[string][]string
}

// trafficFailure is a request that was not answered as it should be.
type trafficFailure struct {
	visitor, host string
	begun, ended  time.Time
	err           error
}

func (f trafficFailure) String() string {
	return fmt.Sprintf("%s of %s: %v (begun %s, took %s)", f.visitor, f.host, f.err,
		f.begun.Format("15:04:05.000"), f.ended.Sub(f.begun).Round(time.Millisecond))
}

// trafficVisitor is one way to ask.
type trafficVisitor struct {
	name, method string
	// fresh takes a new connection for each request, slow gets slow answers.
	fresh, slow bool
	// sticky keeps cookies; own asks for the port of an app's own.
	sticky, own bool
	pause       time.Duration
}

var trafficVisitors = []trafficVisitor{
	{name: "GET", method: http.MethodGet, pause: 10 * time.Millisecond},
	{name: "POST", method: http.MethodPost, pause: 10 * time.Millisecond},
	{name: "GET, new connection", method: http.MethodGet, fresh: true, pause: 10 * time.Millisecond},
	{name: "POST, new connection", method: http.MethodPost, fresh: true, pause: 10 * time.Millisecond},
	{name: "slow GET", method: http.MethodGet, slow: true, pause: 10 * time.Millisecond},
	{name: "slow POST", method: http.MethodPost, slow: true, pause: 10 * time.Millisecond},
	{name: "slow POST, new connection", method: http.MethodPost, slow: true, fresh: true, pause: 10 * time.Millisecond},
	{name: "GET with cookies", method: http.MethodGet, sticky: true, pause: 20 * time.Millisecond},
	{name: "POST to a port of its own", method: http.MethodPost, own: true, fresh: true, pause: 50 * time.Millisecond},
	{name: "POST after a rest", method: http.MethodPost, pause: 700 * time.Millisecond},
}

// trafficTargets are the virtual hosts and paths, those with more tasks more often.
var trafficTargets = []string{"shop.test/", "shop.test/api/", "old.test/", "shop.test/", "shop.test/api/", "single.test/"}

// newTrafficClient begins to ask, until end.
func newTrafficClient(ctx context.Context, proxy, own string) *trafficClient {
	ctx, cancel := context.WithCancel(ctx)
	c := &trafficClient{
		proxy: proxy, own: own, stop: cancel,
		first: map[string]time.Time{}, tasks: map[string]string{}, apps: map[string][]string{},
	}
	for _, v := range trafficVisitors {
		c.visits.Go(func() { c.visit(ctx, v) })
	}
	return c
}

func (c *trafficClient) end() {
	c.stop()
	c.visits.Wait()
}

// visit asks for one app after the other.
func (c *trafficClient) visit(ctx context.Context, v trafficVisitor) {
	connections := &http.Transport{DisableKeepAlives: v.fresh}
	defer connections.CloseIdleConnections()
	client := &http.Client{Transport: connections, Timeout: 15 * time.Second}
	if v.sticky {
		client.Jar, _ = cookiejar.New(nil) // never fails
	}
	ticker := time.NewTicker(v.pause)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		target := trafficTargets[n%len(trafficTargets)]
		switch {
		case v.own:
			target = "own/"
		case v.sticky:
			target = "shop.test/"
		}
		host, path, _ := strings.Cut(target, "/")
		c.ask(v, client, host, "/"+path, fmt.Sprintf("%s %d", strings.ToLower(v.name), n))
	}
}

// ask makes one request, which is not interrupted, and notes what came of it.
func (c *trafficClient) ask(v trafficVisitor, client *http.Client, host, path, text string) {
	begun := time.Now()
	address := c.proxy
	if v.own {
		address = c.own
	}
	answer, err := v.ask(client, address, host, path, text)
	ended := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	if err != nil {
		c.failures = append(c.failures, trafficFailure{v.name, host + path, begun, ended, err})
		return
	}
	app, task := answer.Get("X-App"), answer.Get("X-Task")
	if c.first[task].IsZero() {
		c.first[task] = ended
	}
	c.tasks[v.name] = task
	if was := c.apps[host+path]; len(was) == 0 || was[len(was)-1] != app {
		c.apps[host+path] = append(was, app)
	}
}

// ask sends a text to an address and wants it back; it returns the answer's header. A POST
// cannot be repeated by the client behind the test's back.
func (v trafficVisitor) ask(client *http.Client, address, host, path, text string) (http.Header, error) {
	request, err := http.NewRequest(v.method, "http://"+address+path, nil)
	if err != nil {
		return nil, err
	}
	query := request.URL.Query()
	if v.slow {
		query.Set("slow", "")
	}
	if v.method == http.MethodPost {
		request.Body, request.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	} else {
		query.Set("body", text)
	}
	request.URL.RawQuery, request.Host = query.Encode(), host
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return nil, err
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %s", answer.Status, body)
	case string(body) != text:
		return nil, fmt.Errorf("answered %q to %q", body, text)
	}
	return answer.Header, nil
}

// firstServed returns when a task first answered; zero: not yet.
func (c *trafficClient) firstServed(task string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first[task]
}

// task returns who answered a visitor last.
func (c *trafficClient) task(visitor string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tasks[visitor]
}

// answeredFor returns which apps answered for a target, in turns.
func (c *trafficClient) answeredFor(target string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.apps[target])
}

// soFar returns the number of requests and the failures until now.
func (c *trafficClient) soFar() (int, []trafficFailure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests, slices.Clone(c.failures)
}

package reconcile_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile"
)

// What very many agents that do not answer cost the others, and the catalog.

// gauge counts what is done at once, and how much that was at most.
type gauge struct {
	mu        sync.Mutex
	now, most int
}

func (g *gauge) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now += n
	g.most = max(g.most, g.now)
}

func (g *gauge) peak() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.most
}

// blackHole is an agent that takes requests and answers none, until the client gives up.
type blackHole struct {
	reconcile.Agent
	host   string
	gauge  *gauge
	client time.Duration
}

func (a blackHole) Address() string { return a.host + ":8500" }

func (a blackHole) Self(ctx context.Context) (consul.Node, error) {
	a.gauge.add(1)
	defer a.gauge.add(-1)
	select {
	case <-ctx.Done():
		return consul.Node{}, fmt.Errorf("ask %s: %w", a.host, ctx.Err())
	case <-time.After(a.client):
		return consul.Node{}, fmt.Errorf("ask %s: %w", a.host, context.DeadlineExceeded)
	}
}

// amongBlackHoles has so many black holes, each with a task, and a good agent behind them.
func (x *fakeCluster) amongBlackHoles(n int) (good string, asked *gauge) {
	good, asked = "10.9.9.9", &gauge{}
	x.agents[good] = &fakeAgent{host: good, services: map[string]consul.Service{}, registers: map[string]int{}}
	x.marathon.apps = []marathon.App{appOn(good, "/good", "good.1"), appOn(good, "/holes")}
	x.replace = map[string]reconcile.Agent{}
	for i := range n {
		host := fmt.Sprintf("10.0.%d.%d", i/250, i%250)
		x.replace[host] = blackHole{host: host, gauge: asked, client: 15 * time.Second}
		x.marathon.apps[1].Tasks = append(x.marathon.apps[1].Tasks, taskOn(host, "/holes", "t."+host))
	}
	return good, asked
}

// 600 black holes do not delay the first registration on another agent, though they are
// asked a few at a time.
func TestManyBlackHolesDelayNobody(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.Patience = 20 * time.Second
		good, asked := x.amongBlackHoles(600)
		ctx, cancel := context.WithCancel(x.Context())
		x.Reconciler = x.consular()
		ended := make(chan error)
		go func() { ended <- x.Reconciler.Run(ctx) }()
		x.Connected()
		start := time.Now()
		for len(x.agents[good].tasks()) == 0 && time.Since(start) < time.Minute {
			time.Sleep(10 * time.Millisecond)
		}
		took := time.Since(start)
		t.Logf("registered after %v, with at most %d requests in flight", took, asked.peak())
		if took > 1500*time.Millisecond {
			t.Errorf("the first registration took %v", took)
		}
		time.Sleep(10 * time.Second)
		if n := asked.peak(); n > 256 {
			t.Errorf("%d agents were listed at once", n)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// busyCatalog takes a moment for each node, and counts how many it is asked about at once.
type busyCatalog struct {
	reconcile.Catalog
	gauge
	asked int
}

func (c *busyCatalog) Services(ctx context.Context, node, tag string) ([]consul.Service, error) {
	c.add(1)
	defer c.add(-1)
	time.Sleep(10 * time.Millisecond)
	c.mu.Lock()
	c.asked++
	c.mu.Unlock()
	return c.Catalog.Services(ctx, node, tag)
}

func TestManySilentAgentsAskTheCatalogFewThingsAtOnce(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a")}
		for i := range 1000 {
			host := fmt.Sprintf("10.0.%d.%d", i/250, i%250+1)
			x.agents[host] = &fakeAgent{host: host, gone: true, services: map[string]consul.Service{}, registers: map[string]int{}}
			x.marathon.apps[0].Tasks = append(x.marathon.apps[0].Tasks, taskOn(host, "/a", "t."+host))
		}
		catalog := &busyCatalog{Catalog: x.catalog}
		r := reconcile.New(x.config, x.marathon, reconcile.Consul{Agent: x.agent, Labels: x.labels, Catalog: catalog})
		if _, err := r.Plan(x.Context()); err != nil {
			t.Fatal(err)
		}
		t.Logf("the catalog was asked %d things, %d at once", catalog.asked, catalog.peak())
		if catalog.asked < 1000 || catalog.peak() > 16 {
			t.Errorf("the catalog was asked %d things, %d at once, want all, and a few at once", catalog.asked, catalog.peak())
		}
	})
}

package reconcile_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/rs/zerolog"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
)

// crowd is a Marathon of many tasks and the agents that they belong to, in
// memory: what five real agents cannot show. It counts what it is asked.
type crowd struct {
	apps     []marathon.App
	hosts    []string
	writing  time.Duration // what a write takes
	mu       sync.Mutex
	changed  *sync.Cond
	agents   map[string]*crowdAgent
	keys     []consul.Key
	writes   int
	reads    int // of Consul
	requests int // to Marathon
	resyncs  int // that have told their summary
}

func newCrowd(tasks, agents int) *crowd {
	c := &crowd{agents: map[string]*crowdAgent{}}
	c.changed = sync.NewCond(&c.mu)
	for i := range agents {
		host := fmt.Sprintf("10.%d.%d.1", i/250, i%250)
		c.hosts = append(c.hosts, host)
		c.agents[host] = &crowdAgent{crowd: c, host: host, services: map[string]consul.Service{}}
	}
	for i := range tasks / tasksPerApp {
		app := marathon.App{
			ID: fmt.Sprintf("/scale/app-%d", i), Version: "v1", Labels: map[string]string{},
			Definition: marathon.Definition{Ports: []marathon.Port{{OnHost: true}}},
		}
		for l := range labelsOfApp {
			app.Labels[fmt.Sprintf("label-%d", l)] = fmt.Sprintf("value %d of app %d", l, i)
		}
		for n := range tasksPerApp {
			app.Tasks = append(app.Tasks, c.task(app.ID, i*tasksPerApp+n))
		}
		c.apps = append(c.apps, app)
	}
	return c
}

func (c *crowd) task(app string, n int) marathon.Task {
	return marathon.Task{
		ID: fmt.Sprintf("scale_app.instance-%08d.1", n), AppID: app, Host: c.hosts[n%len(c.hosts)],
		State: marathon.TaskRunning, Ports: []int{31000 + n%1000}, Version: "v1",
	}
}

func (c *crowd) Apps(context.Context) (marathon.Snapshot, error) {
	c.count(&c.requests)
	return marathon.Snapshot{Apps: c.apps}, nil
}

func (c *crowd) App(context.Context, string) (marathon.App, error) {
	c.count(&c.requests)
	return marathon.App{}, marathon.ErrNotFound
}

func (c *crowd) Version(context.Context, string, string) (marathon.Definition, error) {
	return marathon.Definition{}, marathon.ErrNotFound
}

func (c *crowd) Info(context.Context) (marathon.Info, error) { return marathon.Info{}, nil }

func (c *crowd) count(n *int) {
	c.mu.Lock()
	*n++
	c.mu.Unlock()
	c.changed.Broadcast()
}

// counted returns what has been asked so far.
func (c *crowd) counted() (writes, reads, requests int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes, c.reads, c.requests
}

// await waits until so many were counted.
func (c *crowd) await(counter *int, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for *counter < n {
		c.changed.Wait()
	}
}

// Write takes a line of the log.
func (c *crowd) Write(line []byte) (int, error) {
	if bytes.HasSuffix(line, []byte(`"message":"resync"}`+"\n")) {
		c.count(&c.resyncs)
	}
	return len(line), nil
}

func (c *crowd) agent(host string) (reconcile.Agent, error) { return c.agents[host], nil }

// reconciler is a consular for the crowd.
func (c *crowd) reconciler() *reconcile.Reconciler { return c.reconcilerWith(c.agent) }

// reconcilerWith is one with other agents than the crowd's.
func (c *crowd) reconcilerWith(agent func(host string) (reconcile.Agent, error)) *reconcile.Reconciler {
	return reconcile.New(reconcile.Config{
		Translation: desired.Translation{
			Owner: consul.Owner{RegistrationID: "consular"}, Prefix: "consular",
			Encode: func(value string) string { return value },
		},
		Policy:       plan.Policy{Purge: true, Limit: 50, Confirm: time.Minute},
		PollInterval: time.Minute, Patience: time.Minute, Log: zerolog.New(c),
	}, c, reconcile.Consul{Agent: agent, Labels: crowdLabels{c}, Catalog: emptyCatalog{}})
}

// crowdAgent is one of the crowd's agents.
type crowdAgent struct {
	noChecks
	crowd    *crowd
	host     string
	services map[string]consul.Service // guarded by crowd.mu
}

func (a *crowdAgent) Address() string { return a.host }

func (a *crowdAgent) Self(context.Context) (consul.Node, error) {
	a.crowd.count(&a.crowd.reads)
	return consul.Node{ID: "node of " + a.host, Name: a.host}, nil
}

func (a *crowdAgent) Services(context.Context) ([]consul.Service, error) {
	a.crowd.count(&a.crowd.reads)
	a.crowd.mu.Lock()
	defer a.crowd.mu.Unlock()
	var services []consul.Service
	for _, s := range a.services {
		services = append(services, s)
	}
	return services, nil
}

func (a *crowdAgent) Register(_ context.Context, s consul.Service) error {
	time.Sleep(a.crowd.writing)
	a.crowd.mu.Lock()
	a.services[s.ID] = s
	a.crowd.mu.Unlock()
	a.crowd.count(&a.crowd.writes)
	return nil
}

func (a *crowdAgent) Deregister(_ context.Context, id string) error {
	time.Sleep(a.crowd.writing)
	a.crowd.mu.Lock()
	delete(a.services, id)
	a.crowd.mu.Unlock()
	a.crowd.count(&a.crowd.writes)
	return nil
}

// crowdLabels are the crowd's keys; nobody else writes them.
type crowdLabels struct{ *crowd }

func (l crowdLabels) List(context.Context) ([]consul.Key, error) {
	l.count(&l.reads)
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]consul.Key{}, l.keys...), nil
}

func (l crowdLabels) Service(_ context.Context, name string) (keys []consul.Key, err error) {
	l.count(&l.reads)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.keys {
		if k.Service == name {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func (l crowdLabels) Apply(_ context.Context, _ string, changes []consul.KeyChange) error {
	l.mu.Lock()
	for _, c := range changes {
		l.keys = append(l.keys, c.Key)
	}
	l.mu.Unlock()
	l.count(&l.writes)
	return nil
}

// emptyCatalog knows no other nodes.
type emptyCatalog struct{}

func (emptyCatalog) Nodes(context.Context) ([]consul.CatalogNode, error) { return nil, nil }

func (emptyCatalog) Services(context.Context, string, string) ([]consul.Service, error) {
	return nil, nil
}

func (emptyCatalog) Find(context.Context, string, string) ([]consul.CatalogService, error) {
	return nil, nil
}

func (emptyCatalog) Deregister(context.Context, string, string) error { return nil }

// growth is what a size came to.
type growth struct {
	tasks, agents       int
	cold, steady, event cost
	// waits are how long events wait for the model while resyncs go on.
	waits []time.Duration
}

// cost is what something took, of time, memory and others' work.
type cost struct {
	took                    time.Duration
	bytes                   uint64 // allocated
	writes, reads, requests int
}

// costOf returns what one round of do takes of each crowd, garbage included.
func costOf(crowds []*crowd, rounds int, do func()) cost {
	var before, after runtime.MemStats
	count := func() (n cost) {
		for _, c := range crowds {
			writes, reads, requests := c.counted()
			n.writes, n.reads, n.requests = n.writes+writes, n.reads+reads, n.requests+requests
		}
		return n
	}
	was := count()
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin := time.Now()
	do()
	took := time.Since(begin)
	runtime.ReadMemStats(&after)
	is := count()
	return cost{
		took / time.Duration(rounds), (after.TotalAlloc - before.TotalAlloc) / uint64(rounds),
		(is.writes - was.writes) / rounds, (is.reads - was.reads) / rounds, (is.requests - was.requests) / rounds,
	}
}

const growthEvents = 1000

// grow measures cold starts, resyncs that change nothing, and the events of new
// tasks of a known app: of so many clusters of a size, for one small one may be done
// before any garbage is collected.
func grow(t *testing.T, tasks, agents, clusters int) growth {
	t.Helper()
	var crowds []*crowd
	var all []*reconcile.Reconciler
	for range clusters {
		c := newCrowd(tasks, agents)
		crowds, all = append(crowds, c), append(all, c.reconciler())
	}
	resync := func() {
		for _, r := range all {
			if _, _, err := r.Sync(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	g := growth{tasks: tasks, agents: agents}
	g.cold = costOf(crowds, clusters, resync)
	g.steady = costOf(crowds, clusters, resync)
	c, r := crowds[0], all[0]
	g.waits = waitsOfEvents(r, c.apps[0].Tasks[0], func() {
		for range 3 {
			resync()
		}
	})
	slices.Sort(g.waits)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	c.await(&c.resyncs, 6) // five were above, one is Run's own
	g.event = costOf(crowds[:1], growthEvents, func() {
		for n := range growthEvents {
			r.Event(marathon.TaskChanged{
				Meta: marathon.Meta{Type: "status_update_event"}, Task: c.task(c.apps[0].ID, tasks+n),
			})
		}
		c.await(&c.writes, g.cold.writes+growthEvents)
	})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return g
}

// waitsOfEvents tells of a task that runs, some thousand times a second, while something
// else is done, and returns how long each took that tells.
func waitsOfEvents(r *reconcile.Reconciler, task marathon.Task, during func()) (waits []time.Duration) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		during()
	}()
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return waits
		case <-tick.C:
		}
		begin := time.Now()
		r.Event(marathon.TaskChanged{Meta: marathon.Meta{Type: "status_update_event"}, Task: task})
		waits = append(waits, time.Since(begin))
	}
}

// wait is how long all but so many in a thousand events have waited at most.
func (g growth) wait(perMille int) time.Duration {
	if len(g.waits) == 0 {
		return 0 // the resync was over before
	}
	return g.waits[min(len(g.waits)*perMille/1000, len(g.waits)-1)]
}

// TestGrowth counts on stand-ins what five real agents are too few for. Nothing
// may grow faster than the tasks, and an event costs the same everywhere. With
// -scale it goes to 50,000 tasks on 2,000 agents, compares times too, and prints.
func TestGrowth(t *testing.T) {
	sizes := []struct{ tasks, agents, clusters int }{{1000, 5, 1}, {5000, 50, 1}}
	if *atScale { // as many tasks of each size
		sizes = []struct{ tasks, agents, clusters int }{{1000, 5, 50}, {10_000, 50, 5}, {50_000, 2000, 1}}
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(table, "| tasks\t| agents\t| cold start\t| writes\t| reads\t| memory\t| steady resync\t| writes\t| reads\t| memory\t| an event\t| writes\t| reads\t| memory\t| waits p99.9\t| at worst\t|")
	var first growth
	for i, size := range sizes {
		g := grow(t, size.tasks, size.agents, size.clusters)
		fmt.Fprintf(table, "| %d\t| %d\t| %.3f s\t| %d\t| %d\t| %s\t| %.3f s\t| %d\t| %d\t| %s\t| %.1f µs\t| %d\t| %d\t| %.1f kB\t| %.1f ms\t| %.1f ms\t|\n", g.tasks, g.agents,
			g.cold.took.Seconds(), g.cold.writes, g.cold.reads, megabytes(int64(g.cold.bytes)),
			g.steady.took.Seconds(), g.steady.writes, g.steady.reads, megabytes(int64(g.steady.bytes)),
			g.event.took.Seconds()*1e6, g.event.writes, g.event.reads, float64(g.event.bytes)/1e3,
			g.wait(999).Seconds()*1e3, g.wait(1000).Seconds()*1e3)
		if i == 0 {
			first = g
		}
		g.check(t, first)
	}
	if *atScale {
		if err := table.Flush(); err != nil {
			t.Fatal(err)
		}
	}
}

// check compares a size with the smallest one.
func (g growth) check(t *testing.T, first growth) {
	t.Helper()
	apps := g.tasks / tasksPerApp
	if want := g.tasks + apps; g.cold.writes != want {
		t.Errorf("%d tasks: a cold start made %d writes, want %d", g.tasks, g.cold.writes, want)
	}
	// Each agent says who it is and what it has; the keys are listed once.
	if want := 2*g.agents + 1; g.cold.reads != want || g.steady.reads != want {
		t.Errorf("%d agents: %d and %d reads of Consul, want %d", g.agents, g.cold.reads, g.steady.reads, want)
	}
	if g.steady.writes != 0 || g.steady.requests != 1 {
		t.Errorf("a steady resync made %d writes and %d requests to Marathon", g.steady.writes, g.steady.requests)
	}
	if g.event.writes != 1 || g.event.reads+g.event.requests != 0 {
		t.Errorf("an event made %d writes and %d reads", g.event.writes, g.event.reads+g.event.requests)
	}
	times := float64(g.tasks) / float64(first.tasks)
	slower := func(what string, now, then cost, allowed float64) {
		if grew := float64(now.bytes) / float64(then.bytes); grew > allowed {
			t.Errorf("%.0f times the tasks: %s allocates %.1f times as much", times, what, grew)
		}
		// Times are for a quiet machine; twice as long for each task is the caches' due.
		if grew := now.took.Seconds() / then.took.Seconds(); *atScale && grew > 2*allowed {
			t.Errorf("%.0f times the tasks: %s takes %.1f times as long", times, what, grew)
		}
	}
	slower("a cold start", g.cold, first.cold, 1.5*times)
	slower("a steady resync", g.steady, first.steady, 1.5*times)
	slower("an event", g.event, first.event, 3)
}

package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
)

// standIn is an agent without a Consul: it remembers, or is a black hole.
type standIn struct {
	noChecks
	host string
	hole bool
	// refuses is set while there is no way to it.
	refuses atomic.Bool

	mu       sync.Mutex
	services map[string]consul.Service
}

func (a *standIn) Address() string { return a.host + ":8500" }

// answers blocks until ctx ends when the agent is a black hole.
func (a *standIn) answers(ctx context.Context) error {
	if a.refuses.Load() {
		return errors.New("connection refused")
	}
	if !a.hole {
		return ctx.Err()
	}
	<-ctx.Done()
	return fmt.Errorf("ask %s: %w", a.host, ctx.Err())
}

func (a *standIn) Self(ctx context.Context) (consul.Node, error) {
	return consul.Node{ID: "node of " + a.host, Name: a.host}, a.answers(ctx)
}

func (a *standIn) Services(ctx context.Context) ([]consul.Service, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []consul.Service
	for _, s := range a.services {
		all = append(all, s)
	}
	return all, a.answers(ctx)
}

func (a *standIn) Register(ctx context.Context, s consul.Service) error {
	if err := a.answers(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.services[s.ID] = s
	return nil
}

func (a *standIn) Deregister(ctx context.Context, id string) error {
	if err := a.answers(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.services, id)
	return nil
}

func (a *standIn) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.services)
}

// slowStore is a KV store that answers with an error, as late as Consul does
// without a leader.
type slowStore struct{ after time.Duration }

var errNoLeader = errors.New("answered 500 (No cluster leader)")

func (s slowStore) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(s.after):
		return errNoLeader
	}
}

func (s slowStore) List(ctx context.Context) ([]consul.Key, error) { return nil, s.wait(ctx) }
func (s slowStore) Service(ctx context.Context, _ string) ([]consul.Key, error) {
	return nil, s.wait(ctx)
}

func (s slowStore) Apply(ctx context.Context, _ string, _ []consul.KeyChange) error {
	return s.wait(ctx)
}

func (s slowStore) Nodes(ctx context.Context) ([]consul.CatalogNode, error) { return nil, s.wait(ctx) }

func (s slowStore) Services(ctx context.Context, _, _ string) ([]consul.Service, error) {
	return nil, s.wait(ctx)
}

func (s slowStore) Find(ctx context.Context, _, _ string) ([]consul.CatalogService, error) {
	return nil, s.wait(ctx)
}

func (s slowStore) Deregister(ctx context.Context, _, _ string) error { return s.wait(ctx) }

// told is a Marathon that says one thing, or nothing.
type told struct {
	reconcile.NoMarathon
	apps   []marathon.App
	silent atomic.Bool
}

func (m *told) Apps(context.Context) (marathon.Snapshot, error) {
	if m.silent.Load() {
		return marathon.Snapshot{}, errors.New("no answer")
	}
	return marathon.Snapshot{Apps: m.apps}, nil
}

// island is 200 agents, of which every tenth is a black hole, each with one task;
// the store answers nothing for ten seconds.
type island struct {
	agents   map[string]*standIn
	marathon *told
	*reconcile.Reconciler
}

func newIsland() island {
	x := island{agents: map[string]*standIn{}}
	app := marathon.App{ID: "/web", Version: "v1", Definition: marathon.Definition{Ports: []marathon.Port{{OnHost: true}}}}
	for i := range 200 {
		host := fmt.Sprintf("10.0.0.%d", i)
		x.agents[host] = &standIn{host: host, hole: i%10 == 0, services: map[string]consul.Service{}}
		app.Tasks = append(app.Tasks, marathon.Task{
			ID: "web." + host, AppID: "/web", Host: host, State: marathon.TaskRunning, Ports: []int{31001}, Version: "v1",
		})
	}
	x.marathon = &told{apps: []marathon.App{app}}
	store := slowStore{after: 10 * time.Second}
	x.Reconciler = reconcile.New(reconcile.Config{
		Translation: desired.Translation{
			Owner: consul.Owner{RegistrationID: "island"}, Prefix: "island", Encode: func(s string) string { return s },
		},
		Policy:       plan.Policy{Purge: true, Limit: 50, Confirm: 5 * time.Minute},
		PollInterval: 15 * time.Second, Patience: 5 * time.Second, Log: zerolog.Nop(),
	}, x.marathon, reconcile.Consul{
		Agent: func(host string) (reconcile.Agent, error) { return x.agents[host], nil }, Labels: store, Catalog: store,
	})
	return x
}

// registered counts the services on agents that answer.
func (x island) registered() int {
	n := 0
	for _, a := range x.agents {
		n += a.count()
	}
	return n
}

func TestBlackHolesDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newIsland()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- x.Run(ctx) }()
		x.Connected()
		start := time.Now()
		for x.registered() < 180 && time.Since(start) < time.Minute {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(start); took > 1500*time.Millisecond {
			t.Errorf("180 of 200 agents took %v", took)
		}
		host := "10.0.0.7"
		x.Event(marathon.TaskChanged{
			Meta: marathon.Meta{Type: "status_update_event"},
			Task: marathon.Task{ID: "web." + host, AppID: "/web", Host: host, State: marathon.TaskKilling},
		})
		synctest.Wait()
		if n := x.agents[host].count(); n != 0 {
			t.Error("an ended task waits for black holes")
		}
		time.Sleep(10 * time.Minute) // whoever leaks, leaks by then
		if n := runtime.NumGoroutine(); n > 3*len(x.agents) {
			t.Errorf("%d goroutines for %d agents", n, len(x.agents))
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Cut off from Marathon for longer than --purge-confirm, what waits for an agent
// is not registered when that is back: its task may be long gone.
func TestNothingOldIsRegistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newIsland()
		waiting := x.agents["10.0.0.7"]
		waiting.refuses.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- x.Run(ctx) }()
		x.Connected()
		time.Sleep(time.Minute)
		x.marathon.silent.Store(true)
		x.Disconnected("closed")
		time.Sleep(6 * time.Minute)
		waiting.refuses.Store(false)
		time.Sleep(5 * time.Minute)
		if n := waiting.count(); n != 0 {
			t.Error("registered what nobody has confirmed for eleven minutes")
		}
		x.marathon.silent.Store(false)
		time.Sleep(time.Minute)
		if n := waiting.count(); n != 1 {
			t.Error("Marathon is back, and the task is not registered")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// hangingResolver does not answer until the test ends: net goes on with a lookup
// for whose answer nobody waits any more.
func hangingResolver(t *testing.T) *net.Resolver {
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		select {
		case <-ctx.Done():
		case <-ended:
		}
		return nil, errors.New("no answer")
	}}
}

// Names of silent agents are looked up all at once, and not for long.
func TestNamesThatDoNotResolveDelayNobody(t *testing.T) {
	before := net.DefaultResolver
	net.DefaultResolver = hangingResolver(t)
	t.Cleanup(func() { net.DefaultResolver = before })

	s := newEnv(t, theCluster(t))
	s.timeout = 2 * time.Second
	var tasks []marathon.Task
	for i := range 20 {
		host := fmt.Sprintf("no-%d.such-host.test", i)
		tasks = append(tasks, marathon.Task{
			ID: "web." + host, AppID: "/web", Host: host, State: marathon.TaskRunning, Ports: []int{31001}, Version: "v1",
		})
	}
	good := s.dev.Clients()[0].Host
	tasks = append(tasks, marathon.Task{ID: "web.good", AppID: "/web", Host: good, State: marathon.TaskRunning, Ports: []int{31001}, Version: "v1"})
	app := marathon.App{ID: "/web", Version: "v1", Tasks: tasks, Definition: marathon.Definition{Ports: []marathon.Port{{OnHost: true}}}}
	start := time.Now()
	_, sum, err := s.between(&told{apps: []marathon.App{app}}, s.consul()).Sync(t.Context())
	must(t, err)
	if took := time.Since(start); sum.Registered != 1 || sum.Unread != 20 || took > 20*time.Second { // one after the other: forty at least
		t.Errorf("after %v: %s", took, sum.String())
	}
}

package reconcile_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/rs/zerolog"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
)

// fakeCluster is a Marathon that says what a test has it say, a Consul in memory, and a
// consular between them, in a bubble of time: hours take no time. It counts what
// is asked and written.
type fakeCluster struct {
	*testing.T
	config   reconcile.Config
	marathon *fakeMarathon
	agents   map[string]*fakeAgent
	// main is the main agent, if it is not the cluster's own, and replace has others that are not.
	main    reconcile.Agent
	replace map[string]reconcile.Agent
	kv      *memory
	labels  reconcile.Labels
	catalog *fakeCatalog
	log     *logBuffer
	// token names the ACL token that consular sends; nil where ACLs are off.
	token func(context.Context) (string, error)
	*reconcile.Reconciler
}

// Hosts of a cluster. They are addresses: no name is looked up in a bubble.
const h1, h2, h3 = "10.0.0.1", "10.0.0.2", "10.0.0.3"

// clusterOwner owns everything of ours in a cluster.
var clusterOwner = consul.Owner{RegistrationID: "cluster"}

// newFakeCluster has agents on these hosts, and a main agent; --sync-interval is off.
func newFakeCluster(t *testing.T, hosts ...string) *fakeCluster {
	x := &fakeCluster{T: t, marathon: &fakeMarathon{framework: "ours", asked: map[string][]time.Time{}}, agents: map[string]*fakeAgent{}, kv: newMemory(), log: &logBuffer{}}
	for _, host := range append(hosts, "") {
		x.agents[host] = &fakeAgent{host: host, services: map[string]consul.Service{}, registers: map[string]int{}}
	}
	x.labels = (*memoryLabels)(x.kv)
	x.catalog = &fakeCatalog{cluster: x, unknown: map[string]bool{}}
	x.config = reconcile.Config{
		Translation: desired.Translation{Owner: clusterOwner, Prefix: "cluster", Encode: func(s string) string { return s }},
		Policy:      plan.Policy{Purge: true, Limit: 50, Confirm: 5 * time.Minute},
		// No resync but those that something gives cause to.
		PollInterval: 15 * time.Second, Patience: time.Second,
		Log: zerolog.New(x.log).Level(zerolog.InfoLevel),
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", x.log)
		}
	})
	return x
}

// inFakeCluster runs a test in a bubble, in a cluster.
func inFakeCluster(t *testing.T, test func(*fakeCluster), hosts ...string) {
	synctest.Test(t, func(t *testing.T) { test(newFakeCluster(t, hosts...)) })
}

// consular makes one of the cluster's config.
func (x *fakeCluster) consular() *reconcile.Reconciler { return x.consularOf(x.marathon) }

// consularOf makes one with another Marathon.
func (x *fakeCluster) consularOf(m reconcile.Marathon) *reconcile.Reconciler {
	return reconcile.New(x.config, m, reconcile.Consul{Agent: x.agent, Labels: x.labels, Catalog: x.catalog, Token: x.token})
}

func (x *fakeCluster) agent(host string) (reconcile.Agent, error) {
	switch {
	case host == "" && x.main != nil:
		return x.main, nil
	case x.replace[host] != nil:
		return x.replace[host], nil
	case x.agents[host] == nil:
		return nil, errors.New("there is no agent on " + host)
	}
	return x.agents[host], nil
}

// connect starts a consular whose stream lives, and lets it do its first resync.
func (x *fakeCluster) connect() {
	x.Reconciler = x.consular()
	ctx, cancel := context.WithCancel(x.Context())
	ended := make(chan error)
	go func() { ended <- x.Reconciler.Run(ctx) }()
	x.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			x.Error(err)
		}
	})
	x.Connected()
	time.Sleep(2 * time.Second)
}

// tells has the stream tell of a task.
func (x *fakeCluster) tells(task marathon.Task) {
	x.Event(marathon.TaskChanged{Meta: marathon.Meta{Type: "status_update_event"}, Task: task})
}

// wants fails the test unless an agent has just these services.
func (x *fakeCluster) wants(host string, tasks ...string) {
	x.Helper()
	if have := x.agents[host].tasks(); !slices.Equal(have, tasks) {
		x.Errorf("%q has %v, want %v", host, have, tasks)
	}
}

// fakeMarathon is a Marathon that says what it is told to.
type fakeMarathon struct {
	mu   sync.Mutex
	apps []marathon.App
	// omits are apps that are missing from the snapshot, and nowhere else.
	omits []string
	// broken are apps that cannot be read by themselves.
	broken []string
	// silent is set while nothing is answered at all.
	silent    bool
	framework string
	snapshots int
	hook      func()
	appTakes  time.Duration
	asked     map[string][]time.Time
}

var errSilent = errors.New("no answer")

// set changes what it says.
func (m *fakeMarathon) set(change func(*fakeMarathon)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

func (m *fakeMarathon) Apps(context.Context) (marathon.Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.snapshots++
	if m.silent {
		return marathon.Snapshot{}, errSilent
	}
	shown := slices.DeleteFunc(slices.Clone(m.apps), func(a marathon.App) bool { return slices.Contains(m.omits, a.ID) })
	if m.hook != nil {
		m.hook()
	}
	return marathon.Snapshot{Apps: shown}, nil
}

func (m *fakeMarathon) App(ctx context.Context, id string) (marathon.App, error) {
	if err := takes(ctx, m.appTakes); err != nil {
		return marathon.App{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked[id] = append(m.asked[id], time.Now())
	if m.silent || slices.Contains(m.broken, id) {
		return marathon.App{}, errSilent
	}
	at := slices.IndexFunc(m.apps, func(a marathon.App) bool { return a.ID == id })
	if at < 0 {
		return marathon.App{}, marathon.ErrNotFound
	}
	return m.apps[at], nil
}

func (m *fakeMarathon) Version(context.Context, string, string) (marathon.Definition, error) {
	return marathon.Definition{}, marathon.ErrNotFound
}

func (m *fakeMarathon) Info(context.Context) (marathon.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return marathon.Info{FrameworkID: m.framework}, nil
}

// takes waits for as long as an answer takes, or for the end of ctx. No time sets no timer: in a
// bubble of synctest one that is due runs on the goroutine that reads it, and two of them at
// once crash the race detector (golang.org/issue/78156).
func takes(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// reads returns when an app was asked for by itself.
func (m *fakeMarathon) reads(app string) []time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.asked[app])
}

func (m *fakeMarathon) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.snapshots
}

// appOn is an app with a label and tasks on one host.
func appOn(host, id string, tasks ...string) marathon.App {
	app := marathon.App{ID: id, Version: "v1", Instances: marathon.InstancesNotTold, Labels: map[string]string{"role": "web"}}
	for _, task := range tasks {
		app.Tasks = append(app.Tasks, taskOn(host, id, task))
	}
	return app
}

func taskOn(host, app, id string) marathon.Task {
	return marathon.Task{ID: id, AppID: app, Host: host, State: marathon.TaskRunning, Version: "v1"}
}

// fakeAgent is one of the cluster's agents. A request takes a millisecond, so that
// whoever asks without end does not stop the time.
type fakeAgent struct {
	host string

	mu       sync.Mutex
	services map[string]consul.Service
	// refuses are tasks that it may neither register nor deregister, fails those that it
	// answers with an error 500, and gone is set while there is no way to it.
	refuses   []string
	fails     []string
	gone      bool
	slow      time.Duration
	dials     int
	lists     int
	registers map[string]int
	removed   []string
	// checkLists counts listings of checks, and checkWrites are their writes.
	checkLists  int
	checkWrites []checkWrite
}

func (a *fakeAgent) set(change func(*fakeAgent)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}

// serve does one request.
func (a *fakeAgent) serve(do func() error) error {
	a.mu.Lock()
	slow := a.slow
	a.mu.Unlock()
	time.Sleep(time.Millisecond + slow)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dials++
	if a.gone {
		return &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	return do()
}

func (a *fakeAgent) Address() string { return a.host + ":8500" }

func (a *fakeAgent) node() consul.Node {
	return consul.Node{ID: "node of " + a.host, Name: "node of " + a.host}
}

func (a *fakeAgent) Self(context.Context) (consul.Node, error) {
	return a.node(), a.serve(func() error { return nil })
}

func (a *fakeAgent) Services(context.Context) (all []consul.Service, err error) {
	err = a.serve(func() error {
		a.lists++
		for _, s := range a.services {
			s.Checks = nil // of which it does not tell
			all = append(all, s)
		}
		return nil
	})
	return all, err
}

func (a *fakeAgent) Register(_ context.Context, s consul.Service) error {
	return a.serve(func() error {
		a.registers[s.ID]++
		if err := a.answer(s.ID); err != nil {
			return err
		}
		checks := s.Checks
		s.Checks = a.services[s.ID].Checks // which stay, whatever else is registered
		a.services[s.ID] = s
		a.addChecks(s.ID, checks...)
		return nil
	})
}

func (a *fakeAgent) Deregister(_ context.Context, id string) error {
	return a.serve(func() error {
		if err := a.answer(id); err != nil {
			return err
		}
		a.removed = append(a.removed, id)
		delete(a.services, id)
		return nil
	})
}

// answer is what it says to a write of a task.
func (a *fakeAgent) answer(task string) error {
	switch {
	case slices.Contains(a.refuses, task):
		return api.StatusError{Code: 403, Body: "Permission denied"}
	case slices.Contains(a.fails, task):
		return api.StatusError{Code: 500, Body: "internal error"}
	}
	return nil
}

func (a *fakeAgent) tasks() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var ids []string
	for id := range a.services {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// asked returns how often it was listed, and how often a task was to be registered.
func (a *fakeAgent) asked(task string) (lists, registers int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lists, a.registers[task]
}

// deregistered is what was, in that order.
func (a *fakeAgent) deregistered() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.removed)
}

// dialled returns how many requests were made, answered or not.
func (a *fakeAgent) dialled() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dials
}

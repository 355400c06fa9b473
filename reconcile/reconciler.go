package reconcile

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
	"consular/reconcile/heartbeat"
	"consular/reconcile/plan"
)

// Reconciler keeps Consul true to Marathon. What it hears of the stream changes
// its model and enqueues jobs, and never waits.
type Reconciler struct {
	config   Config
	marathon Marathon
	consul   Consul
	gate     *gate
	fleet    *fleet
	starts   *starts
	keys     *keyWorker
	catalog  *catalogWorker
	schedule *schedule
	reads    *readQueue
	beside   *beside

	mu    sync.Mutex
	model *desired.Model
	// logged are one-time messages, with when there was last cause for them, and lastResync
	// is when those of a resync were last told.
	logged     map[string]time.Time
	lastResync time.Time

	// unreadResyncs counts, by what could not be read, how often in a row. Only the
	// resync's goroutine uses it.
	unreadResyncs map[string]int

	// guard judges removals, and waiting counts what the last resync left for another
	// one; guarded by mu, as is all up to unconfirmedResyncs.
	guard   *plan.Guard
	waiting int
	// heldWhy and heldResyncs are what was logged of it, and how often.
	heldWhy     string
	heldResyncs int
	// unconfirmedResyncs counts resyncs in a row in which an app could not be asked for.
	unconfirmedResyncs int

	// live is set while the stream is, turned when that last changed, and lastHeard when Marathon
	// last said anything, in Unix nanoseconds.
	live   atomic.Bool
	turned atomic.Int64
	// outdated is set when the stream is back after so long a silence that only a
	// snapshot tells what is still true.
	outdated  atomic.Bool
	lastHeard atomic.Int64
	// unfinished is set when the last resync left something for another one.
	unfinished atomic.Bool
	// told is who answered the last snapshot, and when it was asked for; and, to whom explains,
	// what it said. Only the resync's goroutine uses it.
	told struct {
		from string
		at   time.Time
		keep bool
		apps []marathon.App
	}
	// resyncNumber counts resyncs, modulo everywhereEvery: at 0 all nodes are listed.
	// One whose catalog could not be read is not counted. tookOver is when the first one of
	// this term began. Only the resync's goroutine uses them.
	resyncNumber int
	tookOver     time.Time
	// unsynced is what of agents' services the catalog lacks. Only the resync's goroutine
	// uses it.
	unsynced unsynced
	// resyncLoop is Run's, that makes resyncs.
	resyncLoop *heartbeat.Loop
}

// New returns a Reconciler between a Marathon and a Consul.
func New(config Config, m Marathon, c Consul) *Reconciler {
	g := newGate(config.Permit, config.tell)
	r := &Reconciler{
		config: config, marathon: m, consul: g.behind(c), gate: g,
		schedule: newSchedule(), reads: newReadQueue(), starts: newStarts(),
		model:  desired.New(config.Translation),
		logged: map[string]time.Time{}, guard: plan.NewGuard(config.Policy), beside: newBeside(), unreadResyncs: map[string]int{},
	}
	r.fleet = newFleet(r.newAgentWorker, config.Patience)
	r.keys = r.newKeyWorker()
	r.catalog = &catalogWorker{worker: r.newWorker("catalog", "catalog"), catalog: r.consul.Catalog, want: r.want}
	r.turned.Store(time.Now().UnixNano())
	return r
}

// newAgentWorker makes the worker for the agent on a host.
func (r *Reconciler) newAgentWorker(host string) (*agentWorker, error) {
	if host != mainHost {
		if err := consul.CheckHost(host); err != nil {
			return nil, err
		}
	}
	a, err := r.consul.Agent(host)
	if err != nil {
		return nil, err
	}
	return &agentWorker{
		worker: r.newWorker(a.Address(), "agents"),
		host:   host, agent: a, fleet: r.fleet, starts: r.starts,
		want: r.want, ours: r.ours, tagged: r.config.Translation.Tagged, stale: r.stale, checked: r.checked,
		watch: r.consul.Watch, enqueueAll: r.enqueueAll, elsewhere: r.elsewhere, unreachable: r.unreachable,
	}, nil
}

// newWorker returns the worker of one failure domain, by its name in the log and that of its
// loop, with nothing to do yet.
func (r *Reconciler) newWorker(name, loop string) worker {
	return worker{
		name: name, queue: newQueue(), again: make(chan struct{}, 1),
		gate: r.gate, loop: r.config.Loops.Add(loop),
		tell: r.config.tell, recovered: r.agentBack, refused: r.refused, done: r.doneLate,
	}
}

func (r *Reconciler) newKeyWorker() *keyWorker {
	w := &keyWorker{
		worker: r.newWorker("kv", "keys"),
		labels: r.consul.Labels, mu: newCtxMutex(),
		diff: func(name string, have []consul.Key) (changes []plan.Change) {
			var want desired.WantKeys
			r.locked(func() {
				want = r.model.WantKeys(name)
				changes, _, _ = plan.DiffKeys(r.model.Translation(), name, want, have)
			})
			for _, err := range want.Unfit {
				r.leaveOut(plan.Unfit{App: want.App, Err: err.Error()})
			}
			return changes
		},
		held: func(c plan.Change) bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.model.Another() == desired.AnotherSeen || r.guard.Holds(c)
		},
	}
	w.keyed = true
	return w
}

// Run keeps Consul true to Marathon until ctx ends. Connected, Event, Missed and
// Disconnected must be called from one goroutine meanwhile.
func (r *Reconciler) Run(ctx context.Context) error {
	// The stream has a moment to come up: then one resync does for both.
	r.schedule.ask("start", time.Now().Add(time.Second))
	r.resyncLoop = r.config.Loops.Add("resyncs")
	defer r.resyncLoop.End()
	return r.withWorkers(ctx, func(ctx context.Context) error {
		var reads sync.WaitGroup
		reads.Go(func() { r.readApps(ctx) })
		r.resyncs(ctx)
		reads.Wait()
		return nil
	})
}

// withWorkers runs do while all workers run.
func (r *Reconciler) withWorkers(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { r.keys.run(ctx) })
	running.Go(func() { r.catalog.run(ctx) })
	r.fleet.open(func(w *agentWorker) { running.Go(func() { w.run(ctx) }) })
	err := do(ctx)
	r.fleet.close()
	cancel()
	running.Wait()
	r.beside.wait()
	return err
}

// TryAgain is told that a credential or a certificate is another one: whoever is
// left alone after a failure is tried at once.
func (r *Reconciler) TryAgain() {
	r.endRests()
	r.schedule.ask("credentials changed", time.Now())
}

// endRests has every worker go on that rests after a failure.
func (r *Reconciler) endRests() {
	for _, w := range r.workers() {
		w.tryAgain()
	}
}

// workers returns all of them: the agents' in order, and then the others.
func (r *Reconciler) workers() []*worker {
	var all []*worker
	for _, host := range r.fleet.hosts() {
		if w := r.fleet.workerIf(host); w != nil {
			all = append(all, &w.worker)
		}
	}
	return append(all, &r.keys.worker, &r.catalog.worker)
}

// want is what should be there of a task now.
func (r *Reconciler) want(task, app string) desired.Want {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.model.Want(task, app)
}

// ours reports whether we own a service.
func (r *Reconciler) ours(s consul.Service) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ours := r.model.Owns(s)
	return ours
}

// stale reports whether Marathon has been silent for too long to register what
// it said then.
func (r *Reconciler) stale() bool {
	since := time.Since(time.Unix(0, r.lastHeard.Load()))
	return r.outdated.Load() || !r.live.Load() && since > max(r.config.Policy.Confirm, freshFor)
}

// freshFor is for how long what Marathon said may be registered at least.
const freshFor = time.Minute

func (r *Reconciler) heard() { r.lastHeard.Store(time.Now().UnixNano()) }

// enqueueAll enqueues every task that belongs to an agent that was listed anew.
func (r *Reconciler) enqueueAll(w *agentWorker) {
	r.mu.Lock()
	tasks := r.model.TasksOn(w.host)
	r.mu.Unlock()
	for _, task := range tasks {
		w.queue.put(job{key: task, term: r.gate.term(), cause: cause{name: listedAnew}})
	}
}

// unreachable wants a resync when there is no way to an agent, for with fallback its
// services belong on the main agent then.
func (r *Reconciler) unreachable() {
	if r.config.Fallback {
		r.schedule.askLimited("agent unreachable", time.Now(), r.config.PollInterval)
	}
}

// agentBack wants a resync, for what was to be removed there while it was away.
func (r *Reconciler) agentBack() {
	r.schedule.askLimited("agent is back", time.Now(), r.config.PollInterval)
}

// doneLate wants a resync when the last one left something for another: what is registered
// at home now can go elsewhere.
func (r *Reconciler) doneLate() {
	if r.unfinished.Swap(false) {
		r.schedule.askLimited("unfinished", time.Now(), r.config.PollInterval)
	}
}

// jitter spreads a time by a tenth either way, so that the consulars of several
// Marathons do not all ask one Consul at once.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}

package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"consular/consul"
	"consular/reconcile/plan"
)

const (
	// mainHost is the main agent's name among hosts.
	mainHost = ""
	// everywhereEvery is at which resync nodes are listed that Marathon does not
	// name: the first, and every tenth after it.
	everywhereEvery = 10
	// catalogAtOnce bounds how many nodes are listed at once that Marathon does not name.
	catalogAtOnce = 8
	// grace is how long all that is written waits for what has not answered yet.
	// What is removed waits for all of it: its guard has to see all.
	grace = time.Second
	// reapTime is when Consul forgets a failed node (1.22: reconnect_timeout).
	reapTime = 72 * time.Hour
)

// partialActual is what has been listed of Consul so far.
type partialActual struct {
	mu      sync.Mutex
	agents  []plan.Agent
	keys    []consul.Key
	keysErr error
}

// errNotYet is why keys are not read while they are still waited for.
var errNotYet = errors.New("not read yet")

func (s *partialActual) agent(a plan.Agent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agents = append(s.agents, a)
}

func (s *partialActual) allKeys(keys []consul.Key, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.keysErr = keys, err
}

func (s *partialActual) actual() plan.Actual {
	s.mu.Lock()
	defer s.mu.Unlock()
	return plan.Actual{Agents: oneForEachNode(slices.Clone(s.agents)), Keys: s.keys, KeysErr: s.keysErr}
}

// list lists all of Consul. When some of it takes longer than the grace, early
// is told once what has been listed by then.
func (r *Reconciler) list(ctx context.Context, early func(plan.Actual)) plan.Actual {
	soFar := &partialActual{keysErr: errNotYet}
	complete := make(chan plan.Actual, 1)
	go func() { complete <- r.listAll(ctx, soFar) }()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case actual := <-complete:
		return actual
	case <-timer.C:
		part := soFar.actual()
		part.Partial = true
		early(part)
		return <-complete
	}
}

// listAll lists all agents and all keys, at the same time. Where agents do not
// answer, and at times to find what Marathon does not name, it asks the catalog.
func (r *Reconciler) listAll(ctx context.Context, soFar *partialActual) plan.Actual {
	var keys sync.WaitGroup
	keys.Go(func() { soFar.allKeys(r.listKeys(ctx)) })
	r.fleet.listAgents(ctx, r.hosts(), soFar.agent)
	keys.Wait()
	actual := soFar.actual()
	everywhere := r.resyncNumber == 0 || r.purgesKeys(actual.Keys)
	if everywhere || slices.ContainsFunc(actual.Agents, func(a plan.Agent) bool { return a.Err != nil }) {
		actual.Agents, actual.CatalogErr = r.askCatalog(ctx, actual.Agents, everywhere)
	}
	actual.Agents = r.retire(actual.Agents)
	// A node without a host has no worker that is asked every time: the catalog has to be.
	hostless := slices.ContainsFunc(actual.Agents, func(a plan.Agent) bool { return len(a.Hosts) == 0 })
	switch {
	case hostless:
		r.resyncNumber = 0
	case !everywhere || actual.CatalogErr == nil:
		r.resyncNumber = (r.resyncNumber + 1) % everywhereEvery
	}
	return actual
}

// listKeys lists all keys. When that fails, the worker finds out when it works
// again: what was to be written may have no job.
func (r *Reconciler) listKeys(ctx context.Context) ([]consul.Key, error) {
	keys, err := r.keys.listAll(ctx, r.config.Patience)
	if err != nil {
		r.keys.markDown(err)
		r.keys.queue.put(job{cause: cause{name: "resync"}})
	}
	return keys, err
}

// purgesKeys reports whether keys of ours belong to no app. Before they go, all
// nodes are listed: another Marathon may have been given our registration ID,
// and its keys look like ours.
func (r *Reconciler) purgesKeys(keys []consul.Key) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(keys, func(k consul.Key) bool {
		return r.model.OwnsKey(k.Flags) && !r.model.Has(k.Service)
	})
}

// hosts returns whose agents are listed: those of the hosts that Marathon
// names, and of those where something of ours was seen before.
func (r *Reconciler) hosts() []string {
	seen := map[string]bool{}
	r.mu.Lock()
	for _, host := range r.model.Hosts() {
		if consul.CheckHost(host) == nil { // its tasks are left out, and said to be
			seen[host] = true
		}
	}
	r.mu.Unlock()
	for _, host := range r.fleet.hosts() {
		seen[host] = true
	}
	if r.config.Fallback {
		seen[mainHost] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// retire lets go of workers whose hosts Marathon does not name any more and that
// have nothing with our registration ID. It returns the agents without those of
// them that are silent: nobody waits for their answer. But their workers do, for
// as long as Consul remembers a node: an agent that comes back brings services
// with it that were to go.
func (r *Reconciler) retire(agents []plan.Agent) []plan.Agent {
	named := map[string]bool{mainHost: true}
	r.mu.Lock()
	for _, host := range r.model.Hosts() {
		named[host] = true
	}
	r.mu.Unlock()
	return slices.DeleteFunc(agents, func(a plan.Agent) bool {
		nothing := a.Err == nil || a.Failed || a.OnNode != nil && len(a.OnNode) == 0
		if !nothing || slices.ContainsFunc(a.Services, r.tagged) {
			return false
		}
		needed := false
		for _, host := range a.Hosts {
			if named[host] {
				needed = true
				continue
			}
			if a.Err == nil || r.fleet.silentFor(host) > reapTime {
				r.fleet.retire(host)
			}
		}
		return a.Err != nil && !needed
	})
}

// tagged reports whether a service has our registration ID: it is ours, or that
// of another Marathon that was given the same.
func (r *Reconciler) tagged(s consul.Service) bool {
	_, tagged := r.config.Translation.Owner.AppOf(s.Tags)
	return tagged || r.ours(s)
}

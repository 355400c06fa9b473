package reconcile

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"consular/consul"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
)

const (
	// mainHost is the main agent's name among hosts.
	mainHost = ""
	// everywhereEvery is at which resync nodes are listed that Marathon does not
	// name: the first, and every tenth after it.
	everywhereEvery = 10
	// catalogAtOnce bounds how many nodes the catalog is asked about at once.
	catalogAtOnce = 8
	// grace is how long all that is written waits for what has not answered yet.
	// What is removed waits for all of it: its guard has to see all.
	grace = time.Second
	// reapTime is when Consul forgets a failed node (1.22: reconnect_timeout).
	reapTime = 72 * time.Hour
)

// partialActual is what has been listed of Consul so far.
type partialActual struct {
	model  *desired.Model
	locked desired.Locked
	// early is told of what can be written where something has been listed, when waiting
	// for the rest takes longer than grace.
	early func(plan.Plan)

	mu      sync.Mutex
	late    bool
	agents  []plan.Agent
	keys    []consul.Key
	keysErr error
}

// agent takes in one agent, as it has been listed.
func (p *partialActual) agent(a plan.Agent) {
	p.mu.Lock()
	p.agents = append(p.agents, a)
	late := p.late
	p.mu.Unlock()
	if late {
		p.earlyOn(a)
	}
}

// allKeys takes in all keys.
func (p *partialActual) allKeys(keys []consul.Key, err error) {
	p.mu.Lock()
	p.keys, p.keysErr = keys, err
	late := p.late
	p.mu.Unlock()
	if late && err == nil {
		p.earlyOnKeys(keys)
	}
}

// graceOver has what was listed so far written where that needs nothing else, and from
// now on whatever is listed.
func (p *partialActual) graceOver() {
	p.mu.Lock()
	agents, keys := slices.Clone(p.agents), p.keys
	p.late = true
	p.mu.Unlock()
	for _, a := range agents {
		p.earlyOn(a)
	}
	if keys != nil {
		p.earlyOnKeys(keys)
	}
}

// earlyOn has written what an agent needs. An app that has services there and that the
// snapshot omits keeps its name.
func (p *partialActual) earlyOn(a plan.Agent) {
	if a.Err != nil {
		return
	}
	p.locked(func() {
		holders := plan.Holders(p.model.Translation(), plan.Actual{Agents: []plan.Agent{a}})
		p.model.NoteMissing(slices.Sorted(maps.Keys(holders)), time.Now())
	})
	p.early(plan.MakeOf(p.model, a, p.locked))
}

// earlyOnKeys has keys written, but for the first time: then it is not known yet which app
// had a name before.
func (p *partialActual) earlyOnKeys(keys []consul.Key) {
	first := false
	p.locked(func() { first = p.model.Another() == desired.AnotherUnknown })
	if !first {
		p.early(plan.MakeOfKeys(p.model, keys, p.locked))
	}
}

func (p *partialActual) actual() plan.Actual {
	p.mu.Lock()
	defer p.mu.Unlock()
	return plan.Actual{Agents: oneForEachNode(slices.Clone(p.agents)), Keys: p.keys, KeysErr: p.keysErr}
}

// list lists all of Consul. When some of it takes longer than the grace, early is told
// what can be written where the rest has been listed.
func (r *Reconciler) list(ctx context.Context, early func(plan.Plan)) plan.Actual {
	soFar := &partialActual{model: r.model, locked: r.locked, early: early}
	over := make(chan struct{})
	timer := time.AfterFunc(grace, func() {
		defer close(over)
		soFar.graceOver()
	})
	actual := r.listAll(ctx, soFar)
	if !timer.Stop() {
		<-over
	}
	return actual
}

// listAll lists all agents and all keys, at the same time. Where agents do not
// answer, and at times to find what Marathon does not name, it asks the catalog.
func (r *Reconciler) listAll(ctx context.Context, soFar *partialActual) plan.Actual {
	noKeys := r.config.Translation.Shaping.NoKV
	var keys sync.WaitGroup
	if !noKeys {
		keys.Go(func() { soFar.allKeys(r.keys.listAll(ctx, r.config.Patience)) })
	}
	r.fleet.listAgents(ctx, r.hosts(), soFar.agent)
	keys.Wait()
	actual := soFar.actual()
	actual.NoKeys = noKeys
	everywhere := r.resyncNumber == 0 || r.purgesKeys(actual.Keys)
	if everywhere || slices.ContainsFunc(actual.Agents, func(a plan.Agent) bool { return a.Err != nil }) {
		actual.Agents, actual.CatalogErr = r.askCatalog(ctx, actual.Agents, everywhere)
	}
	actual.Everywhere = everywhere
	r.findUnsynced(ctx, actual.Agents)
	actual.Agents = r.retire(actual.Agents)
	// A node without a host has no worker that is asked every time: the catalog has to be.
	hostless := slices.ContainsFunc(actual.Agents, func(a plan.Agent) bool { return len(a.Hosts) == 0 })
	// And while what a former leader had under way may still arrive, on whichever host, the next one is
	// everywhere too.
	switch {
	case hostless, time.Since(r.tookOver) < writesEnd:
		r.resyncNumber = 0
	case !everywhere || actual.CatalogErr == nil:
		r.resyncNumber = (r.resyncNumber + 1) % everywhereEvery
	}
	return actual
}

// purgesKeys reports whether keys of ours belong to no app. Before they go, all
// nodes are listed: another Marathon may have been given our registration ID,
// and its keys look like ours.
func (r *Reconciler) purgesKeys(keys []consul.Key) bool {
	names := map[string]bool{}
	for _, k := range keys {
		if r.config.Translation.OwnsKey(k.Flags) {
			names[k.Service] = true
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range names {
		if !r.model.Has(name) {
			return true
		}
	}
	return false
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
		if !nothing || slices.ContainsFunc(a.Services, r.config.Translation.Tagged) {
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

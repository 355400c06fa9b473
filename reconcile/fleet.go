package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/plan"
)

// Agent is one Consul agent, as consul.Agent is.
type Agent interface {
	Registry
	Checker
}

// Registry is an agent's services.
type Registry interface {
	Address() string
	// Self and Services need agent:read and service:read.
	Self(ctx context.Context) (consul.Node, error)
	Services(ctx context.Context) ([]consul.Service, error)
	// Register and Deregister need service:write. Deregistering what is not
	// there is no error.
	Register(ctx context.Context, s consul.Service) error
	Deregister(ctx context.Context, id string) error
}

// Checker is an agent's checks of ours, as consul.Agent has them.
type Checker interface {
	// Checks has them by the IDs of the services, and needs service:read and node:read.
	Checks(ctx context.Context) (map[string][]consul.Check, error)
	// The others need service:write. Deregistering what is not there is no error.
	RegisterCheck(ctx context.Context, service string, c consul.Check) error
	UpdateCheck(ctx context.Context, id string, status consul.Status, output string) error
	DeregisterCheck(ctx context.Context, id string) error
}

// fleet is all agents: one worker for each host that Marathon has named, one
// node for each agent that they turn out to be.
type fleet struct {
	// newWorker makes the worker for a host.
	newWorker func(host string) (*agentWorker, error)
	// patience is how long listing an agent may take.
	patience time.Duration
	// start starts a worker; nil while nothing is to be written.
	start func(*agentWorker)

	mu      sync.Mutex
	workers map[string]*agentWorker
	nodes   map[string]*node
}

// newFleet returns a fleet without agents.
func newFleet(newWorker func(host string) (*agentWorker, error), patience time.Duration) *fleet {
	return &fleet{newWorker: newWorker, patience: patience, workers: map[string]*agentWorker{}, nodes: map[string]*node{}}
}

// worker returns the worker for a host, and starts it at first sight.
func (f *fleet) worker(host string) (*agentWorker, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w := f.workers[host]; w != nil {
		return w, nil
	}
	w, err := f.newWorker(host)
	if err != nil {
		return nil, fmt.Errorf("agent of host %s: %w", host, err)
	}
	f.workers[host] = w
	if f.start != nil {
		f.start(w)
	}
	return w, nil
}

// put gives a job to the worker for a host; to the next one if that is being retired. A
// task that may have to be registered elsewhere, for there is no way to that host, is one
// more reason to say so.
func (f *fleet) put(host string, j job) error {
	for {
		w, err := f.worker(host)
		if err != nil {
			return err
		}
		if w.queue.put(j) {
			if starts := j.event() && j.state.Phase() == marathon.Running || j.name == appRead; starts && w.isUnreachable() {
				w.unreachable()
			}
			return nil
		}
	}
}

// open starts all workers, those to come included.
func (f *fleet) open(start func(*agentWorker)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.start = start
	for _, host := range slices.Sorted(maps.Keys(f.workers)) {
		start(f.workers[host])
	}
}

// close starts no worker any more.
func (f *fleet) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.start = nil
}

// retire ends the worker of a host that nobody names any more.
func (f *fleet) retire(host string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.workers[host]
	if w == nil {
		return
	}
	delete(f.workers, host)
	w.queue.retire()
	f.forget(w.node.Load())
}

// forget forgets a node that is no worker's agent any more. f.mu is held.
func (f *fleet) forget(n *node) {
	for _, w := range f.workers {
		if w.node.Load() == n {
			return
		}
	}
	if n != nil {
		delete(f.nodes, n.id)
	}
}

// outdate notes that others may have written to all agents. A listing that one took too long
// for may have been dropped.
func (f *fleet) outdate() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.workers {
		w.late.Store(0)
	}
	for _, n := range f.nodes {
		n.outdated.Store(true)
	}
}

// silentFor returns how long a host's agent has not answered; 0 when it does.
func (f *fleet) silentFor(host string) time.Duration {
	w := f.workerIf(host)
	if w == nil {
		return 0
	}
	if outage := w.outage.Load(); outage != nil && !outage.answers {
		return time.Since(outage.since)
	}
	return 0
}

// turnsOut notes that a worker's agent is the node with an ID, and returns that. What it was
// before is another agent's, or nobody's: one that has lost its data comes back with another ID.
func (f *fleet) turnsOut(w *agentWorker, id string) *node {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.nodes[id]
	if n == nil {
		n = newNode(id)
		f.nodes[id] = n
	}
	if before := w.node.Swap(n); before != n {
		f.forget(before)
	}
	return n
}

// nodeOf returns the node that a host turned out to be; nil while it is not known.
func (f *fleet) nodeOf(host string) *node {
	w := f.workerIf(host)
	if w == nil {
		return nil
	}
	return w.node.Load()
}

// workerIf returns the worker for a host; nil when there is none yet.
func (f *fleet) workerIf(host string) *agentWorker {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.workers[host]
}

// hosts returns all hosts that have a worker, in order.
func (f *fleet) hosts() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.workers))
}

const (
	// listsAtOnce bounds how many agents are listed at once, for each takes a descriptor.
	listsAtOnce = 256
	// quickly is how long each of more agents than that has, before those that took longer are
	// listed: black holes keep no other waiting.
	quickly = 250 * time.Millisecond
)

// listAgents lists the agents of all the hosts, many at once, and tells listed of each
// as soon as it is known.
func (f *fleet) listAgents(ctx context.Context, hosts []string, listed func(plan.Agent)) {
	if len(hosts) > listsAtOnce {
		var mu sync.Mutex
		var slow []string
		atOnce(hosts, func(host string) {
			if agent, inTime := f.listWithin(ctx, host, quickly); inTime {
				listed(agent)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			slow = append(slow, host)
		})
		hosts = slow
	}
	atOnce(hosts, func(host string) { listed(f.list(ctx, host)) })
}

// atOnce does something for all of these hosts.
func atOnce(hosts []string, do func(host string)) {
	var all errgroup.Group
	all.SetLimit(listsAtOnce)
	for _, host := range hosts {
		all.Go(func() error {
			do(host)
			return nil
		})
	}
	_ = all.Wait() // an error is part of what is told of an agent
}

// list lists one host's agent. One that takes too long is listed by its worker.
func (f *fleet) list(ctx context.Context, host string) plan.Agent {
	patience := f.patience
	w, err := f.worker(host)
	if err == nil {
		patience = w.patience()
	}
	agent, inTime := f.listWithin(ctx, host, patience)
	if !inTime {
		w.finishLater(patience)
	}
	return agent
}

// listWithin is the same of the worker for a host.
func (f *fleet) listWithin(ctx context.Context, host string, patience time.Duration) (agent plan.Agent, inTime bool) {
	w, err := f.worker(host)
	if err != nil {
		return plan.Agent{Hosts: []string{host}, Address: host, Err: err}, true
	}
	return w.listWithin(ctx, patience)
}

// oneForEachNode makes one of those that are the same agent.
func oneForEachNode(agents []plan.Agent) []plan.Agent {
	slices.SortStableFunc(agents, func(a, b plan.Agent) int {
		return cmp.Or(cmp.Compare(a.Node.ID, b.Node.ID), cmp.Compare(a.Address, b.Address))
	})
	var nodes []plan.Agent
	for _, s := range agents {
		last := len(nodes) - 1
		if last >= 0 && s.Err == nil && nodes[last].Err == nil && nodes[last].Node.ID == s.Node.ID {
			nodes[last].Hosts = append(nodes[last].Hosts, s.Hosts...)
			nodes[last].Main = nodes[last].Main || s.Main
			continue
		}
		nodes = append(nodes, s)
	}
	slices.SortFunc(nodes, func(a, b plan.Agent) int { return cmp.Compare(a.Address, b.Address) })
	return nodes
}

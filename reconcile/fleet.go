package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"consular/consul"
)

// Agent is one Consul agent, as consul.Agent is.
type Agent interface {
	Address() string
	// Self and Services need agent:read and service:read.
	Self(ctx context.Context) (consul.Node, error)
	Services(ctx context.Context) ([]consul.Service, error)
	// Register and Deregister need service:write. Deregistering what is not
	// there is no error.
	Register(ctx context.Context, s consul.Service) error
	Deregister(ctx context.Context, id string) error
}

// fleet is all agents: one worker for each host that Marathon has named, one
// node for each agent that they turn out to be.
type fleet struct {
	// employ makes the worker for a host.
	employ func(host string) (*agentWorker, error)
	// patience is how long a look at an agent may take.
	patience time.Duration
	// run starts a worker; nil while nothing is to be written.
	run func(*agentWorker)

	mu      sync.Mutex
	workers map[string]*agentWorker
	nodes   map[string]*node
}

// node is one agent, whatever it is called: what we know is registered there.
// Who holds its turn may read, write and change have.
type node struct {
	turn
	id string
	// have is what was listed, and what we have written since.
	have map[string]consul.Service
	// listed is false before the first listing and after a failure.
	listed bool
}

// turn is had by one at a time.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// take waits until it is free, or ctx ends.
func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) release() { <-t }

// worker returns the worker for a host, and starts it at first sight.
func (f *fleet) worker(host string) (*agentWorker, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w := f.workers[host]; w != nil {
		return w, nil
	}
	w, err := f.employ(host)
	if err != nil {
		return nil, fmt.Errorf("agent of host %s: %w", host, err)
	}
	f.workers[host] = w
	if f.run != nil {
		f.run(w)
	}
	return w, nil
}

// put gives a job to the worker for a host; to the next one if that is being retired.
func (f *fleet) put(host string, j job) error {
	for {
		w, err := f.worker(host)
		if err != nil {
			return err
		}
		if w.queue.put(j) {
			return nil
		}
	}
}

// open starts all workers, those to come included.
func (f *fleet) open(run func(*agentWorker)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.run = run
	for _, host := range sortedKeys(f.workers) {
		run(f.workers[host])
	}
}

// close starts no worker any more.
func (f *fleet) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.run = nil
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
	n := w.node.Load()
	for _, other := range f.workers {
		if other.node.Load() == n {
			return
		}
	}
	if n != nil {
		delete(f.nodes, n.id)
	}
}

// silentFor returns how long a host's agent has not answered; 0 when it does.
func (f *fleet) silentFor(host string) time.Duration {
	w := f.existing(host)
	if w == nil {
		return 0
	}
	if silent := w.silent.Load(); silent != nil {
		return time.Since(silent.since)
	}
	return 0
}

// node returns the node with an ID.
func (f *fleet) node(id string) *node {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.nodes[id]
	if n == nil {
		n = &node{turn: newTurn(), id: id}
		f.nodes[id] = n
	}
	return n
}

// of returns the node that a host turned out to be; nil while it is not known.
func (f *fleet) of(host string) *node {
	w := f.existing(host)
	if w == nil {
		return nil
	}
	return w.node.Load()
}

// existing returns the worker for a host; nil when there is none yet.
func (f *fleet) existing(host string) *agentWorker {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.workers[host]
}

// hosts returns all hosts that have a worker, in order.
func (f *fleet) hosts() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return sortedKeys(f.workers)
}

// looksAtOnce bounds how many agents are listed at once: enough for black holes
// to delay nobody, and few enough for a process's descriptors.
const looksAtOnce = 256

// survey lists the agents of all the hosts, all at once, and tells seen of each
// as soon as it is known.
func (f *fleet) survey(ctx context.Context, hosts []string, seen func(AgentState)) {
	var all errgroup.Group
	all.SetLimit(looksAtOnce)
	for _, host := range hosts {
		all.Go(func() error {
			seen(f.look(ctx, host))
			return nil
		})
	}
	_ = all.Wait() // a look's error is part of what was seen
}

// look lists one host's agent. One that does not answer within patience is left
// out, and left to its worker, which finds out when it is back.
func (f *fleet) look(ctx context.Context, host string) AgentState {
	ctx, cancel := context.WithTimeout(ctx, f.patience)
	defer cancel()
	state := AgentState{Hosts: []string{host}, Address: host}
	w, err := f.worker(host)
	if err != nil {
		state.Err = err
		return state
	}
	state.Address, state.Main = w.agent.Address(), host == mainHost
	if state.Err = w.leftAlone(); state.Err == nil {
		state.Node, state.Services, state.Err = w.list(ctx)
		if state.Err != nil {
			w.fellSilent(state.Err)
			w.queue.put(job{cause: cause{name: "resync"}})
		}
	}
	state.Unreachable = consul.Unreachable(state.Err)
	return state
}

// oneForEachNode makes one state of those that are the same agent.
func oneForEachNode(states []AgentState) []AgentState {
	slices.SortStableFunc(states, func(a, b AgentState) int {
		return cmp.Or(cmp.Compare(a.Node.ID, b.Node.ID), cmp.Compare(a.Address, b.Address))
	})
	var nodes []AgentState
	for _, s := range states {
		last := len(nodes) - 1
		if last >= 0 && s.Err == nil && nodes[last].Err == nil && nodes[last].Node.ID == s.Node.ID {
			nodes[last].Hosts = append(nodes[last].Hosts, s.Hosts...)
			nodes[last].Main = nodes[last].Main || s.Main
			continue
		}
		nodes = append(nodes, s)
	}
	slices.SortFunc(nodes, func(a, b AgentState) int { return cmp.Compare(a.Address, b.Address) })
	return nodes
}

package reconcile

import (
	"context"
	"slices"
	"sync/atomic"

	"consular/consul"
	"consular/reconcile/desired"
)

// node is one agent, whatever it is called, and what we know is registered there. Who
// holds its lock may read, write and change what is known.
type node struct {
	ctxMutex
	id string
	// have is what was listed, and what we have written since, by task.
	have map[string][]consul.Service
	// listed is false before the first listing and after a failure.
	listed bool
	// unsure are tasks of which a write has failed since, and may have happened.
	unsure map[string]bool
	// outdated is set when others may have written since it was listed.
	outdated atomic.Bool
}

func newNode(id string) *node { return &node{ctxMutex: newCtxMutex(), id: id} }

// replace takes in a listing, and adds to its checks what a listing does not tell.
func (n *node) replace(services []consul.Service) {
	before := n.have
	n.have = make(map[string][]consul.Service, len(services))
	for i := range services {
		s := &services[i]
		task := desired.TaskOf(*s)
		s.Checks = withMemory(before[task], s.Checks)
		n.have[task] = append(n.have[task], *s)
	}
	n.listed, n.unsure = true, map[string]bool{}
}

// knows reports whether what is here of a task is known.
func (n *node) knows(task string) bool {
	return n.listed && !n.outdated.Load() && !n.unsure[task]
}

// of returns a task's services, whoever owns them.
func (n *node) of(task string) []consul.Service { return n.have[task] }

// service returns one of a task's services; nil when it is not there.
func (n *node) service(task, id string) *consul.Service {
	for i, s := range n.have[task] {
		if s.ID == id {
			return &n.have[task][i]
		}
	}
	return nil
}

// put takes in a service that was registered.
func (n *node) put(task string, s consul.Service) {
	if have := n.service(task, s.ID); have != nil {
		*have = s
		return
	}
	n.have[task] = append(n.have[task], s)
}

// remove takes in that a service was deregistered.
func (n *node) remove(task, id string) {
	left := slices.DeleteFunc(n.have[task], func(s consul.Service) bool { return s.ID == id })
	if len(left) == 0 {
		delete(n.have, task)
		return
	}
	n.have[task] = left
}

// ctxMutex is a mutex that honours a context.
type ctxMutex chan struct{}

func newCtxMutex() ctxMutex { return make(ctxMutex, 1) }

// lock waits until it is free, or ctx ends. Who holds it waits for no longer than its
// requests take.
func (m ctxMutex) lock(ctx context.Context) error {
	defer doing(ctx).waits()()
	select {
	case m <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m ctxMutex) unlock() { <-m }

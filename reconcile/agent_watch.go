package reconcile

import (
	"context"
	"time"

	"consular/consul"
	"consular/marathon/transport"
)

// An agent that restarts without its data has lost its services, and nobody says so. One
// hanging request to each agent, about one of our services there, ends at the instant that
// the agent does: then the agent is listed anew, as soon as it answers.

const (
	// watchHead is how long a watch waits for the head of an answer: longer than Consul does.
	watchHead = consul.WatchWait + consul.WatchWait/16 + 30*time.Second
	// watchPause is how long there is no watch where there is nothing to watch, or after one
	// that has ended.
	watchPause = 5 * time.Second
)

// watchAgent watches the agent until ctx ends.
func (w *agentWorker) watchAgent(ctx context.Context) {
	for {
		if task, id, some := w.oneOfOurs(ctx); some && w.gate.isOpen() && w.backingOff() == nil {
			err := w.watch(transport.WithHead(ctx, watchHead), w.host, id)
			if ctx.Err() == nil && (err != nil || w.remembers(ctx, task, id)) {
				w.forget(ctx)
				w.queue.put(job{cause: cause{name: listedAnew}})
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-w.queue.retired:
			return
		case <-time.After(watchPause):
		}
	}
}

// oneOfOurs returns a service of ours that is registered there, as far as we know.
func (w *agentWorker) oneOfOurs(ctx context.Context) (task, id string, some bool) {
	n := w.node.Load()
	if n == nil || n.lock(ctx) != nil {
		return "", "", false
	}
	defer n.unlock()
	for task, services := range n.have {
		for _, s := range services {
			if n.listed && w.ours(s) {
				return task, s.ID, true
			}
		}
	}
	return "", "", false
}

// remembers reports whether we believe that a service is there.
func (w *agentWorker) remembers(ctx context.Context, task, id string) bool {
	n := w.node.Load()
	if n == nil || n.lock(ctx) != nil {
		return false
	}
	defer n.unlock()
	return n.listed && n.service(task, id) != nil
}

// forget trusts nothing that is remembered of the agent until it has been listed.
func (w *agentWorker) forget(ctx context.Context) {
	if n := w.node.Load(); n != nil && n.lock(ctx) == nil {
		n.listed = false
		n.unlock()
	}
}

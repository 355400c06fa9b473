package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"consular/consul"
	"consular/reconcile/plan"
)

// How an agent is listed: by its worker, and for a resync.

// lockListed locks the agent's node, and lists the agent first when it is not known what is
// there of the task.
func (w *agentWorker) lockListed(ctx context.Context, task string) (*node, error) {
	for {
		list := w.listAnew
		if n := w.node.Load(); n != nil {
			if err := n.lock(ctx); err != nil {
				return nil, err
			}
			if n.knows(task) {
				return n, nil
			}
			if n.listed && !n.outdated.Load() { // the others are where they were
				list = w.listOnly
			}
			n.unlock()
		}
		if err := list(ctx); err != nil {
			return nil, err
		}
	}
}

// listOnly lists the agent. When that takes longer than a resync has waited for it, the next
// one waits longer.
func (w *agentWorker) listOnly(ctx context.Context) error {
	_, _, err := w.list(ctx)
	waited := time.Duration(w.late.Swap(0))
	if err == nil && waited > 0 && w.patience() > waited && w.leftOut.Swap(false) {
		w.recovered()
	}
	return err
}

// patience is how long a resync waits for the agent: longer for one that is known to answer,
// and to take long.
func (w *agentWorker) patience() time.Duration {
	long := time.Duration(w.takes.Load()) * 3 / 2
	return min(max(w.fleet.patience, long), 3*w.fleet.patience)
}

// listWithin lists the agent for a resync, which waits so long for it; inTime reports whether that
// was enough to know more than that. One that does not answer is left out, and left to its
// worker, which finds out when it is back.
func (w *agentWorker) listWithin(ctx context.Context, patience time.Duration) (agent plan.Agent, inTime bool) {
	agent = plan.Agent{Hosts: []string{w.host}, Address: w.agent.Address(), Main: w.host == mainHost}
	w.leftOut.Store(true) // from now on the worker tells when it is back
	switch agent.Err = w.backingOff(); {
	case agent.Err != nil:
	case w.late.Load() != 0:
		agent.Err = errStillListed
	default:
		waiting, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		agent.Node, agent.Services, agent.Err = w.list(waiting)
		switch {
		case agent.Err == nil:
			w.leftOut.Store(false)
		case waiting.Err() != nil:
			return agent, false
		default:
			w.markDown(agent.Err, false)
			w.queue.put(job{cause: cause{name: "resync"}})
		}
	}
	agent.Unreachable = consul.Unreachable(agent.Err)
	return agent, true
}

// errStillListed is why a slow agent is left out.
var errStillListed = errors.New("takes long, and is still being listed")

// finishLater has the worker list the agent, for which a resync has waited so long.
func (w *agentWorker) finishLater(waited time.Duration) {
	w.late.Store(int64(waited))
	w.queue.put(job{cause: cause{name: "resync"}})
}

// listAnew lists the agent and enqueues everything that should be there: it may have
// lost its state.
func (w *agentWorker) listAnew(ctx context.Context) error {
	err := w.listOnly(ctx)
	if err == nil {
		w.enqueueAll(w)
	}
	return err
}

// list asks the agent who it is and what is registered there.
func (w *agentWorker) list(ctx context.Context) (consul.Node, []consul.Service, error) {
	start := time.Now()
	self, err := w.agent.Self(ctx)
	if err != nil {
		return consul.Node{}, nil, err
	}
	n := w.fleet.turnsOut(w, self.ID)
	if err := n.lock(ctx); err != nil {
		return consul.Node{}, nil, fmt.Errorf("list services on %s: %w", w.agent.Address(), err)
	}
	defer n.unlock()
	n.outdated.Store(false) // unless it becomes so while it is listed
	services, err := w.agent.Services(ctx)
	if err == nil {
		err = w.withChecks(ctx, services)
	}
	if err == nil && w.host == mainHost {
		err = w.stillIs(ctx, self)
	}
	if err != nil {
		n.listed = false
		return consul.Node{}, nil, err
	}
	n.replace(services)
	w.takes.Store(max(w.takes.Load(), int64(time.Since(start))))
	return self, services, nil
}

// stillIs makes sure that the main agent, which may be an address of many, is
// one: through a load balancer, services would be taken for another agent's. It
// asks twice, for of two that take turns the first has the turn again.
func (w *agentWorker) stillIs(ctx context.Context, self consul.Node) error {
	for range 2 {
		now, err := w.agent.Self(ctx)
		if err != nil {
			return err
		}
		if now.ID != self.ID {
			return fmt.Errorf("%s is several agents (%s, %s): fallback needs one", w.agent.Address(), self.Name, now.Name)
		}
	}
	return nil
}

package reconcile

import (
	"context"
	"time"

	"consular/consul"
	"consular/reconcile/plan"
)

// standing tells how our agent stands to a task's services: one is at home here, or
// its home has it, or lacks it as far as we know.
func (w *agentWorker) standing(ctx context.Context, n *node, j job, host string) func(id string) plan.Standing {
	home, task := w.belongs(host, n, j), j.key
	return func(id string) plan.Standing {
		switch {
		case home, n.service(task, id) != nil && w.standsIn(host):
			return plan.Home
		case n.service(task, id) != nil && w.registeredAtHome(ctx, host, task, id):
			return plan.HomeHas
		default:
			return plan.HomeLacks
		}
	}
}

// belongs reports whether the services of a host's tasks belong to our node: as their
// home, which it is for our own host even when nobody names that any more, or as the
// fallback.
func (w *agentWorker) belongs(host string, n *node, j job) bool {
	return w.onNode(host, n) || j.fallback && w.noWayTo(host)
}

// standsIn reports whether what is here of a host's tasks is at home for now: there is no way to
// their own agent, and ours, the main one, has taken it in.
func (w *agentWorker) standsIn(host string) bool { return w.host == mainHost && w.noWayTo(host) }

// onNode reports whether a host's tasks run on the node of our agent.
func (w *agentWorker) onNode(host string, n *node) bool {
	return host == w.host || w.fleet.nodeOf(host) == n
}

// noWayTo reports whether a host's agent does not answer at all now.
func (w *agentWorker) noWayTo(host string) bool {
	home := w.fleet.workerIf(host)
	return home != nil && consul.Unreachable(home.backingOff())
}

// homeWait is how long one agent's worker waits for another's write to end. Two
// may wait for each other.
const homeWait = 200 * time.Millisecond

// registeredAtHome reports whether a service is where it belongs.
func (w *agentWorker) registeredAtHome(ctx context.Context, host, task, id string) bool {
	home := w.fleet.nodeOf(host)
	if home == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, homeWait)
	defer cancel()
	if home.lock(ctx) != nil {
		return false // it is busy, perhaps waiting for us: the next resync will see
	}
	defer home.unlock()
	have := home.service(task, id)
	return home.knows(task) && have != nil && w.ours(*have)
}

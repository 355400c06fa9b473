package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"consular/consul"
	"consular/marathon"
)

// agentWorker writes to one host's agent. Two hosts can be one agent: they
// share its node, and take turns.
type agentWorker struct {
	worker
	host  string
	agent Agent
	fleet *fleet
	// node is who the agent is; nil until it has answered.
	node atomic.Pointer[node]

	desired func(task, app string) Want
	// ours reports whether we own a service.
	ours func(consul.Service) bool
	// stale reports whether Marathon has not been heard for too long to register.
	stale func() bool
	// refill names every service that belongs to a node that was listed anew.
	refill func(*agentWorker)
}

// do brings one service in line with what is desired of it now, which may not be
// what was desired when the job was made.
func (w *agentWorker) do(ctx context.Context, j job) (outcome, error) {
	if j.key == "" {
		return outcome{}, w.listAnew(ctx)
	}
	n, err := w.takeListed(ctx)
	if err != nil {
		return outcome{}, err
	}
	defer n.release()
	want := w.desired(j.key, j.app)
	if j.state.Phase() == marathon.Ended && want.Host == "" {
		want.Verdict, want.Announced = Absent, true // however long the job waited
	}
	have, registered := n.have[j.key]
	if registered && !w.ours(have) {
		w.log.Debug().Str("task", j.key).Msg("left alone: not ours")
		return outcome{}, nil
	}
	switch {
	case want.Verdict == Untouched:
		return outcome{}, nil
	case want.Verdict == Present && w.belongs(want.Host, n, j):
		return w.register(ctx, n, j, want, have, registered)
	case want.Verdict == Present && !registered:
		return outcome{}, nil // nothing of it is here
	case want.Verdict == Present && !w.registeredAtHome(ctx, want.Host, j.key):
		return outcome{homeFirst: 1}, nil
	default:
		return w.deregister(ctx, n, j, want, registered)
	}
}

// register writes a service where it is missing or has drifted.
func (w *agentWorker) register(ctx context.Context, n *node, j job, want Want, have consul.Service, registered bool) (outcome, error) {
	var drift []string
	if registered {
		drift = want.Service.Diff(have)
	}
	if registered && (want.Keep || len(drift) == 0) {
		return outcome{}, nil
	}
	if w.stale() {
		w.log.Warn().Str("task", j.key).Msg("not registered: Marathon has not been heard for too long")
		return outcome{tooOld: 1}, nil
	}
	start := time.Now()
	// A write in flight finishes, also when we are told to stop.
	if err := w.agent.Register(context.WithoutCancel(ctx), want.Service); err != nil {
		return outcome{}, w.failedWrite(n, err)
	}
	n.have[j.key] = want.Service
	line := w.wrote(w.log.Info(), j, want.App, start).
		Str("service", want.Service.Name).Int("port", want.Service.Port)
	if registered {
		line.Strs("why", drift).Msg("updated")
		return outcome{Updated: 1}, nil
	}
	line.Msg("registered")
	return outcome{Registered: 1}, nil
}

// deregister removes a service, if the job's grounds allow it. An event always
// sends it, for our memory of the agent may be wrong.
func (w *agentWorker) deregister(ctx context.Context, n *node, j job, want Want, registered bool) (outcome, error) {
	grounds, why := want.removal()
	if grounds > j.upTo || !registered && (!j.event() || j.elsewhere) {
		return outcome{}, nil
	}
	start := time.Now()
	if err := w.agent.Deregister(context.WithoutCancel(ctx), j.key); err != nil {
		return outcome{}, w.failedWrite(n, err)
	}
	have := n.have[j.key]
	delete(n.have, j.key)
	if !registered {
		w.wrote(w.log.Debug(), j, want.App, start).Msg("deregistered again, to be sure")
		return outcome{}, nil
	}
	w.wrote(w.log.Info(), j, want.App, start).Str("service", have.Name).Str("why", why).Msg("deregistered")
	return outcome{Deregistered: 1}, nil
}

// wrote adds to a log line what every write says.
func (w *agentWorker) wrote(line *zerolog.Event, j job, app string, start time.Time) *zerolog.Event {
	line = line.Str("app", app).Str("task", j.key).Str("cause", j.name)
	if j.event() {
		line = line.Str("state", string(j.state))
	}
	if !j.at.IsZero() {
		line = line.Int64("lag_ms", time.Since(j.at).Milliseconds())
	}
	return line.Dur("took_ms", time.Since(start))
}

// removal says on what grounds a service would be removed.
func (w Want) removal() (Removal, string) {
	switch {
	case w.Verdict == Present:
		return Moved, "wrong agent: runs on " + w.Host
	case w.Announced && w.Gone:
		return Announced, "app is gone"
	case w.Announced:
		return Announced, "task has ended"
	case w.Away:
		return Away, "task is unreachable"
	default:
		return Missing, "task is not in Marathon"
	}
}

// belongs reports whether a service of a host belongs to our node: as its home,
// which it is for our own host even when nobody names that any more, or as the
// fallback.
func (w *agentWorker) belongs(host string, n *node, j job) bool {
	return host == w.host || w.fleet.of(host) == n || j.fallback && w.noWayTo(host)
}

// noWayTo reports whether a host's agent does not answer at all now.
func (w *agentWorker) noWayTo(host string) bool {
	home := w.fleet.existing(host)
	return home != nil && consul.Unreachable(home.leftAlone())
}

// failedWrite forgets what we knew of the agent: a write that failed may have
// happened. One that was refused has not.
func (w *agentWorker) failedWrite(n *node, err error) error {
	err = written(err)
	n.listed = n.listed && errors.Is(err, errRefused)
	return err
}

// homeWait is how long one agent's worker waits for another's write to end. Two
// may wait for each other.
const homeWait = 200 * time.Millisecond

// registeredAtHome reports whether a service is where it belongs.
func (w *agentWorker) registeredAtHome(ctx context.Context, host, task string) bool {
	home := w.fleet.of(host)
	if home == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, homeWait)
	defer cancel()
	if home.take(ctx) != nil {
		return false // it is busy, perhaps waiting for us: the next look will see
	}
	defer home.release()
	have, there := home.have[task]
	return home.listed && there && w.ours(have)
}

// takeListed takes the turn of the agent's node, and lists the agent first when
// what we know of it is not to be trusted: while it is silent, that is nothing.
func (w *agentWorker) takeListed(ctx context.Context) (*node, error) {
	if w.leftAlone() != nil {
		if err := w.listAnew(ctx); err != nil {
			return nil, err
		}
	}
	for {
		if n := w.node.Load(); n != nil {
			if err := n.take(ctx); err != nil {
				return nil, err
			}
			if n.listed {
				return n, nil
			}
			n.release()
		}
		if err := w.listAnew(ctx); err != nil {
			return nil, err
		}
	}
}

// listAnew lists the agent and has everything looked at that should be there: it
// may have lost its state.
func (w *agentWorker) listAnew(ctx context.Context) error {
	_, _, err := w.list(ctx)
	if err == nil {
		w.refill(w)
	}
	return err
}

// list asks the agent who it is and what is registered there.
func (w *agentWorker) list(ctx context.Context) (consul.Node, []consul.Service, error) {
	self, err := w.agent.Self(ctx)
	if err != nil {
		return consul.Node{}, nil, err
	}
	n := w.fleet.node(self.ID)
	w.node.Store(n)
	if err := n.take(ctx); err != nil {
		return consul.Node{}, nil, fmt.Errorf("list services on %s: %w", w.agent.Address(), err)
	}
	defer n.release()
	services, err := w.agent.Services(ctx)
	if err == nil && w.host == mainHost {
		err = w.stillIs(ctx, self)
	}
	if err != nil {
		n.listed = false
		return consul.Node{}, nil, err
	}
	n.have = make(map[string]consul.Service, len(services))
	for _, s := range services {
		n.have[s.ID] = s
	}
	n.listed = true
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

package reconcile

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
)

// agentWorker writes to one host's agent. Two hosts can be one agent: they
// share its node, and only one of them holds its lock.
type agentWorker struct {
	worker
	host  string
	agent Agent
	fleet *fleet
	// starts are all agents' tasks that are about to be registered.
	starts *starts
	// node is who the agent is; nil until it has answered.
	node atomic.Pointer[node]
	// takes is the longest that a listing took, in nanoseconds.
	takes atomic.Int64

	want func(task, app string) desired.Want
	// ours reports whether we own a service, and tagged whether it carries our registration
	// ID, whatever framework it names.
	ours, tagged func(consul.Service) bool
	// checked reports whether there may be checks of ours.
	checked func() bool
	// stale reports whether Marathon has not been heard for too long to register.
	stale func() bool
	// watch is Consul.Watch.
	watch func(ctx context.Context, host, id string) error
	// enqueueAll enqueues all that belongs to an agent that was listed anew.
	enqueueAll func(*agentWorker)
	// elsewhere reports whether the catalog shows a service on another node than this one.
	elsewhere func(ctx context.Context, node, name, id string) (bool, error)
	// unreachable is told when there is no way to the agent any more.
	unreachable func()
}

// run does jobs until ctx ends.
func (w *agentWorker) run(ctx context.Context) {
	watching, cancel := context.WithCancel(ctx)
	var watches sync.WaitGroup
	if w.watch != nil {
		watches.Go(func() { w.watchAgent(watching) })
	}
	defer watches.Wait()
	defer cancel()
	w.work(ctx, func(ctx context.Context, j job) (outcome, error) {
		before := w.isUnreachable()
		done, err := w.execute(ctx, j)
		if consul.Unreachable(err) && !before {
			w.unreachable()
		}
		return done, err
	})
}

// execute brings one task's services in line with what is desired of them now, which
// may not be what was desired when the job was made. One that fails by itself keeps no
// other back.
func (w *agentWorker) execute(ctx context.Context, j job) (outcome, error) {
	var done outcome
	if w.backingOff() != nil || j.key == "" && w.late.Load() != 0 { // what we know is not to be trusted
		if err := w.listAnew(ctx); err != nil {
			return outcome{}, err
		}
		done.contact = asked
	}
	n, err := w.lockListed(ctx, j.key)
	if err != nil {
		return outcome{}, err
	}
	want := w.want(j.key, j.app)
	if want.Checked() && ignorant(n.of(j.key)) { // listed when no app had checks
		n.unsure[j.key] = true
		n.unlock()
		if n, err = w.lockListed(ctx, j.key); err != nil {
			return outcome{}, err
		}
	}
	defer n.unlock()
	if j.key == "" {
		return done, nil
	}
	want.Anew = j.anew
	if j.state.Phase() == marathon.Ended && want.Host == "" {
		want.Verdict, want.Grounds = desired.Absent, desired.Ended // however long the job waited
	}
	here := n.of(j.key)
	if len(here) == 0 && want.Verdict == desired.Absent && j.event() && !j.elsewhere && j.allowed.Allow(want.Grounds) {
		return outcome{contact: wrote}, w.makeSure(ctx, n, j, want)
	}
	if len(here) > 0 && w.putOff(j, want) {
		return done, nil
	}
	ours := w.ours
	if j.state.Phase() == marathon.Ended {
		ours = w.tagged // the end of a task is that of its services, whoever registered them for it
	}
	if !w.onNode(want.Host, n) {
		want = want.OffNode()
	}
	var failed []error
	unchecked := "" // a service that has not got its new check: it keeps the old one
	for _, d := range plan.Decide(want, here, ours, w.standing(ctx, n, j, want.Host)) {
		if d.Op == plan.DeregisterCheck && d.Service.ID == unchecked {
			continue
		}
		if d.Op == plan.Register && done.Registered > 0 && len(failed) == 0 && !j.rest && w.queue.len() > 0 {
			done.requeued = w.requeueRest(j)
			break
		}
		if err := w.apply(ctx, n, j, want, d, &done); ofItsOwn(err) {
			failed = append(failed, err)
			if d.Op == plan.RegisterCheck {
				unchecked = d.Service.ID
			}
		} else if err != nil {
			return done, err
		}
	}
	return done, errors.Join(failed...)
}

// ofItsOwn reports whether a write has failed by itself, and keeps no other back.
func ofItsOwn(err error) bool { return errors.Is(err, errRefused) || errors.Is(err, errUnable) }

// requeueRest lets the other services of a task that shows up wait until all that waits now
// has been looked at: the first ones of all tasks come before the second ones. It reports false
// when there is nobody to do it: a resync finds what is missing.
func (w *agentWorker) requeueRest(j job) bool {
	j.rest, j.failures, j.pauses = true, 0, nil
	if j.tally != nil {
		j.tally.expect()
	}
	if !w.queue.put(j) {
		j.finish(outcome{})
		return false
	}
	return true
}

// apply writes one service, if the job's grounds and the time allow it.
func (w *agentWorker) apply(ctx context.Context, n *node, j job, want desired.Want, d plan.Decision, done *outcome) error {
	switch {
	case d.Conflict:
		w.tell(Notice{Level: zerolog.DebugLevel, Message: "left alone: not ours", Agent: w.name, Task: j.key, Service: d.Service.Name, ID: d.Service.ID})
		return nil
	case d.Op == plan.Deregister && d.HomeFirst:
		done.homeFirst++
		return nil
	case d.Grounds != 0 && !j.allowed.Allow(d.Grounds):
		return nil
	case d.Op != plan.Deregister && w.stale():
		w.tell(Notice{
			Level: zerolog.WarnLevel, Message: "not registered: Marathon has not been heard for too long",
			Agent: w.name, Task: j.key,
		})
		done.tooOld++
		return nil
	}
	if d.Op == plan.Register && j.fallback && w.host == mainHost {
		// The host's agent cannot be asked, and may have it under another address of its.
		if there, err := w.elsewhere(ctx, n.id, d.Service.Name, d.Service.ID); there || err != nil {
			return err
		}
	}
	start := time.Now()
	if err := w.write(ctx, n, j.key, d); err != nil {
		return w.failedWrite(n, j.key, err)
	}
	done.contact = wrote
	done.count(d.Op)
	notice := w.wrote(j, want.App, start)
	notice.Op, notice.Service, notice.ID, notice.PortName = d.Op, d.Service.Name, d.Service.ID, want.PortName(d.Service.ID)
	switch d.Op {
	case plan.Deregister:
		n.remove(j.key, d.Service.ID)
		notice.Message, notice.Why = "deregistered", strings.Join(d.Why, ", ")
	case plan.RegisterCheck, plan.UpdateCheck, plan.DeregisterCheck:
		n.wroteCheck(j.key, d, &notice)
	case plan.Update:
		s := d.Service
		if have := n.service(j.key, s.ID); have != nil {
			s.Checks = have.Checks // which it keeps
		}
		n.put(j.key, s)
		notice.Message, notice.Port, notice.Drift = "updated", d.Service.Port, d.Why
	default:
		for _, c := range d.Service.Checks {
			notice.Status = string(c.Status)
		}
		notice.Message, notice.Port = "registered", d.Service.Port
	}
	w.tell(notice)
	return nil
}

// write makes one request, or one for each of what cannot be told in one, and remembers what of
// several has been done.
func (w *agentWorker) write(ctx context.Context, n *node, task string, d plan.Decision) error {
	s := d.Service
	switch d.Op {
	case plan.Deregister:
		return w.agent.Deregister(ctx, s.ID)
	case plan.Register:
		if err := w.agent.Register(ctx, s); err != nil {
			return err
		}
		n.put(task, s)
		return w.keepStatus(ctx, n, task, s)
	case plan.Update:
		s.Checks = nil // which stay as they are
		return w.agent.Register(ctx, s)
	default:
		return w.writeCheck(ctx, n, task, d)
	}
}

// makeSure deregisters a task of which, as far as we remember, nothing is here: an
// event always sends it, for our memory of the agent may be wrong.
func (w *agentWorker) makeSure(ctx context.Context, n *node, j job, want desired.Want) error {
	ids := j.ids
	if ids == nil {
		ids = []string{j.key}
	}
	var failed []error
	for _, id := range ids {
		start := time.Now()
		if err := w.agent.Deregister(ctx, id); err != nil {
			if err = w.failedWrite(n, j.key, err); !ofItsOwn(err) {
				return err
			}
			failed = append(failed, err)
			continue
		}
		notice := w.wrote(j, want.App, start)
		notice.Message, notice.ID = "deregistered again, to be sure", id
		if !j.unanswered { // or else nobody has told yet that it is gone
			notice.Level = zerolog.DebugLevel
		}
		w.tell(notice)
	}
	return errors.Join(failed...)
}

// wrote is what the operator is told of every write.
func (w *agentWorker) wrote(j job, app string, start time.Time) Notice {
	n := Notice{Level: zerolog.InfoLevel, Agent: w.name, App: app, Task: j.key, Cause: j.name, At: j.at, Took: time.Since(start)}
	if j.event() {
		n.State = j.state
	}
	return n
}

// failedWrite forgets what we knew of the task, or of the agent when that is what failed:
// a write that failed may have happened. One that was refused has not.
func (w *agentWorker) failedWrite(n *node, task string, err error) error {
	err = written(err)
	switch {
	case errors.Is(err, errRefused):
	case errors.Is(err, errUnable):
		n.unsure[task] = true
	default:
		n.listed = false
	}
	return err
}

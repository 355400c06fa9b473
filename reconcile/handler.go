package reconcile

import (
	"time"

	"github.com/rs/zerolog"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
)

// Connected is told when the stream's first event was read: from now on
// everything is heard, and what came before is made good by one resync.
func (r *Reconciler) Connected() {
	if r.stale() {
		r.outdated.Store(true)
	}
	r.live.Store(true)
	r.heard()
	r.schedule.ask("connect", time.Now())
}

// Disconnected is told when nothing is heard any more, and why.
func (r *Reconciler) Disconnected(gap string) {
	r.live.Store(false)
	r.schedule.ask(gap, time.Now())
}

// Missed is told when events were missed although the stream lives.
func (r *Reconciler) Missed(gap string) {
	r.schedule.askLimited(gap, time.Now(), r.config.PollInterval)
}

// Event is told of each event, in order. It changes the model, names what has to
// be looked at, and never waits.
func (r *Reconciler) Event(e marathon.Event) {
	r.heard()
	r.mu.Lock()
	effects := r.model.ApplyEvent(e, time.Now())
	r.mu.Unlock()
	why := cause{name: e.About().Type, at: e.About().Time}
	allowed := desired.Announced
	if task, is := e.(marathon.TaskChanged); is {
		why.state = task.Task.State
		r.tellTask(task)
		if task.Task.State.Phase() == marathon.Away && len(effects.Tasks) > 0 && r.allowLost(task.Task.ID) {
			allowed |= desired.Lost
		}
	}
	r.enqueue(effects, why, allowed)
}

// enqueue gives workers what an event or an answer has changed. allowed are the grounds
// on which they may remove something because of it.
func (r *Reconciler) enqueue(effects desired.Effects, why cause, allowed desired.Grounds) {
	for _, t := range effects.Tasks {
		err := consul.CheckHost(t.Host)
		if err == nil {
			err = r.fleet.put(t.Host, job{key: t.Task, app: t.App, allowed: allowed, cause: why})
		}
		if err != nil {
			r.leaveOut(plan.Unfit{App: t.App, Task: t.Task, Err: err.Error()})
			continue
		}
		if main := r.fleet.workerIf(mainHost); main != nil {
			main.queue.put(job{key: t.Task, app: t.App, allowed: allowed, cause: why, elsewhere: true})
		}
	}
	for _, name := range effects.Names {
		r.keys.queue.put(job{key: name, allowed: desired.Announced | desired.LabelGone, cause: why})
	}
	r.reads.ask(effects)
	r.reads.askAgain(effects.ReadAgain, time.Now(), r.config.PollInterval)
	if effects.Resync != "" {
		r.schedule.askLimited(effects.Resync, time.Now(), r.config.PollInterval)
	}
}

// allowLost reports whether a lost task's service may go at once: a partition
// of Mesos makes many of them, and stops no task.
func (r *Reconciler) allowLost(task string) bool {
	now := time.Now()
	r.mu.Lock()
	r.lost.forget(now)
	recent := len(r.lost.tasks)
	allowed := r.lost.tasks[task] || r.config.Policy.AllowLost(recent, r.model.Size())
	if allowed {
		r.lost.add(task, now)
	}
	r.mu.Unlock()
	if !allowed {
		r.schedule.ask("held back", now.Add(r.config.PollInterval))
		level := zerolog.DebugLevel
		if r.firstTime("lost tasks of " + now.Truncate(plan.LostWindow).String()) {
			level = zerolog.ErrorLevel
		}
		r.config.tell(Notice{
			Level: level, Message: "held back: too many tasks lost within a minute, their services stay for now",
			Task: task, Lost: recent,
		})
	}
	return allowed
}

// lostTasks are the lost tasks that were deregistered within the last minute, by
// events and by plans.
type lostTasks struct {
	tasks map[string]bool
	// order has each of them, the oldest first.
	order []lostTask
}

type lostTask struct {
	id string
	at time.Time
}

// add notes a task, once.
func (l *lostTasks) add(task string, now time.Time) {
	if l.tasks[task] {
		return
	}
	l.tasks[task] = true
	l.order = append(l.order, lostTask{task, now})
}

// forget drops those that were lost longer ago.
func (l *lostTasks) forget(now time.Time) {
	for len(l.order) > 0 && now.Sub(l.order[0].at) > plan.LostWindow {
		delete(l.tasks, l.order[0].id)
		l.order = l.order[1:]
	}
}

// tellTask tells the start of a task's story; what is written tells the rest.
func (r *Reconciler) tellTask(e marathon.TaskChanged) {
	t := e.Task
	if t.State.Phase() == marathon.Unrecognised && r.firstTime("state "+string(t.State)) {
		r.config.tell(Notice{
			Level: zerolog.WarnLevel, Message: "unknown task state, ignored from now on",
			App: t.AppID, Task: t.ID, State: t.State,
		})
	}
	r.config.tell(Notice{
		Level: zerolog.DebugLevel, Message: "heard",
		Event: e.Type, App: t.AppID, Task: t.ID, State: t.State, Agent: t.Host,
	})
}

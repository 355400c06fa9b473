package reconcile

import (
	"time"

	"github.com/rs/zerolog"

	"consular/consul"
	"consular/marathon"
)

// Connected is told when the stream's first event was read: from now on
// everything is heard, and what came before is made good by one resync.
func (r *Reconciler) Connected() {
	if r.stale() {
		r.outdated.Store(true)
	}
	r.live.Store(true)
	r.heard()
	r.agenda.ask("connect", time.Now())
}

// Disconnected is told when nothing is heard any more, and why.
func (r *Reconciler) Disconnected(gap string) {
	r.live.Store(false)
	r.agenda.ask(gap, time.Now())
}

// Missed is told when events were missed although the stream lives.
func (r *Reconciler) Missed(gap string) {
	r.agenda.askLimited(gap, time.Now(), r.config.PollInterval)
}

// Event is told of each event, in order. It changes the model, names what has to
// be looked at, and never waits.
func (r *Reconciler) Event(e marathon.Event) {
	r.heard()
	r.mu.Lock()
	effects := r.desired.Apply(e, time.Now())
	r.mu.Unlock()
	why := cause{name: e.About().Type, at: e.About().Time}
	grounds := Announced
	if task, is := e.(marathon.TaskChanged); is {
		why.state = task.Task.State
		r.logTask(task)
		if task.Task.State.Phase() == marathon.Away && len(effects.Tasks) > 0 && r.allowAway(task.Task.ID) {
			grounds = Away
		}
	}
	r.carry(effects, why, grounds)
}

// carry pokes whoever has to look at something.
func (r *Reconciler) carry(effects Effects, why cause, grounds Removal) {
	for _, t := range effects.Tasks {
		err := consul.CheckHost(t.Host)
		if err == nil {
			err = r.fleet.put(t.Host, job{key: t.Task, app: t.App, upTo: grounds, cause: why})
		}
		if err != nil {
			r.leaveOut(Unfit{App: t.App, Task: t.Task, Err: err.Error()})
			continue
		}
		if main := r.fleet.existing(mainHost); main != nil {
			main.queue.put(job{key: t.Task, app: t.App, upTo: grounds, cause: why, elsewhere: true})
		}
	}
	for _, name := range effects.Names {
		r.keys.queue.put(job{key: name, upTo: LabelGone, cause: why})
	}
	r.reading.ask(effects)
	r.reading.askAgain(effects.ReadAgain, time.Now(), r.config.PollInterval)
	if effects.Resync != "" {
		r.agenda.askLimited(effects.Resync, time.Now(), r.config.PollInterval)
	}
}

// allowAway reports whether a lost task's service may go at once: a partition
// of Mesos makes many of them, and stops no task.
func (r *Reconciler) allowAway(task string) bool {
	now := time.Now()
	r.mu.Lock()
	r.away.forget(now)
	recent := len(r.away.tasks)
	allowed := r.away.tasks[task] || r.config.AllowAway(recent, len(r.desired.tasks))
	if allowed {
		r.away.add(task, now)
	}
	r.mu.Unlock()
	if !allowed {
		r.agenda.ask("held back", now.Add(r.config.PollInterval))
		level := zerolog.DebugLevel
		if r.once("lost tasks of " + now.Truncate(awayWindow).String()) {
			level = zerolog.ErrorLevel
		}
		r.config.Log.WithLevel(level).Str("task", task).Int("lost", recent).
			Msg("held back: too many tasks lost within a minute, their services stay for now")
	}
	return allowed
}

// awayTasks are the lost tasks that were deregistered within the last minute, by
// events and by plans.
type awayTasks struct {
	tasks map[string]bool
	// order has each of them, the oldest first.
	order []awayTask
}

type awayTask struct {
	id string
	at time.Time
}

// add notes a task, once.
func (a *awayTasks) add(task string, now time.Time) {
	if a.tasks[task] {
		return
	}
	a.tasks[task] = true
	a.order = append(a.order, awayTask{task, now})
}

// forget drops those that were lost longer ago.
func (a *awayTasks) forget(now time.Time) {
	for len(a.order) > 0 && now.Sub(a.order[0].at) > awayWindow {
		delete(a.tasks, a.order[0].id)
		a.order = a.order[1:]
	}
}

// logTask tells the start of a task's story; what is written tells the rest.
func (r *Reconciler) logTask(e marathon.TaskChanged) {
	t := e.Task
	if t.State.Phase() == marathon.Unrecognised && r.once("state "+string(t.State)) {
		r.config.Log.Warn().Str("app", t.AppID).Str("task", t.ID).Str("state", string(t.State)).
			Msg("unknown task state, ignored from now on")
	}
	r.config.Log.Debug().Str("event", e.Type).Str("app", t.AppID).Str("task", t.ID).
		Str("state", string(t.State)).Str("agent", t.Host).Msg("heard")
}

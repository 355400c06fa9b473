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
	r.turn(true)
	r.heard()
	r.locked(r.model.NoteGap)
	r.schedule.ask("connect", time.Now())
}

// Disconnected is told when nothing is heard any more, and why.
func (r *Reconciler) Disconnected(gap string) {
	r.turn(false)
	r.locked(r.model.NoteGap)
	r.schedule.ask(gap, time.Now())
}

// turn notes whether the stream lives, and since when.
func (r *Reconciler) turn(live bool) {
	if r.live.Swap(live) != live {
		r.turned.Store(time.Now().UnixNano())
	}
}

// Missed is told when events were missed although the stream lives.
func (r *Reconciler) Missed(gap string) {
	r.locked(r.model.NoteGap)
	r.schedule.askLimited(gap, time.Now(), r.config.PollInterval)
}

// Event is told of each event, in order. It changes the model, names what has to
// be brought in line, and never waits.
func (r *Reconciler) Event(e marathon.Event) {
	r.heard()
	r.mu.Lock()
	effects := r.model.ApplyEvent(e, time.Now())
	r.mu.Unlock()
	why := cause{name: e.About().Type, at: e.About().Time, heard: time.Now()}
	if task, is := e.(marathon.TaskChanged); is {
		why.state = task.Task.State
		r.tellTask(task)
	}
	r.enqueue(effects, why)
	if r.checked() {
		nudge(r.reads.wake) // it may have given cause to read an app some time later
	}
}

// enqueue gives workers what an event or an answer has changed, and asks for what has to
// be known of Marathon.
func (r *Reconciler) enqueue(effects desired.Effects, why cause) {
	if r.gate.takesJobs() {
		r.enqueueTasks(effects.Tasks, why)
		for _, name := range effects.Names {
			r.keys.queue.put(job{key: name, term: r.gate.term(), allowed: r.allowedOfKeys(), cause: why})
		}
	}
	r.reads.ask(effects)
	r.reads.askAgain(effects.ReadAgain, time.Now(), r.config.PollInterval)
	if effects.Resync != "" {
		r.schedule.askLimited(effects.Resync, time.Now(), r.config.PollInterval)
	}
}

func (r *Reconciler) enqueueTasks(tasks []desired.TaskRef, why cause) {
	for _, t := range tasks {
		j := job{key: t.Task, app: t.App, term: r.gate.term(), recovers: t.Recovered, allowed: r.allowed(t), cause: why}
		err := consul.CheckHost(t.Host)
		if err == nil {
			err = r.fleet.put(t.Host, j)
		}
		if err != nil {
			r.leaveOut(plan.Unfit{App: t.App, Task: t.Task, Err: err.Error()})
			continue
		}
		if main := r.fleet.workerIf(mainHost); main != nil {
			j.elsewhere = true
			main.queue.put(j)
		}
	}
}

// allowed are the grounds on which a task's services may go because an event or an
// answer has named it: what announces its end, and, if the guard lets it, that it is lost,
// not in its app's own answer, or unhealthy: then they turn critical.
func (r *Reconciler) allowed(t desired.TaskRef) desired.Grounds {
	now := time.Now()
	r.mu.Lock()
	want := r.model.Want(t.Task, t.App)
	grounds := want.Grounds & (desired.Lost | desired.Answered)
	var why string
	var first bool
	switch {
	case grounds != 0:
		why, first = r.guard.Allow(t.Task, grounds, r.model.Running(), now)
	case want.Verdict == desired.Present:
		grounds, why, first = r.allowedCritical(want, now)
	}
	r.mu.Unlock()
	switch {
	case why == "":
		return desired.Announced | grounds
	case first && want.Verdict == desired.Present:
		r.tellHeldCritical(t, why, now)
	case first:
		r.schedule.ask("held back", now.Add(min(r.config.PollInterval, r.syncInterval())))
		level := zerolog.DebugLevel
		if r.firstTime("lost tasks of " + now.Truncate(time.Minute).String()) {
			level = zerolog.ErrorLevel
		}
		r.config.tell(Notice{
			Level: level, Message: "held back: too many tasks lost within a minute, their services stay for now",
			App: t.App, Task: t.Task, Why: why,
		})
	}
	return desired.Announced
}

// allowedOfKeys are the grounds on which an event or an answer may remove keys: none
// before all of Consul was looked at for another Marathon, whose keys look like ours.
func (r *Reconciler) allowedOfKeys() desired.Grounds {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.model.Another() != desired.NoAnother {
		return 0
	}
	return desired.Announced | desired.LabelGone
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

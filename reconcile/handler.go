package reconcile

import (
	"maps"
	"slices"
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
		for _, app := range effects.Awaited {
			r.starts.ask(app)
		}
		r.enqueueTasks(effects.Tasks, why)
		if !r.config.Translation.Shaping.NoKV {
			for _, name := range effects.Names {
				r.keys.queue.put(job{key: name, term: r.gate.term(), allowed: r.allowedOfKeys(), cause: why})
			}
		}
	}
	r.reads.ask(effects)
	r.reads.askAgain(effects.ReadAgain, time.Now(), r.config.PollInterval)
	if effects.Resync != "" {
		r.schedule.askLimited(effects.Resync, time.Now(), r.config.PollInterval)
	}
}

func (r *Reconciler) enqueueTasks(tasks []desired.TaskRef, why cause) {
	allowed := r.allowed(tasks)
	for _, t := range tasks {
		j := job{key: t.Task, app: t.App, ids: t.IDs, term: r.gate.term(), recovers: t.Recovered, allowed: allowed[t.Task], cause: why}
		if t.Quiet {
			if w := r.fleet.workerIf(t.Host); w != nil {
				j.elsewhere = true
				w.queue.put(j)
			}
			continue
		}
		if why.state.Phase() == marathon.Running || t.Recovered {
			j.start = r.begin(t.Host, j)
		}
		err := consul.CheckHost(t.Host)
		if err == nil {
			err = r.fleet.put(t.Host, j)
		}
		if err != nil {
			j.start.end()
			r.leaveOut(plan.Unfit{App: t.App, Task: t.Task, Err: err.Error()})
			continue
		}
		if main := r.fleet.workerIf(mainHost); main != nil {
			j.elsewhere, j.start = true, nil
			main.queue.put(j)
		}
	}
}

// begin notes that a job is to register its task, or to make its checks passing, unless its
// agent is left alone: then nobody waits for that.
func (r *Reconciler) begin(host string, j job) *start {
	if w := r.fleet.workerIf(host); w != nil && w.outage.Load() != nil {
		return nil
	}
	return r.starts.begin(j.app, j.key, j.heard)
}

// allowed are, by task, the grounds on which services may go because an event or an
// answer has named their tasks: what announces an end, and, if the guard lets them, that
// they are lost or not in their app's own answer, or unhealthy: then they turn critical.
func (r *Reconciler) allowed(tasks []desired.TaskRef) map[string]desired.Grounds {
	allowed := make(map[string]desired.Grounds, len(tasks))
	var losses []plan.Loss
	var turned []heldTurn
	now := time.Now()
	r.mu.Lock()
	for _, t := range tasks {
		allowed[t.Task] = desired.Announced
		want := r.model.Want(t.Task, t.App)
		if grounds := want.Grounds & (desired.Lost | desired.Answered); grounds != 0 {
			losses = append(losses, plan.Loss{Task: t.Task, Services: t.Services, Grounds: grounds})
		}
		if want.Verdict == desired.Present {
			r.guard.Returned(t.Task)
			turned = r.allowCritical(want, allowed, turned, now)
		}
	}
	var heldBack map[string]string
	first := false
	if len(losses) > 0 {
		heldBack, first = r.guard.Allow(losses, r.model.Services(), now)
	}
	r.mu.Unlock()
	r.tellHeldTurns(turned, now)
	for _, l := range losses {
		if heldBack[l.Task] == "" {
			allowed[l.Task] |= l.Grounds
		}
	}
	if first {
		r.schedule.ask("held back", now.Add(min(r.config.PollInterval, r.syncInterval())))
		r.tellLosses(heldBack, now)
	}
	return allowed
}

// tellLosses says which tasks' services are held back: one in a minute as an error.
func (r *Reconciler) tellLosses(heldBack map[string]string, now time.Time) {
	for _, task := range slices.Sorted(maps.Keys(heldBack)) {
		level := zerolog.DebugLevel
		if r.firstTime("lost tasks of " + now.Truncate(time.Minute).String()) {
			level = zerolog.ErrorLevel
		}
		r.config.tell(Notice{
			Level: level, Message: "held back: too many tasks lost within a minute, their services stay for now",
			Task: task, Why: heldBack[task],
		})
	}
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

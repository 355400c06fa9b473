package reconcile

import (
	"time"

	"consular/marathon"
)

// Effects are what must be looked at after the model has changed: names of
// things, never what happened to them.
type Effects struct {
	// Tasks are those whose services may have to change.
	Tasks []Touch
	// Names are the service names whose keys may have to change.
	Names []string
	// Read are apps to read, ReadStrange those that only a task's event gives cause
	// for, and Definitions those of old versions.
	Read, ReadStrange []string
	Definitions       []Version
	// ReadAgain are apps to read once more, for events contradict what was read.
	ReadAgain []string
	// Resync is set when only a complete snapshot can tell; it says why.
	Resync string
}

// Touch is one task's service, on one host.
type Touch struct{ Task, App, Host string }

func (e *Effects) touch(t marathon.Task) {
	e.Tasks = append(e.Tasks, Touch{Task: t.ID, App: t.AppID, Host: t.Host})
}

// Apply lets an event change the model. at is when it was heard, by our clock.
// The event table is in doc.go.
func (d *Desired) Apply(e marathon.Event, at time.Time) Effects {
	d.now++
	var out Effects
	switch e := e.(type) {
	case marathon.TaskChanged:
		d.journal.add(heard{at: d.now, task: e.Task})
		d.applyTask(e.Task, at, &out)
	case marathon.DeploymentPlanned:
		d.deployments.remember(e.Version, e.Apps, d.now)
		d.announce(e.Apps, e.Stopped)
		d.notePods(e.Pods, at)
	case marathon.DeploymentEnded:
		d.deployments.remember(e.Version, e.Apps, d.now)
		d.announce(e.Apps, nil)
		d.notePods(e.Pods, at)
		d.read(e.Apps, &out)
		d.fail(e)
	case marathon.GroupChanged:
		d.applyGroup(e.Version, &out)
	case marathon.AppTerminated:
		if a := d.apps[e.AppID]; a != nil {
			a.stopped = d.now
			d.read([]string{e.AppID}, &out)
		}
	}
	return out
}

// announce notes what a plan says of its apps: those it stops, and that an ID
// which was none may be an app now.
func (d *Desired) announce(apps, stopped []string) {
	for _, app := range apps {
		if gone, known := d.gone[app]; known {
			gone.doubtful = true
			d.gone[app] = gone
		}
	}
	for _, app := range stopped {
		if a := d.apps[app]; a != nil {
			a.stopped = d.now
		}
	}
}

// notePods notes that IDs are pods, so that their containers' events cost no
// read. What is known as an app is not believed to be a pod until it is gone.
func (d *Desired) notePods(pods []string, at time.Time) {
	for _, id := range pods {
		if d.apps[id] == nil {
			d.noteGone(id, goneEntry{asked: d.now, at: at, wasApp: d.gone[id].wasApp})
		}
	}
}

// applyGroup reads the apps that the plan of this version named: only now does
// REST show the change.
func (d *Desired) applyGroup(version string, out *Effects) {
	p, known := d.deployments[version]
	if !known {
		out.Resync = "a change of unknown apps"
		return
	}
	d.read(p.apps, out)
	if len(p.apps) == 0 {
		d.read(sortedKeys(d.failed), out)
	}
}

// fail notes what a failed deployment was about. It may be rolled back by a plan
// that has nothing to start or stop, and so names no app: what ran was never
// more than the definition.
func (d *Desired) fail(e marathon.DeploymentEnded) {
	if !e.Failed {
		return
	}
	for _, app := range e.Apps {
		d.failed[app] = d.now
	}
}

// read asks for apps; before the first snapshot is in, it waits for that.
func (d *Desired) read(apps []string, out *Effects) {
	if d.ready {
		out.Read = append(out.Read, apps...)
		return
	}
	for _, app := range apps {
		d.deferred[app] = d.now
	}
}

// applyTask takes one task event into the model. Final states always win, in
// whatever order one task's events arrive.
func (d *Desired) applyTask(t marathon.Task, at time.Time, out *Effects) {
	phase := t.State.Phase()
	if phase == marathon.Ended {
		d.end(t, at, out)
		return
	}
	if _, ended := d.ended[t.ID]; ended || !d.ready || phase == marathon.Pending || phase == marathon.Unrecognised {
		return
	}
	a := d.apps[t.AppID]
	switch {
	case d.noApp(t.AppID):
		return // a pod, or a late event of an app that is gone
	case a == nil:
		out.ReadStrange = append(out.ReadStrange, t.AppID)
		return // the answer has the task: REST is never behind a status
	case phase == marathon.Away:
		d.leave(t, out)
	default:
		d.runs(a, t, out)
	}
}

// noApp reports whether an ID is known to be none of an app.
func (d *Desired) noApp(id string) bool {
	gone, known := d.gone[id]
	return known && !gone.doubtful
}

// end remembers that a task never runs again. That of what was never an app (a
// pod's container) is remembered too, for an answer on its way may make it one.
func (d *Desired) end(t marathon.Task, at time.Time, out *Effects) {
	d.ended[t.ID] = tombstone{heard: d.now, at: at}
	t = d.located(t)
	d.forget(t.ID)
	gone, isNone := d.gone[t.AppID]
	if d.ready && (!isNone || gone.wasApp) {
		out.touch(t)
	}
}

// located returns the task of an event that ends it on the host where its service
// is: such events may have none, "unknown" or, before 1.4.7, an earlier one.
func (d *Desired) located(t marathon.Task) marathon.Task {
	if known := d.tasks[t.ID]; known != nil {
		t.Host = known.task.Host
	}
	return t
}

// leave marks a task whose agent was lost. Its event has no addresses, so what
// is known of the task otherwise stays.
func (d *Desired) leave(t marathon.Task, out *Effects) {
	known := d.tasks[t.ID]
	if known == nil {
		d.put(t)
		known = d.tasks[t.ID]
	}
	known.away = true
	out.touch(known.task)
}

// runs takes a running task into the model. A version that is neither the
// app's nor known means that the app has changed unheard, or will have.
func (d *Desired) runs(a *appEntry, t marathon.Task, out *Effects) {
	d.put(t)
	out.touch(t)
	if _, known := d.definitions[Version{t.AppID, t.Version}]; !known && !a.app.Runs(t.Version) {
		out.ReadStrange = append(out.ReadStrange, t.AppID)
	}
}

// put takes a task in as running. It is of one app, the last that claimed it.
func (d *Desired) put(t marathon.Task) {
	d.forget(t.ID)
	d.tasks[t.ID] = &taskEntry{task: t}
	if d.onHost[t.Host] == nil {
		d.onHost[t.Host] = map[string]struct{}{}
	}
	d.onHost[t.Host][t.ID] = struct{}{}
	if a := d.apps[t.AppID]; a != nil {
		a.tasks[t.ID] = struct{}{}
	}
}

// forget drops a task.
func (d *Desired) forget(id string) {
	t := d.tasks[id]
	if t == nil {
		return
	}
	d.drop(id)
	if a := d.apps[t.task.AppID]; a != nil {
		delete(a.tasks, id)
	}
}

// drop takes a task out, but not out of its app.
func (d *Desired) drop(id string) {
	t := d.tasks[id]
	if t == nil {
		return
	}
	delete(d.tasks, id)
	delete(d.onHost[t.task.Host], id)
	if len(d.onHost[t.task.Host]) == 0 {
		delete(d.onHost, t.task.Host)
	}
}

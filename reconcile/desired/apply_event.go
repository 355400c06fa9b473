package desired

import (
	"time"

	"consular/marathon"
)

// Effects are what must be looked at after the model has changed: names of
// things, never what happened to them.
type Effects struct {
	// Tasks are those whose services may have to change.
	Tasks []TaskRef
	// Names are the service names whose keys may have to change.
	Names []string
	// Read are apps to read. ReadUnprompted are those that only a task's event gives cause
	// for, and no deployment; Definitions are old versions to read.
	Read, ReadUnprompted []string
	Definitions          []Version
	// ReadAgain are apps to read once more, for events contradict what was read.
	ReadAgain []string
	// Resync is set when only a complete snapshot can tell; it says why.
	Resync string
	// noTasks is set where nobody wants Tasks: those of a snapshot are all there are.
	noTasks bool
}

// TaskRef names one task, whose services are on one host.
type TaskRef struct {
	Task, App, Host string
	// Services are how many services it should have had; IDs are theirs where the task has
	// ended, nil for one that has the task's own.
	Services int
	IDs      []string
	// Quiet is set when it should have none, by its labels or an option: only where something
	// of it is known to be, it is to be looked at.
	Quiet bool
	// Recovered is set when Marathon calls it healthy now, and did not before.
	Recovered bool
}

func (e *Effects) addTask(t *taskEntry) {
	if e.noTasks {
		return
	}
	e.Tasks = append(e.Tasks, TaskRef{Task: t.task.ID, App: t.task.AppID, Host: t.task.Host, Services: max(1, int(t.services)), Quiet: t.out})
}

// ApplyEvent lets an event change the model. at is when it was heard, by our clock.
// The event table is in doc.go.
func (m *Model) ApplyEvent(e marathon.Event, at time.Time) Effects {
	m.now++
	m.at = at
	var out Effects
	switch e := e.(type) {
	case marathon.TaskChanged:
		if m.tr.Shaping.LeavesOut(e.Task.AppID) != "" {
			m.applyLeftOut(e.Task, at, &out)
			break
		}
		m.journal.add(taskEvent{at: m.now, task: e.Task})
		m.applyTask(e.Task, at, &out)
		m.noteStart(e)
	case marathon.HealthStatusChanged, marathon.InstanceHealthChanged:
		m.applyHealth(e, &out)
	case marathon.DeploymentPlanned:
		m.deployments.remember(e.Version, e.Apps, m.now)
		m.noteNamed(e.Apps)
		m.notePlan(e.Apps, e.Stopped)
		m.notePods(e.Pods, at)
	case marathon.DeploymentEnded:
		m.deployments.remember(e.Version, e.Apps, m.now)
		m.noteNamed(e.Apps)
		if e.Failed {
			m.notePlan(e.Apps, nil) // it may be rolled back
		}
		m.notePods(e.Pods, at)
		m.read(e.Apps, &out)
		m.noteFailed(e)
	case marathon.GroupChanged:
		m.applyGroup(e.Version, &out)
	case marathon.AppTerminated:
		if a := m.app(e.AppID); a != nil {
			a.stopped = m.now
			m.read([]string{e.AppID}, &out)
		}
	}
	return out
}

// NoteGap notes that events may have been missed: nothing that was announced before
// holds any more, for it may have been taken back unheard.
func (m *Model) NoteGap() {
	for _, a := range m.apps {
		a.stopped = 0
	}
}

// noteNamed notes that a deployment names apps: an ID which was none may be one now.
func (m *Model) noteNamed(apps []string) {
	for _, app := range apps {
		if gone, known := m.gone[app]; known {
			gone.mayExist = true
			m.gone[app] = gone
		}
	}
}

// notePlan notes which of its apps a plan stops. That takes back what was announced of
// the others.
func (m *Model) notePlan(apps, stopped []string) {
	for _, app := range apps {
		if a := m.apps[app]; a != nil {
			a.stopped = 0
		}
	}
	for _, app := range stopped {
		if a := m.apps[app]; a != nil {
			a.stopped = m.now
		}
	}
}

// notePods notes that IDs are pods, so that their containers' events cost no
// read. What is known as an app is not believed to be a pod until it is gone.
func (m *Model) notePods(pods []string, at time.Time) {
	for _, id := range pods {
		if m.apps[id] == nil {
			m.noteGone(id, goneEntry{asked: m.now, at: at, wasApp: m.gone[id].wasApp})
		}
	}
}

// applyGroup reads the apps that the plan of this version named: only now does
// REST show the change.
func (m *Model) applyGroup(version string, out *Effects) {
	p, known := m.deployments[version]
	if !known {
		out.Resync = "a change of unknown apps"
		return
	}
	m.read(p.apps, out)
	if len(p.apps) == 0 {
		m.read(sortedKeys(m.failed), out)
	}
}

// noteFailed notes what a failed deployment was about. It may be rolled back by a plan
// that has nothing to start or stop, and so names no app: what ran was never
// more than the definition.
func (m *Model) noteFailed(e marathon.DeploymentEnded) {
	if !e.Failed {
		return
	}
	for _, app := range e.Apps {
		m.failed[app] = m.now
	}
}

// read asks for apps, but for those that an option leaves out; before the first snapshot is
// in, it waits for that.
func (m *Model) read(apps []string, out *Effects) {
	for _, app := range apps {
		switch {
		case m.tr.Shaping.LeavesOut(app) != "":
		case m.ready:
			out.Read = append(out.Read, app)
		default:
			m.deferred[app] = m.now
		}
	}
}

// applyLeftOut takes in an event of a task whose app an option leaves out: that it has ended
// counts for what was registered of it before.
func (m *Model) applyLeftOut(t marathon.Task, at time.Time, out *Effects) {
	if t.State.Phase() != marathon.Ended {
		return
	}
	m.ended[t.ID] = tombstone{heard: m.now, at: at}
	if m.ready {
		out.Tasks = append(out.Tasks, TaskRef{Task: t.ID, App: t.AppID, Host: t.Host, Services: 1, Quiet: true})
	}
}

// applyTask takes one task event into the model. Final states always win, in
// whatever order one task's events arrive.
func (m *Model) applyTask(t marathon.Task, at time.Time, out *Effects) {
	phase := t.State.Phase()
	if phase == marathon.Ended {
		m.end(t, at, out)
		return
	}
	_, ended := m.ended[t.ID]
	a := m.app(t.AppID)
	switch {
	case !m.ready || m.noApp(t.AppID): // a pod, or a late event of an app that is gone
	case ended && a != nil:
		// Marathon before 1.4.7 starts tasks with persistent volumes again under their
		// old ID. An event may as well be a late one; only an answer can tell.
		out.ReadAgain = append(out.ReadAgain, t.AppID)
	case ended || phase == marathon.Pending || phase == marathon.Unrecognised:
	case a == nil:
		// The answer has the task: REST is never behind a status.
		out.ReadUnprompted = append(out.ReadUnprompted, t.AppID)
	case phase == marathon.Away:
		m.lose(t, out)
	default:
		m.runs(a, t, out)
	}
}

// noApp reports whether an ID is known to be none of an app.
func (m *Model) noApp(id string) bool {
	gone, known := m.gone[id]
	return known && !gone.mayExist
}

// end remembers that a task has ended. That of what was never an app (a pod's
// container) is remembered too, for an answer on its way may make it one.
func (m *Model) end(t marathon.Task, at time.Time, out *Effects) {
	if known := m.tasks[t.ID]; known != nil && known.again {
		out.ReadAgain = append(out.ReadAgain, t.AppID) // it may be about the earlier task
		if t.State == marathon.TaskKilling {
			return
		}
	}
	m.ended[t.ID] = tombstone{heard: m.now, at: at, killing: m.killing(t, at)}
	t = m.located(t)
	was := m.tasks[t.ID]
	if was == nil {
		was = m.unheard(t)
	}
	m.forget(t.ID)
	if gone, isNone := m.gone[t.AppID]; m.ready && (!isNone || gone.wasApp) {
		out.addEnded(t, was, m)
	}
	if a := m.app(t.AppID); a != nil && a.mixed {
		m.claim(a, m.now, out)
	}
}

// killing returns since when a task that is known to have ended, or is heard or read to have
// now, is being killed, and zero if it has ended.
func (m *Model) killing(t marathon.Task, at time.Time) time.Time {
	stone, known := m.ended[t.ID]
	switch {
	case t.State != marathon.TaskKilling:
		return time.Time{}
	case known:
		return stone.killing
	default:
		return at
	}
}

// located returns the task of an event that ends it on the host where its service
// is: such events may have none, "unknown" or, before 1.4.7, an earlier one.
func (m *Model) located(t marathon.Task) marathon.Task {
	if known := m.tasks[t.ID]; known != nil {
		t.Host = known.task.Host
	}
	return t
}

// lose marks a task whose agent was lost. Its event has no addresses, so what
// is known of the task otherwise stays.
func (m *Model) lose(t marathon.Task, out *Effects) {
	known := m.tasks[t.ID]
	if known == nil {
		m.put(t)
		known = m.tasks[t.ID]
	}
	m.setLost(known)
	out.addTask(known)
}

// setLost marks a task as lost.
func (m *Model) setLost(t *taskEntry) {
	t.lost = true
	m.uncount(t)
}

// runs takes a running task into the model, and has the labels of its app brought up to
// date. A version that is neither the app's nor known means that the app has changed
// unheard, or will have; an address that is missing may come with another answer.
func (m *Model) runs(a *appEntry, t marathon.Task, out *Effects) {
	m.put(t)
	out.addTask(m.tasks[t.ID])
	if len(a.app.Definition.Labels) > 0 && a.keyed() {
		out.Names = append(out.Names, a.name)
	}
	if w := m.Want(t.ID, ""); w.notYet() {
		out.ReadAgain = append(out.ReadAgain, t.AppID)
	}
	if a.app.Runs(t.Version) {
		return
	}
	m.claim(a, m.now, out)
	if _, known := m.definitions[Version{t.AppID, t.Version}]; !known {
		out.ReadUnprompted = append(out.ReadUnprompted, t.AppID)
	}
}

// put takes a task in as running. It is of one app, the last that claimed it.
func (m *Model) put(t marathon.Task) {
	before := m.tasks[t.ID]
	m.forget(t.ID)
	entry := &taskEntry{task: t, again: before != nil && before.again}
	m.tasks[t.ID] = entry
	if before != nil {
		entry.task.HealthCheckResults = before.task.HealthCheckResults
		m.setHealth(entry, before.health)
	}
	if a := m.apps[t.AppID]; a != nil {
		a.tasks[t.ID] = struct{}{}
	}
	m.place(entry)
}

// forget drops a task.
func (m *Model) forget(id string) {
	t := m.tasks[id]
	if t == nil {
		return
	}
	m.drop(id)
	if a := m.apps[t.task.AppID]; a != nil {
		delete(a.tasks, id)
	}
}

// drop takes a task out, but not out of its app.
func (m *Model) drop(id string) {
	t := m.tasks[id]
	if t == nil {
		return
	}
	delete(m.tasks, id)
	m.forgetInstance(t)
	m.unplace(t)
}

package desired

import (
	"time"

	"consular/marathon"
)

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
	a := m.app(t.AppID)
	if a != nil && a.mixed && m.reclaim(a, out) {
		m.nameTasks(a, out)
	}
	if a != nil && t.State == marathon.TaskKilling && m.mayBeFit(a) {
		out.ReadUnprompted, out.Awaited = append(out.ReadUnprompted, t.AppID), append(out.Awaited, t.AppID)
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

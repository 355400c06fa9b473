package desired

import "consular/marathon"

// Where tasks are, and what they run.

// shapeOf returns what the definition that a task runs is in Consul, with that definition;
// nil while it is not known. Of a version that Marathon has deleted that is the app's own.
func (m *Model) shapeOf(t marathon.Task) (*shape, marathon.Definition) {
	a := m.apps[t.AppID]
	if a == nil {
		return nil, marathon.Definition{}
	}
	if a.app.Runs(t.Version) {
		return a.shape, a.app.Definition
	}
	switch old, known := m.definitions[Version{t.AppID, t.Version}]; {
	case !known:
		return nil, marathon.Definition{}
	case old.gone:
		return a.shape, a.app.Definition
	default:
		return old.shape, old.Definition
	}
}

// gone reports whether Marathon has deleted the version that a task runs.
func (m *Model) versionGone(t marathon.Task) bool {
	a := m.apps[t.AppID]
	return a != nil && !a.app.Runs(t.Version) && m.definitions[Version{t.AppID, t.Version}].gone
}

// place notes where a task is, and how many services it should have. One whose definition
// leaves its app out is nowhere: its host may have no agent.
func (m *Model) place(t *taskEntry) {
	m.unplace(t)
	t.services = 1
	sh, _ := m.shapeOf(t.task)
	if sh != nil {
		t.services = int32(len(sh.services))
	}
	if t.out = sh != nil && sh.leftOut != "" && !m.versionGone(t.task); t.out {
		return
	}
	if m.onHost[t.task.Host] == nil {
		m.onHost[t.task.Host] = map[string]struct{}{}
	}
	m.onHost[t.task.Host][t.task.ID] = struct{}{}
	if !t.lost {
		m.count(t)
	}
}

// unplace takes back what place has noted.
func (m *Model) unplace(t *taskEntry) {
	m.uncount(t)
	if on := m.onHost[t.task.Host]; on != nil {
		delete(on, t.task.ID)
		if len(on) == 0 {
			delete(m.onHost, t.task.Host)
		}
	}
}

// count counts a task among those that run.
func (m *Model) count(t *taskEntry) {
	t.counted = true
	m.running.tasks++
	m.running.services += int(t.services)
	if t.health != nil && t.health.mirrored {
		m.running.mirrored += int(t.services)
	}
}

// uncount takes a task out of those that run.
func (m *Model) uncount(t *taskEntry) {
	if !t.counted {
		return
	}
	t.counted = false
	m.running.tasks--
	m.running.services -= int(t.services)
	if t.health != nil && t.health.mirrored {
		m.running.mirrored -= int(t.services)
	}
}

// recount makes a change that counts for a task's health.
func (m *Model) recount(t *taskEntry, change func()) {
	counted := t.counted
	m.uncount(t)
	change()
	if counted {
		m.count(t)
	}
}

// unheard is a task that was not known before its end.
func (m *Model) unheard(t marathon.Task) *taskEntry {
	entry := &taskEntry{task: t, services: 1}
	if sh, _ := m.shapeOf(t); sh != nil {
		entry.services, entry.out = int32(len(sh.services)), sh.leftOut != ""
	}
	return entry
}

// leaveOut notes that an option leaves an app out, if one does: nothing else is remembered
// of it.
func (m *Model) leaveOut(app string) bool {
	by := m.tr.Shaping.LeavesOut(app)
	if by == "" {
		return false
	}
	if _, known := m.leftOut[app]; !known && !m.tr.Shaping.NoKV {
		n := m.named(m.tr.ServiceName(app))
		n.keyless = with(n.keyless, app)
	}
	m.leftOut[app] = by
	m.forgetGone(app)
	return true
}

// letIn forgets an app that was left out, and is not there any more.
func (m *Model) letIn(app string) {
	if _, out := m.leftOut[app]; !out {
		return
	}
	delete(m.leftOut, app)
	name := m.tr.ServiceName(app)
	if n := m.names[name]; n != nil {
		n.keyless = without(n.keyless, app)
		m.unnamed(name)
	}
}

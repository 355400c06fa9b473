package desired

import (
	"maps"
	"slices"
	"time"

	"consular/marathon"
)

// BeginRead begins a read of Marathon and returns its ticket: from now on, events are
// journalled until ApplySnapshot, ApplyApp, ApplyNotFound or CancelRead ends it.
func (m *Model) BeginRead() Ticket {
	m.now++
	if m.journal.open == nil {
		m.journal.open = map[Ticket]bool{}
	}
	m.journal.open[m.now] = true
	return m.now
}

// CancelRead ends a read that had no answer.
func (m *Model) CancelRead(asked Ticket) { m.journal.close(asked) }

// ApplyApp takes in what GET /v2/apps/{id} said.
func (m *Model) ApplyApp(asked Ticket, app marathon.App, at time.Time) Effects {
	defer m.journal.close(asked)
	var out Effects
	m.applyApp(asked, app, at, &out)
	return out
}

// ApplyNotFound takes in that Marathon has no such app: its services and labels
// go, also while its last tasks still run.
func (m *Model) ApplyNotFound(asked Ticket, id string, at time.Time) Effects {
	defer m.journal.close(asked)
	var out Effects
	a := m.apps[id]
	if m.outdated(asked, id) {
		return out
	}
	gone := goneEntry{asked: asked, at: at, wasApp: a != nil || m.gone[id].wasApp}
	if a != nil {
		for _, task := range sortedKeys(a.tasks) {
			out.addTask(m.tasks[task])
		}
		out.Names = append(out.Names, a.name)
		m.dropApp(id, &out)
	}
	m.letIn(id)
	m.noteGone(id, gone)
	return out
}

// ApplyDefinition takes in the definition of an old version; gone when Marathon has
// deleted it.
func (m *Model) ApplyDefinition(v Version, def marathon.Definition, gone bool) Effects {
	var out Effects
	a := m.app(v.App)
	known := definition{Definition: def, gone: gone}
	switch {
	case gone:
	case a == nil:
		known.shape = m.tr.shape(v.App, def)
	default:
		known.Definition, known.shape = m.shaped(v.App, def, a.app.Definition, a.shape)
	}
	m.definitions[v] = known
	m.noteChecks(def)
	if a == nil {
		return out
	}
	all := m.reclaim(a, &out)
	for _, id := range sortedKeys(a.tasks) {
		t := m.tasks[id]
		if t.task.Version == v.Version {
			m.place(t)
			m.assess(a, t, a.asked)
		} else if !all {
			continue
		}
		out.addTask(t)
	}
	m.watch(a)
	m.noteTrouble(a)
	return out
}

// shaped returns a definition that shares what it can with another, and its shape: the
// other's, where tasks of both are the same in Consul.
func (m *Model) shaped(app string, d, other marathon.Definition, otherShape *shape) (marathon.Definition, *shape) {
	if otherShape != nil && d.Alike(other) {
		d.Labels, d.Ports = other.Labels, other.Ports
		return d, otherShape
	}
	d = d.Share(other)
	return d, m.tr.shape(app, d)
}

// applyApp makes an app what Marathon says it is, and replays onto it what was
// heard of its tasks later.
func (m *Model) applyApp(asked Ticket, app marathon.App, at time.Time, out *Effects) {
	old := m.apps[app.ID]
	if m.outdated(asked, app.ID) || m.leaveOut(app.ID) {
		return
	}
	m.forgetGone(app.ID)
	was := map[string]*taskEntry{}
	a := &appEntry{app: app, asked: asked, told: m.now, explained: explains(app, app.Tasks), tasks: make(map[string]struct{}, len(app.Tasks)), ready: map[marathon.ReadinessCheckResult]struct{}{}}
	for _, r := range app.ReadinessCheckResults {
		a.ready[r] = struct{}{}
	}
	a.app.Tasks, a.app.ReadinessCheckResults = nil, nil
	relabelled := m.become(a, old)
	if old != nil {
		for id := range old.tasks {
			was[id] = m.tasks[id]
			m.drop(id)
		}
	}
	m.apps[app.ID] = a
	for _, t := range app.Tasks {
		m.listTask(asked, t, at)
	}
	contradicted := m.replay(m.journal.after(asked, app.ID))
	if old != nil && old.told >= asked {
		contradicted = m.keepTold(a, was) || contradicted
	}
	if contradicted {
		out.ReadAgain = append(out.ReadAgain, app.ID)
	}
	m.claim(a, asked, out)
	m.noteTrouble(a)
	m.noteHealth(a, old, was, at)
	m.compare(a, was, out)
	if relabelled {
		out.Names = append(out.Names, a.name)
	}
}

// keepTold keeps the tasks of a former answer that came while this one was on its way, and reports
// whether this one omits any: which of the two is the younger nobody can tell.
func (m *Model) keepTold(a *appEntry, was map[string]*taskEntry) (kept bool) {
	for _, id := range sortedKeys(was) {
		_, ended := m.ended[id]
		if ended || m.tasks[id] != nil {
			continue
		}
		m.put(was[id].task)
		if was[id].lost {
			m.setLost(m.tasks[id])
		}
		kept, a.explained = true, false
	}
	return kept
}

// become makes an app what an answer says, with all that it has in common with what it was,
// and reports whether its labels may have changed.
func (m *Model) become(a, old *appEntry) (relabelled bool) {
	if a.app.Definition.Labels == nil {
		a.app.Definition.Labels = a.app.Labels
	}
	if old == nil {
		a.name, a.shape = m.tr.ServiceName(a.app.ID), m.tr.shape(a.app.ID, a.app.Definition)
		return true
	}
	if old.stopped > a.asked {
		a.stopped = old.stopped
	}
	a.name, a.claims = old.name, old.claims
	labels := a.app.Definition.Labels
	a.app.Definition, a.shape = m.shaped(a.app.ID, a.app.Definition, old.app.Definition, old.shape)
	a.app.Labels = a.app.Definition.Labels
	return old.unreadable || !old.missing.IsZero() || a.shape != old.shape && !maps.Equal(old.app.Definition.Labels, labels)
}

// outdated reports whether an answer that was asked for later has told of the
// app already, or of there being none.
func (m *Model) outdated(asked Ticket, app string) bool {
	a := m.apps[app]
	return asked < m.snapshot || a != nil && a.asked > asked || m.gone[app].asked > asked
}

// listTask takes in one task of an answer. One that has ended is remembered like an
// ended one that was heard of: REST may run ahead of the stream. One in a state
// that we do not know is there, and Want leaves it alone.
func (m *Model) listTask(asked Ticket, t marathon.Task, at time.Time) {
	if stone, ended := m.ended[t.ID]; ended {
		if asked < stone.heard || t.State.Phase() != marathon.Running {
			stone.listed = asked
			if t.State.Phase() == marathon.Ended {
				stone.killing = m.killing(t, at)
			}
			m.ended[t.ID] = stone
			return
		}
		// REST is never behind a status: the same ID lives again.
		delete(m.ended, t.ID)
		m.put(t)
		m.tasks[t.ID].again = true
		return
	}
	switch t.State.Phase() {
	case marathon.Running, marathon.Unrecognised:
		m.put(t)
	case marathon.Away:
		m.put(t)
		m.setLost(m.tasks[t.ID])
	case marathon.Ended:
		m.ended[t.ID] = tombstone{heard: asked, at: at, listed: asked, killing: m.killing(t, at)}
	}
}

// replay lets what was heard after the question was asked stand against the
// answer, and reports whether that contradicts it: then one more read settles
// it. Final states have won already.
func (m *Model) replay(later []taskEvent) (contradicted bool) {
	for _, e := range later {
		listed := m.tasks[e.task.ID]
		stone, ended := m.ended[e.task.ID]
		switch {
		case ended:
			// What is not final and comes after the end may be of a new life.
			contradicted = contradicted || e.at > stone.heard && e.task.State.Phase() != marathon.Ended
		case e.running() && (listed == nil || !listed.running()):
			m.put(e.task)
			contradicted = true
		case e.running():
			listed.task.Addresses = longer(listed.task.Addresses, e.task.Addresses)
			listed.task.Ports = longer(listed.task.Ports, e.task.Ports)
		case e.task.State.Phase() == marathon.Away && listed != nil && !listed.lost:
			m.setLost(listed)
			contradicted = true
		}
	}
	return contradicted
}

// longer returns what tells more: an answer that was asked for before a task got its
// address does not have it.
func longer[T any](answered, heard []T) []T {
	if len(heard) > len(answered) {
		return heard
	}
	return answered
}

// explains reports whether an answer about an app says what became of tasks that it
// omits: it lists as many in service as there should be. In service is what runs and,
// where the app has health checks, has been found healthy by all of them.
func explains(app marathon.App, tasks []marathon.Task) bool {
	inService := 0
	for _, t := range tasks {
		healthy := !slices.ContainsFunc(t.HealthCheckResults, func(r marathon.HealthCheckResult) bool { return !r.Alive })
		if t.State.Phase() == marathon.Running && healthy && len(t.HealthCheckResults) >= len(app.Definition.HealthChecks) {
			inService++
		}
	}
	return inService >= app.Instances
}

// compare finds what an answer has changed about an app's tasks: all that are
// listed or were, for a new definition can change any of them.
func (m *Model) compare(a *appEntry, was map[string]*taskEntry, out *Effects) {
	for _, id := range sortedKeys(was) {
		if m.tasks[id] == nil {
			out.addTask(was[id])
		}
	}
	asked := map[string]bool{}
	for _, id := range sortedKeys(a.tasks) {
		t := m.tasks[id].task
		out.addTask(m.tasks[id])
		out.noteHealth(m.tasks[id])
		old, known := m.definitions[Version{t.AppID, t.Version}]
		if known && !old.gone || asked[t.Version] || a.app.Runs(t.Version) {
			continue
		}
		asked[t.Version] = true
		out.Definitions = append(out.Definitions, Version{t.AppID, t.Version})
	}
}

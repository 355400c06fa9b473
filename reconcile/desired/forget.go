package desired

import (
	"time"

	"consular/marathon"
)

// dropUnlisted drops the apps that a snapshot omits and that an event has announced as
// stopped. The others are merely missing: their tasks are no more, and all else waits
// for Marathon's own answer about them.
func (m *Model) dropUnlisted(asked Ticket, listed map[string]bool, at time.Time, out *Effects) {
	for id := range m.leftOut {
		if !listed[id] {
			m.letIn(id)
		}
	}
	for _, id := range sortedKeys(m.apps) {
		a := m.apps[id]
		switch {
		case listed[id] || a.asked > asked:
		case a.stopped > 0:
			m.dropApp(id, out)
			m.noteGone(id, goneEntry{asked: asked, at: at, wasApp: true})
		case a.missing.IsZero():
			for task := range a.tasks {
				m.drop(task)
			}
			// What it was said to be is over; what it is named stays.
			known := m.nothingKnown(id)
			known.asked, known.claims, known.missing = a.asked, a.claims, at
			m.apps[id] = known
			m.noteTrouble(known)
			for _, name := range with(known.claims, known.name) {
				if n := m.names[name]; n != nil {
					m.askMissing(&n.services, out)
					m.askMissing(&n.keys, out)
				}
			}
		}
	}
}

// NoteMissing notes apps that services of ours name and that Marathon has not told of:
// the keys of their names are theirs, and wait for the answer about them.
func (m *Model) NoteMissing(apps []string, at time.Time) {
	for _, id := range apps {
		if _, gone := m.gone[id]; m.apps[id] == nil && !gone && m.tr.Shaping.LeavesOut(id) == "" {
			a := m.nothingKnown(id)
			a.missing = at
			m.apps[id] = a
			m.claim(a, 0, &Effects{})
		}
	}
}

// nothingKnown is an app of which only the ID is known.
func (m *Model) nothingKnown(id string) *appEntry {
	return &appEntry{app: marathon.App{ID: id}, name: m.tr.ServiceName(id), tasks: map[string]struct{}{}}
}

// missingLife is how long a missing app is remembered at least.
const missingLife = 24 * time.Hour

// ForgetMissing forgets apps that went missing long ago and have no keys, when keys are
// all that there are below the prefix. While there is one, to forget its app would be to
// take it for nobody's.
func (m *Model) ForgetMissing(named func(name string) bool, now time.Time) {
	for id, a := range m.apps {
		if !a.missing.IsZero() && now.Sub(a.missing) > missingLife && !named(a.name) {
			m.dropApp(id, &Effects{})
		}
	}
}

// noteGone remembers that an ID is no app.
func (m *Model) noteGone(id string, gone goneEntry) {
	m.forgetGone(id)
	m.gone[id] = gone
	if gone.wasApp {
		m.goneNames[m.tr.ServiceName(id)] = id
	}
}

// forgetGone knows nothing of an ID any more.
func (m *Model) forgetGone(id string) {
	if name := m.tr.ServiceName(id); m.goneNames[name] == id {
		delete(m.goneNames, name)
	}
	delete(m.gone, id)
}

// recheckGone doubts what was known to be no app before a snapshot: events that
// named it may have been missed. Long after, it is forgotten.
func (m *Model) recheckGone(asked Ticket, at time.Time) {
	for id, gone := range m.gone {
		switch {
		case gone.asked >= asked:
		case at.Sub(gone.at) >= tombstoneLife:
			m.forgetGone(id)
		default:
			gone.mayExist = true
			m.gone[id] = gone
		}
	}
}

// dropApp drops an app and its tasks. out is told of what others get back.
func (m *Model) dropApp(id string, out *Effects) {
	a := m.apps[id]
	for task := range a.tasks {
		m.drop(task)
	}
	delete(m.troubled, id)
	delete(m.watched, id)
	m.disclaim(a, out)
	delete(m.apps, id)
}

// dropTombstones forgets ended tasks that a snapshot asked for later omits, and
// that ended long enough ago for no late event to come.
func (m *Model) dropTombstones(asked Ticket, at time.Time) {
	for id, t := range m.ended {
		if t.listed < asked && t.heard < asked && at.Sub(t.at) >= tombstoneLife {
			delete(m.ended, id)
		}
	}
}

// dropDefinitions forgets old definitions that no task runs any more.
func (m *Model) dropDefinitions() {
	for v := range m.definitions {
		a := m.apps[v.App]
		used := false
		if a != nil {
			for id := range a.tasks {
				used = used || m.tasks[id].task.Version == v.Version
			}
		}
		if !used {
			delete(m.definitions, v)
		}
	}
}

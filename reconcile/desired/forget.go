package desired

import (
	"slices"
	"time"

	"consular/marathon"
)

// dropUnlisted drops the apps that a snapshot omits. Those that an event has
// announced as stopped are known to be gone; the others are merely missing.
func (m *Model) dropUnlisted(asked Ticket, listed map[string]bool, at time.Time) {
	for _, id := range sortedKeys(m.apps) {
		a := m.apps[id]
		if listed[id] || a.asked > asked {
			continue
		}
		if a.stopped > 0 {
			m.noteGone(id, goneEntry{asked: asked, at: at, wasApp: true})
		} else {
			m.missing.add(id, at)
		}
		m.dropApp(id)
	}
}

// noteGone remembers that an ID is no app.
func (m *Model) noteGone(id string, gone goneEntry) {
	m.forgetGone(id)
	gone.wasApp = m.missing.remove(id) || gone.wasApp
	m.gone[id] = gone
	if gone.wasApp {
		name := ServiceName(id)
		m.goneNames[name] = append(m.goneNames[name], id)
	}
}

// forgetGone knows nothing of an ID any more.
func (m *Model) forgetGone(id string) {
	if m.gone[id].wasApp {
		name := ServiceName(id)
		m.goneNames[name] = slices.DeleteFunc(m.goneNames[name], func(other string) bool { return other == id })
		if len(m.goneNames[name]) == 0 {
			delete(m.goneNames, name)
		}
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

// dropApp drops an app and its tasks.
func (m *Model) dropApp(id string) {
	for task := range m.apps[id].tasks {
		m.drop(task)
	}
	delete(m.apps, id)
	m.unnameApp(id)
}

// dropTombstones forgets ended tasks that a snapshot asked for later omits, and
// that ended long enough ago for no late event to come.
func (m *Model) dropTombstones(asked Ticket, s marathon.Snapshot, at time.Time) {
	listed := map[string]bool{}
	for i := range s.Apps {
		for _, t := range s.Apps[i].Tasks {
			if _, ended := m.ended[t.ID]; ended {
				listed[t.ID] = true
			}
		}
	}
	for id, t := range m.ended {
		if !listed[id] && t.heard < asked && at.Sub(t.at) >= tombstoneLife {
			delete(m.ended, id)
		}
	}
}

// dropDefinitions forgets old definitions that no task runs any more.
func (m *Model) dropDefinitions() {
	used := map[Version]bool{}
	for _, t := range m.tasks {
		used[Version{t.task.AppID, t.task.Version}] = true
	}
	for v := range m.definitions {
		if !used[v] {
			delete(m.definitions, v)
		}
	}
}

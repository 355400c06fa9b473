package desired

import (
	"maps"
	"slices"
	"time"

	"consular/marathon"
)

// Locked runs one piece of a longer work while nobody else uses the model. In between
// others may: events must never wait for all of it.
type Locked func(piece func())

// Alone is Locked for a model that nobody else uses.
func Alone(piece func()) { piece() }

// ApplySnapshot takes a complete snapshot in, app by app: all but what was asked for
// later than it. It replays onto it what was heard meanwhile. Its effects are what the
// replay leaves open; comparing all else with Consul is the resync's business.
func (m *Model) ApplySnapshot(asked Ticket, s marathon.Snapshot, at time.Time, locked Locked) Effects {
	out := Effects{noTasks: true}
	outdated := false
	locked(func() {
		if outdated = asked < m.snapshot; !outdated {
			m.snapshot = asked
		}
	})
	listed := map[string]bool{}
	for i := range s.Apps {
		listed[s.Apps[i].ID] = true
		locked(func() { m.applyApp(asked, s.Apps[i], at, &out) })
	}
	locked(func() {
		defer m.journal.close(asked)
		if !outdated {
			m.endSnapshot(asked, s.Unreadable, listed, at, &out)
		}
	})
	return Effects{Read: out.Read, ReadUnprompted: out.ReadUnprompted, ReadAgain: out.ReadAgain, Definitions: out.Definitions}
}

// endSnapshot takes in what a snapshot omits, and forgets what it has settled.
func (m *Model) endSnapshot(asked Ticket, unreadable []marathon.Unreadable, listed map[string]bool, at time.Time, out *Effects) {
	m.ready, m.unidentified = true, false
	maps.DeleteFunc(m.failed, func(_ string, heard Ticket) bool { return heard < asked })
	for _, u := range unreadable {
		listed[u.ID] = true
		m.unreadable(asked, u.ID, out)
	}
	m.dropUnlisted(asked, listed, at, out)
	m.dropTombstones(asked, at)
	m.dropDefinitions()
	m.recountChecks()
	m.readUnheard(asked, out)
	m.recheckGone(asked, at)
}

// readUnheard asks for what a snapshot could not know: apps whose change was
// heard of, or whose task was seen to run, only after it was asked for.
func (m *Model) readUnheard(asked Ticket, out *Effects) {
	for _, app := range sortedKeys(m.deferred) {
		if m.deferred[app] > asked {
			out.Read = append(out.Read, app)
		}
	}
	clear(m.deferred)
	for _, app := range sortedKeys(m.journal.events) {
		if m.app(app) == nil && !m.noApp(app) && slices.ContainsFunc(m.journal.after(asked, app), taskEvent.running) {
			out.ReadUnprompted = append(out.ReadUnprompted, app)
		}
	}
}

// unreadable notes that an app is there, but not what it is.
func (m *Model) unreadable(asked Ticket, id string, out *Effects) {
	if id == "" {
		m.unidentified = true
		return
	}
	if m.outdated(asked, id) || m.leaveOut(id) {
		return
	}
	a := m.apps[id]
	if a == nil {
		a = m.nothingKnown(id)
		m.apps[id] = a
	}
	m.forgetGone(id)
	a.asked, a.unreadable, a.missing = asked, true, time.Time{}
	m.claim(a, asked, out)
}

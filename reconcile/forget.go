package reconcile

import (
	"slices"
	"time"

	"consular/marathon"
)

// dropUnlisted drops the apps that a snapshot omits. Those that an event has
// announced as stopped are known to be gone; the others are merely missing.
func (d *Desired) dropUnlisted(asked Ticket, listed map[string]bool, at time.Time) {
	for _, id := range sortedKeys(d.apps) {
		a := d.apps[id]
		if listed[id] || a.asked > asked {
			continue
		}
		if a.stopped > 0 {
			d.noteGone(id, goneEntry{asked: asked, at: at, wasApp: true})
		} else {
			d.missing.add(id, at)
		}
		d.dropApp(id)
	}
}

// noteGone remembers that an ID is no app.
func (d *Desired) noteGone(id string, gone goneEntry) {
	d.forgetGone(id)
	gone.wasApp = d.missing.remove(id) || gone.wasApp
	d.gone[id] = gone
	if gone.wasApp {
		name := ServiceName(id)
		d.goneNames[name] = append(d.goneNames[name], id)
	}
}

// forgetGone knows nothing of an ID any more.
func (d *Desired) forgetGone(id string) {
	if d.gone[id].wasApp {
		name := ServiceName(id)
		d.goneNames[name] = slices.DeleteFunc(d.goneNames[name], func(other string) bool { return other == id })
		if len(d.goneNames[name]) == 0 {
			delete(d.goneNames, name)
		}
	}
	delete(d.gone, id)
}

// doubtGone doubts what was known to be no app before a snapshot: events that
// named it may have been missed. Long after, it is forgotten.
func (d *Desired) doubtGone(asked Ticket, at time.Time) {
	for id, gone := range d.gone {
		switch {
		case gone.asked >= asked:
		case at.Sub(gone.at) >= tombstoneLife:
			d.forgetGone(id)
		default:
			gone.doubtful = true
			d.gone[id] = gone
		}
	}
}

// dropApp drops an app and its tasks.
func (d *Desired) dropApp(id string) {
	for task := range d.apps[id].tasks {
		d.drop(task)
	}
	delete(d.apps, id)
	d.unnameApp(id)
}

// dropTombstones forgets ended tasks that a snapshot asked for later omits, and
// that ended long enough ago for no late event to come.
func (d *Desired) dropTombstones(asked Ticket, s marathon.Snapshot, at time.Time) {
	listed := map[string]bool{}
	for i := range s.Apps {
		for _, t := range s.Apps[i].Tasks {
			if _, ended := d.ended[t.ID]; ended {
				listed[t.ID] = true
			}
		}
	}
	for id, t := range d.ended {
		if !listed[id] && t.heard < asked && at.Sub(t.at) >= tombstoneLife {
			delete(d.ended, id)
		}
	}
}

// dropDefinitions forgets old definitions that no task runs any more.
func (d *Desired) dropDefinitions() {
	used := map[Version]bool{}
	for _, t := range d.tasks {
		used[Version{t.task.AppID, t.task.Version}] = true
	}
	for v := range d.definitions {
		if !used[v] {
			delete(d.definitions, v)
		}
	}
}

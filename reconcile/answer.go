package reconcile

import (
	"maps"
	"slices"
	"time"

	"consular/marathon"
)

// Ask begins a read of Marathon and returns its ticket: from now on, events are
// journalled until Replace, Answer, AnswerGone or Abandon ends it.
func (d *Desired) Ask() Ticket {
	d.now++
	if d.journal.open == nil {
		d.journal.open = map[Ticket]bool{}
	}
	d.journal.open[d.now] = true
	return d.now
}

// Abandon ends a read that had no answer.
func (d *Desired) Abandon(asked Ticket) { d.journal.close(asked) }

// Replace takes a complete snapshot in, all but what was asked for later than
// it, and replays onto it what was heard meanwhile. Its effects are what the
// replay leaves open; comparing all else with Consul is the resync's business.
func (d *Desired) Replace(asked Ticket, s marathon.Snapshot, at time.Time) Effects {
	defer d.journal.close(asked)
	if asked < d.snapshot {
		return Effects{}
	}
	d.ready = true
	d.snapshot = asked
	d.nameless = false
	maps.DeleteFunc(d.failed, func(_ string, heard Ticket) bool { return heard < asked })
	later := d.journal.after(asked)
	listed := map[string]bool{}
	var out Effects
	for i := range s.Apps {
		id := s.Apps[i].ID
		listed[id] = true
		d.answer(asked, s.Apps[i], later[id], at, &out)
	}
	for _, u := range s.Unreadable {
		listed[u.ID] = true
		d.unreadable(asked, u.ID)
	}
	d.dropUnlisted(asked, listed, at)
	d.dropTombstones(asked, s, at)
	d.dropDefinitions()
	d.readUnheard(asked, later, &out)
	d.doubtGone(asked, at)
	return Effects{Read: out.Read, ReadStrange: out.ReadStrange, ReadAgain: out.ReadAgain, Definitions: out.Definitions}
}

// readUnheard asks for what a snapshot could not know: apps whose change was
// heard of, or whose task was seen to run, only after it was asked for.
func (d *Desired) readUnheard(asked Ticket, later map[string][]heard, out *Effects) {
	for _, app := range sortedKeys(d.deferred) {
		if d.deferred[app] > asked {
			out.Read = append(out.Read, app)
		}
	}
	clear(d.deferred)
	for _, app := range sortedKeys(later) {
		if d.apps[app] == nil && !d.noApp(app) && slices.ContainsFunc(later[app], heard.running) {
			out.ReadStrange = append(out.ReadStrange, app)
		}
	}
}

// Answer takes in what GET /v2/apps/{id} said.
func (d *Desired) Answer(asked Ticket, app marathon.App, at time.Time) Effects {
	defer d.journal.close(asked)
	var out Effects
	d.answer(asked, app, d.journal.after(asked)[app.ID], at, &out)
	return out
}

// AnswerGone takes in that Marathon has no such app: its services and labels
// go, also while its last tasks still run.
func (d *Desired) AnswerGone(asked Ticket, id string, at time.Time) Effects {
	defer d.journal.close(asked)
	var out Effects
	a := d.apps[id]
	if d.outdated(asked, id) {
		return out
	}
	gone := goneEntry{asked: asked, at: at, wasApp: a != nil || d.gone[id].wasApp}
	if a != nil {
		for _, task := range sortedKeys(a.tasks) {
			out.touch(d.tasks[task].task)
		}
		d.dropApp(id)
		d.release(ServiceName(id), &out)
	}
	d.noteGone(id, gone)
	return out
}

// release names what one app's going gives back to another of the same name.
func (d *Desired) release(name string, out *Effects) {
	out.Names = append(out.Names, name)
	if apps := d.names[name]; len(apps) == 1 {
		for _, task := range sortedKeys(d.apps[apps[0]].tasks) {
			out.touch(d.tasks[task].task)
		}
	}
}

// Define takes in the definition of an old version; gone when Marathon has
// deleted it.
func (d *Desired) Define(v Version, def marathon.Definition, gone bool) Effects {
	d.definitions[v] = definition{Definition: def, gone: gone}
	var out Effects
	if a := d.apps[v.App]; a != nil {
		for _, id := range sortedKeys(a.tasks) {
			if t := d.tasks[id].task; t.Version == v.Version {
				out.touch(t)
			}
		}
	}
	return out
}

// answer makes an app what Marathon says it is, and replays onto it what was
// heard of its tasks later.
func (d *Desired) answer(asked Ticket, app marathon.App, later []heard, at time.Time, out *Effects) {
	old := d.apps[app.ID]
	if d.outdated(asked, app.ID) {
		return
	}
	d.forgetGone(app.ID)
	d.missing.remove(app.ID)
	was := map[string]*taskEntry{}
	since := asked
	if old != nil {
		since = old.since
		for id := range old.tasks {
			was[id] = d.tasks[id]
			d.drop(id)
		}
	}
	tasks := app.Tasks
	app.Tasks = nil
	a := &appEntry{app: app, asked: asked, since: since, tasks: map[string]struct{}{}}
	if old != nil && old.stopped > asked {
		a.stopped = old.stopped
	}
	d.apps[app.ID] = a
	d.nameApp(app.ID)
	for _, t := range tasks {
		d.list(asked, t, at)
	}
	if d.replay(later) {
		out.ReadAgain = append(out.ReadAgain, app.ID)
	}
	d.compare(a, was, out)
	if old == nil || old.unreadable || !maps.Equal(old.app.Labels, app.Labels) {
		out.Names = append(out.Names, ServiceName(app.ID))
	}
}

// outdated reports whether an answer that was asked for later has told of the
// app already, or of there being none.
func (d *Desired) outdated(asked Ticket, app string) bool {
	a := d.apps[app]
	return asked < d.snapshot || a != nil && a.asked > asked || d.gone[app].asked > asked
}

// list takes in one task of an answer. One that has ended is remembered like an
// ended one that was heard of: REST may run ahead of the stream. One in a state
// that we do not know is there, and Look leaves it alone.
func (d *Desired) list(asked Ticket, t marathon.Task, at time.Time) {
	if _, ended := d.ended[t.ID]; ended {
		return
	}
	switch t.State.Phase() {
	case marathon.Running, marathon.Unrecognised:
		d.put(t)
	case marathon.Away:
		d.put(t)
		d.tasks[t.ID].away = true
	case marathon.Ended:
		d.ended[t.ID] = tombstone{heard: asked, at: at}
	}
}

// replay lets what was heard after the question was asked stand against the
// answer, and reports whether that contradicts it: then one more read settles
// it. Final states have won already.
func (d *Desired) replay(later []heard) (contradicted bool) {
	for _, h := range later {
		listed := d.tasks[h.task.ID]
		_, ended := d.ended[h.task.ID]
		switch {
		case ended:
		case h.running() && (listed == nil || !listed.running()):
			d.put(h.task)
			contradicted = true
		case h.task.State.Phase() == marathon.Away && listed != nil && !listed.away:
			listed.away = true
			contradicted = true
		}
	}
	return contradicted
}

// compare finds what an answer has changed about an app's tasks: all that are
// listed or were, for a new definition can change any of them.
func (d *Desired) compare(a *appEntry, was map[string]*taskEntry, out *Effects) {
	for _, id := range sortedKeys(was) {
		if d.tasks[id] == nil {
			out.touch(was[id].task)
		}
	}
	asked := map[string]bool{}
	for _, id := range sortedKeys(a.tasks) {
		t := d.tasks[id].task
		out.touch(t)
		old, known := d.definitions[Version{t.AppID, t.Version}]
		if known && !old.gone || asked[t.Version] || a.app.Runs(t.Version) {
			continue
		}
		asked[t.Version] = true
		out.Definitions = append(out.Definitions, Version{t.AppID, t.Version})
	}
}

// unreadable notes that an app is there, but not what it is.
func (d *Desired) unreadable(asked Ticket, id string) {
	if id == "" {
		d.nameless = true
		return
	}
	if d.outdated(asked, id) {
		return
	}
	a := d.apps[id]
	if a == nil {
		a = &appEntry{app: marathon.App{ID: id}, since: asked, tasks: map[string]struct{}{}}
		d.apps[id] = a
	}
	d.forgetGone(id)
	d.missing.remove(id)
	d.nameApp(id)
	a.asked, a.unreadable = asked, true
}

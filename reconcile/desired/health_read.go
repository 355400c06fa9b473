package desired

import (
	"slices"
	"time"

	"consular/marathon"
)

// Which apps have to be read again so that a verdict is found. Nearly always an event
// gives it. None does when a task was launched again and its first probe succeeds, when
// an event was lost, and for readiness checks.

const (
	// hintPause is between two reads of an app for which events have given cause.
	hintPause = time.Second
	// soonest and seldomest bound the time between reads until there is a verdict.
	soonest, seldomest = 5 * time.Second, 5 * time.Minute
	// readySoonest is that for readiness checks.
	readySoonest = time.Second
)

// watch is an app that is to be read for the health of its tasks.
type watch struct {
	// due is when, by our clock; zero for not.
	due time.Time
	// hinted is set when an event alone is cause enough.
	hinted bool
	// read is when it was last asked for, and pause the time to the next one while
	// there is no verdict.
	read  time.Time
	pause time.Duration
}

// hint wants an app read because of an event: at once, or some time after the last read.
func (m *Model) hint(app string) {
	w := m.due(app, m.at)
	w.hinted = true
	if next := w.read.Add(hintPause); w.due.Before(next) {
		w.due = next
	}
}

// due wants an app looked at at some time at the latest.
func (m *Model) due(app string, at time.Time) *watch {
	if m.watched == nil {
		m.watched = map[string]*watch{}
	}
	w := m.watched[app]
	if w == nil {
		w = &watch{}
		m.watched[app] = w
	}
	if w.due.IsZero() || at.Before(w.due) {
		w.due = at
	}
	if m.nextDue.IsZero() || at.Before(m.nextDue) {
		m.nextDue = at
	}
	return w
}

// watch wants an app read when a verdict on one of its tasks should be there, of which
// perhaps no event tells. An answer about it has just been taken in.
func (m *Model) watch(a *appEntry) {
	if w := m.watched[a.app.ID]; w != nil && !w.hinted {
		w.due = time.Time{}
	}
	waits := false
	for id := range a.tasks {
		if next := m.nextRead(a, m.tasks[id]); !next.IsZero() {
			waits = true
			m.due(a.app.ID, next)
		}
	}
	if !waits {
		m.hurry(a.app.ID)
	}
}

// hurry lets the next wait for a verdict on one of an app's tasks be as short as the first: how
// long others took says nothing of it.
func (m *Model) hurry(app string) {
	if w := m.watched[app]; w != nil {
		w.pause = 0
	}
}

// nextRead returns when an app is to be read for one of its tasks; zero for not.
func (m *Model) nextRead(a *appEntry, t *taskEntry) time.Time {
	h := t.health
	if h == nil || !t.running() || h.doubt == 0 && !h.silent() && !h.unready {
		return time.Time{}
	}
	d, _, known := m.healthDefinition(t)
	if !known {
		return time.Time{}
	}
	interval := soonest
	for _, c := range d.HealthChecks {
		interval = max(interval, c.Interval)
	}
	switch {
	case h.doubt > 0:
		return m.at.Add(hintPause)
	case h.unready:
		ready := d.ReadinessChecks[0].Interval
		for _, c := range d.ReadinessChecks {
			ready = min(ready, c.Interval)
		}
		return m.at.Add(max(ready, readySoonest))
	case h.unannounced(t):
		return m.at.Add(max(interval, m.pauseOf(a.app.ID)))
	default: // that no event has told of a verdict is seen then
		return m.at.Add(max(m.left(h, d), soonest))
	}
}

// unannounced reports whether the first verdict on a task may come without an event, or
// should have come.
func (h *health) unannounced(t *taskEntry) bool {
	return h.old || h.inherited || incarnation(t.task.ID) > 1
}

// left is for how long a task may still be starting.
func (m *Model) left(h *health, d marathon.Definition) time.Duration {
	return startingAge(d) - m.theirs().Sub(h.since)
}

func (m *Model) pauseOf(app string) time.Duration {
	if w := m.watched[app]; w != nil {
		return w.pause
	}
	return 0
}

// HealthReads returns the apps that are to be read now for the health of their tasks, and
// when the next one is: zero for never. What it returns counts as asked for.
func (m *Model) HealthReads(now time.Time) (apps []string, next time.Time) {
	if m.nextDue.IsZero() || now.Before(m.nextDue) {
		return nil, m.nextDue
	}
	m.at = latest(m.at, now)
	for app, w := range m.watched {
		if !w.due.IsZero() && !now.Before(w.due) {
			apps = m.review(app, w, now, apps)
		}
		if !w.due.IsZero() && (next.IsZero() || w.due.Before(next)) {
			next = w.due
		}
	}
	m.nextDue = next
	slices.Sort(apps)
	return apps, next
}

// review has an app read if there is still cause for it. It is watched on when the answer
// is there.
func (m *Model) review(app string, w *watch, now time.Time, apps []string) []string {
	a := m.app(app)
	w.due = time.Time{}
	switch {
	case a == nil:
		delete(m.watched, app)
		return apps
	case !w.hinted && !m.overdue(a):
		if m.watch(a); w.due.IsZero() {
			delete(m.watched, app)
		}
		return apps
	case !w.hinted:
		w.pause = min(max(2*w.pause, soonest), seldomest)
	}
	w.hinted, w.read = false, now
	return append(apps, app)
}

// overdue reports whether a verdict on one of an app's tasks should be there, as far as no
// event may have told of it.
func (m *Model) overdue(a *appEntry) bool {
	for id := range a.tasks {
		t := m.tasks[id]
		h := t.health
		if h == nil || !t.running() {
			continue
		}
		d, _, _ := m.healthDefinition(t)
		if h.doubt > 0 || h.unready || h.silent() && (h.unannounced(t) || m.left(h, d) <= 0) {
			return true
		}
	}
	return false
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

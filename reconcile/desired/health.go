package desired

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"consular/consul"
	"consular/marathon"
)

// What Marathon has found out about the health of tasks. A verdict stays until Marathon
// gives another: one that has failed over has no results, and its saying nothing is no
// verdict.

// HealthMode says how the health of tasks comes to Consul.
type HealthMode string

const (
	// HealthMirror has Marathon's verdict as the status of one check on each service.
	HealthMirror HealthMode = "mirror"
	// HealthChecks has Consul's agents make Marathon's checks.
	HealthChecks HealthMode = "checks"
	// HealthNone has no checks.
	HealthNone HealthMode = "none"
)

// Check reports why a mode is none.
func (mode HealthMode) Check() error {
	switch mode {
	case HealthMirror, HealthChecks, HealthNone:
		return nil
	}
	return errNoMode
}

var errNoMode = errors.New("must be mirror, checks or none")

// EventTypes returns the types of events that may be needed: those about health unless
// neither the option nor any label asks for it.
func (tr Translation) EventTypes() []string {
	if cmp.Or(tr.Health, HealthNone) == HealthNone && tr.Shaping.Allegro {
		return marathon.EventTypes()
	}
	return slices.Concat(marathon.EventTypes(), marathon.HealthEventTypes())
}

// health is what is known of one task's health. Tasks that run a definition without
// checks have none.
type health struct {
	// status is Marathon's last verdict, "" while there is none, and output what people
	// read beside it.
	status consul.Status
	output string
	// heard is the ticket of the event that gave it: no answer asked for before undoes it.
	heard Ticket
	// since is when the task was launched, by Marathon's clock, and at the latest where
	// only a status told of it.
	since time.Time
	// staged is set when since is the task's own stagedAt.
	staged bool
	// known is false until an answer or a status has told of the task.
	known bool
	// old is set when an answer had no verdict although the task should have one by its age.
	old bool
	// inherited is set when its results are those of a task before it: then no event tells
	// of its first success.
	inherited bool
	// blank is set when a check has failed, and that counts for nothing yet: no event tells when
	// it does, if the verdict before was another Marathon's.
	blank bool
	// ready is set when its readiness checks said so, unready while they have to and have
	// not, and passed once it has been called fit for requests.
	ready, unready, passed bool
	// mirrored is set when the verdict is what the checks on its services say.
	mirrored bool
	// turned is set when it has become critical since we know of it, other than by its start,
	// and fresh while a new verdict has not been handed on.
	turned, fresh bool
	// doubt is the ticket of an event that contradicts the verdict; 0 for none.
	doubt Ticket
}

// checked reports whether a definition gives its tasks checks in Consul.
func checked(d marathon.Definition) bool { return len(d.HealthChecks)+len(d.ReadinessChecks) > 0 }

// mirrors reports whether the checks of a task say what Marathon does, and are not made by
// Consul's agents.
func mirrors(t marathon.Task, d marathon.Definition, mode HealthMode) bool {
	if mode == HealthChecks {
		_, err := probes(t, d)
		return err != nil
	}
	return mode == HealthMirror
}

// healthMode returns how the health of tasks that run a definition comes to Consul.
func (sh *shape) healthMode(d marathon.Definition) HealthMode {
	if sh == nil || sh.leftOut != "" || !checked(d) {
		return HealthNone
	}
	return sh.health
}

// healthMode returns how the health of an app comes to Consul, by its present definition.
func (a *appEntry) healthMode() HealthMode { return a.shape.healthMode(a.app.Definition) }

// healthDefinition returns the definition that a task runs, and how its health comes to
// Consul; known is false while it is not, and when Marathon has deleted it.
func (m *Model) healthDefinition(t *taskEntry) (d marathon.Definition, mode HealthMode, known bool) {
	sh, d := m.shapeOf(t.task)
	if sh == nil || m.versionGone(t.task) {
		return marathon.Definition{}, HealthNone, false
	}
	return d, sh.healthMode(d), true
}

// setHealth gives a task what is known of its health, and counts it.
func (m *Model) setHealth(t *taskEntry, h *health) {
	m.forgetInstance(t)
	m.recount(t, func() { t.health = h })
	if h != nil {
		m.nameInstance(t)
	}
}

// noteHealth takes in what an answer says of the health of an app's tasks: old is what it
// was before, nil for nothing, and was are the tasks that it had.
func (m *Model) noteHealth(a, old *appEntry, was map[string]*taskEntry, at time.Time) {
	m.at = at
	m.noteChecks(a.app.Definition)
	if old != nil && a.app.Deployments == nil { // the answer does not tell
		a.app.Deployments = old.app.Deployments
	}
	for id := range a.tasks {
		t := m.tasks[id]
		if before := was[id]; t.health == nil && before != nil && before.again == t.again {
			m.setHealth(t, before.health)
		}
		m.assess(a, t, a.asked)
	}
	for _, e := range m.journal.healthAfter(a.asked, a.app.ID) {
		m.applyVerdict(e, &Effects{}) // the comparison names all tasks
	}
	m.watch(a)
}

// assess takes in what an answer says of the health of one task. Its results wait while the
// definition that they are to be counted by is not known, and are kept no longer.
func (m *Model) assess(a *appEntry, t *taskEntry, asked Ticket) {
	d, mode, known := m.healthDefinition(t)
	results := t.task.HealthCheckResults
	if known {
		t.task.HealthCheckResults = nil
	}
	switch {
	case known && mode == HealthNone:
		m.setHealth(t, nil)
		return
	case !known && t.health == nil && len(results) == 0:
		return
	case t.health == nil:
		m.setHealth(t, &health{})
	}
	h := t.health
	if !t.task.StagedAt.IsZero() {
		h.since, h.staged = t.task.StagedAt, true
	} else if h.since.IsZero() {
		h.since = m.theirs()
	}
	if !known {
		return
	}
	if h.heard <= asked {
		h.judge(d, results)
	}
	h.known = true
	if mirrored := mirrors(t.task, d, mode); mirrored != h.mirrored {
		m.recount(t, func() { h.mirrored = mirrored })
	}
	if h.doubt <= asked {
		h.doubt = 0
	}
	h.old = m.theirs().Sub(h.since) >= startingAge(d)
	h.readiness(a, t.task, d)
}

// judge makes a verdict of results, if they are enough for one.
func (h *health) judge(d marathon.Definition, results []marathon.HealthCheckResult) {
	alive := 0
	h.inherited, h.blank = false, false
	for i, r := range results {
		switch {
		case r.LastSuccess.IsZero() && r.LastFailure.IsZero():
			h.blank = true
		case !r.LastSuccess.After(h.since) && !r.LastFailure.After(h.since):
			h.inherited = true
		case r.Alive:
			alive++
		default:
			h.become(consul.Critical, failureText(d, results, i))
			h.blank = false
			return
		}
	}
	if alive >= len(d.HealthChecks) {
		h.become(consul.Passing, healthyText)
	}
}

// become takes in a verdict.
func (h *health) become(status consul.Status, output string) {
	if h.status != status {
		h.fresh = true
		starts := h.status == "" && !h.old
		h.turned = status == consul.Critical && h.known && !starts
	}
	h.status, h.output = status, output
}

// silent reports whether a verdict is waited for, or another one that no event may tell of.
func (h *health) silent() bool { return h.status == "" || h.blank }

// startingAge is for how long a task may be without a verdict because it starts: its
// longest grace period, and the time of one probe.
func startingAge(d marathon.Definition) time.Duration {
	var age time.Duration
	for _, c := range d.HealthChecks {
		age = max(age, c.GracePeriod+c.Interval+c.Timeout)
	}
	return age
}

// probeWindow is the time in which every check of a definition has been made once.
func probeWindow(d marathon.Definition) time.Duration {
	var window time.Duration
	for _, c := range d.HealthChecks {
		window = max(window, c.Interval+c.Timeout)
	}
	return window
}

// theirs is the time by Marathon's clock, when an event or an answer was last heard.
func (m *Model) theirs() time.Time { return m.at.Add(m.ahead) }

// SetAhead takes in how far Marathon's clock is ahead of ours.
func (m *Model) SetAhead(ahead time.Duration) { m.ahead = ahead }

// MirroredServices returns how many services of tasks that run have a check that says what
// Marathon does.
func (m *Model) MirroredServices() int { return m.running.mirrored }

// Unhealthy reports whether Marathon calls a task unhealthy.
func (m *Model) Unhealthy(task string) bool {
	t := m.tasks[task]
	return t != nil && !t.lost && t.health != nil && t.health.status == consul.Critical
}

// HasChecks reports whether any definition that is known has checks of any kind, or had
// some lately: only then there may be checks of ours in Consul.
func (m *Model) HasChecks() bool { return m.hasChecks }

// noteChecks takes in whether a definition has checks.
func (m *Model) noteChecks(d marathon.Definition) { m.hasChecks = m.hasChecks || checked(d) }

// recountChecks looks anew whether any definition has checks.
func (m *Model) recountChecks() {
	m.hasChecks = false
	for _, a := range m.apps {
		m.noteChecks(a.app.Definition)
	}
	for _, d := range m.definitions {
		m.noteChecks(d.Definition)
	}
}

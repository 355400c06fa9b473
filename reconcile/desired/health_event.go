package desired

import (
	"strconv"
	"strings"
	"time"

	"consular/consul"
	"consular/marathon"
)

// verdictEvent is what an event says of the health of one task.
type verdictEvent struct {
	at Ticket
	// app, task and instance are its subject; task or instance is "".
	app, task, instance string
	version             string
	time                time.Time
	alive               bool
	// ofInstance is set when it speaks of all checks of an instance, and not of one.
	ofInstance bool
}

// applyHealth takes in an event about health.
func (m *Model) applyHealth(e marathon.Event, out *Effects) {
	v := verdictEvent{at: m.now}
	switch e := e.(type) {
	case marathon.HealthStatusChanged:
		v.app, v.task, v.instance, v.version, v.time, v.alive = e.AppID, e.TaskID, e.InstanceID, e.Version, e.Time, e.Alive
	case marathon.InstanceHealthChanged:
		if e.Health == marathon.HealthUnknown {
			return // it is killed, or Marathon knows nothing of it
		}
		v.app, v.instance, v.version, v.time, v.alive = e.AppID, e.InstanceID, e.Version, e.Time, e.Health == marathon.Healthy
		v.ofInstance = true
	}
	m.journal.addHealth(v)
	if m.app(v.app) != nil {
		m.applyVerdict(v, out)
	}
}

// applyVerdict lets such an event be the verdict on a task, or a hint to read its app.
func (m *Model) applyVerdict(e verdictEvent, out *Effects) {
	a, t := m.app(e.app), m.subject(e)
	switch {
	case a == nil:
		return
	case t == nil:
		// Its task does not run yet, as far as we have heard; or nothing of the app is checked.
		if a.healthMode() != HealthNone {
			m.hint(e.app)
		}
		return
	}
	h := t.health
	d, _, known := m.healthDefinition(t)
	status := statusOf(e.alive)
	switch {
	case h == nil || e.at <= h.heard:
	case e.instance != "" && !e.time.After(h.since):
		if !h.staged || e.time.IsZero() {
			m.hint(e.app)
		}
	case h.status == status:
		if known && len(d.HealthChecks) == 1 {
			h.confirm(e)
		}
	case e.ofInstance && known && !e.alive && h.status == "" && e.time.Sub(h.since) < startingAge(d):
		// A failure within the grace period counts for nothing.
	case e.ofInstance && known && len(d.HealthChecks) == 1:
		// The event about the check itself comes before or after this one, if it comes.
		h.doubt = e.at
		m.due(e.app, m.at.Add(hintPause))
	case !known || len(d.HealthChecks) != 1 || e.version != "" && e.version != t.task.Version:
		h.doubt = e.at
		m.hint(e.app)
	default:
		output := healthyText
		if !e.alive {
			output = failedText(e.time)
		}
		h.become(status, output)
		h.heard, h.doubt, h.blank = e.at, 0, false
		h.passed = h.passed || e.alive && !h.unready
		out.addTask(t)
		out.noteHealth(t)
	}
}

// confirm takes in that an event says what is known.
func (h *health) confirm(e verdictEvent) {
	if h.doubt = 0; !e.ofInstance {
		h.heard, h.blank = e.at, false
	}
}

func statusOf(alive bool) consul.Status {
	if alive {
		return consul.Passing
	}
	return consul.Critical
}

// noteStart takes in when a task that was heard to run has been launched at the latest.
func (m *Model) noteStart(e marathon.TaskChanged) {
	t, a := m.tasks[e.Task.ID], m.app(e.Task.AppID)
	if t == nil || a == nil || t.lost {
		return
	}
	if t.health == nil {
		if _, mode, known := m.healthDefinition(t); !known || mode == HealthNone {
			return
		}
		since := e.Time
		if since.IsZero() {
			since = m.theirs()
		}
		m.setHealth(t, &health{since: since})
		m.hurry(a.app.ID)
		m.assess(a, t, m.now)
	}
	if next := m.nextRead(a, t); !next.IsZero() {
		m.due(a.app.ID, next)
	}
}

// subject returns the task that an event about health speaks of; nil when none that is
// known runs.
func (m *Model) subject(e verdictEvent) *taskEntry {
	id := e.task
	if id == "" {
		id = m.instances[e.instance]
	}
	if t := m.tasks[id]; t != nil && t.task.AppID == e.app {
		return t
	}
	return nil
}

// nameInstance remembers which task an instance has, by whose ID events speak of it: the
// newest, for an earlier one may be heard of later.
func (m *Model) nameInstance(t *taskEntry) {
	id := marathon.InstanceID(t.task.ID)
	if id == "" {
		return
	}
	if m.instances == nil {
		m.instances = map[string]string{}
	}
	if known := m.instances[id]; incarnation(known) <= incarnation(t.task.ID) {
		m.instances[id] = t.task.ID
	}
}

// forgetInstance forgets the instance of a task, unless it has another task by now.
func (m *Model) forgetInstance(t *taskEntry) {
	if t.health == nil {
		return
	}
	if id := marathon.InstanceID(t.task.ID); m.instances[id] == t.task.ID {
		delete(m.instances, id)
	}
}

// incarnation returns the number that a task has in its instance, as its ID ends; 1 where
// it does not say. From the second on, results may be those of the task before.
func incarnation(task string) int {
	if marathon.InstanceID(task) == "" {
		return 1
	}
	n, err := strconv.Atoi(task[strings.LastIndexByte(task, '.')+1:])
	if err != nil {
		return 1
	}
	return n
}

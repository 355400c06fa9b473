package desired

import (
	"time"

	"consular/marathon"
)

// noteNamed notes that a deployment names apps: an ID which was none may be one now.
func (m *Model) noteNamed(apps []string) {
	for _, app := range apps {
		if gone, known := m.gone[app]; known {
			gone.mayExist = true
			m.gone[app] = gone
		}
	}
}

// notePlan notes which of its apps a plan stops. That takes back what was announced of
// the others.
func (m *Model) notePlan(apps, stopped []string) {
	for _, app := range apps {
		if a := m.apps[app]; a != nil {
			a.stopped = 0
		}
	}
	for _, app := range stopped {
		if a := m.apps[app]; a != nil {
			a.stopped = m.now
		}
	}
}

// notePods notes that IDs are pods, so that their containers' events cost no
// read. What is known as an app is not believed to be a pod until it is gone.
func (m *Model) notePods(pods []string, at time.Time) {
	for _, id := range pods {
		if m.apps[id] == nil {
			m.noteGone(id, goneEntry{asked: m.now, at: at, wasApp: m.gone[id].wasApp})
		}
	}
}

// applyGroup reads the apps that the plan of this version named: only now does
// REST show the change.
func (m *Model) applyGroup(version string, out *Effects) {
	p, known := m.deployments[version]
	if !known {
		out.Resync = "a change of unknown apps"
		return
	}
	m.read(p.apps, out)
	if len(p.apps) == 0 {
		m.read(sortedKeys(m.failed), out)
	}
}

// noteFailed notes what a failed deployment was about. It may be rolled back by a plan
// that has nothing to start or stop, and so names no app: what ran was never
// more than the definition.
func (m *Model) noteFailed(e marathon.DeploymentEnded) {
	if !e.Failed {
		return
	}
	for _, app := range e.Apps {
		m.failed[app] = m.now
	}
}

// read asks for apps, but for those that an option leaves out; before the first snapshot is
// in, it waits for that.
func (m *Model) read(apps []string, out *Effects) {
	for _, app := range apps {
		switch {
		case m.tr.Shaping.LeavesOut(app) != "":
		case m.ready:
			out.Read = append(out.Read, app)
		default:
			m.deferred[app] = m.now
		}
	}
}

// noApp reports whether an ID is known to be none of an app.
func (m *Model) noApp(id string) bool {
	gone, known := m.gone[id]
	return known && !gone.mayExist
}

// deployments remembers which apps a deployment's plan named, by its version: the
// group_change_success of that version names none.
type deployments map[string]deployment

type deployment struct {
	heard Ticket
	apps  []string
}

func (p deployments) remember(version string, apps []string, now Ticket) {
	p[version] = deployment{heard: now, apps: apps}
	if len(p) <= maxDeployments {
		return
	}
	oldest := version
	for v := range p {
		if p[v].heard < p[oldest].heard {
			oldest = v
		}
	}
	delete(p, oldest)
}

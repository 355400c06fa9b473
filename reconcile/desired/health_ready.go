package desired

import (
	"consular/consul"
	"consular/marathon"
)

// readiness takes in what a deployment's readiness checks say of a task. Only those tasks
// are asked that have the version which the deployment brings, and only until they have
// been fit for requests once.
func (h *health) readiness(a *appEntry, t marathon.Task, d marathon.Definition) {
	all := true
	for _, c := range d.ReadinessChecks {
		_, ready := a.ready[marathon.ReadinessCheckResult{Name: c.Name, TaskID: t.ID, Ready: true}]
		all = all && ready
	}
	h.ready = h.ready || all
	waited := h.unready
	h.unready = !h.ready && !h.passed && len(a.app.Deployments) > 0 && t.Version == a.app.Version
	h.passed = h.passed || h.status == consul.Passing && !h.unready
	h.fresh = h.fresh || waited && !h.unready
}

// mayBeFit reports whether tasks of an app may be fit for requests though no event has said so.
func (m *Model) mayBeFit(a *appEntry) bool {
	if ready := a.asksReadiness() && len(a.app.Deployments) > 0; !ready && len(a.app.Definition.HealthChecks) < 2 {
		return false // and all tasks need not be looked at for each that is killed
	}
	for id := range a.tasks {
		if t := m.tasks[id]; t.running() && t.health != nil && (t.health.unready || t.health.doubt > 0) {
			return true
		}
	}
	return false
}

// AsksReadiness reports whether an answer about an app, or about all of them for "", is to
// tell what readiness checks say.
func (m *Model) AsksReadiness(app string) bool {
	if a := m.apps[app]; app != "" {
		return a != nil && a.asksReadiness()
	}
	if !m.ready {
		return true // nobody knows yet who asks
	}
	for _, a := range m.apps {
		if a.asksReadiness() && len(a.app.Deployments) > 0 {
			return true
		}
	}
	return false
}

func (a *appEntry) asksReadiness() bool {
	return len(a.app.Definition.ReadinessChecks) > 0 && a.healthMode() != HealthNone
}

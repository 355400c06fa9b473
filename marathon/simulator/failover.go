package simulator

import (
	"slices"
	"time"
)

// watchHealth announces the checks of a new version of an app.
func (m *Marathon) watchHealth(spec *runSpec) {
	watched := func(other *runSpec) bool { return other.version == spec.version }
	if len(spec.HealthChecks) == 0 || slices.ContainsFunc(m.watched[spec.ID], watched) {
		return
	}
	m.watched[spec.ID] = append(m.watched[spec.ID], spec)
	for n, check := range spec.HealthChecks {
		m.publish(addHealthCheck{
			AppID: spec.ID, stamp: stamped("add_health_check_event"), HealthCheck: check.wire(), Version: spec.version,
		})
		m.startProbing(spec, n)
	}
}

// unwatchHealth announces the end of the checks of all versions there have been.
func (m *Marathon) unwatchHealth(id string) {
	for _, spec := range m.watched[id] {
		for range spec.HealthChecks {
			m.publish(removeHealthCheck{AppID: id, stamp: stamped("remove_health_check_event")})
		}
	}
	delete(m.watched, id)
}

// Failover is what a new leader knows of health: Marathon's own results are gone,
// those of checks by Mesos are as new, readiness is forgotten. All streams end.
func (m *Marathon) Failover() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endAll(plainEnd)
	m.forgetHealth()
	m.proceed()
}

func (m *Marathon) forgetHealth() {
	for _, i := range m.allInstances() {
		i.ready = nil
		for n, check := range i.spec.HealthChecks {
			if i.results == nil {
				break // it has no task yet
			}
			i.results[n] = result{}
			switch {
			case !check.byMesos():
			case i.mesos == healthy:
				i.results[n].succeed(time.Now())
			case i.mesos == unhealthy:
				i.results[n].fail(time.Now(), "")
			}
		}
		i.verdict = unknownHealth
		if len(i.results) > 0 && i.sum() != unknownHealth {
			m.aggregate(i)
		}
	}
	for _, id := range sortedKeys(m.watched) {
		for _, spec := range m.watched[id] {
			for n := range spec.HealthChecks {
				m.startProbing(spec, n)
			}
		}
	}
}

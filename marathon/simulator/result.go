package simulator

import "time"

// healthResults are an instance's results as REST lists them with its task:
// those of checks that have reported, in order. A dead task's are listed too.
func (m *Marathon) healthResults(i *instance, t *task) any {
	now := []healthCheckResult{}
	var old []oldHealthCheckResult
	for n := range i.results {
		r := &i.results[n]
		if !r.reported {
			continue
		}
		now = append(now, r.wire(i))
		old = append(old, r.oldWire(t))
	}
	switch {
	case !m.config.TaskEra:
		return now
	case len(old) == 0:
		return nil // that era leaves out what is empty
	default:
		return old
	}
}

func (r *result) wire(i *instance) healthCheckResult {
	w := healthCheckResult{
		Alive: r.alive, ConsecutiveFailures: r.failures, InstanceID: "instance [" + i.id + "]",
		FirstSuccess: timeOrNone(r.firstSuccess), LastSuccess: timeOrNone(r.lastSuccess), LastFailure: timeOrNone(r.lastFailure),
	}
	if !r.lastFailure.IsZero() {
		w.LastFailureCause = &r.cause
	}
	return w
}

func (r *result) oldWire(t *task) oldHealthCheckResult {
	orNull := func(at time.Time) *string {
		if at.IsZero() {
			return nil
		}
		text := timestamp(at)
		return &text
	}
	w := oldHealthCheckResult{
		Alive: r.alive, ConsecutiveFailures: r.failures, TaskID: t.id,
		FirstSuccess: orNull(r.firstSuccess), LastSuccess: orNull(r.lastSuccess), LastFailure: orNull(r.lastFailure),
	}
	if !r.lastFailure.IsZero() {
		w.LastFailureCause = &r.cause
	}
	return w
}

// healthCounts are tasksHealthy and tasksUnhealthy: by the results so far, and
// of everything that is not dead.
func (m *Marathon) healthCounts(id string) (well, ill int) {
	for _, i := range m.instances[id] {
		reported, dead := 0, 0
		for _, r := range i.results {
			if r.reported {
				reported++
				if !r.alive {
					dead++
				}
			}
		}
		switch {
		case reported == 0 || !i.alive():
		case dead == 0:
			well++
		default:
			ill++
		}
	}
	return well, ill
}

// healthy reports Marathon's verdict on an instance's task by its own results
// alone: every check has reported since it was launched, and is alive.
func (i *instance) healthy() bool {
	if !i.alive() || i.condition != "Running" {
		return false
	}
	for _, r := range i.results {
		if !r.alive || !r.own {
			return false
		}
	}
	return true
}

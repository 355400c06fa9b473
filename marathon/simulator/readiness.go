package simulator

import (
	"fmt"
	"slices"
	"time"
)

// Ready says how a task answers its readiness checks from now on. That ends
// with the task.
func (m *Marathon) Ready(taskID string, ready bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, err := m.instanceOf(taskID)
	if err != nil {
		return fmt.Errorf("make ready %w", err)
	}
	i.readyAnswer = &ready
	return nil
}

// deploying returns the deployment that brings an instance's version, nil for none.
func (m *Marathon) deploying(i *instance) *deployment {
	n := slices.IndexFunc(m.deployments, func(d *deployment) bool {
		spec := d.after[i.spec.ID]
		return spec != nil && spec.version == i.spec.version
	})
	if n < 0 {
		return nil
	}
	return m.deployments[n]
}

// probeReadiness makes the readiness checks of an instance that a deployment has
// brought and that is not ready yet.
func (m *Marathon) probeReadiness(i *instance) {
	if len(i.spec.ReadinessChecks) == 0 || i.condition != "Running" || m.deploying(i) == nil || m.isReady(i) {
		return
	}
	if i.ready == nil {
		i.ready = map[string]bool{}
	}
	behavior := m.behaviors[i.spec.ID]
	ready := !behavior.Sick && time.Since(i.tasks[0].started) >= behavior.ReadyAfter
	if i.readyAnswer != nil {
		ready = *i.readyAnswer
	}
	for _, check := range i.spec.ReadinessChecks {
		i.ready[check.Name] = ready
	}
	if ready {
		m.continueReplacement(i.spec.ID)
	}
}

// isReady reports whether all readiness checks have called the instance ready.
func (m *Marathon) isReady(i *instance) bool {
	return !slices.ContainsFunc(i.spec.ReadinessChecks, func(c ReadinessCheck) bool { return !i.ready[c.Name] })
}

// serves reports whether a deployment may count an instance that it has brought.
func (m *Marathon) serves(i *instance) bool {
	return i.condition == "Running" && m.isReady(i) && (i.passed || len(i.results) == 0 || i.sum() == healthy)
}

// forgetReadiness is what the end of a deployment does to its results.
func (m *Marathon) forgetReadiness(d *deployment) {
	for id := range d.after {
		for _, i := range m.instances[id] {
			i.ready = nil
		}
	}
}

// startReadiness probes at the checks' interval while a deployment lasts, where
// Config.Probes says so.
func (m *Marathon) startReadiness(d *deployment, spec *runSpec) {
	if !m.config.Probes || len(spec.ReadinessChecks) == 0 {
		return
	}
	ticks := &script{}
	var tick func()
	tick = func() {
		if !slices.Contains(m.deployments, d) {
			return
		}
		for _, i := range slices.Clone(m.instances[spec.ID]) {
			if i.spec.version == spec.version {
				m.probeReadiness(i)
			}
		}
		m.agenda.add(ticks, step{delay: spec.ReadinessChecks[0].Interval, run: tick})
	}
	tick()
}

// readinessResult is one of readinessCheckResults.
type readinessResult struct {
	Name         string             `json:"name"`
	TaskID       string             `json:"taskId"`
	Ready        bool               `json:"ready"`
	LastResponse *readinessResponse `json:"lastResponse,omitempty"`
}

type readinessResponse struct {
	Status      int    `json:"status"`
	ContentType string `json:"contentType"`
	Body        string `json:"body"`
}

// readinessResults are those that the deployments of an app have so far.
func (m *Marathon) readinessResults(id string) []readinessResult {
	results := []readinessResult{}
	for _, i := range m.instances[id] {
		for _, check := range i.spec.ReadinessChecks {
			ready, answered := i.ready[check.Name]
			if !answered || len(i.tasks) == 0 {
				continue
			}
			r := readinessResult{Name: check.Name, TaskID: i.tasks[0].id, Ready: ready}
			if check.Preserve {
				r.LastResponse = &readinessResponse{Status: 503, Body: "status 503\n"}
				if ready {
					r.LastResponse = &readinessResponse{Status: 200, Body: "status 200\n"}
				}
			}
			results = append(results, r)
		}
	}
	return results
}

package simulator

import (
	"fmt"
	"slices"
	"time"
)

// Behavior is how an app's tasks answer probes.
type Behavior struct {
	// HealthyAfter is how long after it runs a task answers its health checks well,
	// ReadyAfter its readiness checks.
	HealthyAfter, ReadyAfter time.Duration
	// Sick tasks never answer well.
	Sick bool
}

// Behave says how an app's tasks answer probes from now on; without it they
// answer all of them well. Break and Mend say otherwise for one task.
func (m *Marathon) Behave(appID string, b Behavior) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.behaviors[appID] = b
}

// Break makes health checks of a task fail from the next probe on: those with
// the given indexes, or all. That ends with the task.
func (m *Marathon) Break(taskID string, checks ...int) error {
	return m.setAnswers(taskID, false, checks)
}

// Mend makes health checks of a task succeed from the next probe on.
func (m *Marathon) Mend(taskID string, checks ...int) error {
	return m.setAnswers(taskID, true, checks)
}

func (m *Marathon) setAnswers(taskID string, ok bool, checks []int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, err := m.instanceOf(taskID)
	if err != nil {
		return fmt.Errorf("break or mend %w", err)
	}
	if i.answers == nil {
		i.answers = map[int]bool{}
	}
	for n := range i.spec.HealthChecks {
		if len(checks) == 0 || slices.Contains(checks, n) {
			i.answers[n] = ok
		}
	}
	return nil
}

// CutOff is a partition between Marathon and a share of the tasks that run, say
// 0.8: Marathon's own probes of them fail, though they live, and Mesos knows it.
// It returns their IDs. Reconnect ends it.
func (m *Marathon) CutOff(share float64) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []string
	for _, i := range m.allInstances() {
		if i.condition == "Running" && !i.spec.isPod() {
			ids = append(ids, i.tasks[0].id)
		}
	}
	m.random.Shuffle(len(ids), func(a, b int) { ids[a], ids[b] = ids[b], ids[a] })
	ids = ids[:int(share*float64(len(ids)))]
	m.cutOff = ids
	return slices.Clone(ids)
}

// Reconnect ends what CutOff began.
func (m *Marathon) Reconnect() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cutOff = nil
}

// Probe lets every check of the given tasks be made once, now: of all tasks that
// run, when none is given. For those who do not let Config.Probes do it in time.
func (m *Marathon) Probe(taskIDs ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, i := range m.allInstances() {
		if len(i.tasks) == 0 || len(taskIDs) > 0 && !slices.Contains(taskIDs, i.tasks[0].id) {
			continue
		}
		for n := range i.spec.HealthChecks {
			m.probe(i, n)
		}
		m.probeReadiness(i)
	}
	m.proceed()
}

// ProbeCheck lets one health check of a task be made, that with this index.
func (m *Marathon) ProbeCheck(taskID string, check int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, err := m.instanceOf(taskID)
	if err != nil {
		return fmt.Errorf("probe %w", err)
	}
	if check < 0 || check >= len(i.spec.HealthChecks) {
		return fmt.Errorf("probe task %s: it has no health check %d", taskID, check)
	}
	m.probe(i, check)
	m.proceed()
	return nil
}

// probe makes one check of an instance. Nothing but what runs is probed.
func (m *Marathon) probe(i *instance, n int) {
	check := i.spec.HealthChecks[n]
	if i.condition != "Running" {
		return
	}
	cause := m.complaint(i, n)
	if !check.byMesos() {
		m.heed(i, n, cause == "", cause)
		return
	}
	if slices.IndexFunc(i.spec.HealthChecks, HealthCheck.byMesos) != n {
		return // Mesos makes one check for a task
	}
	m.report(i, cause == "", check.GracePeriod)
	if most := check.MaxConsecutiveFailures; most > 0 && i.mesosFailures >= most {
		m.killedByMesos(i)
	}
}

// killedByMesos ends a task that Mesos has found dead too often: nothing
// announces it.
func (m *Marathon) killedByMesos(i *instance) {
	i.mesosFailures = 0
	m.agenda.abandon(&i.script)
	m.agenda.add(&i.script, step{run: func() {
		m.record(i, "TASK_KILLED", "")
		m.publishDead(i, "Command terminated with signal Killed")
	}})
	m.place(i, m.config.Pace.Relaunch)
}

// complaint is why a check of an instance fails now; "" if it succeeds.
func (m *Marathon) complaint(i *instance, n int) string {
	check, t, behavior := i.spec.HealthChecks[n], i.tasks[0], m.behaviors[i.spec.ID]
	ok, told := i.answers[n]
	switch {
	case !check.byMesos() && slices.Contains(m.cutOff, t.id):
	case told && ok:
		return ""
	case told:
		return "500 Internal Server Error"
	case !behavior.Sick && time.Since(t.started) >= behavior.HealthyAfter:
		return ""
	}
	if check.Protocol == "TCP" {
		return "ConnectException: Connection refused"
	}
	return fmt.Sprintf("Tcp command [Connect(%s/<unresolved>:%d,None,List(),Some(10 seconds),true)] failed because of java.net.ConnectException: Connection refused",
		i.host.name, check.Port)
}

// startProbing makes a check of one version of an app at its interval, of all
// instances of that version, where Config.Probes says so. A later start takes
// the place of an earlier one.
func (m *Marathon) startProbing(spec *runSpec, n int) {
	if !m.config.Probes {
		return
	}
	key := fmt.Sprint(spec.ID, spec.version, n)
	if running := m.probes[key]; running != nil {
		m.agenda.abandon(running)
	}
	ticks := &script{}
	m.probes[key] = ticks
	interval := spec.HealthChecks[n].Interval
	var tick func()
	tick = func() {
		if m.watched[spec.ID] == nil {
			delete(m.probes, key)
			return
		}
		for _, i := range slices.Clone(m.instances[spec.ID]) {
			if i.spec.version == spec.version {
				m.probe(i, n)
			}
		}
		m.agenda.add(ticks, step{delay: interval, run: tick})
	}
	m.agenda.add(ticks, step{delay: min(interval, 5*time.Second), run: tick})
}

package simulator

import "time"

// health is a verdict: of one check, of Mesos, or of Marathon on an instance.
type health int

const (
	unknownHealth health = iota
	healthy
	unhealthy
)

func healthOf(ok bool) health {
	if ok {
		return healthy
	}
	return unhealthy
}

// wire is the verdict as instance_health_changed_event has it: true, false, null.
func (h health) wire() *bool {
	if h == unknownHealth {
		return nil
	}
	ok := h == healthy
	return &ok
}

// result is what one check of an instance has reported. It outlives the
// instance's tasks: a relaunched one begins with what its predecessor had.
type result struct {
	reported, alive bool
	// own results are the present task's, and no predecessor's.
	own      bool
	failures int // consecutive
	// The times are zero where there was none; a failure within the grace period
	// leaves no time.
	firstSuccess, lastSuccess, lastFailure time.Time
	cause                                  string
}

func (r *result) succeed(now time.Time) {
	r.reported, r.alive, r.own, r.failures, r.lastSuccess = true, true, true, 0, now
	if r.firstSuccess.IsZero() {
		r.firstSuccess = now
	}
}

func (r *result) fail(now time.Time, cause string) {
	r.reported, r.alive, r.own, r.lastFailure, r.cause = true, false, true, now, cause
	r.failures++
}

// checkup is what Marathon knows of an instance's health.
type checkup struct {
	// launched counts launches of all instances: it is later than that of any before.
	launched int
	// results are those of the checks of the instance's version, in their order.
	results []result
	// verdict is the last that was made of all results and told.
	verdict health
	// passed is set once an event has called the task healthy: that is what a
	// deployment waits for.
	passed bool
	// mesos is what Mesos has last reported of the task, tracked what of it has been
	// told: null while the instance does not run.
	mesos, tracked health
	// mesosFailures are consecutive ones.
	mesosFailures int
	// since is the instance's last change of condition, from which grace is counted.
	since time.Time
	// killed is set while the task is killed, to be launched again.
	killed bool
	// ready are the readiness checks' answers in the deployments under way, by name.
	ready map[string]bool
	// answers are what the task answers to a health check, by its index, and
	// readyAnswer to all readiness checks, where that has been told.
	answers     map[int]bool
	readyAnswer *bool
	// The results of each check, and the verdict on all, have a publisher each.
	checks     []script
	aggregator script
}

// relaunched is what is left of a checkup when the instance gets a new task.
func (m *Marathon) relaunched(i *instance) {
	n := len(i.spec.HealthChecks)
	if m.config.TaskEra || i.results == nil {
		// Results are the task's in that era.
		i.results, i.verdict = make([]result, n), unknownHealth
	}
	if i.checks == nil {
		i.checks = make([]script, n)
	}
	for n := range i.results {
		i.results[n].own = false
	}
	m.launches++
	i.launched = m.launches
	i.passed, i.mesos, i.mesosFailures, i.since = false, unknownHealth, 0, time.Now()
	i.killed, i.answers, i.readyAnswer, i.ready = false, nil, nil, nil
}

// now is the time, or the first moment after the launch of the instance's task:
// what is heard of a task is later than its stagedAt, to the millisecond, also
// where a test takes no time.
func (i *instance) now() time.Time {
	now := time.Now()
	if len(i.tasks) > 0 {
		if first := i.tasks[0].staged.Truncate(time.Millisecond).Add(time.Millisecond); now.Before(first) {
			return first
		}
	}
	return now
}

func (i *instance) stamped(eventType string) stamp {
	return stamp{EventType: eventType, Timestamp: timestamp(i.now())}
}

// staging is the time of a launch: not earlier than what its predecessor reported.
func (c *checkup) staging() time.Time {
	now := time.Now()
	for _, r := range c.results {
		for _, at := range []time.Time{r.lastSuccess, r.lastFailure} {
			if at.After(now) {
				now = at
			}
		}
	}
	return now
}

// sum is Marathon's own verdict on an instance: every check has reported, and
// the last verdict on each is good.
func (c *checkup) sum() health {
	sum := healthy
	for _, r := range c.results {
		switch {
		case !r.reported:
			return unknownHealth
		case !r.alive:
			sum = unhealthy
		}
	}
	return sum
}

// heed takes in the answer of one probe, as Marathon's HealthCheckActor does.
func (m *Marathon) heed(i *instance, n int, ok bool, cause string) {
	r, check, now := &i.results[n], i.spec.HealthChecks[n], i.now()
	was, deadly, before := r.alive, false, r.lastFailure
	switch {
	case ok:
		r.succeed(now)
	case r.firstSuccess.IsZero() && now.Sub(i.since) < check.GracePeriod:
		r.reported = true // a blank result
	default:
		m.say(&i.checks[n], failedHealthCheck{
			AppID: i.spec.ID, stamp: i.stamped("failed_health_check_event"), HealthCheck: check.wire(), TaskID: m.sufferer(i),
		})
		// The counter is looked at before this failure is counted.
		deadly = !i.killed && !check.byMesos() && check.MaxConsecutiveFailures > 0 && r.failures >= check.MaxConsecutiveFailures
		r.fail(now, cause)
	}
	if r.alive != was {
		m.say(&i.checks[n], m.healthStatus(i, r.alive))
	}
	m.aggregate(i)
	if deadly {
		m.say(&i.checks[n], m.unhealthyKill(i, cause, before))
		m.kill(i)
	}
}

// aggregate makes the verdict of all results, and tells it if it is new.
func (m *Marathon) aggregate(i *instance) {
	sum := i.sum()
	if sum == i.verdict {
		return
	}
	i.verdict = sum
	m.tell(&i.aggregator, i, sum)
}

// tell publishes a verdict on the instance by way of a publisher.
func (m *Marathon) tell(publisher *script, i *instance, h health) {
	i.passed = i.passed || h == healthy
	if !m.config.TaskEra {
		m.say(publisher, instanceHealth{
			InstanceID: i.id, RunSpecID: i.spec.ID, Healthy: h.wire(), RunSpecVersion: i.spec.version,
			lateStamp: lateStamp{EventType: "instance_health_changed_event", Timestamp: timestamp(i.now())},
		})
	}
	if h == healthy {
		m.continueReplacement(i.spec.ID)
	}
}

// report is Mesos' word on a task's health: it reports changes only, by a status
// like any other, and Marathon gives it to each check by Mesos that there is.
func (m *Marathon) report(i *instance, ok bool, grace time.Duration) {
	if !ok && (i.mesos == healthy || i.mesosFailures > 0 || time.Since(i.since) >= grace) {
		i.mesosFailures++
	}
	if ok {
		i.mesosFailures = 0
	}
	if i.mesos == healthOf(ok) {
		return
	}
	i.mesos = healthOf(ok)
	if !m.oldest() { // which tells TASK_RUNNING once
		m.publishStatus(i, i.tasks[0], "")
	}
	m.track(i)
	for n, check := range i.spec.HealthChecks {
		if check.byMesos() {
			m.heed(i, n, ok, "")
		}
	}
}

// track tells what Mesos says of an instance, or null while it does not run. It
// is told at once, beside the status that brought it.
func (m *Marathon) track(i *instance) {
	now := i.mesos
	if i.condition != "Running" {
		now = unknownHealth
	}
	if now != i.tracked {
		i.tracked = now
		m.tell(nil, i, now)
	}
}

// say lets a publisher publish an event: at once, or, as publishers are
// concurrent, in its turn. The event's timestamp is that of its making.
func (m *Marathon) say(publisher *script, e event) {
	if publisher == nil {
		m.publish(e)
		return
	}
	m.agenda.add(publisher, step{run: func() { m.publish(e) }})
}

// sufferer is what an event about a failed check calls taskId: in the instance
// era that is an instance.
func (m *Marathon) sufferer(i *instance) string {
	if m.config.TaskEra {
		return i.tasks[0].id
	}
	return i.id
}

func (m *Marathon) healthStatus(i *instance, alive bool) event {
	e := healthStatus{AppID: i.spec.ID, InstanceID: i.id, Version: i.spec.version, Alive: alive, stamp: i.stamped("health_status_changed_event")}
	if m.config.TaskEra {
		e.InstanceID, e.TaskID = "", i.tasks[0].id
	}
	return e
}

// unhealthyKill carries the time of the failure before.
func (m *Marathon) unhealthyKill(i *instance, cause string, before time.Time) event {
	e := unhealthyKill{
		AppID: i.spec.ID, TaskID: i.tasks[0].id, InstanceID: i.id, Version: i.spec.version, Reason: cause,
		Host: i.host.name, SlaveID: i.host.agentID,
		stamp: stamp{EventType: "unhealthy_instance_kill_event", Timestamp: timestamp(before)},
	}
	if m.config.TaskEra {
		e.InstanceID, e.EventType = "", "unhealthy_task_kill_event"
	}
	return e
}

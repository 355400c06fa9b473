package simulator

import (
	"slices"
	"strings"
	"time"
)

// instance is one copy of an app or pod that Marathon wants to run. It keeps
// its ID when its tasks die and are launched again.
type instance struct {
	id        string
	spec      *runSpec
	host      *host // nil while Scheduled
	condition string
	tasks     []*task
	attempt   int // the incarnation in task IDs, from 1
	// stopping is the goal "Decommissioned", which no JSON shows.
	stopping bool
	// taskID is the ID of every task that it has, where that stays the same.
	taskID string
	// gone instances are in no answer any more. Their last events may still come.
	gone   bool
	script script
	checkup
}

// task is one container of an instance.
type task struct {
	id, state string
	ports     []int
	address   string
	// staged and started are zero until then.
	staged, started time.Time
}

// conditions of instances by task state, as instance_changed_event names them.
// TASK_UNREACHABLE and TASK_LOST depend on the unreachable strategy.
func conditionOf(state string) string {
	switch state {
	case "TASK_GONE_BY_OPERATOR":
		return "Gone"
	default:
		word := strings.ToLower(strings.TrimPrefix(state, "TASK_"))
		return strings.ToUpper(word[:1]) + word[1:]
	}
}

// final reports whether a task never runs again after this state.
func final(state string) bool {
	switch state {
	case "TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_DROPPED",
		"TASK_GONE", "TASK_GONE_BY_OPERATOR", "TASK_UNKNOWN":
		return true
	}
	return false
}

// alive reports whether the instance has tasks that have not ended.
func (i *instance) alive() bool { return len(i.tasks) > 0 && !final(i.tasks[0].state) }

// active reports whether the instance counts as one the app has.
func (i *instance) active() bool {
	return !i.stopping && !i.gone && i.condition != "UnreachableInactive"
}

// update is a Mesos status for all tasks of an instance: a status_update_event
// for each, and the instance_changed_event that follows. In a pod that one
// comes after the first container that starts or is being killed, and after
// the last one that runs or is dead.
func (m *Marathon) update(i *instance, state, message string) {
	m.record(i, state, message)
	early := state == "TASK_STARTING" || state == "TASK_KILLING"
	for n, t := range i.tasks {
		m.publishStatus(i, t, message)
		if early && n == 0 {
			m.publishCondition(i, conditionOf(state))
		}
	}
	if !early {
		m.publishCondition(i, conditionOf(state))
	}
	if state == "TASK_RUNNING" {
		m.continueReplacement(i.spec.ID)
	}
	m.forgetDead(i)
}

// record changes the state of an instance's tasks: what REST says from now on.
func (m *Marathon) record(i *instance, state, message string) {
	for _, t := range i.tasks {
		t.state = state
		if t.address == "" {
			t.address = i.host.takeAddress(i.spec.Network)
		}
		if state == "TASK_RUNNING" && t.started.IsZero() {
			t.started = time.Now()
		}
		if failure(state) {
			m.failures[i.spec.ID] = &taskFailure{
				AppID: i.spec.ID, Host: i.host.name, Message: message, State: state, TaskID: t.id,
				Timestamp: timestamp(time.Now()), Version: i.spec.version, SlaveID: i.host.agentID,
			}
		}
	}
	m.tellExecutor(i)
	if i.condition != conditionOf(state) {
		i.condition, i.since = conditionOf(state), time.Now()
	}
	if final(state) {
		m.release(i)
	}
}

// tellExecutor says what has become of an instance's tasks.
func (m *Marathon) tellExecutor(i *instance) {
	if m.config.Executor == nil {
		return
	}
	for _, t := range i.tasks {
		m.config.Executor(i.snapshot(t))
	}
}

// failure reports whether a state is kept as the app's lastTaskFailure.
func failure(state string) bool {
	return state == "TASK_LOST" || final(state) && state != "TASK_FINISHED" && state != "TASK_KILLED"
}

// release gives back what the instance's tasks use on their host. The tasks
// remember their ports: events still show them.
func (m *Marathon) release(i *instance) {
	if i.host == nil {
		return
	}
	m.load[i.host]--
	for _, t := range i.tasks {
		i.host.freePorts(t.ports)
	}
}

// stop kills an instance for good. The first sign is an instance_changed_event
// with its unchanged condition: the goal has changed.
func (m *Marathon) stop(i *instance) {
	if i.stopping {
		return
	}
	i.stopping = true
	m.agenda.abandon(&i.script)
	m.agenda.add(&i.script, step{run: func() {
		m.publishCondition(i, i.condition)
		if !i.alive() {
			m.forget(i)
			m.end(i)
		}
	}})
	if !i.alive() {
		return
	}
	m.killing(i)
	m.agenda.add(&i.script,
		// The instance is gone before its last events are out: a destroyed app's
		// deployment may end in between.
		step{delay: m.config.Pace.Kill, run: func() { m.record(i, "TASK_KILLED", ""); m.forget(i) }},
		step{run: func() { m.publishKilled(i); m.end(i) }},
	)
}

// kill kills an instance's tasks and launches them again.
func (m *Marathon) kill(i *instance) {
	i.killed = true
	m.agenda.abandon(&i.script)
	m.killing(i)
	m.agenda.add(&i.script, step{delay: m.config.Pace.Kill, run: func() {
		m.record(i, "TASK_KILLED", "")
		m.publishKilled(i)
	}})
	m.place(i, m.config.Pace.Relaunch)
}

// killing announces the kill where the feature task_killing is on.
func (m *Marathon) killing(i *instance) {
	m.agenda.add(&i.script, step{
		delay: m.config.Pace.Killing,
		ready: func() bool { return m.visible(i.spec.ID) },
		run: func() {
			if m.config.TaskKilling {
				m.update(i, "TASK_KILLING", "")
			}
		},
	})
}

func (m *Marathon) publishKilled(i *instance) {
	m.publishDead(i, "Command terminated with signal Terminated")
}

func (m *Marathon) publishDead(i *instance, message string) {
	for _, t := range i.tasks {
		m.publishStatus(i, t, message)
	}
	m.publishCondition(i, "Killed")
	m.forgetDead(i)
}

// forget takes the instance out of all answers.
func (m *Marathon) forget(i *instance) {
	i.gone = true
	id := i.spec.ID
	m.instances[id] = slices.DeleteFunc(m.instances[id], func(other *instance) bool { return other == i })
	m.leaving[id]++
}

// end notes that nothing more will be heard of a forgotten instance.
func (m *Marathon) end(i *instance) {
	m.leaving[i.spec.ID]--
	m.continueReplacement(i.spec.ID)
}

// publishStatus publishes a task's state as it is. Addresses are missing while
// the task is unreachable.
func (m *Marathon) publishStatus(i *instance, t *task, message string) {
	if m.untold(t) {
		return
	}
	m.publish(statusUpdate{
		SlaveID: i.host.agentID, TaskID: t.id, TaskStatus: t.state, Message: message, AppID: i.spec.ID,
		Host: i.host.name, IPAddresses: m.eventAddresses(t), Ports: t.ports, Version: i.spec.version,
		stamp: stamped("status_update_event"),
	})
}

func (m *Marathon) publishCondition(i *instance, condition string) {
	i.condition = condition
	if m.config.TaskEra {
		m.track(i)
		return
	}
	e := instanceChanged{
		InstanceID: i.id, Condition: condition, RunSpecID: i.spec.ID, RunSpecVersion: i.spec.version,
		lateStamp: lateStamped("instance_changed_event"),
	}
	if i.host != nil {
		e.AgentID, e.Host = &i.host.agentID, &i.host.name
	}
	m.publish(e)
	m.track(i)
}

func (t *task) addresses() []ipAddress {
	if t.address == "" || t.state == "TASK_UNREACHABLE" || t.state == "TASK_LOST" {
		return []ipAddress{}
	}
	return []ipAddress{{IPAddress: t.address, Protocol: "IPv4"}}
}

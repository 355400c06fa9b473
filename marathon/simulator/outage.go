package simulator

import (
	"fmt"
	"slices"
	"strings"
)

// Finish ends a task by itself with a final state such as TASK_FINISHED. Its
// instance stays, and is launched again under the next incarnation.
// TASK_LOST and TASK_UNREACHABLE are not final: they are Unreachable.
func (m *Marathon) Finish(taskID, state string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, err := m.instanceOf(taskID)
	if err != nil {
		return fmt.Errorf("finish %w", err)
	}
	if state == "TASK_LOST" || state == "TASK_UNREACHABLE" {
		m.unreachable(i, state)
		m.proceed()
		return nil
	}
	if !final(state) {
		return fmt.Errorf("finish task %s: %s is not a final state", taskID, state)
	}
	m.agenda.abandon(&i.script)
	m.agenda.add(&i.script, step{run: func() { m.update(i, state, i.lastWords(state)) }})
	m.place(i, m.config.Pace.Relaunch)
	m.proceed()
	return nil
}

// Crash ends a task with TASK_FAILED.
func (m *Marathon) Crash(taskID string) error { return m.Finish(taskID, "TASK_FAILED") }

// lastWords are the messages that the recordings have for each state.
func (i *instance) lastWords(state string) string {
	switch state {
	case "TASK_FINISHED":
		return "Command exited with status 0"
	case "TASK_FAILED":
		return "Command exited with status 1"
	case "TASK_KILLED":
		return "Command terminated with signal Terminated"
	case "TASK_GONE", "TASK_GONE_BY_OPERATOR":
		return "Slave " + i.host.name + " removed: marked gone"
	case "TASK_DROPPED", "TASK_LOST":
		return "Slave " + i.host.name + " disconnected"
	case "TASK_UNKNOWN":
		return "Reconciliation: Task is unknown"
	case "TASK_UNREACHABLE":
		return "Agent " + i.host.name + " is unreachable: health check timed out"
	default:
		return "Task is invalid"
	}
}

// Kill kills a task. Without scale its instance is launched again, as DELETE
// /v2/apps/{id}/tasks/{task}; with scale the app has one instance less, by a
// deployment.
func (m *Marathon) Kill(taskID string, scale bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, err := m.instanceOf(taskID)
	if err != nil {
		return fmt.Errorf("kill %w", err)
	}
	if !scale {
		m.kill(i)
		m.proceed()
		return nil
	}
	old, err := m.app(i.spec.ID)
	if err != nil {
		return fmt.Errorf("kill %s of %w", taskID, err)
	}
	fewer := &runSpec{App: old.App.clone()}
	fewer.Instances = max(0, fewer.Instances-1)
	_, err = m.deployed(change{group: "/", after: map[string]*runSpec{old.ID: fewer}, victim: i})
	return err
}

// Unreachable makes a task's agent unreachable to Mesos. By the default
// strategy the instance is expunged and replaced at once. With another one the
// first call gives Unreachable, the next UnreachableInactive and a replacement.
func (m *Marathon) Unreachable(taskID string) error { return m.Finish(taskID, "TASK_UNREACHABLE") }

// unreachable loses an instance with its agent; one that is being killed still ends,
// for its executor knows of the kill.
func (m *Marathon) unreachable(i *instance, state string) {
	if i.tasks[0].state == "TASK_KILLING" {
		return
	}
	m.agenda.abandon(&i.script)
	if m.config.TaskEra {
		m.agenda.add(&i.script, step{run: func() { m.lose(i) }})
		return
	}
	if i.spec.InactiveAfter == 0 && i.spec.ExpungeAfter == 0 && !i.spec.Resident {
		m.agenda.add(&i.script, step{run: func() { m.expungeUnreachable(i, state) }})
		return
	}
	condition := "Unreachable"
	if i.condition == "Unreachable" && !i.spec.Resident {
		condition = "UnreachableInactive"
	}
	m.agenda.add(&i.script, step{run: func() { m.giveUp(i, state, condition) }})
}

// giveUp lists an instance as unreachable, with a replacement once it is inactive.
func (m *Marathon) giveUp(i *instance, state, condition string) {
	m.recordUnreachable(i, state, condition)
	if condition == "UnreachableInactive" && m.root[i.spec.ID] != nil {
		m.launch(m.root[i.spec.ID])
	}
}

func (m *Marathon) recordUnreachable(i *instance, state, condition string) {
	m.record(i, state, i.lastWords(state))
	for _, t := range i.tasks {
		m.publishStatus(i, t, i.lastWords(state))
	}
	m.publishCondition(i, condition)
}

// expungeUnreachable is one moment on a real Marathon too: when the status is
// out, REST has lost the task.
func (m *Marathon) expungeUnreachable(i *instance, state string) {
	m.record(i, state, i.lastWords(state))
	m.drop(i)
	for _, t := range i.tasks {
		m.publishStatus(i, t, i.lastWords(state))
	}
	m.publishCondition(i, "UnreachableInactive")
	if spec := m.root[i.spec.ID]; spec != nil {
		m.launch(spec)
	}
}

// drop forgets an unreachable instance of which only its agent still knows.
func (m *Marathon) drop(i *instance) {
	m.release(i)
	m.forget(i)
	m.end(i)
	for _, t := range i.tasks {
		m.expunged[t.id] = i
	}
}

// Back makes an unreachable task's agent reachable again. An expunged one is
// killed silently: all there is of it is an unknown_instance_terminated_event.
func (m *Marathon) Back(taskID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.expunged[taskID]; i != nil {
		m.unknownTerminated(i)
		m.proceed()
		return nil
	}
	i, err := m.instanceOf(taskID)
	if err != nil {
		return fmt.Errorf("bring back %w", err)
	}
	m.back(i)
	m.proceed()
	return nil
}

func (m *Marathon) back(i *instance) {
	if strings.HasPrefix(i.condition, "Unreachable") {
		m.agenda.add(&i.script, step{run: func() { m.returned(i) }})
	}
}

// returned is told that an unreachable instance runs, which Marathon may have given up meanwhile.
func (m *Marathon) returned(i *instance) {
	switch {
	case slices.Contains(m.instances[i.spec.ID], i):
		m.update(i, "TASK_RUNNING", "Unreachable agent re-registered")
	case m.expunged[i.tasks[0].id] == i:
		m.unknownTerminated(i)
	}
}

func (m *Marathon) unknownTerminated(i *instance) {
	for _, t := range i.tasks {
		delete(m.expunged, t.id)
		t.state = "TASK_KILLED" // which nobody is told but the executor that does it
	}
	m.tellExecutor(i)
	if m.config.TaskEra {
		m.agenda.add(&i.script, step{run: func() { m.publishUnknownTask(i) }})
		return
	}
	m.agenda.add(&i.script, step{run: func() {
		m.publish(unknownInstanceTerminated{
			InstanceID: i.id, RunSpecID: i.spec.ID, Condition: "Killed",
			lateStamp: lateStamped("unknown_instance_terminated_event"),
		})
	}})
}

// Expunge gives up an unreachable task, as Marathon does after ExpungeAfter:
// the instance is gone, with condition Killed and no status_update_event.
func (m *Marathon) Expunge(taskID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, err := m.instanceOf(taskID)
	if err != nil {
		return fmt.Errorf("expunge %w", err)
	}
	m.agenda.add(&i.script, step{run: func() {
		m.drop(i)
		m.publishCondition(i, "Killed")
	}})
	m.proceed()
	return nil
}

// LoseAgent makes a host and all its tasks unreachable; nothing is launched
// there until RecoverAgent. A second call is Mesos repeating it: what Marathon has not
// given up becomes inactive.
func (m *Marathon) LoseAgent(hostName string) error {
	return m.onAgent(hostName, true, func(i *instance) { m.unreachable(i, "TASK_UNREACHABLE") })
}

// RecoverAgent brings a lost host back with those of its tasks that Marathon
// still knows; it kills the others.
func (m *Marathon) RecoverAgent(hostName string) error {
	return m.onAgent(hostName, false, m.back)
}

func (m *Marathon) onAgent(hostName string, lost bool, each func(*instance)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := slices.IndexFunc(m.hosts, func(h *host) bool { return h.name == hostName })
	if n < 0 {
		return fmt.Errorf("agent %s: %w", hostName, ErrNotFound)
	}
	h := m.hosts[n]
	h.lost = lost
	for _, i := range m.allInstances() {
		if i.host == h && i.alive() && !i.stopping {
			each(i)
		}
	}
	if !lost {
		for _, id := range m.expungedOn(h) {
			m.unknownTerminated(m.expunged[id])
		}
	}
	m.proceed()
	return nil
}

// expungedOn returns one task ID of each expunged instance on a host, sorted.
func (m *Marathon) expungedOn(h *host) []string {
	var ids []string
	for id, i := range m.expunged {
		if i.host == h && i.tasks[0].id == id {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// allInstances returns the instances of all IDs, ordered by ID and age.
func (m *Marathon) allInstances() []*instance {
	var all []*instance
	for _, id := range sortedKeys(m.instances) {
		all = append(all, m.instances[id]...)
	}
	return all
}

// instanceOf finds the instance of a live task. Nothing but its end can happen
// to a task that is being killed for good, so that one is not found.
func (m *Marathon) instanceOf(taskID string) (*instance, error) {
	for _, instances := range m.instances {
		for _, i := range instances {
			if i.alive() && !i.stopping && slices.ContainsFunc(i.tasks, func(t *task) bool { return t.id == taskID }) {
				return i, nil
			}
		}
	}
	return nil, fmt.Errorf("task %s: %w", taskID, ErrNotFound)
}

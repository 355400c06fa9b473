package desired

import (
	"consular/consul"
	"consular/marathon"
)

// Effects are what must be looked at after the model has changed: names of
// things, never what happened to them.
type Effects struct {
	// Tasks are those whose services may have to change.
	Tasks []TaskRef
	// Names are the service names whose keys may have to change.
	Names []string
	// Read are apps to read. ReadUnprompted are those that only a task's event gives cause
	// for, and no deployment; Definitions are old versions to read.
	Read, ReadUnprompted []string
	Definitions          []Version
	// Awaited are those to be read of which a task is killed while others may have become fit for
	// requests, of which no event tells.
	Awaited []string
	// ReadAgain are apps to read once more, for events contradict what was read.
	ReadAgain []string
	// Resync is set when only a complete snapshot can tell; it says why.
	Resync string
	// noTasks is set where nobody wants Tasks: those of a snapshot are all there are.
	noTasks bool
}

// TaskRef names one task, whose services are on one host.
type TaskRef struct {
	Task, App, Host string
	// Services are how many services it should have had; IDs are theirs where the task has
	// ended, nil for one that has the task's own.
	Services int
	IDs      []string
	// Quiet is set when it should have none, by its labels or an option: only where something
	// of it is known to be, it is to be looked at.
	Quiet bool
	// Recovered is set when Marathon calls it fit for requests now, and did not before.
	Recovered bool
}

func (e *Effects) addTask(t *taskEntry) {
	if e.noTasks {
		return
	}
	e.Tasks = append(e.Tasks, TaskRef{Task: t.task.ID, App: t.task.AppID, Host: t.task.Host, Services: max(1, int(t.services)), Quiet: t.out})
}

// addEnded names a task that has ended, with all the services that it had.
func (e *Effects) addEnded(t marathon.Task, was *taskEntry, m *Model) {
	e.addTask(was)
	ref := &e.Tasks[len(e.Tasks)-1]
	ref.Host = t.Host
	sh, _ := m.shapeOf(was.task)
	if sh == nil || len(sh.services) == 1 && sh.services[0].suffix == "" {
		return
	}
	for i := range sh.services {
		ref.IDs = append(ref.IDs, t.ID+sh.services[i].suffix)
	}
}

// noteHealth marks the task that was added last as one that has recovered, if it has.
func (e *Effects) noteHealth(t *taskEntry) {
	h := t.health
	if h == nil || !h.fresh {
		return
	}
	h.fresh = false
	if !e.noTasks {
		e.Tasks[len(e.Tasks)-1].Recovered = h.status == consul.Passing && !h.unready
	}
}

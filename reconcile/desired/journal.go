package desired

import (
	"slices"

	"consular/marathon"
)

// heard is one task event that came while something was being read.
type taskEvent struct {
	at   Ticket
	task marathon.Task
}

func (e taskEvent) running() bool { return e.task.State.Phase() == marathon.Running }

// journal keeps the task events heard since the oldest read in flight.
type journal struct {
	open   map[Ticket]bool
	events []taskEvent
}

func (j *journal) add(e taskEvent) {
	if len(j.open) > 0 {
		j.events = append(j.events, e)
	}
}

// after returns what was heard since a read was asked for, by app.
func (j *journal) after(asked Ticket) map[string][]taskEvent {
	later := map[string][]taskEvent{}
	for _, e := range j.events {
		if e.at > asked {
			later[e.task.AppID] = append(later[e.task.AppID], e)
		}
	}
	return later
}

// close ends a read and forgets what no other read will ask for.
func (j *journal) close(t Ticket) {
	delete(j.open, t)
	oldest := Ticket(0)
	for open := range j.open {
		if oldest == 0 || open < oldest {
			oldest = open
		}
	}
	if oldest == 0 {
		j.events = nil
		return
	}
	j.events = slices.DeleteFunc(j.events, func(e taskEvent) bool { return e.at < oldest })
}

// deployments remembers which apps a deployment's plan named, by its version: the
// group_change_success of that version names none.
type deployments map[string]deployment

type deployment struct {
	heard Ticket
	apps  []string
}

// maxDeployments bounds the memory of plans; the oldest goes first. A running
// Marathon has a few at a time.
const maxDeployments = 1000

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

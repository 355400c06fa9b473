package reconcile

import (
	"slices"

	"consular/marathon"
)

// heard is one task event that came while something was being read.
type heard struct {
	at   Ticket
	task marathon.Task
}

func (h heard) running() bool { return h.task.State.Phase() == marathon.Running }

// journal keeps the task events heard since the oldest read in flight.
type journal struct {
	open   map[Ticket]bool
	events []heard
}

func (j *journal) add(h heard) {
	if len(j.open) > 0 {
		j.events = append(j.events, h)
	}
}

// after returns what was heard since a read was asked for, by app.
func (j *journal) after(asked Ticket) map[string][]heard {
	later := map[string][]heard{}
	for _, h := range j.events {
		if h.at > asked {
			later[h.task.AppID] = append(later[h.task.AppID], h)
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
	j.events = slices.DeleteFunc(j.events, func(h heard) bool { return h.at < oldest })
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

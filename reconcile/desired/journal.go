package desired

import (
	"cmp"
	"maps"
	"slices"

	"consular/marathon"
)

// heard is one task event that came while something was being read.
type taskEvent struct {
	at   Ticket
	task marathon.Task
}

func (e taskEvent) running() bool { return e.task.State.Phase() == marathon.Running }

// journal keeps the task events heard since the oldest read in flight, by app.
type journal struct {
	open   map[Ticket]bool
	events map[string][]taskEvent
	// health is what was heard of the health of an app's tasks, in the same way.
	health map[string][]verdictEvent
}

func (j *journal) add(e taskEvent) {
	if len(j.open) == 0 {
		return
	}
	if j.events == nil {
		j.events = map[string][]taskEvent{}
	}
	j.events[e.task.AppID] = append(j.events[e.task.AppID], e)
}

// after returns what was heard of an app's tasks since a read was asked for.
func (j *journal) after(asked Ticket, app string) []taskEvent {
	events := j.events[app]
	first, _ := slices.BinarySearchFunc(events, asked+1, func(e taskEvent, t Ticket) int { return cmp.Compare(e.at, t) })
	return events[first:]
}

// addHealth keeps what an event says of health.
func (j *journal) addHealth(e verdictEvent) {
	if len(j.open) == 0 {
		return
	}
	if j.health == nil {
		j.health = map[string][]verdictEvent{}
	}
	j.health[e.app] = append(j.health[e.app], e)
}

// healthAfter returns what was heard of the health of an app's tasks since a read was
// asked for.
func (j *journal) healthAfter(asked Ticket, app string) []verdictEvent {
	events := j.health[app]
	first, _ := slices.BinarySearchFunc(events, asked+1, func(e verdictEvent, t Ticket) int { return cmp.Compare(e.at, t) })
	return events[first:]
}

// close ends a read and forgets what no other read will ask for.
func (j *journal) close(t Ticket) {
	delete(j.open, t)
	if len(j.open) == 0 {
		j.events, j.health = nil, nil
		return
	}
	oldest := slices.Min(slices.Collect(maps.Keys(j.open)))
	for app := range j.events {
		if j.events[app] = j.after(oldest, app); len(j.events[app]) == 0 {
			delete(j.events, app)
		}
	}
	for app := range j.health {
		if j.health[app] = j.healthAfter(oldest, app); len(j.health[app]) == 0 {
			delete(j.health, app)
		}
	}
}

// maxDeployments bounds the memory of plans; the oldest goes first. A running
// Marathon has a few at a time.
const maxDeployments = 1000

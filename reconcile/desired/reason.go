package desired

import (
	"slices"

	"consular/marathon"
)

// Kind says which rule keeps something of an app from being in Consul, or in it.
type Kind string

// The rules.
const (
	// KindExcluded is that an option or a label leaves it out.
	KindExcluded Kind = "excluded"
	// KindQuarantined is that several apps want one name, and another one has it.
	KindQuarantined Kind = "quarantined"
	// KindUnfit is that Consul could not hold it, or that nobody could reach it there.
	KindUnfit Kind = "unfit"
	// KindConflict is that somebody else's service or key is in its place.
	KindConflict Kind = "conflict"
	// KindHeld is that the guard holds its removal back.
	KindHeld Kind = "held"
	// KindUnconfirmed is that it goes only when Marathon itself has said of its app that it may.
	KindUnconfirmed Kind = "unconfirmed"
	// KindUnread is that a part of either side could not be read.
	KindUnread Kind = "unread"
	// KindUnknownDefinition is that Marathon does not say what the version is like that a task runs.
	KindUnknownDefinition Kind = "unknown-definition"
)

// Reason is why something of an app is not in Consul, or is there all the same.
type Reason struct {
	Kind Kind `json:"kind"`
	// Text says it to people.
	Text string `json:"text"`
	// Service and Key are what it is about: a service's ID or name, a key's whole path.
	Service string `json:"service,omitempty"`
	Key     string `json:"key,omitempty"`
	// By is the option or label that leaves it out, or who is in its place.
	By string `json:"by,omitempty"`
}

// AppIDs returns the IDs of the apps that the model knows, be it that an option leaves them
// out, in order.
func (m *Model) AppIDs() []string {
	ids := append(sortedKeys(m.apps), sortedKeys(m.leftOut)...)
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Lists reports whether Marathon has an app, and what leaves it out: an option or a label; ""
// for nothing.
func (m *Model) Lists(app string) (leftOutBy string, listed bool) {
	if by, is := m.leftOut[app]; is {
		return by, true
	}
	a := m.app(app)
	if a == nil {
		return "", false
	}
	if a.shape != nil {
		leftOutBy = a.shape.leftOut
	}
	return leftOutBy, true
}

// Missing reports whether snapshots omit an app, and nothing has announced its end.
func (m *Model) Missing(app string) bool {
	a := m.apps[app]
	return a != nil && !a.missing.IsZero()
}

// TasksOf returns the IDs of an app's tasks, in order.
func (m *Model) TasksOf(app string) []string {
	if a := m.apps[app]; a != nil {
		return sortedKeys(a.tasks)
	}
	return nil
}

// Task returns a task as it was heard of last; known is false for one that Marathon has not.
func (m *Model) Task(id string) (t marathon.Task, known bool) {
	if entry := m.tasks[id]; entry != nil {
		return entry.task, true
	}
	return marathon.Task{}, false
}

// Settled reports whether a task runs, and is not left out, or has ended for certain.
func (m *Model) Settled(task string) bool {
	_, ended := m.ended[task]
	t := m.tasks[task]
	return ended || t != nil && t.running() && !t.out
}

// Called returns the apps that have services, or keys, of a name by their present definition,
// in order.
func (m *Model) Called(name string) []string {
	var apps []string
	for _, id := range m.AppIDs() {
		a := m.apps[id]
		called := m.tr.ServiceName(id) == name
		if !called && a != nil && a.shape != nil {
			called = slices.ContainsFunc(a.shape.services, func(s serviceShape) bool { return s.name == name })
		}
		if called {
			apps = append(apps, id)
		}
	}
	return apps
}

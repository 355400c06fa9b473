package desired

import "strings"

// Grounds say why something may be removed: a set, for one thing may be removed for
// several reasons at once. Whoever allows removals (the policy, an event) allows sets
// too, and two that allow the same removal allow it on the grounds of both.
type Grounds uint16

const (
	// Ended is that the task has ended: an event about the task itself said so, or an
	// answer of Marathon lists it as ended.
	Ended Grounds = 1 << iota
	// AppGone is that its app is gone: Marathon's own 404, or a plan that stopped it.
	AppGone
	// Moved is that the service belongs on another agent, and is registered there.
	Moved
	// LabelGone is that the app is there and has no such label.
	LabelGone
	// Lost is that the task's Mesos agent was lost. The task may come back.
	Lost
	// Answered is that its app's own answer, which does not explain itself, omits the task.
	Answered
	// Missing is that a snapshot merely omits the task or the app, which has not been
	// asked about since.
	Missing
	// Excluded is that the task runs, and its definition or an option leaves this
	// service of it out.
	Excluded
	// Unhealthy is that Marathon calls the task unhealthy: then nothing is removed, but a
	// check that was passing turns critical.
	Unhealthy

	// Announced are the grounds that nothing holds back: what they rest on speaks of the
	// thing itself.
	Announced = Ended | AppGone
	// Unannounced are those that rest on a look at Marathon alone.
	Unannounced = LabelGone | Lost | Answered | Missing | Excluded
)

var groundNames = []struct {
	g   Grounds
	why string
}{
	{AppGone, "app is gone"},
	{Ended, "task has ended"},
	{Moved, "wrong agent"},
	{LabelGone, "label is not on the app"},
	{Lost, "task is unreachable"},
	{Answered, "task is not in its app's answer"},
	{Missing, "task is not in Marathon"},
	{Excluded, "excluded"},
	{Unhealthy, "unhealthy"},
}

// Has reports whether any of the other grounds is among these.
func (g Grounds) Has(other Grounds) bool { return g&other != 0 }

// Allow reports whether a removal on the other grounds is allowed by these: all of
// them have to be.
func (g Grounds) Allow(removal Grounds) bool { return removal&^g == 0 }

// String says in words on what grounds something goes.
func (g Grounds) String() string {
	var why []string
	for _, n := range groundNames {
		if g.Has(n.g) {
			why = append(why, n.why)
		}
	}
	return strings.Join(why, ", ")
}

package plan

import (
	"fmt"
	"time"

	"consular/reconcile/desired"
)

// A Marathon that is cut off from its agents finds them all unhealthy. So services that
// turn critical are judged as removals are: the first ones are believed, and when they
// become too many within the time that it takes to probe each once, the rest waits, until
// it recovers or until time has confirmed it. Recoveries never wait.

// turns are the tasks that have turned critical and are so still.
type turns struct {
	// until has those that were let turn: until when each counts.
	until map[string]time.Time
	held  map[string]held
}

// AllowCritical judges that a task's services turn critical. window is the time in which
// each of its checks is made once, checked how many tasks have checks. It returns why they
// stay passing for now, "" when they do not; first is set when they were not held back
// before.
func (g *Guard) AllowCritical(task string, window time.Duration, checked int, now time.Time) (why string, first bool) {
	_, passed := g.turns.until[task]
	before, was := g.turns.held[task]
	switch {
	case g.policy.Force, passed:
		return "", false
	case was:
		return before.why, false
	}
	n := len(g.turns.held) + 1
	for _, until := range g.turns.until {
		if now.Before(until) {
			n++
		}
	}
	if n > guardedAbove && g.policy.tooMany(n, max(checked, n)) {
		why = fmt.Sprintf("%d of %d tasks with checks have turned critical at once", n, checked)
		g.turns.held[task] = held{since: now, why: why}
		return why, true
	}
	g.turns.until[task] = now.Add(max(windowAtLeast, window))
	return "", false
}

// windowAtLeast is for how long a turn counts at least.
const windowAtLeast = time.Minute

// Recovered takes in that Marathon does not call a task unhealthy any more.
func (g *Guard) Recovered(task string) {
	delete(g.turns.until, task)
	delete(g.turns.held, task)
}

// KeepCritical forgets the tasks that are unhealthy no more.
func (g *Guard) KeepCritical(still func(task string) bool) {
	for task := range g.turns.until {
		if !still(task) {
			g.Recovered(task)
		}
	}
	for task := range g.turns.held {
		if !still(task) {
			g.Recovered(task)
		}
	}
}

// judgeTurn judges one change of a plan that turns a service critical; looked are the tasks
// that this plan has been judged for already.
func (g *Guard) judgeTurn(c Change, checked int, now time.Time, looked map[string]bool) (why string) {
	why, first := g.AllowCritical(c.Task, c.Window, checked, now)
	if why == "" || first || looked[c.Task] {
		looked[c.Task] = true
		return why
	}
	looked[c.Task] = true
	h := g.turns.held[c.Task]
	h.resyncs++
	g.turns.held[c.Task] = h
	if h.resyncs >= confirmResyncs && now.Sub(h.since) >= g.policy.Confirm {
		g.Recovered(c.Task)
		g.turns.until[c.Task] = now // believed, and counted no more
		return ""
	}
	return why
}

// turns reports whether a change turns a service critical.
func (c Change) turns() bool { return c.Grounds.Has(desired.Unhealthy) }

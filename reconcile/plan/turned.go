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

// Turn is a task whose services, so many, are to turn critical. Window is the time in which
// each of its checks is made once.
type Turn struct {
	Task     string
	Services int
	Window   time.Duration
}

// turns are the tasks that have turned critical and are so still.
type turns struct {
	// let has those that were let turn.
	let  map[string]letTurn
	held map[string]held
	// services counts those of the tasks that count, and of those that are held back. It is
	// right until some time: then one counts no more.
	services int
	until    time.Time
}

// letTurn is a task that was let turn critical; it counts until some time.
type letTurn struct {
	until    time.Time
	services int
}

// turnsAtLeast is for how long a turn counts at least.
const turnsAtLeast = time.Minute

// AllowCritical judges that a task's services turn critical. mirrored is how many services
// have checks that say what Marathon does. It returns why they stay as they are for now, ""
// when they do not; first is set when they were not held back before.
func (g *Guard) AllowCritical(t Turn, mirrored int, now time.Time) (why string, first bool) {
	_, passed := g.turns.let[t.Task]
	before, was := g.turns.held[t.Task]
	switch {
	case g.policy.Force, passed:
		return "", false
	case was:
		return before.why, false
	}
	g.turns.recount(now)
	g.turns.services += t.Services
	if n := g.turns.services; n > guardedAbove && g.policy.tooMany(n, max(mirrored, n)) {
		why = fmt.Sprintf("%d of %d services that mirror Marathon have turned critical at once", n, mirrored)
		g.turns.held[t.Task] = held{since: now, why: why, services: t.Services}
		return why, true
	}
	g.turns.let[t.Task] = letTurn{until: now.Add(max(turnsAtLeast, t.Window)), services: t.Services}
	return "", false
}

// recount counts anew if the count is not right any more: not for each of very many that turn.
func (t *turns) recount(now time.Time) {
	if now.Before(t.until) {
		return
	}
	t.services, t.until = 0, now.Add(turnsAtLeast)
	for _, let := range t.let {
		if !now.Before(let.until) {
			continue
		}
		if t.services += let.services; let.until.Before(t.until) {
			t.until = let.until
		}
	}
	for _, h := range t.held {
		t.services += h.services
	}
}

// Recovered takes in that Marathon does not call a task unhealthy any more.
func (g *Guard) Recovered(task string) {
	_, let := g.turns.let[task]
	_, held := g.turns.held[task]
	if let || held {
		delete(g.turns.let, task)
		delete(g.turns.held, task)
		g.turns.until = time.Time{}
	}
}

// KeepCritical forgets the tasks that are unhealthy no more.
func (g *Guard) KeepCritical(still func(task string) bool) {
	for task := range g.turns.let {
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

// holdTurn returns why a change of a plan that turns a service critical is held back; ""
// when it is not. looked are the tasks that this plan has been judged for already.
func (g *Guard) holdTurn(c Change, mirrored int, now time.Time, looked map[string]bool) (why string) {
	why, first := g.AllowCritical(c.Turn, mirrored, now)
	again := looked[c.Task]
	looked[c.Task] = true
	if why == "" || first || again {
		return why
	}
	h := g.turns.held[c.Task]
	h.resyncs++
	g.turns.held[c.Task] = h
	if h.resyncs >= confirmResyncs && now.Sub(h.since) >= g.policy.Confirm {
		g.Recovered(c.Task)
		g.turns.let[c.Task] = letTurn{until: now} // believed, and counted no more
		return ""
	}
	return why
}

// Removes reports whether a change takes a service or a key away.
func (c Change) Removes() bool { return c.Op == Deregister || c.Op == Delete }

// turns reports whether a change turns a service critical, or goes with one that does.
func (c Change) turns() bool { return c.Grounds.Has(desired.Unhealthy) }

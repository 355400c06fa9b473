package plan

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"consular/reconcile/desired"
)

// Guard judges removals, those of plans and those that events and answers lead to,
// with one memory: what was removed without an announcement within the last minute,
// and what is held back. So nothing passes it by being named again in another way.
type Guard struct {
	policy Policy
	held   map[string]held
	recent map[string]*removed
	// confirmed is when time has confirmed the removal of a task: it may go when its app,
	// which is asked then, has answered.
	confirmed map[string]time.Time
	// order has those of recent, the oldest first, and services counts the services among them.
	order    []*removed
	services int
	turns    turns
}

// held is one task, or one key, whose removal is held back.
type held struct {
	since   time.Time
	resyncs int
	why     string
	// services are how many a task has; 0 for a key.
	services int
	grounds  desired.Grounds
}

// removed is one task, or one key, whose unannounced removal was let pass.
type removed struct {
	subject string
	at      time.Time
	// services are how many a task has; 0 for a key, and for one that is back.
	services int
	grounds  desired.Grounds
}

// NewGuard returns a guard that has not judged anything.
func NewGuard(policy Policy) *Guard {
	return &Guard{
		policy: policy, held: map[string]held{}, recent: map[string]*removed{}, confirmed: map[string]time.Time{},
		turns: turns{let: map[string]letTurn{}, held: map[string]held{}},
	}
}

// Allow judges, as one set, the removal of tasks' services that no plan asks for: an event
// says that a task is lost, or its app's own answer omits some. running counts the services
// of the tasks that run beside them. It returns why tasks are held back, by task; first is set when some of
// them were not before.
func (g *Guard) Allow(losses []Loss, running int, now time.Time) (heldBack map[string]string, first bool) {
	if g.policy.Force {
		return nil, false
	}
	g.forget(now)
	heldBack = map[string]string{}
	var more []Loss
	for _, l := range losses {
		_, passed := g.recent[l.Task]
		_, confirmed := g.confirmed[l.Task]
		before, was := g.held[l.Task]
		switch {
		case !g.policy.Purge && l.Grounds.Has(kept):
			heldBack[l.Task] = keptWhy
		case was:
			heldBack[l.Task] = before.why
		case !passed && !confirmed:
			more = append(more, l)
		}
	}
	if len(more) == 0 {
		return heldBack, false
	}
	lost := g.services + g.heldServices()
	for _, l := range more {
		lost += l.Services
	}
	if !g.policy.tooMany(lost, running+lost) {
		for _, l := range more {
			g.remember(removed{l.Task, now, l.Services, l.Grounds})
		}
		return heldBack, false
	}
	why := fmt.Sprintf("%d of %d services lost within a minute", lost, running+lost)
	for _, l := range more {
		g.held[l.Task] = held{since: now, why: why, services: l.Services, grounds: l.Grounds}
		heldBack[l.Task] = why
	}
	return heldBack, true
}

// heldServices counts the services that are held back.
func (g *Guard) heldServices() (n int) {
	for _, h := range g.held {
		n += h.services
	}
	return n
}

// Returned takes in that a task runs, be it again: what was removed of it is not gone, and nothing
// of it is to be held back, but for what is excluded although it runs.
func (g *Guard) Returned(task string) {
	if r := g.recent[task]; r != nil && !r.grounds.Has(desired.Excluded) {
		g.services -= r.services
		r.services = 0
		delete(g.recent, task)
	}
	if !g.held[task].grounds.Has(desired.Excluded) {
		delete(g.held, task)
	}
	delete(g.confirmed, task)
}

// KeepGone is Returned for all tasks that run, or of which an end has been announced meanwhile.
func (g *Guard) KeepGone(settled func(task string) bool) {
	for _, task := range slices.Concat(slices.Collect(maps.Keys(g.recent)), slices.Collect(maps.Keys(g.held)), slices.Collect(maps.Keys(g.confirmed))) {
		if settled(task) {
			g.Returned(task)
		}
	}
}

// Holds reports whether a removal is held back: until it is announced, whoever names it.
func (g *Guard) Holds(c Change) bool {
	_, held := g.held[c.subject()]
	return held && c.Grounds.Has(desired.Unannounced)
}

// remember notes an unannounced removal, of a task with so many services or of a key.
func (g *Guard) remember(r removed) {
	g.recent[r.subject] = &r
	g.order = append(g.order, &r)
	g.services += r.services
}

// forget drops what was removed longer ago.
func (g *Guard) forget(now time.Time) {
	for len(g.order) > 0 && now.Sub(g.order[0].at) > window {
		r := g.order[0]
		if g.services -= r.services; g.recent[r.subject] == r {
			delete(g.recent, r.subject)
		}
		g.order = g.order[1:]
	}
	maps.DeleteFunc(g.confirmed, func(_ string, at time.Time) bool { return now.Sub(at) > max(g.policy.Confirm, window) })
}

// Filter moves the removals of a plan that may not be done from p.Changes to p.Held,
// and those that need their app's own answer first to p.Unconfirmed. It needs the whole
// cluster's plan: a guard that sees one agent sees nothing. empty is set when Marathon
// told of no app at all.
func (g *Guard) Filter(p *Plan, now time.Time, empty bool) {
	if g.policy.Force {
		return
	}
	defer p.unconfirm()
	g.forget(now)
	if !g.policy.Purge {
		p.kept = p.setAside(func(c Change) bool { return c.Grounds.Has(kept) })
	}
	j := judgement{plan: p, trips: g.trips(p), empty: empty, next: map[string]held{}}
	seen, looked := map[string]bool{}, map[string]bool{}
	first := p.firstJudged()
	changes := p.Changes[:first]
	for _, c := range p.Changes[first:] {
		why := ""
		switch {
		case c.Grounds == 0:
		case c.turns(): // which removes nothing, and says nothing of what is held back
			why = g.holdTurn(c, p.mirrored, now, looked)
		default:
			seen[c.subject()] = true
			if why = g.hold(&j, c, now); why == "" {
				g.pass(c, now)
			}
		}
		if why == "" {
			changes = append(changes, c)
			continue
		}
		c.HeldWhy, c.Confirmable = why, j.confirmable(c)
		p.Held = append(p.Held, c)
		p.HeldWhy = append(p.HeldWhy, why)
	}
	if len(p.Unread)+len(p.Skipped) > 0 {
		g.keepUnseen(j.next, seen, now)
	}
	clear(p.Changes[len(changes):])
	p.Changes, g.held = changes, j.next
	slices.Sort(p.HeldWhy)
	p.HeldWhy = slices.Compact(p.HeldWhy)
	p.confirmable = slices.ContainsFunc(p.Held, j.confirmable)
}

// keepUnseen goes on holding back what a plan does not name when not everything could be
// read: it may still be wanted. After the time that confirms it, that is over.
func (g *Guard) keepUnseen(next map[string]held, seen map[string]bool, now time.Time) {
	for subject, h := range g.held {
		if !seen[subject] && now.Sub(h.since) < g.policy.Confirm {
			next[subject] = h
		}
	}
}

// hold returns why a change is held back; "" when it is not.
func (g *Guard) hold(j *judgement, c Change, now time.Time) (why string) {
	before, was := g.held[c.subject()]
	why = j.reason(c)
	if why == "" && was {
		why = before.why
	}
	if why == "" || !j.plan.holdable(c) {
		return ""
	}
	if done, again := j.next[c.subject()]; again { // another service of the same task
		done.services += c.services()
		j.next[c.subject()] = done
		return done.why
	}
	if !was || !j.confirmable(c) { // what no time confirms gathers none
		before = held{since: now}
	}
	before.resyncs, before.why, before.services, before.grounds = before.resyncs+1, why, c.services(), c.Grounds
	if before.resyncs >= confirmResyncs && now.Sub(before.since) >= g.policy.Confirm {
		return ""
	}
	j.next[c.subject()] = before
	return why
}

// pass remembers an unannounced removal that goes. What time has confirmed says nothing
// about what is to come.
func (g *Guard) pass(c Change, now time.Time) {
	r := g.recent[c.subject()]
	switch {
	case !c.Grounds.Has(desired.Unannounced):
	case g.Holds(c): // until now
		g.confirmed[c.subject()] = now
	case r == nil:
		g.remember(removed{c.subject(), now, c.services(), c.Grounds})
	case r.at.Equal(now): // another service of the same task
		r.services += c.services()
		g.services += c.services()
	}
}

package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Policy says which removals of a plan may be done: a filter over a finished
// plan, not an if in every write path. It needs the whole cluster's plan: a guard
// that sees one agent sees nothing.
type Policy struct {
	// Purge allows removals that no event has announced.
	Purge bool
	// Limit is the share, in percent, of our services (or keys) that a plan may
	// remove unannounced.
	Limit int
	// Confirm is how long every look must agree before what is held back goes.
	Confirm time.Duration
	// Force carries everything out.
	Force bool
}

const (
	// guardedAbove is how many of a kind we must own for the guard to judge it.
	guardedAbove = 10
	// confirmLooks is how many looks must agree at least.
	confirmLooks = 3
	// awayWindow is the time in which lost tasks are counted together.
	awayWindow = time.Minute
)

// HeldBack remembers what has been held back, by change, from look to look.
type HeldBack map[string]held

type held struct {
	since time.Time
	looks int
}

// Judgement is what the policy looks at beside the plan.
type Judgement struct {
	Now time.Time
	// Held is what the previous look held back.
	Held HeldBack
	// RecentAway are the lost tasks that were deregistered within the last minute.
	RecentAway map[string]bool
	// EmptySnapshot is set when Marathon told of no app at all.
	EmptySnapshot bool
}

// Filter moves the removals that may not be done from p.Changes to p.Held, and
// returns what the next look has to know.
func (policy Policy) Filter(p *Plan, j Judgement) HeldBack {
	if policy.Force {
		return nil
	}
	if !policy.Purge {
		p.Changes = slices.DeleteFunc(p.Changes, func(c Change) bool { return c.removal == Missing })
	}
	guard, away := policy.trips(p), policy.tripsAway(p, j.RecentAway)
	empty := j.EmptySnapshot && p.Services+p.Keys > 0
	reasons, next := map[string]bool{}, HeldBack{}
	p.Changes = slices.DeleteFunc(p.Changes, func(c Change) bool {
		why := reason(c, p, guard, away, empty)
		before, was := j.Held[c.id()]
		if !p.holdable(c) || why == "" && !was {
			return false
		}
		if why == "" {
			why = "held back before, and not confirmed yet"
		}
		if !was || !p.confirmableBy(c, empty) { // what no time confirms gathers none
			before = held{since: j.Now}
		}
		before.looks++
		if before.looks >= confirmLooks && j.Now.Sub(before.since) >= policy.Confirm {
			return false
		}
		next[c.id()] = before
		reasons[why] = true
		p.Held = append(p.Held, c)
		return true
	})
	p.HeldWhy = sortedKeys(reasons)
	p.confirmable = !empty && !p.otherFramework && !p.catalogUnread
	return next
}

// holdable reports whether a change may be held back: what nobody announced, and
// every key's removal while the keys may be another Marathon's.
func (p *Plan) holdable(c Change) bool {
	return c.unannounced() || p.maybeAnothers(c)
}

// maybeAnothers reports whether a key that goes may belong to another Marathon
// with our registration ID: one has been seen, or nobody could look for one and
// no app of ours has the key's name.
func (p *Plan) maybeAnothers(c Change) bool {
	return c.Op == Delete && (p.otherFramework || p.catalogUnread && c.removal != LabelGone)
}

// unannounced reports whether a removal rests on a look at Marathon alone.
func (c Change) unannounced() bool {
	return c.removal == Missing || c.removal == LabelGone || c.removal == Away
}

// untraceable reports whether a key's app is merely missing and cannot be asked for:
// too many could have its name. Then only time can confirm its removal.
func (c Change) untraceable() bool {
	return c.Op == Delete && c.removal == Missing && len(c.suspects) == 0
}

// reason says why a removal is held back at this look; "" when it is not.
func reason(c Change, p *Plan, guard, away string, empty bool) string {
	switch {
	case empty:
		return "Marathon told of no app at all"
	case p.otherFramework && c.Op == Delete:
		return "services of this registration ID belong to another Marathon framework"
	case p.maybeAnothers(c):
		return "the catalog, which would show another Marathon with this registration ID, cannot be read"
	case c.removal == Away && away != "":
		return away
	case guard == "" && c.untraceable():
		return "too many apps could have its name to ask for each"
	default:
		return guard
	}
}

// confirmableBy reports whether this look can help to confirm a removal: never if
// the snapshot was empty, or the key may be another Marathon's.
func (p *Plan) confirmableBy(c Change, empty bool) bool {
	return !empty && !p.maybeAnothers(c)
}

// trips says what of the guard is tripped by a plan; "" when nothing is. Tasks
// that were replaced or moved, and labels that were renamed, are no loss.
func (policy Policy) trips(p *Plan) string {
	var tripped []string
	if lost := loss(p, Deregister, Register); policy.tooMany(lost, p.Services) {
		tripped = append(tripped, fmt.Sprintf("would lose %d of %d services", lost, p.Services))
	}
	if lost := loss(p, Delete, Set); policy.tooMany(lost, p.Keys) {
		tripped = append(tripped, fmt.Sprintf("would lose %d of %d keys", lost, p.Keys))
	}
	return strings.Join(tripped, ", ")
}

// loss counts what unannounced removals take from each service name beyond what
// the plan brings to it.
func loss(p *Plan, removes, brings Op) int {
	lost, moved := map[string]int{}, map[string]bool{}
	for _, c := range p.Changes {
		if c.removal == Moved {
			moved[c.Task] = true
		}
	}
	for _, c := range p.Changes {
		// A key that is there already is no gain, and neither is a service that is
		// somewhere else already.
		there := c.write.Key.ModifyIndex != 0 || moved[c.Task]
		switch {
		case c.Op == removes && c.unannounced():
			lost[c.Service]++
		case c.Op == brings && !there:
			lost[c.Service]--
		}
	}
	sum := 0
	for _, n := range lost {
		sum += max(n, 0)
	}
	return sum
}

// tooMany reports whether losing so many of what we own is more than the limit.
func (policy Policy) tooMany(lost, owned int) bool {
	return owned > guardedAbove && lost*100 > policy.Limit*owned
}

// tripsAway says whether too many tasks were lost within a minute: a partition of
// Mesos does not stop tasks.
func (policy Policy) tripsAway(p *Plan, recent map[string]bool) string {
	more, still := 0, 0 // of the recent ones some may still be registered
	for _, c := range p.Changes {
		switch {
		case c.removal != Away:
		case recent[c.Task]:
			still++
		default:
			more++
		}
	}
	lost, owned := len(recent)+more, p.Services+len(recent)-still
	if more == 0 || !policy.tooMany(lost, owned) {
		return ""
	}
	return fmt.Sprintf("%d of %d tasks lost within a minute", lost, owned)
}

// AllowAway reports whether one more lost task may be deregistered at once, when
// we own so many services, lost ones included.
func (policy Policy) AllowAway(recent, owned int) bool {
	return policy.Force || !policy.tooMany(recent+1, owned)
}

// Rejudge holds back of a plan that was made again, later in the same look, all
// unannounced removals that the policy did not let pass the first time, and what it
// held back then: an app that was asked because of one task has told of all of them.
// But what Marathon has answered 404 for goes.
func (p *Plan) Rejudge(first Plan) {
	passed, held := map[string]bool{}, map[string]bool{}
	for _, c := range first.Changes {
		passed[c.id()] = true
	}
	for _, c := range first.Held {
		held[c.id()] = true
	}
	p.HeldWhy, p.confirmable = first.HeldWhy, first.confirmable
	p.Changes = slices.DeleteFunc(p.Changes, func(c Change) bool {
		hold := held[c.id()] && !c.gone || p.holdable(c) && !passed[c.id()]
		if hold {
			p.Held = append(p.Held, c)
		}
		return hold
	})
}

// Unconfirm moves the removals whose app has not been asked for by itself, or
// has not answered.
func (p *Plan) Unconfirm() {
	p.Changes = slices.DeleteFunc(p.Changes, func(c Change) bool {
		unconfirmed := c.removal == Missing && !c.untraceable()
		if unconfirmed {
			p.Unconfirmed = append(p.Unconfirmed, c)
		}
		return unconfirmed
	})
}

// ToConfirm returns the apps that must be asked for before p's removals.
func (p *Plan) ToConfirm() []string {
	apps := map[string]bool{}
	for _, app := range p.namedByServices() {
		apps[app] = true
	}
	for _, c := range p.Changes {
		for _, id := range c.suspects {
			apps[id] = true
		}
	}
	return sortedKeys(apps)
}

// namedByServices returns the apps whose services are merely missing from the
// snapshot: their tags name them, and so the keys of their names have an app.
func (p *Plan) namedByServices() []string {
	apps := map[string]bool{}
	for _, c := range p.Changes {
		if c.removal == Missing && c.App != "" {
			apps[c.App] = true
		}
	}
	return sortedKeys(apps)
}

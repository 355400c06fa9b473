package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"consular/reconcile/desired"
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
	// Confirm is how long every resync must agree before what is held back goes.
	Confirm time.Duration
	// Force carries everything out.
	Force bool
}

const (
	// guardedAbove is how many of a kind we must own for the guard to judge it.
	guardedAbove = 10
	// confirmResyncs is how many resyncs must agree at least.
	confirmResyncs = 3
	// LostWindow is the time in which lost tasks are counted together.
	LostWindow = time.Minute
)

// HeldBack remembers what has been held back, by change, from resync to resync.
type HeldBack map[string]held

type held struct {
	since   time.Time
	resyncs int
}

// Judgement is what the policy looks at beside the plan.
type Judgement struct {
	Now time.Time
	// Held is what the previous resync held back.
	Held HeldBack
	// RecentlyLost are the lost tasks that were deregistered within the last minute.
	RecentlyLost map[string]bool
	// EmptySnapshot is set when Marathon told of no app at all.
	EmptySnapshot bool
}

// Filter moves the removals that may not be done from p.Changes to p.Held, and
// returns what the next resync has to know.
func (policy Policy) Filter(p *Plan, j Judgement) HeldBack {
	if policy.Force {
		return nil
	}
	if !policy.Purge {
		p.Changes = slices.DeleteFunc(p.Changes, func(c Change) bool { return c.Grounds.Has(desired.Missing | desired.Excluded) })
	}
	guard := guard{limit: policy.trips(p), lost: policy.tripsLost(p, j.RecentlyLost), empty: j.EmptySnapshot && p.Services+p.Keys > 0}
	reasons, next := map[string]bool{}, HeldBack{}
	var kept []Change
	for _, c := range p.Changes {
		before, was := j.Held[c.id()]
		why := guard.reason(c, p)
		if why == "" && was {
			why = "held back before, and not confirmed yet"
		}
		if why == "" || !p.holdable(c) {
			kept = append(kept, c)
			continue
		}
		if !was || !p.confirmableBy(c, guard.empty) { // what no time confirms gathers none
			before = held{since: j.Now}
		}
		before.resyncs++
		if before.resyncs >= confirmResyncs && j.Now.Sub(before.since) >= policy.Confirm {
			kept = append(kept, c)
			continue
		}
		next[c.id()] = before
		reasons[why] = true
		p.Held = append(p.Held, c)
	}
	p.Changes = kept
	p.HeldWhy = slices.Sorted(maps.Keys(reasons))
	p.confirmable = !guard.empty && !p.otherFramework && !p.catalogUnread
	return next
}

// holdable reports whether a change may be held back: what nobody announced, and
// every key's removal while the keys may be another Marathon's.
func (p *Plan) holdable(c Change) bool {
	return c.Grounds.Has(desired.Unannounced) || p.maybeAnothers(c)
}

// maybeAnothers reports whether a key that goes may belong to another Marathon
// with our registration ID: one has been seen, or nobody could look for one and
// no app of ours has the key's name.
func (p *Plan) maybeAnothers(c Change) bool {
	return c.Op == Delete && (p.otherFramework || p.catalogUnread && !c.Grounds.Has(desired.LabelGone))
}

// untraceable reports whether a key's app is merely missing and cannot be asked for:
// too many could have its name. Then only time can confirm its removal.
func (c Change) untraceable() bool {
	return c.Op == Delete && c.Grounds.Has(desired.Missing) && len(c.Suspects) == 0
}

// guard is what of the policy a plan has tripped; the texts are "" when it has not.
type guard struct {
	limit, lost string
	empty       bool
}

// reason says why a removal is held back at this resync; "" when it is not.
func (g guard) reason(c Change, p *Plan) string {
	switch {
	case g.empty:
		return "Marathon told of no app at all"
	case p.otherFramework && c.Op == Delete:
		return "services of this registration ID belong to another Marathon framework"
	case p.maybeAnothers(c):
		return "the catalog, which would show another Marathon with this registration ID, cannot be read"
	case c.Grounds.Has(desired.Lost) && g.lost != "":
		return g.lost
	case g.limit == "" && c.untraceable():
		return "too many apps could have its name to ask for each"
	default:
		return g.limit
	}
}

// confirmableBy reports whether this resync can help to confirm a removal: never if
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
		if c.Grounds.Has(desired.Moved) {
			moved[c.ID] = true
		}
	}
	for _, c := range p.Changes {
		// A key that is there already is no gain, and neither is a service that is
		// somewhere else already.
		there := c.Write.Key.ModifyIndex != 0 || moved[c.ID]
		switch {
		case c.Op == removes && c.Grounds.Has(desired.Unannounced):
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

// tripsLost says whether too many tasks were lost within a minute: a partition of
// Mesos does not stop tasks.
func (policy Policy) tripsLost(p *Plan, recent map[string]bool) string {
	more, still := 0, 0 // of the recent ones some may still be registered
	for _, c := range p.Changes {
		switch {
		case !c.Grounds.Has(desired.Lost):
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

// AllowLost reports whether one more lost task may be deregistered at once, when
// we own so many services, lost ones included.
func (policy Policy) AllowLost(recent, owned int) bool {
	return policy.Force || !policy.tooMany(recent+1, owned)
}

// Rejudge judges a plan that was made again, later in the same resync, by what the
// policy let pass and held back the first time: all unannounced removals that are new
// wait, and so does what was held back then, for an app that was asked because of one
// task has told of all of them. But what Marathon has answered 404 for goes.
func (p *Plan) Rejudge(first Plan) {
	passed, wasHeld := map[string]bool{}, map[string]bool{}
	for _, c := range first.Changes {
		passed[c.id()] = true
	}
	for _, c := range first.Held {
		wasHeld[c.id()] = true
	}
	p.HeldWhy, p.confirmable = first.HeldWhy, first.confirmable
	var kept []Change
	for _, c := range p.Changes {
		if wasHeld[c.id()] && !c.Grounds.Has(desired.AppGone) || p.holdable(c) && !passed[c.id()] {
			p.Held = append(p.Held, c)
		} else {
			kept = append(kept, c)
		}
	}
	p.Changes = kept
}

// Unconfirm moves the removals whose app has not been asked for by itself, or
// has not answered.
func (p *Plan) Unconfirm() {
	var kept []Change
	for _, c := range p.Changes {
		if c.Grounds.Has(desired.Missing) && !c.untraceable() {
			p.Unconfirmed = append(p.Unconfirmed, c)
		} else {
			kept = append(kept, c)
		}
	}
	p.Changes = kept
}

// ToConfirm returns the apps that must be asked for before p's removals.
func (p *Plan) ToConfirm() []string {
	apps := map[string]bool{}
	for _, app := range p.NamedByServices() {
		apps[app] = true
	}
	for _, c := range p.Changes {
		for _, id := range c.Suspects {
			apps[id] = true
		}
	}
	return slices.Sorted(maps.Keys(apps))
}

// NamedByServices returns the apps whose services are merely missing from the
// snapshot: their tags name them, and so the keys of their names have an app.
func (p *Plan) NamedByServices() []string {
	apps := map[string]bool{}
	for _, c := range p.Changes {
		if c.Grounds.Has(desired.Missing) && c.App != "" {
			apps[c.App] = true
		}
	}
	return slices.Sorted(maps.Keys(apps))
}

// WritesOnly is what of a plan needs no guard: services that are registered
// or updated, and the labels of names that lose none, for labels that come and go
// together are seen together.
func (p *Plan) WritesOnly() Plan {
	loses := map[string]bool{}
	for _, c := range slices.Concat(p.Changes, p.Held) {
		loses[c.Service] = loses[c.Service] || c.Op == Delete
	}
	writes := *p
	writes.Changes = nil
	for _, c := range p.Changes {
		if c.Grounds == 0 && (c.Op != Set || !loses[c.Service]) {
			writes.Changes = append(writes.Changes, c)
		}
	}
	return writes
}

// Confirmable reports whether time confirms what is held back.
func (p *Plan) Confirmable() bool { return p.confirmable }

// OtherFramework reports whether services of our registration ID belong to another
// Marathon.
func (p *Plan) OtherFramework() bool { return p.otherFramework }

package plan

import (
	"time"

	"consular/reconcile/desired"
)

// Policy says which removals may be done.
type Policy struct {
	// Purge allows removals that no event has announced.
	Purge bool
	// Limit is the share, in percent, of our services (or keys) that may be removed
	// unannounced.
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
	// window is the time in which removals are counted together.
	window = time.Minute
	// kept are the grounds on which nothing goes when Policy.Purge is off.
	kept = desired.Missing | desired.Answered | desired.Excluded
	// keptWhy is said of that.
	keptWhy = "kept: --no-purge"
)

// tooMany reports whether losing so many of what we own is more than the limit.
func (policy Policy) tooMany(lost, owned int) bool {
	return owned > guardedAbove && lost*100 > policy.Limit*owned
}

// Loss is a task whose services are to go, all of them, though nothing has announced its end;
// how many they are, and on what grounds.
type Loss struct {
	Task     string
	Services int
	Grounds  desired.Grounds
}

// judgement is what one plan is judged by, and what is held back of it.
type judgement struct {
	plan  *Plan
	trips string
	empty bool
	next  map[string]held
}

// services is how many services a removal takes away: none when it is a key's.
func (c Change) services() int {
	if c.Op == Deregister {
		return 1
	}
	return 0
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
	unknown := p.catalogUnread || p.another == desired.AnotherUnknown
	return p.anothersSeen(c) || c.Op == Delete && unknown && !c.Grounds.Has(desired.LabelGone)
}

// anothersSeen reports whether a key that goes may belong to another Marathon that has been seen.
func (p *Plan) anothersSeen(c Change) bool { return c.Op == Delete && p.another == desired.AnotherSeen }

// untraceable reports whether nobody can be asked about what is merely missing: no app
// is known by a key's name, or a service names none. Then only time can confirm its
// removal.
func (c Change) untraceable() bool { return c.Grounds.Has(desired.Missing) && c.App == "" }

// reason says why a removal is held back at this resync; "" when it is not.
func (j *judgement) reason(c Change) string {
	switch {
	case j.empty:
		return "Marathon told of no app at all"
	case j.plan.anothersSeen(c):
		return "services of this registration ID belong to another Marathon framework"
	case j.plan.maybeAnothers(c):
		return "the catalog, which would show another Marathon with this registration ID, cannot be read"
	case j.trips == "" && c.untraceable() && !j.plan.adopts:
		return "nobody can be asked about it: no app is known"
	default:
		return j.trips
	}
}

// confirmable reports whether this resync can help to confirm a removal: never if
// the snapshot was empty, the key may be another Marathon's, or an option excludes it.
func (j *judgement) confirmable(c Change) bool {
	return !j.empty && !j.plan.maybeAnothers(c) && !c.Grounds.Has(desired.Excluded)
}

package plan

import (
	"maps"
	"slices"

	"consular/reconcile/desired"
)

// unconfirm moves the removals whose app has to be asked for by itself first.
func (p *Plan) unconfirm() {
	p.Unconfirmed = append(p.Unconfirmed, p.setAside(func(c Change) bool { return c.Grounds.Has(desired.Missing) && !c.untraceable() })...)
}

// setAside takes changes out of the plan's.
func (p *Plan) setAside(which func(Change) bool) (aside []Change) {
	first := p.firstJudged()
	changes := p.Changes[:first]
	for _, c := range p.Changes[first:] {
		if which(c) {
			aside = append(aside, c)
		} else {
			changes = append(changes, c)
		}
	}
	clear(p.Changes[len(changes):])
	p.Changes = changes
	return aside
}

// firstJudged returns where the changes begin that the guard has to judge. What is registered or set
// stands before them in a plan that is in order, and a cold start has very many of these.
func (p *Plan) firstJudged() int {
	for i := range p.Changes {
		if p.Changes[i].Grounds != 0 {
			return i
		}
	}
	return len(p.Changes)
}

// ToConfirm returns the changes that wait for an app's own answer, by app.
func (p *Plan) ToConfirm() map[string][]Change {
	apps := map[string][]Change{}
	for _, c := range p.Unconfirmed {
		apps[c.App] = append(apps[c.App], c)
	}
	return apps
}

// NamedByServices returns the apps whose services are merely missing from the
// snapshot: their tags name them, and so the keys of their names have an app.
func (p *Plan) NamedByServices() []string {
	apps := map[string]bool{}
	for _, changes := range [][]Change{p.Changes[p.firstJudged():], p.Held, p.Unconfirmed} {
		for _, c := range changes {
			if c.Op == Deregister && c.Grounds.Has(desired.Missing) && c.App != "" {
				apps[c.App] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(apps))
}

// Confirmable reports whether time confirms what is held back.
func (p *Plan) Confirmable() bool { return p.confirmable }

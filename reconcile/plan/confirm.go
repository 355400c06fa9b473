package plan

import (
	"maps"
	"slices"

	"consular/reconcile/desired"
)

// unconfirm moves the removals whose app has to be asked for by itself first.
func (p *Plan) unconfirm() {
	changes := p.Changes[:0]
	for _, c := range p.Changes {
		if c.Grounds.Has(desired.Missing) && !c.untraceable() {
			p.Unconfirmed = append(p.Unconfirmed, c)
		} else {
			changes = append(changes, c)
		}
	}
	clear(p.Changes[len(changes):])
	p.Changes = changes
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
	for _, c := range slices.Concat(p.Changes, p.Held, p.Unconfirmed) {
		if c.Op == Deregister && c.Grounds.Has(desired.Missing) && c.App != "" {
			apps[c.App] = true
		}
	}
	return slices.Sorted(maps.Keys(apps))
}

// Confirmable reports whether time confirms what is held back.
func (p *Plan) Confirmable() bool { return p.confirmable }

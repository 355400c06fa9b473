package plan

import (
	"fmt"
	"slices"
	"strings"

	"consular/reconcile/desired"
)

// What is lost, and when that is too much.

// trips says what of the guard is tripped by a plan, together with what was removed
// within the last minute; "" when nothing is. Tasks that were replaced or moved, and
// labels that were renamed, are no loss.
func (g *Guard) trips(p *Plan) string {
	if !slices.ContainsFunc(p.Changes[p.firstJudged():], func(c Change) bool { return c.Grounds.Has(desired.Unannounced) }) {
		return ""
	}
	services, keys := g.recently(p)
	var tripped []string
	for _, kind := range []struct {
		what              string
		lost, owned, gone int
	}{
		{"services", loss(p, Deregister, Register), p.Services, services},
		{"keys", loss(p, Delete, Set), p.Keys, keys},
	} {
		if kind.lost == 0 || !g.policy.tooMany(kind.lost+kind.gone, kind.owned+kind.gone) {
			continue
		}
		why := fmt.Sprintf("would lose %d of %d %s", kind.lost, kind.owned, kind.what)
		if kind.gone > 0 {
			why += fmt.Sprintf(", after %d within a minute", kind.gone)
		}
		tripped = append(tripped, why)
	}
	return strings.Join(tripped, ", ")
}

// recently counts what was removed within the last minute, and is not there any more.
func (g *Guard) recently(p *Plan) (services, keys int) {
	there := map[string]bool{}
	for _, c := range p.Changes {
		if c.Grounds != 0 {
			there[c.subject()] = true
		}
	}
	for subject, r := range g.recent {
		switch {
		case there[subject]:
		case r.services > 0:
			services += r.services
		default:
			keys++
		}
	}
	return services, keys
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
		there := c.Write != nil && c.Write.Key.ModifyIndex != 0 || moved[c.ID]
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

package plan

import (
	"fmt"
	"slices"

	"consular/consul"
	"consular/reconcile/desired"
)

// withStatus returns a service that is to be registered, with what its checks are to say:
// it is never seen without.
func withStatus(h desired.Health, s consul.Service) consul.Service {
	s.Checks = slices.Clone(s.Checks)
	for i := range s.Checks {
		s.Checks[i].Status, s.Checks[i].Output = h.Says(nil)
	}
	return s
}

// appendChecks decides about our checks on a service that is registered: what is new is
// there before what it replaces is gone.
func appendChecks(decisions []Decision, w desired.Want, s consul.Service, have *consul.Service) []Decision {
	if have.Checks == nil || len(s.Checks)+len(have.Checks) == 0 {
		return decisions // nobody has asked for them, or there are none
	}
	before := desired.Sum(have.Checks)
	var grounds desired.Grounds
	for _, c := range s.Checks {
		if d, some := decideCheck(w.Health, c, have.Checks, before); some {
			d.Service, d.Before = s, before
			grounds |= d.Grounds
			decisions = append(decisions, d)
		}
	}
	for _, c := range have.Checks {
		if findCheck(s.Checks, c.ID) == nil {
			decisions = append(decisions, Decision{
				Op: DeregisterCheck, Service: s, Check: c, Before: before, Why: []string{"check extra: " + c.ID},
				Grounds: grounds, // held back as long as what takes its place is
			})
		}
	}
	return decisions
}

// decideCheck decides about a check that should be there. Of what its agent makes, only
// the definition is ours to say.
func decideCheck(h desired.Health, c consul.Check, have []consul.Check, before consul.Status) (d Decision, some bool) {
	d.Check = c
	d.Check.Status, d.Check.Output = h.Says(have)
	if !c.Kept() {
		d.Check.Status, d.Check.Output = h.Initial(have), ""
	}
	old := findCheck(have, c.ID)
	status := fmt.Sprintf("status %s→%s", orDash(string(before)), d.Check.Status)
	switch {
	case old == nil:
		d.Op, d.Why = RegisterCheck, []string{"check missing: " + c.ID, status}
	case old.Notes != c.Notes:
		d.Op, d.Why = RegisterCheck, []string{fmt.Sprintf("check %s: %s→%s", c.ID, orDash(old.Notes), c.Notes)}
	case !c.Kept():
		return d, false
	case old.Status != d.Check.Status:
		d.Op, d.Why = UpdateCheck, []string{status}
	case old.Fleeting:
		d.Op, d.Why = UpdateCheck, []string{"status would not outlive a restart"}
	case old.Wrote != "" && old.Wrote != d.Check.Output:
		d.Op, d.Why = UpdateCheck, []string{"output of the check"}
	default:
		return d, false
	}
	if d.Check.Status == consul.Critical && before != consul.Critical && h.Sick() {
		d.Grounds = desired.Unhealthy
	}
	return d, true
}

// Recovers reports whether a check that was critical becomes passing.
func (d Decision) Recovers() bool {
	return d.Op == UpdateCheck && d.Check.Status == consul.Passing && d.Before != consul.Passing
}

// findCheck returns the check with an ID; nil when there is none.
func findCheck(checks []consul.Check, id string) *consul.Check {
	for i := range checks {
		if checks[i].ID == id {
			return &checks[i]
		}
	}
	return nil
}

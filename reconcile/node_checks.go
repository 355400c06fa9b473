package reconcile

import (
	"slices"

	"consular/consul"
)

// What a node remembers of checks. A list of checks is never changed, but replaced: a
// resync may be comparing it.

// withOutputs returns the checks of a service that was listed, with what we wrote last
// beside their status, as long as they have that status: agents cut the text, mark it or
// throw it away.
func withOutputs(before []consul.Service, listed []consul.Check) []consul.Check {
	checks := slices.Clone(listed)
	for i := range checks {
		for _, old := range before {
			if c := checkOf(old, checks[i].ID); c != nil && c.Status == checks[i].Status {
				checks[i].Wrote = c.Wrote
			}
		}
	}
	return checks
}

// putCheck takes in that a check was written.
func (n *node) putCheck(task, service string, c consul.Check) {
	c.Wrote = c.Output
	n.changeChecks(task, service, c.ID, &c)
}

// removeCheck takes in that a check was deregistered.
func (n *node) removeCheck(task, service, id string) { n.changeChecks(task, service, id, nil) }

func (n *node) changeChecks(task, service, id string, c *consul.Check) {
	s := n.service(task, service)
	if s == nil {
		return
	}
	checks := slices.DeleteFunc(slices.Clone(s.Checks), func(other consul.Check) bool { return other.ID == id })
	if c != nil {
		checks = append(checks, *c)
	}
	if checks == nil {
		checks = []consul.Check{}
	}
	s.Checks = checks
}

// checkOf returns a service's check with an ID; nil when it has none.
func checkOf(s consul.Service, id string) *consul.Check {
	for i := range s.Checks {
		if s.Checks[i].ID == id {
			return &s.Checks[i]
		}
	}
	return nil
}

// ignorant reports whether nobody has asked for the checks of services that were listed.
func ignorant(services []consul.Service) bool {
	return slices.ContainsFunc(services, func(s consul.Service) bool { return s.Checks == nil })
}

package reconcile

import (
	"slices"

	"consular/consul"
)

// What a node remembers of checks. A list of checks is never changed, but replaced: a
// resync may be comparing it.

// withMemory returns the checks of a service that was listed, with what a listing does not tell:
// the text that we wrote last beside their status, for agents cut it, mark it or throw it away,
// and that an agent's restart would lose that.
func withMemory(before []consul.Service, listed []consul.Check) []consul.Check {
	checks := slices.Clone(listed)
	for i := range checks {
		for _, old := range before {
			if c := checkOf(old, checks[i].ID); c != nil {
				checks[i].Wrote, checks[i].Fleeting = c.Wrote, c.Fleeting
			}
		}
	}
	return checks
}

// putRegistered takes in that a check was registered, which leaves one that we keep to be updated.
func (n *node) putRegistered(task, service string, c consul.Check) {
	c.Fleeting = c.Kept()
	n.changeChecks(task, service, c.ID, &c)
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

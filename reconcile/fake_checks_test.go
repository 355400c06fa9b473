package reconcile_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/consul/api"

	"consular/consul"
	"consular/reconcile"
)

// Checks of the agents in memory.

// noChecks is an agent's checks where a test has none.
type noChecks struct{}

var _ reconcile.Checker = noChecks{}

func (noChecks) Checks(context.Context) (map[string][]consul.Check, error) { return nil, nil }

func (noChecks) RegisterCheck(context.Context, string, consul.Check) error { return nil }

func (noChecks) UpdateCheck(context.Context, string, consul.Status, string) error { return nil }

func (noChecks) DeregisterCheck(context.Context, string) error { return nil }

// checkWrite is one write of a check to a fakeAgent.
type checkWrite struct {
	id     string
	status consul.Status
}

// Checks shares what it hands out, as a real agent's listing does, and fails once somebody has
// changed that.
func (a *fakeAgent) Checks(context.Context) (all map[string][]consul.Check, err error) {
	err = a.serve(func() error {
		a.checkLists++
		all = map[string][]consul.Check{}
		for id, s := range a.services {
			if all[id] = s.Checks; slices.ContainsFunc(s.Checks, func(c consul.Check) bool { return c.Wrote != "" }) {
				return fmt.Errorf("somebody has changed what was listed: %+v", s.Checks)
			}
		}
		return nil
	})
	return all, err
}

// change changes the checks of a service.
func (a *fakeAgent) change(service string, f func(checks map[string]consul.Check)) {
	s := a.services[service]
	checks := map[string]consul.Check{}
	for _, c := range s.Checks {
		checks[c.ID] = c
	}
	f(checks)
	s.Checks = nil
	for _, id := range sorted(checks) {
		s.Checks = append(s.Checks, checks[id])
	}
	a.services[service] = s
}

func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (a *fakeAgent) RegisterCheck(_ context.Context, service string, c consul.Check) error {
	return a.serve(func() error {
		a.checkWrites = append(a.checkWrites, checkWrite{c.ID, c.Status})
		if _, is := a.services[service]; !is {
			return api.StatusError{Code: 404, Body: fmt.Sprintf("ServiceID %q does not exist", service)}
		}
		a.addChecks(service, c)
		return nil
	})
}

// addChecks adds checks to a service. One that is there already keeps its status, and none has a
// text before it is updated.
func (a *fakeAgent) addChecks(service string, checks ...consul.Check) {
	a.change(service, func(have map[string]consul.Check) {
		for _, c := range checks {
			old, is := have[c.ID]
			if is {
				c.Status = old.Status
			}
			c.Output, c.Wrote = old.Output, ""
			have[c.ID] = c
		}
	})
}

func (a *fakeAgent) UpdateCheck(_ context.Context, id string, status consul.Status, output string) error {
	return a.serve(func() error {
		a.checkWrites = append(a.checkWrites, checkWrite{id, status})
		known := false
		for service := range a.services {
			a.change(service, func(checks map[string]consul.Check) {
				if c, is := checks[id]; is && c.Kept() {
					c.Status, c.Output = status, output
					checks[id], known = c, true
				}
			})
		}
		if !known {
			return api.StatusError{Code: 404, Body: "Unknown check ID " + id}
		}
		return nil
	})
}

func (a *fakeAgent) DeregisterCheck(_ context.Context, id string) error {
	return a.serve(func() error {
		for service := range a.services {
			a.change(service, func(checks map[string]consul.Check) { delete(checks, id) })
		}
		return nil
	})
}

package plan

import (
	"maps"
	"slices"

	"consular/consul"
	"consular/reconcile/desired"
)

// What the model has to know of Consul before a plan is made.

// Holders returns the apps that have services of ours registered.
func Holders(tr desired.Translation, actual Actual) map[string]bool {
	holders := map[string]bool{}
	for i := range actual.Agents {
		a := &actual.Agents[i]
		if a.Err != nil && !a.Failed {
			continue
		}
		for _, s := range a.Services {
			if app, ours := tr.Owns(s); ours {
				holders[app] = true
			}
		}
	}
	return holders
}

// Names returns what the registered services of some apps are called: of those whose names
// clash, it tells who is the incumbent. all says that every agent could be read.
func Names(tr desired.Translation, actual Actual, apps map[string]bool) (registered map[desired.Registered]bool, all bool) {
	registered, all = map[desired.Registered]bool{}, actual.CatalogErr == nil
	for i := range actual.Agents {
		a := &actual.Agents[i]
		if a.Err != nil && !a.Failed {
			all = false
			continue
		}
		if len(apps) == 0 {
			continue
		}
		for _, s := range a.Services {
			if app, ours := tr.Owns(s); ours && apps[app] {
				registered[desired.Registered{App: app, Name: s.Name}] = true
			}
		}
	}
	return registered, all
}

// Foreign counts services that carry our registration ID and name another framework,
// and names those frameworks. all says that everything was looked at: only then is none
// found a proof that there is none. Where an agent is silent, the catalog has told of its
// node, as of every other.
func Foreign(tr desired.Translation, actual Actual) (n int, frameworks []string, all bool) {
	found := map[string]bool{}
	see := func(s consul.Service) {
		if _, ours := tr.Owns(s); !ours && tr.Tagged(s) {
			n++
			found[s.Meta[consul.MetaFramework]] = true
		}
	}
	for i := range actual.Agents {
		a := &actual.Agents[i]
		if a.Err == nil || a.Failed {
			for _, s := range a.Services {
				see(s)
			}
			continue
		}
		for _, s := range a.OnNode {
			see(s)
		}
	}
	return n, slices.Sorted(maps.Keys(found)), actual.Everywhere && actual.CatalogErr == nil
}

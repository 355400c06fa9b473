package plan

import (
	"maps"
	"slices"

	"consular/consul"
	"consular/reconcile/desired"
)

// What the model has to know of Consul before a plan is made.

// Holders returns the apps that have services of ours registered: of those whose
// names clash, they are the incumbents.
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

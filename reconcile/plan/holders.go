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

// Names returns what the registered services of some apps are called, and which keys of ours
// are below the names that their IDs make; nil when the keys could not be read. Of those whose
// names clash, it tells who is the incumbent. all says that every agent could be read, or the
// catalog has told of its node.
func Names(tr desired.Translation, actual Actual, apps map[string]bool) (registered map[desired.Registered]bool, keys map[string][]consul.Key, all bool) {
	registered, all = map[desired.Registered]bool{}, actual.CatalogErr == nil
	for i := range actual.Agents {
		services, known := actual.Agents[i].known()
		all = all && known
		for _, s := range services {
			if app, ours := tr.Owns(s); ours && apps[app] {
				registered[desired.Registered{App: app, Name: s.Name}] = true
			}
		}
	}
	if actual.KeysErr != nil || actual.NoKeys {
		return registered, nil, all
	}
	names := map[string]bool{}
	for app := range apps {
		names[tr.ServiceName(app)] = true
	}
	keys = map[string][]consul.Key{}
	for _, k := range actual.Keys {
		if names[k.Service] && tr.OwnsKey(k.Flags) {
			keys[k.Service] = append(keys[k.Service], k)
		}
	}
	return registered, keys, all
}

// known returns the services on an agent: those that it tells of, or, while it is silent, those
// with our registration ID that the catalog shows on its node.
func (a *Agent) known() (services []consul.Service, known bool) {
	if a.Err == nil || a.Failed {
		return a.Services, true
	}
	return slices.Collect(maps.Values(a.OnNode)), a.OnNode != nil
}

// Foreign counts services that carry our registration ID and name another framework,
// and names those frameworks. all says that everything was looked at: only then is none
// found a proof that there is none.
func Foreign(tr desired.Translation, actual Actual) (n int, frameworks []string, all bool) {
	found := map[string]bool{}
	for i := range actual.Agents {
		services, _ := actual.Agents[i].known()
		for _, s := range services {
			if _, ours := tr.Owns(s); !ours && tr.Tagged(s) {
				n++
				found[s.Meta[consul.MetaFramework]] = true
			}
		}
	}
	return n, slices.Sorted(maps.Keys(found)), actual.Everywhere && actual.CatalogErr == nil
}

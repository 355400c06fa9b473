package desired

import (
	"slices"
	"strings"

	"consular/consul"
)

// A clash is several apps that want what only one can have: the name of a service, and the
// keys below it. "/a/b" and "/a-b" are both "a-b", and the port "web" of "/shop" makes
// "shop-web" like "/shop/web". The one that is registered already, the incumbent, goes on.

// Clash is one name that several apps want.
type Clash struct {
	Name string `json:"service"`
	// Apps are all of them, in order.
	Apps []string `json:"apps"`
	// Incumbent is the one that goes on; "" when none does.
	Incumbent string `json:"incumbent,omitempty"`
	// Ports are those that make the name of a service, by app; for other apps their ID alone
	// does. Then nothing but that service waits, and Remedies are the labels that end it.
	Ports    map[string]string `json:"ports,omitempty"`
	Remedies []string          `json:"remedies,omitempty"`
	// KeysOnly is set when they want the keys, and their services are called otherwise.
	KeysOnly bool `json:"keys_only,omitempty"`
}

// Clashes returns all name clashes, in order.
func (m *Model) Clashes() []Clash {
	var clashes []Clash
	for name := range m.names {
		clashes = append(clashes, m.clashesOf(name)...)
	}
	slices.SortFunc(clashes, func(a, b Clash) int { return strings.Compare(a.Name+"\x00"+a.Apps[0], b.Name+"\x00"+b.Apps[0]) })
	return clashes
}

// ClashesOf returns the clashes that an app has a part in.
func (m *Model) ClashesOf(app string) []Clash {
	a := m.apps[app]
	if a == nil {
		return nil
	}
	var clashes []Clash
	for _, name := range with(a.claims, a.name) {
		for _, c := range m.clashesOf(name) {
			if slices.Contains(c.Apps, app) {
				clashes = append(clashes, c)
			}
		}
	}
	return clashes
}

// clashesOf returns the clashes of one name: over services, and over keys where others
// want these.
func (m *Model) clashesOf(name string) (clashes []Clash) {
	n := m.names[name]
	if n == nil {
		return nil
	}
	over := Clash{Name: name, Apps: n.services.apps(), Incumbent: m.goesOn(name, n)}
	if n.services.contested() {
		for _, app := range over.Apps {
			if port := m.portOf(app, name); port != "" {
				over.Ports = put(over.Ports, app, port)
				over.Remedies = append(over.Remedies, m.tr.Shaping.nameLabel(port)+" of "+app)
			}
		}
		clashes = append(clashes, over)
	}
	keys := Clash{Name: name, Apps: n.keys.apps(), Incumbent: n.keys.incumbent, KeysOnly: true}
	same := n.services.contested() && slices.Equal(keys.Apps, over.Apps) && keys.Incumbent == over.Incumbent
	if n.keys.contested() && !same {
		clashes = append(clashes, keys)
	}
	return clashes
}

// goesOn returns the app that has the services of a name: the incumbent, or, when all was
// looked at and there is none, the one whose ID alone makes the name.
func (m *Model) goesOn(name string, n *named) string {
	if n.services.incumbent != "" || !n.services.looked {
		return n.services.incumbent
	}
	alone := ""
	for _, one := range n.services.claimants {
		switch {
		case m.apps[one.app].name != name: // one of its ports makes it
		case alone != "":
			return ""
		default:
			alone = one.app
		}
	}
	return alone
}

// quarantined reports whether a clash with an app of the same name keeps all of an app from
// being registered.
func (m *Model) quarantined(a *appEntry) bool {
	n := m.names[a.name]
	if n == nil || !n.services.contested() || !n.services.has(a.app.ID) {
		return false
	}
	same := 0
	for _, one := range n.services.claimants {
		if m.apps[one.app].name == a.name {
			same++
		}
	}
	return same > 1 && m.goesOn(a.name, n) != a.app.ID
}

// yields reports whether a clash keeps the service of one name from being registered.
func (m *Model) yields(a *appEntry, name string) bool {
	n := m.names[name]
	return n != nil && n.services.contested() && m.goesOn(name, n) != a.app.ID
}

// portOf returns the port of an app that makes a name; "" when the app's ID alone does.
func (m *Model) portOf(app, name string) string {
	a := m.apps[app]
	if a.name == name {
		return ""
	}
	return strings.TrimPrefix(name, a.name+"-")
}

// Registered is an app that has services of ours registered, and what one of them is called.
type Registered struct{ App, Name string }

// Contestants are the apps that have a part in any clash.
func (m *Model) Contestants() map[string]bool {
	apps := map[string]bool{}
	for _, n := range m.names {
		for _, c := range []*contest{&n.services, &n.keys} {
			if c.contested() {
				for _, one := range c.claimants {
					apps[one.app] = true
				}
			}
		}
	}
	return apps
}

// PickIncumbents picks the incumbents of clashes that have none, from what is registered
// now and from our keys, by name; nil while they are not known. all says that every agent
// could be read: only then is no incumbent found a proof that there is none.
func (m *Model) PickIncumbents(registered map[Registered]bool, keys map[string][]consul.Key, all bool) {
	for name, n := range m.names {
		n.services.pick(all,
			func(app string) bool { return registered[Registered{app, name}] },
			func(app string) bool { return m.begins(registered, app, name) })
		if keys != nil {
			n.keys.pick(all,
				func(app string) bool { return m.keeps(app, keys[name]) },
				func(app string) bool {
					return anyOf(registered, func(r Registered) bool { return r.App == app })
				})
		}
	}
}

// begins reports whether a name, which the ID of an app alone makes, is the beginning of that
// of a service that it has registered: one of another port.
func (m *Model) begins(registered map[Registered]bool, app, name string) bool {
	return m.apps[app].name == name && anyOf(registered, func(r Registered) bool {
		return r.App == app && strings.HasPrefix(r.Name, name+"-")
	})
}

// keeps reports whether keys are all that the labels of an app make, and nothing else.
func (m *Model) keeps(app string, keys []consul.Key) bool {
	labels, _, _ := m.tr.Labels(app, m.apps[app].app.Definition.Labels)
	other := func(k consul.Key) bool { value, is := labels[k.Label]; return !is || value != k.Value }
	return len(keys) > 0 && len(keys) == len(labels) && !slices.ContainsFunc(keys, other)
}

// pick picks the incumbent: the only one that holds it. Where nobody does, it may be told by
// what else one has, but only if everything could be read.
func (c *contest) pick(all bool, holds, may func(app string) bool) {
	if !c.contested() || c.incumbent != "" {
		return
	}
	holders := c.those(holds)
	if len(holders) == 0 && all {
		holders = c.those(may)
	}
	if len(holders) == 1 {
		c.incumbent = holders[0]
	}
	c.looked = c.looked || all && len(holders) == 0
}

// those are the apps that want it and of which something is true.
func (c *contest) those(is func(app string) bool) (apps []string) {
	for _, one := range c.claimants {
		if is(one.app) {
			apps = append(apps, one.app)
		}
	}
	return apps
}

func anyOf[K comparable](set map[K]bool, is func(K) bool) bool {
	for key := range set {
		if is(key) {
			return true
		}
	}
	return false
}

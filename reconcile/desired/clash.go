package desired

import (
	"slices"
	"strings"
)

// A clash is two apps with one service name: "/a/b" and "/a-b" are both "a-b".
// The one whose services are already registered, the incumbent, goes on; the
// others are quarantined. With no such app, or several, all are.

// Clash is one service name that several apps have.
type Clash struct {
	Name string `json:"service"`
	// Apps are all of them, in order.
	Apps []string `json:"apps"`
	// Incumbent is the one that goes on; "" when all are quarantined.
	Incumbent string `json:"incumbent,omitempty"`
}

// Clashes returns all name clashes, in order.
func (m *Model) Clashes() []Clash {
	var clashes []Clash
	for name := range m.names {
		if clash, is := m.ClashOf(name); is {
			clashes = append(clashes, clash)
		}
	}
	slices.SortFunc(clashes, func(a, b Clash) int { return strings.Compare(a.Name, b.Name) })
	return clashes
}

// ClashOf returns the clash of one service name, if there is one.
func (m *Model) ClashOf(name string) (Clash, bool) {
	apps := m.names[name]
	return Clash{Name: name, Apps: slices.Clone(apps), Incumbent: m.incumbents[name]}, len(apps) > 1
}

// quarantined reports whether a clash keeps the app from being registered.
func (m *Model) quarantined(app string) bool {
	name := ServiceName(app)
	return len(m.names[name]) > 1 && m.incumbents[name] != app
}

// PickIncumbents picks the incumbents of clashes that have none, from the apps that
// have services registered now.
func (m *Model) PickIncumbents(registered map[string]bool) {
	for name, apps := range m.names {
		if len(apps) < 2 || m.incumbents[name] != "" {
			continue
		}
		var holders []string
		for _, app := range apps {
			if registered[app] {
				holders = append(holders, app)
			}
		}
		if len(holders) == 1 {
			m.incumbents[name] = holders[0]
		}
	}
}

// nameApp takes an app into its name. Of a clash that starts now, the incumbent
// is the app that was there before and has tasks, or is missing: it had them perhaps.
func (m *Model) nameApp(app string) {
	name := ServiceName(app)
	apps := m.names[name]
	at, found := slices.BinarySearch(apps, app)
	if found {
		return
	}
	if len(apps) == 1 {
		older, newer := m.apps[apps[0]], m.apps[app]
		if older.since > newer.since {
			older, newer = newer, older
		}
		if older.since < newer.since && (len(older.tasks) > 0 || !older.missing.IsZero()) {
			m.incumbents[name] = older.app.ID
		}
	}
	m.names[name] = slices.Insert(slices.Clone(apps), at, app)
}

// unnameApp gives the name back, which ends a clash of two.
func (m *Model) unnameApp(app string) {
	name := ServiceName(app)
	apps := slices.DeleteFunc(slices.Clone(m.names[name]), func(a string) bool { return a == app })
	switch len(apps) {
	case 0:
		delete(m.names, name)
	default:
		m.names[name] = apps
	}
	if len(apps) < 2 || m.incumbents[name] == app {
		delete(m.incumbents, name)
	}
}

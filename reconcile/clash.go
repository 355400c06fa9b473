package reconcile

import "slices"

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
func (d *Desired) Clashes() []Clash {
	var clashes []Clash
	for _, name := range d.Names() {
		if clash, is := d.clashOf(name); is {
			clashes = append(clashes, clash)
		}
	}
	return clashes
}

// clashOf returns the clash of one service name, if there is one.
func (d *Desired) clashOf(name string) (Clash, bool) {
	apps := d.names[name]
	return Clash{Name: name, Apps: slices.Clone(apps), Incumbent: d.incumbents[name]}, len(apps) > 1
}

// quarantined reports whether a clash keeps the app from being registered.
func (d *Desired) quarantined(app string) bool {
	name := ServiceName(app)
	return len(d.names[name]) > 1 && d.incumbents[name] != app
}

// PickIncumbents picks the incumbents of clashes that have none, from the apps that
// have services registered now.
func (d *Desired) PickIncumbents(registered map[string]bool) {
	for name, apps := range d.names {
		if len(apps) < 2 || d.incumbents[name] != "" {
			continue
		}
		var holders []string
		for _, app := range apps {
			if registered[app] {
				holders = append(holders, app)
			}
		}
		if len(holders) == 1 {
			d.incumbents[name] = holders[0]
		}
	}
}

// nameApp takes an app into its name. Of a clash that starts now, the incumbent
// is the app that was there before and has tasks.
func (d *Desired) nameApp(app string) {
	name := ServiceName(app)
	apps := d.names[name]
	at, found := slices.BinarySearch(apps, app)
	if found {
		return
	}
	if len(apps) == 1 {
		older, newer := d.apps[apps[0]], d.apps[app]
		if older.since > newer.since {
			older, newer = newer, older
		}
		if older.since < newer.since && len(older.tasks) > 0 {
			d.incumbents[name] = older.app.ID
		}
	}
	d.names[name] = slices.Insert(slices.Clone(apps), at, app)
}

// unnameApp gives the name back, which ends a clash of two.
func (d *Desired) unnameApp(app string) {
	name := ServiceName(app)
	apps := slices.DeleteFunc(slices.Clone(d.names[name]), func(a string) bool { return a == app })
	switch len(apps) {
	case 0:
		delete(d.names, name)
	default:
		d.names[name] = apps
	}
	if len(apps) < 2 || d.incumbents[name] == app {
		delete(d.incumbents, name)
	}
}

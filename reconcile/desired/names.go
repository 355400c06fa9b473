package desired

import (
	"slices"
	"strings"
)

// Names that are made of IDs of apps, and who wants what they stand for. Names that labels
// give are nobody's: two apps share one on purpose.

// named is one such name.
type named struct {
	// services are the apps of whose services one is called so, and keys those whose keys
	// are below it.
	services, keys contest
	// keyless are apps of this name that are to have no keys, in order.
	keyless []string
}

// contest is what only one app can have.
type contest struct {
	// claimants want it, in order; most often that is one.
	claimants []claimant
	// incumbent is the one that had it before there were others; "" for none.
	incumbent string
	// looked is set when all of Consul was looked at, and no incumbent was found.
	looked bool
}

// claimant is an app that wants something since a read was asked for, or since an event.
type claimant struct {
	app   string
	since Ticket
}

// contested reports whether several want it.
func (c *contest) contested() bool { return len(c.claimants) > 1 }

// has reports whether an app wants it.
func (c *contest) has(app string) bool {
	return slices.ContainsFunc(c.claimants, func(other claimant) bool { return other.app == app })
}

// apps are those that want it, in order.
func (c *contest) apps() []string {
	apps := make([]string, len(c.claimants))
	for i, one := range c.claimants {
		apps[i] = one.app
	}
	return apps
}

// named returns a name, made if it is not there.
func (m *Model) named(name string) *named {
	n := m.names[name]
	if n == nil {
		n = &named{}
		m.names[name] = n
	}
	return n
}

// unnamed drops a name that nobody has any more.
func (m *Model) unnamed(name string) {
	if n := m.names[name]; n != nil && len(n.services.claimants)+len(n.keys.claimants)+len(n.keyless) == 0 {
		delete(m.names, name)
	}
}

// join lets an app want something. Of two, the one that did so before the other and has
// tasks, or is missing and had some perhaps, is the incumbent. out is told of what is missing.
func (m *Model) join(c *contest, app string, since Ticket, out *Effects) {
	at, there := slices.BinarySearchFunc(c.claimants, app, func(one claimant, app string) int { return strings.Compare(one.app, app) })
	if there {
		return
	}
	newcomer := claimant{app, since}
	if len(c.claimants) == 1 {
		older, newer := c.claimants[0], newcomer
		if older.since > newer.since {
			older, newer = newer, older
		}
		if a := m.apps[older.app]; older.since < newer.since && (len(a.tasks) > 0 || !a.missing.IsZero()) {
			c.incumbent = older.app
		}
	}
	c.claimants = slices.Insert(slices.Clone(c.claimants), at, newcomer)
	m.askMissing(c, out)
}

// askMissing has those apps read that are missing and want what another one wants too: where
// nothing of them is in Consul, nothing else asks for them, and they would keep the name.
func (m *Model) askMissing(c *contest, out *Effects) {
	for _, one := range c.claimants {
		if c.contested() && !m.apps[one.app].missing.IsZero() {
			out.ReadUnprompted = append(out.ReadUnprompted, one.app)
		}
	}
}

// leave lets an app want something no more.
func (c *contest) leave(app string) {
	if !c.has(app) {
		return
	}
	c.claimants = slices.DeleteFunc(slices.Clone(c.claimants), func(one claimant) bool { return one.app == app })
	if !c.contested() || c.incumbent == app {
		c.incumbent, c.looked = "", false
	}
}

// claim brings what an app claims in line with what it is: names of services, and keys.
// out is told of what others get back.
func (m *Model) claim(a *appEntry, since Ticket, out *Effects) {
	wanted := m.claims(a)
	if !slices.Equal(a.claims, wanted) {
		for _, name := range a.claims {
			if _, still := slices.BinarySearch(wanted, name); !still {
				m.release(name, a.app.ID, out)
			}
		}
		before := a.claims
		a.claims = slices.Clone(wanted)
		for _, name := range wanted {
			if _, had := slices.BinarySearch(before, name); !had {
				m.join(&m.named(name).services, a.app.ID, since, out)
			}
		}
	}
	m.claimKeys(a, since, out)
}

// claimKeys says whether an app has keys below its name.
func (m *Model) claimKeys(a *appEntry, since Ticket, out *Effects) {
	if m.tr.Shaping.NoKV {
		return
	}
	n := m.named(a.name)
	keyed := a.keyed()
	if keyed == n.keys.has(a.app.ID) && keyed != slices.Contains(n.keyless, a.app.ID) {
		return
	}
	if keyed {
		n.keyless = without(n.keyless, a.app.ID)
		m.join(&n.keys, a.app.ID, since, out)
		return
	}
	n.keyless = with(n.keyless, a.app.ID)
	n.keys.leave(a.app.ID)
	out.Names = append(out.Names, a.name)
}

// keyed reports whether an app's labels are keys, as far as labels and what is known of it say.
func (a *appEntry) keyed() bool {
	return a.shape == nil || a.shape.leftOut == "" && !a.shape.noKeys
}

// release lets an app's services have a name no more, and names the tasks of those that still
// want it: a clash may have ended for them.
func (m *Model) release(name, app string, out *Effects) {
	n := m.names[name]
	n.services.leave(app)
	for _, one := range n.services.claimants {
		m.nameTasks(m.apps[one.app], out)
	}
	m.unnamed(name)
}

// nameTasks names all tasks of an app.
func (m *Model) nameTasks(a *appEntry, out *Effects) {
	for _, task := range sortedKeys(a.tasks) {
		out.addTask(m.tasks[task])
	}
}

// reclaim claims anew what an app does because of its tasks, and reports whether that has
// changed: with a name that it does not claim any more, a clash may have ended for all of them.
func (m *Model) reclaim(a *appEntry, out *Effects) (changed bool) {
	before := a.claims
	m.claim(a, m.now, out)
	return !slices.Equal(before, a.claims)
}

// disclaim gives back all that an app has.
func (m *Model) disclaim(a *appEntry, out *Effects) {
	for _, name := range a.claims {
		m.release(name, a.app.ID, out)
	}
	a.claims = nil
	if n := m.names[a.name]; n != nil {
		n.keys.leave(a.app.ID)
		n.keyless = without(n.keyless, a.app.ID)
		m.unnamed(a.name)
	}
}

// claims are the names of services, made of its ID, that an app uses: by its present
// definition, or by that of a task of it that runs. One with such a name also has that which
// its ID alone makes. What cannot be read, or is missing, keeps what it has, and so does one
// with a task whose definition is not known.
func (m *Model) claims(a *appEntry) []string {
	if a.shape == nil {
		if a.claims != nil {
			return a.claims
		}
		return []string{a.name}
	}
	m.wanted = distinct(a.shape.claims(a.name, m.wanted[:0]))
	own, seen := len(m.wanted), a.shape
	for task := range a.tasks {
		t := m.tasks[task].task
		if a.app.Runs(t.Version) {
			continue
		}
		switch sh, _ := m.shapeOf(t); sh {
		case nil:
			m.wanted = append(append(m.wanted, a.name), a.claims...)
		case seen:
		default:
			m.wanted, seen = sh.claims(a.name, m.wanted), sh
		}
	}
	m.wanted = distinct(m.wanted)
	a.mixed = len(m.wanted) > own
	return m.wanted
}

// claims adds the names of services that are made of the app's ID.
func (sh *shape) claims(name string, to []string) []string {
	for i := range sh.services {
		if s := &sh.services[i]; s.made {
			to = append(to, name, s.name)
		}
	}
	return to
}

// distinct puts a list in order, each element once.
func distinct(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// with and without return a list with, or without, an element; in order.
func with(list []string, element string) []string {
	at, there := slices.BinarySearch(list, element)
	if there {
		return list
	}
	return slices.Insert(slices.Clone(list), at, element)
}

func without(list []string, element string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(other string) bool { return other == element })
}

package desired

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"consular/consul"
	"consular/marathon"
)

// Apps that want one name: by their IDs, by a port, or for their keys alone.

// called is an app with labels and ports, and one task that runs its definition.
func called(id, labels string, ports ...string) marathon.App {
	task := newTask("task-of-"+strings.ReplaceAll(id[1:], "/", "_"), id)
	app := newApp(id, task)
	app.Definition.Ports = nil
	for i, port := range append([]string{"first"}, ports...) {
		app.Definition.Ports = append(app.Definition.Ports, marathon.Port{Name: port, OnHost: true})
		app.Tasks[0].Ports = append(app.Tasks[0].Ports[:i:i], 31000+i)
	}
	app.Definition = labelsOf(app.Definition, labels)
	app.Labels = app.Definition.Labels
	return app
}

// told is a model that learns of one app after the other.
func told(apps ...marathon.App) *Model {
	m := knowing(apps[0])
	for _, app := range apps[1:] {
		m.ApplyApp(m.BeginRead(), app, start)
	}
	return m
}

// there says what should be there: services by name, and keys.
func there(m *Model) string {
	var services, keys []string
	for id := range m.tasks {
		for _, s := range m.Want(id, "").Services {
			services = append(services, s.ID+" "+s.Name)
		}
	}
	for _, name := range m.Names() {
		if w := m.WantKeys(name); w.Verdict == Present {
			keys = append(keys, name+" of "+w.App)
		}
	}
	slices.Sort(services)
	return fmt.Sprint(services, keys)
}

func TestWhoHasAName(t *testing.T) {
	const kv = "consul.kv=false\n"
	for name, test := range map[string]struct {
		model   *Model
		want    string
		clashes string
	}{
		"one after the other": {
			told(called("/a/b", ""), called("/a-b", "")), "[task-of-a_b a-b] [a-b of /a/b]", "[a-b [/a-b /a/b] /a/b]",
		},
		"at the same time": {
			knowing(called("/a/b", ""), called("/a-b", "")), "[] []", "[a-b [/a-b /a/b] -]",
		},
		"a name on purpose": {
			told(called("/a/b", "consul.name=x"), called("/a-b", "consul.name=x"), called("/c", "consul.name=x")),
			"[task-of-a-b x task-of-a_b x task-of-c x] [a-b of /a/b c of /c]", "[a-b [/a-b /a/b] /a/b keys]",
		},
		"a name that another's ID makes": {
			told(called("/shop/web", ""), called("/canary", "consul.name=shop-web")), "[task-of-canary shop-web task-of-shop_web shop-web] [canary of /canary shop-web of /shop/web]", "[]",
		},
		"only one uses the name, and both have keys": {
			told(called("/a/b", "consul.name=x"), called("/a-b", "")), "[task-of-a-b a-b task-of-a_b x] [a-b of /a/b]", "[a-b [/a-b /a/b] /a/b keys]",
		},
		"a third that does not use it": {
			told(called("/a/b/c", ""), called("/a-b/c", ""), called("/a/b-c", "consul.name=x")),
			"[task-of-a_b-c x task-of-a_b_c a-b-c] [a-b-c of /a/b/c]", "[a-b-c [/a-b/c /a/b/c] /a/b/c a-b-c [/a-b/c /a/b-c /a/b/c] /a/b/c keys]",
		},
		"a port of one app, and the keys of another": {
			knowing(called("/a-b", ""), called("/a/b", "consul.name=x"), called("/a", "consul.ports=all", "b")),
			"[task-of-a a task-of-a_b x] [a of /a]", "[a-b [/a /a-b] - the label consul.port.b.name of /a a-b [/a-b /a/b] - keys]",
		},
		"only one has keys": {
			told(called("/a/b", kv), called("/a-b", "")), "[task-of-a_b a-b] [a-b of /a-b]", "[a-b [/a-b /a/b] /a/b]",
		},
		"neither name nor keys in common": {
			told(called("/a/b", kv+"consul.name=x"), called("/a-b", "")), "[task-of-a-b a-b task-of-a_b x] [a-b of /a-b]", "[]",
		},
		"one is left out": {
			told(called("/a/b", "consul.register=false"), called("/a-b", "")), "[task-of-a-b a-b] [a-b of /a-b]", "[]",
		},
		"a port that uses the name": {
			told(called("/a/b", "consul.ports=admin", "admin"), called("/a-b", "")), "[task-of-a_b:admin a-b-admin] [a-b of /a/b]", "[a-b [/a-b /a/b] /a/b]",
		},
		"a port, and an app that comes later": {
			told(called("/shop", "consul.ports=all", "web"), called("/shop/web", "consul.port.back.tags=x", "back")),
			"[task-of-shop shop task-of-shop:web shop-web task-of-shop_web:back shop-web-back] [shop of /shop shop-web of /shop/web]",
			"[shop-web [/shop /shop/web] /shop the label consul.port.web.name of /shop]",
		},
		"an app, and a port that comes later": {
			told(called("/shop/web", ""), called("/shop", "consul.ports=all", "web")),
			"[task-of-shop shop task-of-shop_web shop-web] [shop of /shop shop-web of /shop/web]",
			"[shop-web [/shop /shop/web] /shop/web the label consul.port.web.name of /shop]",
		},
		"an app and a port at the same time": {
			knowing(called("/shop/web", ""), called("/shop", "consul.ports=all", "web")),
			"[task-of-shop shop] [shop of /shop shop-web of /shop/web]", "[shop-web [/shop /shop/web] - the label consul.port.web.name of /shop]",
		},
		"the remedy": {
			told(called("/shop/web", ""), called("/shop", "consul.ports=all\nconsul.port.web.name=front", "web")),
			"[task-of-shop shop task-of-shop:web front task-of-shop_web shop-web] [shop of /shop shop-web of /shop/web]", "[]",
		},
		"another remedy": {
			told(called("/shop/web", ""), called("/shop", "consul.ports=all\nconsul.name=front", "web")),
			"[task-of-shop front task-of-shop:web front-web task-of-shop_web shop-web] [shop of /shop shop-web of /shop/web]", "[]",
		},
		"two ports": {
			told(called("/shop", "consul.ports=web-back", "web-back"), called("/shop/web", "consul.ports=all", "back")),
			"[task-of-shop:web-back shop-web-back task-of-shop_web shop-web] [shop of /shop shop-web of /shop/web]",
			"[shop-web-back [/shop /shop/web] /shop the label consul.port.web-back.name of /shop the label consul.port.back.name of /shop/web]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := there(test.model); got != test.want {
				t.Errorf("there is %s\nwant     %s", got, test.want)
			}
			if got := clashesIn(test.model); got != test.clashes {
				t.Errorf("clashes %s\nwant    %s", got, test.clashes)
			}
		})
	}
}

// clashesIn says what clashes: name, apps, who goes on.
func clashesIn(m *Model) string {
	var all []string
	for _, c := range m.Clashes() {
		goesOn := c.Incumbent
		if goesOn == "" {
			goesOn = "-"
		}
		line := fmt.Sprint(c.Name, " ", c.Apps, " ", goesOn)
		if c.KeysOnly {
			line += " keys"
		}
		for _, remedy := range c.Remedies {
			line += " " + remedy
		}
		all = append(all, line)
	}
	return fmt.Sprint(all)
}

// Who is registered under a name goes on; when all was looked at and nobody is, the app whose
// ID makes it does, and not before.
func TestWhoIsRegisteredGoesOn(t *testing.T) {
	shop, web := called("/shop", "consul.ports=all", "web"), called("/shop/web", "")
	registered := func(pairs ...string) map[Registered]bool {
		all := map[Registered]bool{}
		for i := 0; i < len(pairs); i += 2 {
			all[Registered{pairs[i], pairs[i+1]}] = true
		}
		return all
	}
	for name, test := range map[string]struct {
		registered map[Registered]bool
		all        bool
		goesOn     string
	}{
		"not looked yet":           {nil, false, ""},
		"nobody":                   {nil, true, "/shop/web"},
		"the port":                 {registered("/shop", "shop", "/shop", "shop-web"), true, "/shop"},
		"the port, some is unread": {registered("/shop", "shop-web"), false, "/shop"},
		"the app":                  {registered("/shop", "shop", "/shop/web", "shop-web"), true, "/shop/web"},
		"both":                     {registered("/shop", "shop-web", "/shop/web", "shop-web"), true, ""},
		// A clash keeps the one service back that wants the name, and no other of its app.
		"the port, and a port of the app":   {registered("/shop", "shop-web", "/shop/web", "shop-web-back"), true, "/shop"},
		"a port of the app, some is unread": {registered("/shop", "shop", "/shop/web", "shop-web-back"), false, ""},
		"a port of the app":                 {registered("/shop", "shop", "/shop/web", "shop-web-back"), true, "/shop/web"},
	} {
		m := knowing(shop, web)
		m.PickIncumbents(test.registered, noKeys, test.all)
		c := m.Clashes()
		if len(c) != 1 || c[0].Incumbent != test.goesOn {
			t.Errorf("%s: clashes %+v, want %q to go on", name, c, test.goesOn)
		}
		m.PickIncumbents(registered("/shop", "shop-web"), noKeys, true)
		if now := m.Clashes()[0].Incumbent; test.goesOn == "/shop" && now != "/shop" {
			t.Errorf("%s: it has passed on to %q", name, now)
		}
	}
	for name, test := range map[string]struct {
		registered map[Registered]bool
		goesOn     string
	}{
		"by the name":         {registered("/a/b", "a-b", "/a-b", "other"), "/a/b"},
		"by a name of a port": {registered("/a/b", "a-b-admin"), "/a/b"},
		"neither":             {registered("/a/b", "other"), ""},
	} {
		m := knowing(called("/a/b", ""), called("/a-b", ""))
		m.PickIncumbents(test.registered, noKeys, true)
		if c := m.Clashes(); c[0].Incumbent != test.goesOn {
			t.Errorf("%s: clashes %+v, want %q to go on", name, c, test.goesOn)
		}
	}
}

// Whose keys there are goes on with them: who has registered something, under whatever name, only
// where no keys tell, and when all of Consul could be read.
func TestWhoseKeysThereAreGoesOn(t *testing.T) {
	first, second := called("/a/b", "consul.name=x\nrole=first"), called("/a-b", "consul.name=y\nrole=second")
	keysOf := func(app marathon.App, more ...consul.Key) map[string][]consul.Key {
		keys := more
		for label, value := range app.Labels {
			keys = append(keys, consul.Key{Service: "a-b", Label: label, Value: value})
		}
		return map[string][]consul.Key{"a-b": keys}
	}
	both := map[Registered]bool{{"/a/b", "x"}: true, {"/a-b", "y"}: true}
	onlySecond := map[Registered]bool{{"/a-b", "y"}: true}
	for name, test := range map[string]struct {
		registered map[Registered]bool
		keys       map[string][]consul.Key
		all        bool
		goesOn     string
	}{
		"the keys of the one":                       {both, keysOf(first), true, "/a/b"},
		"the keys of the other":                     {both, keysOf(second), true, "/a-b"},
		"the keys of one that has no task":          {onlySecond, keysOf(first), true, "/a/b"},
		"the keys of the one, some is unread":       {onlySecond, keysOf(first), false, "/a/b"},
		"one less":                                  {both, map[string][]consul.Key{"a-b": {{Service: "a-b", Label: "role", Value: "first"}}}, true, ""},
		"one more":                                  {both, keysOf(first, consul.Key{Service: "a-b", Label: "old"}), true, ""},
		"another value":                             {both, map[string][]consul.Key{"a-b": {{Label: "consul.name", Value: "x"}, {Label: "role", Value: "former"}}}, true, ""},
		"none, and services of both":                {both, noKeys, true, ""},
		"none, and services of one":                 {onlySecond, noKeys, true, "/a-b"},
		"none, and services of one, some is unread": {onlySecond, noKeys, false, ""},
		"not known":                                 {onlySecond, nil, true, ""},
	} {
		m := knowing(first, second)
		m.PickIncumbents(test.registered, test.keys, test.all)
		if c := m.Clashes(); len(c) != 1 || !c[0].KeysOnly || c[0].Incumbent != test.goesOn {
			t.Errorf("%s: clashes %+v, want %q to go on", name, c, test.goesOn)
		}
	}
}

// That there are no keys says nothing of an app without labels.
func TestNoKeysAreNobodys(t *testing.T) {
	m := knowing(called("/a/b", ""), called("/a-b", "consul.name=y"))
	m.PickIncumbents(map[Registered]bool{{"/a/b", "a-b"}: true, {"/a-b", "y"}: true}, noKeys, true)
	if c := m.Clashes(); len(c) != 1 || c[0].Incumbent != "" {
		t.Errorf("clashes %+v, want nobody to go on", c)
	}
}

// What was a clash ends with what made it: an app that goes, a label that comes, the last
// task that ran under the old one.
func TestAClashEnds(t *testing.T) {
	named := called("/a/b", "consul.name=x")
	named.Version, named.Tasks = "v2", append(named.Tasks, called("/a/b", "").Tasks...)
	named.Tasks[0].ID, named.Tasks[0].Version = "new", "v2"
	m := told(called("/a/b", ""), called("/a-b", ""))
	m.ApplyApp(m.BeginRead(), named, start)
	if got, want := there(m), "[new x] [a-b of /a/b]"; got != want {
		t.Errorf("while the definition of the old task is not known: %s, want %s", got, want)
	}
	// The old task runs the version that gave the name up: it has it still.
	m.ApplyDefinition(Version{"/a/b", "v1"}, called("/a/b", "").Definition, false)
	if got, want := there(m), "[new x task-of-a_b a-b] [a-b of /a/b]"; got != want {
		t.Errorf("while an old task runs: %s, want %s", got, want)
	}
	e := m.ApplyEvent(changed(in(marathon.TaskKilled, newTask("task-of-a_b", "/a/b"))), start)
	if got, want := there(m), "[new x task-of-a-b a-b] [a-b of /a/b]"; got != want {
		t.Errorf("afterwards: %s, want %s", got, want)
	}
	if !slices.ContainsFunc(e.Tasks, func(t TaskRef) bool { return t.Task == "task-of-a-b" }) {
		t.Errorf("nobody looks at the task that is released: %+v", e.Tasks)
	}
	// It was there before: the one that wants the name back has to wait.
	again := called("/a/b", "")
	again.Version, again.Tasks[0].Version, again.Tasks[0].ID = "v3", "v3", "again"
	m.ApplyApp(m.BeginRead(), again, start)
	if got, want := there(m), "[task-of-a-b a-b] [a-b of /a/b]"; got != want {
		t.Errorf("and again: %s, want %s", got, want)
	}
}

func TestReleasedWhenThePortIsRenamed(t *testing.T) {
	m := told(called("/shop", "consul.ports=all", "web"), called("/shop/web", ""))
	e := m.ApplyNotFound(m.BeginRead(), "/shop", start)
	if got, want := there(m), "[task-of-shop_web shop-web] [shop-web of /shop/web]"; got != want {
		t.Errorf("there is %s, want %s", got, want)
	}
	if !slices.ContainsFunc(e.Tasks, func(t TaskRef) bool { return t.Task == "task-of-shop_web" }) || !slices.Contains(e.Names, "shop") {
		t.Errorf("effects %+v", e)
	}
	if len(m.names) != 1 {
		t.Errorf("names %v are kept", m.Names())
	}
}

// A missing app keeps its name and its place, whatever made it.
func TestMissingAppKeepsThePlaceOfItsPort(t *testing.T) {
	m := told(called("/shop", "consul.ports=all", "web"))
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(called("/shop/web", "")), start, Alone)
	if got, want := there(m), "[] [shop-web of /shop/web]"; got != want {
		t.Errorf("there is %s, want %s", got, want)
	}
	m.ApplyNotFound(m.BeginRead(), "/shop", start)
	if got, want := there(m), "[task-of-shop_web shop-web] [shop-web of /shop/web]"; got != want {
		t.Errorf("there is %s, want %s", got, want)
	}
}

// Without keys, a name that no service has is nobody's, and nothing clashes over it.
func TestNamesWithoutKeys(t *testing.T) {
	tr := testTranslation()
	tr.Shaping.NoKV = true
	m := New(tr)
	apps := marathonSnapshot(called("/a/b", "consul.name=x"), called("/a-b", "consul.name=y"), called("/c", ""))
	m.ApplySnapshot(m.BeginRead(), apps, start, Alone)
	var services []string
	for _, task := range m.TasksOn("agent-1.test") {
		services = append(services, m.Want(task, "").Services[0].Name)
	}
	if got := fmt.Sprint(services, m.Names(), m.Clashes()); got != "[y x c] [c] []" {
		t.Errorf("services, names and clashes: %s", got)
	}
}

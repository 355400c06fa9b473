package desired

import (
	"fmt"
	"slices"
	"testing"

	"consular/marathon"
)

func incumbentOf(t *testing.T, d *Model) string {
	t.Helper()
	clashes := d.Clashes()
	if len(clashes) != 1 || clashes[0].Name != "a-b" || !slices.Equal(clashes[0].Apps, []string{"/a-b", "/a/b"}) {
		t.Fatalf("clashes %+v, want one of /a-b and /a/b", clashes)
	}
	return clashes[0].Incumbent
}

// clashOf returns the clash of the name a-b, if there is one.
func clashOf(m *Model) (Clash, bool) {
	for _, c := range m.clashesOf("a-b") {
		return c, true
	}
	return Clash{}, false
}

func TestNewcomerOfAClashIsQuarantined(t *testing.T) {
	older, newer := newApp("/a/b", newTask("t1", "/a/b")), newApp("/a-b", newTask("t2", "/a-b"))
	for name, arrive := range map[string]func(*Model){
		"event":    func(d *Model) { d.ApplyApp(d.BeginRead(), newer, start) },
		"snapshot": func(d *Model) { d.ApplySnapshot(d.BeginRead(), marathonSnapshot(newer, older), start, Alone) },
	} {
		d := knowing(older)
		arrive(d)
		if incumbent := incumbentOf(t, d); incumbent != "/a/b" {
			t.Errorf("%s: incumbent %q", name, incumbent)
		}
		wantVerdict(t, d, "t1", "/a/b", Present)
		wantVerdict(t, d, "t2", "/a-b", Untouched)
		wantVerdict(t, d, "t9", "/a-b", Untouched)
		if w := d.WantKeys("a-b"); w.App != "/a/b" || w.Verdict != Present {
			t.Errorf("%s: labels are those of %+v", name, w)
		}
		d.ApplyEvent(changed(in(marathon.TaskKilled, newTask("t2", "/a-b"))), start)
		if w := wantVerdict(t, d, "t2", "/a-b", Absent); !w.Grounds.Has(Announced) {
			t.Errorf("%s: a quarantined task that ends is not deregistered", name)
		}
	}
}

func TestClashOfTwoNewAppsQuarantinesBoth(t *testing.T) {
	a, b := newApp("/a/b", newTask("t1", "/a/b")), newApp("/a-b", newTask("t2", "/a-b"))
	for name, registered := range map[string]map[Registered]bool{
		"none registered": nil,
		"both registered": {{"/a/b", "a-b"}: true, {"/a-b", "a-b"}: true},
	} {
		d := knowing(a, b)
		d.PickIncumbents(registered, noKeys, true)
		if incumbent := incumbentOf(t, d); incumbent != "" {
			t.Errorf("%s: incumbent %q", name, incumbent)
		}
		wantVerdict(t, d, "t1", "/a/b", Untouched)
		wantVerdict(t, d, "t2", "/a-b", Untouched)
		if w := d.WantKeys("a-b"); w.Verdict != Untouched {
			t.Errorf("%s: labels %+v", name, w)
		}
	}
	d := knowing(a, b)
	d.PickIncumbents(map[Registered]bool{{"/a-b", "a-b"}: true}, noKeys, true)
	if incumbent := incumbentOf(t, d); incumbent != "/a-b" {
		t.Errorf("incumbent %q, want the one that is registered", incumbent)
	}
	wantVerdict(t, d, "t2", "/a-b", Present)
}

// When one of two goes, the other's tasks and labels are to be written now, not
// at the next resync.
func TestEndOfAClashReleasesTheOther(t *testing.T) {
	d := knowing(newApp("/a/b", newTask("t1", "/a/b")))
	d.ApplyApp(d.BeginRead(), newApp("/a-b", newTask("t2", "/a-b")), start)
	e := d.ApplyNotFound(d.BeginRead(), "/a/b", start)
	wantVerdict(t, d, "t2", "/a-b", Present)
	if !slices.ContainsFunc(e.Tasks, func(t TaskRef) bool { return t.Task == "t2" }) {
		t.Errorf("effects %+v do not name the task that is released", e)
	}
	if !slices.Contains(e.Names, "a-b") || len(d.Clashes()) > 0 {
		t.Errorf("effects %+v, clashes %v", e, d.Clashes())
	}
}

func TestIncumbentOfThreeGoes(t *testing.T) {
	d := knowing(newApp("/a/b/c", newTask("t1", "/a/b/c")))
	d.ApplyApp(d.BeginRead(), newApp("/a-b/c"), start)
	d.ApplyApp(d.BeginRead(), newApp("/a/b-c"), start)
	d.ApplyNotFound(d.BeginRead(), "/a/b/c", start)
	if c := d.Clashes(); len(c) != 1 || len(c[0].Apps) != 2 || c[0].Incumbent != "" {
		t.Errorf("clashes %+v, want two apps and no incumbent", c)
	}
}

// Which clashes an app has a part in, and which apps have one in any: those are told with
// the app, and looked for in Consul.
func TestPartsInClashes(t *testing.T) {
	m := told(
		called("/shop", "consul.ports=all", "web"), called("/shop/web", ""),
		called("/a/b", "consul.name=x"), called("/a-b", "consul.name=y"), called("/other", ""),
	)
	for app, want := range map[string]string{
		"/shop": "[shop-web]", "/shop/web": "[shop-web]", "/a/b": "[a-b]", "/a-b": "[a-b]", "/other": "[]", "/unknown": "[]",
	} {
		names := []string{}
		for _, c := range m.ClashesOf(app) {
			names = append(names, c.Name)
		}
		if got := fmt.Sprint(names); got != want {
			t.Errorf("%s has a part in %s, want %s", app, got, want)
		}
		if m.Contestants()[app] != (want != "[]") {
			t.Errorf("%s: contestants %v", app, m.Contestants())
		}
	}
}

// Incumbents are looked for only where several want the name, and once.
func TestIncumbentOfNoClash(t *testing.T) {
	m := knowing(called("/a/b", ""))
	m.PickIncumbents(map[Registered]bool{{"/a/b", "a-b"}: true}, noKeys, true)
	m.ApplyApp(m.BeginRead(), called("/a-b", ""), start)
	if incumbent := incumbentOf(t, m); incumbent != "/a/b" {
		t.Errorf("incumbent %q", incumbent)
	}
	m.PickIncumbents(map[Registered]bool{{"/a-b", "a-b"}: true}, noKeys, true)
	if incumbent := incumbentOf(t, m); incumbent != "/a/b" {
		t.Errorf("and then %q", incumbent)
	}
}

// An app that was quarantined and has been given another name is registered when the last of
// its tasks with the old name ends: the event names the others, which it has let go.
func TestQuarantineEndsWithTheLastTaskOfTheOldName(t *testing.T) {
	renamed := func() marathon.App {
		app := newApp("/a-b", newTask("old", "/a-b"), newTask("new", "/a-b"))
		app.Version, app.Tasks[1].Version = "v2", "v2"
		app.Labels = map[string]string{"consul.name": "another"}
		app.Definition.Labels = app.Labels
		return app
	}
	named := func(what string, e Effects) {
		t.Helper()
		if !slices.ContainsFunc(e.Tasks, func(r TaskRef) bool { return r.Task == "new" }) {
			t.Errorf("%s: what may be registered is not named: %+v", what, e.Tasks)
		}
	}
	m := knowing(newApp("/a/b", newTask("t1", "/a/b")))
	m.ApplyApp(m.BeginRead(), newApp("/a-b", newTask("old", "/a-b")), start)
	m.ApplyApp(m.BeginRead(), renamed(), start)
	m.ApplyDefinition(Version{"/a-b", "v1"}, newApp("/a-b").Definition, false)
	wantVerdict(t, m, "new", "/a-b", Untouched)
	named("the old one ends", m.ApplyEvent(changed(in(marathon.TaskKilled, newTask("old", "/a-b"))), start))
	wantVerdict(t, m, "new", "/a-b", Present)

	// What the old one runs is not known after a restart, and could be of the name.
	m = knowing(newApp("/a/b", newTask("t1", "/a/b")), renamed())
	wantVerdict(t, m, "new", "/a-b", Untouched)
	named("the old one has another name too", m.ApplyDefinition(Version{"/a-b", "v1"}, renamed().Definition, false))
	wantVerdict(t, m, "new", "/a-b", Present)
}

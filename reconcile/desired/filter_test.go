package desired

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"consular/marathon"
)

func TestParseGlobs(t *testing.T) {
	for list, want := range map[string]string{
		"": "[]", " , ,": "[]", "a": "[a]", " a , b ,": "[a b]", "{a,b}*,c": "[{a,b}* c]", "{a,{b,c}},d": "[{a,{b,c}} d]",
		`a\,b,c`: `[a\,b c]`, `\{a,b`: `[\{a b]`, "[x]": "[[x]]",
	} {
		globs, err := ParseGlobs(list)
		if got := fmt.Sprint(globs); err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", list, got, err, want)
		}
	}
	for _, list := range []string{"{a", "a,[", `x\`, "{a,b"} {
		if globs, err := ParseGlobs(list); err == nil {
			t.Errorf("%q: taken as %q", list, globs)
		}
	}
	for _, list := range []string{"/**", "*", "{/a,/b}/*", `\/a`, "[/]a"} {
		if err := (Globs{list}).CheckApps(); err != nil {
			t.Errorf("%q: %v", list, err)
		}
	}
	if err := (Globs{"/a", "prod/**"}).CheckApps(); err == nil || !strings.Contains(err.Error(), `"prod/**"`) {
		t.Errorf("prod/**: %v", err)
	}
}

// globs are patterns that are known to be good.
func globs(list string) Globs {
	all, err := ParseGlobs(list)
	if err != nil {
		panic(err)
	}
	return all
}

func TestWhichApps(t *testing.T) {
	for name, test := range map[string]struct {
		shaping Shaping
		labels  string
		in      bool
		by      string
	}{
		"all":                     {in: true},
		"among those that are in": {shaping: Shaping{Apps: globs("/stage/**,/prod/**")}, in: true},
		"not among them":          {shaping: Shaping{Apps: globs("/stage/**,/prod/*")}, by: "--apps"},
		"excluded":                {shaping: Shaping{ExcludeApps: globs("**/web")}, by: "--exclude-apps"},
		"excluded from those":     {shaping: Shaping{Apps: globs("/prod/**"), ExcludeApps: globs("/prod/shop/web")}, by: "--exclude-apps"},
		"options win over labels": {shaping: Shaping{Apps: globs("/stage/**")}, labels: "consul.register=true", by: "--apps"},
		"a star stops at a slash": {shaping: Shaping{Apps: globs("/prod/*")}, by: "--apps"},
		"by its label":            {labels: "consul.register=false", by: "consul.register=false"},
		"for want of a label":     {shaping: Shaping{Labelled: true}, by: "--register labelled"},
		"with a label":            {shaping: Shaping{Labelled: true}, labels: "consul.register=true", in: true},
		"without allegro's label": {shaping: Shaping{Allegro: true}, by: "no label consul"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := testTranslation()
			tr.Shaping = test.shaping
			m := New(tr)
			app := called("/prod/shop/web", test.labels)
			m.ApplySnapshot(m.BeginRead(), marathonSnapshot(app), start, Alone)
			w, keys := m.Want(app.Tasks[0].ID, app.ID), m.WantKeys(tr.ServiceName(app.ID))
			apps, tasks := m.Count()
			if test.in {
				if w.Verdict != Present || keys.Verdict != Present || apps != 1 || tasks != 1 || len(m.LeftOut()) > 0 || len(m.Hosts()) != 1 {
					t.Errorf("%+v, %+v, %d apps, %d tasks, %v left out, hosts %v", w, keys, apps, tasks, m.LeftOut(), m.Hosts())
				}
				return
			}
			if w.Verdict != Absent || w.Grounds != Excluded || keys.Verdict != Absent || keys.Grounds != Excluded || keys.App != app.ID {
				t.Errorf("%+v, %+v", w, keys)
			}
			if apps != 0 || tasks != 0 || m.Services() != 0 || len(m.Hosts()) > 0 || !slices.Equal(m.LeftOut(), []LeftOut{{By: test.by, Apps: 1}}) {
				t.Errorf("%d apps, %d tasks, hosts %v, left out %v", apps, tasks, m.Hosts(), m.LeftOut())
			}
			// Its host may have no agent: nobody goes there because of it, and it is asked for
			// only where its labels may change.
			for _, e := range []marathon.Event{
				changed(app.Tasks[0]), changed(in(marathon.TaskUnreachable, app.Tasks[0])),
				marathon.DeploymentPlanned{Version: "v2", Apps: []string{app.ID}},
				marathon.GroupChanged{Version: "v2"},
			} {
				out := m.ApplyEvent(e, start)
				byID := test.shaping.LeavesOut(app.ID) != ""
				enqueues := slices.ContainsFunc(out.Tasks, func(t TaskRef) bool { return !t.Quiet })
				if enqueues || byID && len(out.Read)+len(out.ReadUnprompted)+len(out.ReadAgain) > 0 {
					t.Errorf("%T: %+v", e, out)
				}
			}
			out := m.ApplyEvent(changed(in(marathon.TaskKilled, app.Tasks[0])), start)
			if len(out.Tasks) != 1 || !out.Tasks[0].Quiet {
				t.Errorf("its end: %+v", out)
			}
			if w := m.Want(app.Tasks[0].ID, app.ID); w.Grounds != Ended {
				t.Errorf("after its end: %+v", w)
			}
			m.ApplySnapshot(m.BeginRead(), marathonSnapshot(), start, Alone)
			if len(m.LeftOut()) > 0 || test.shaping.LeavesOut(app.ID) != "" && len(m.names) > 0 {
				t.Errorf("when it is gone: %v, %v", m.LeftOut(), m.Names())
			}
		})
	}
}

// An app that is left out by its label keeps the services of tasks that run a definition
// which does not say so, until they end; its keys follow what it is now.
func TestOldTasksOfAnAppThatLeavesItselfOut(t *testing.T) {
	app := called("/shop", "")
	m := knowing(app)
	now := called("/shop", "consul.register=false")
	now.Version, now.Tasks[0].ID, now.Tasks[0].Version = "v2", "new", "v2"
	now.Tasks = append(now.Tasks, app.Tasks...)
	e := m.ApplyApp(m.BeginRead(), now, start)
	m.ApplyDefinition(e.Definitions[0], app.Definition, false)
	if got, want := there(m), "[task-of-shop shop] []"; got != want {
		t.Errorf("there is %s, want %s", got, want)
	}
	if apps, tasks := m.Count(); apps != 0 || tasks != 1 || m.Services() != 1 {
		t.Errorf("%d apps and %d tasks", apps, tasks)
	}
	if w := m.WantKeys("shop"); w.Verdict != Absent || w.Grounds != Excluded {
		t.Errorf("keys %+v", w)
	}
	m.ApplyDefinition(e.Definitions[0], marathon.Definition{}, true)
	if w := m.Want("task-of-shop", ""); w.Verdict != Untouched {
		t.Errorf("when its version was deleted: %+v", w)
	}
}

func TestWhichKeys(t *testing.T) {
	app := called("/shop", "a=1\nb/c=2\nd=3")
	for name, test := range map[string]struct {
		shaping          Shaping
		labels, excluded string
	}{
		"all":     {Shaping{}, "[a b/c d]", "[]"},
		"some":    {Shaping{KVLabels: globs("{a,b}*,d")}, "[a d]", "[b/c]"},
		"slashes": {Shaping{KVLabels: globs("b/*")}, "[b/c]", "[a d]"},
	} {
		tr := testTranslation()
		tr.Shaping = test.shaping
		m := New(tr)
		m.ApplySnapshot(m.BeginRead(), marathonSnapshot(app), start, Alone)
		w := m.WantKeys("shop")
		labels, excluded := fmt.Sprint(slices.Sorted(maps.Keys(w.Labels))), fmt.Sprint(slices.Sorted(maps.Keys(w.Excluded)))
		if w.Verdict != Present || labels != test.labels || excluded != test.excluded {
			t.Errorf("%s: keys %s, left out %s", name, labels, excluded)
		}
	}
	m := knowing(called("/shop", "a=1\nconsul.kv=false"))
	if w := m.WantKeys("shop"); w.Verdict != Absent || w.Grounds != Excluded || w.App != "/shop" {
		t.Errorf("none: %+v", w)
	}
}

package desired

import (
	"slices"
	"testing"

	"consular/marathon"
)

// What an explanation is told of apps and tasks: those that are there, left out by an option
// or a label, missing, unreadable, gone, or never heard of.
func TestWhatIsKnownOfAnApp(t *testing.T) {
	tr := testTranslation()
	tr.Shaping.ExcludeApps = globs("/excluded")
	m := New(tr)
	labelled := newApp("/labelled", newTask("t3", "/labelled"))
	labelled.Definition.Labels = map[string]string{"consul.register": "false"}
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(newApp("/missing"), newApp("/gone")), start, Alone)
	m.ApplyNotFound(m.BeginRead(), "/gone", start)
	second := marathonSnapshot(newApp("/a", newTask("t2", "/a"), newTask("t1", "/a")), labelled, newApp("/excluded"))
	second.Unreadable = []marathon.Unreadable{{ID: "/unreadable"}}
	m.ApplySnapshot(m.BeginRead(), second, start, Alone)
	for app, want := range map[string]struct {
		by              string
		listed, missing bool
		tasks           []string
	}{
		"/a":          {listed: true, tasks: []string{"t1", "t2"}},
		"/labelled":   {by: "consul.register=false", listed: true, tasks: []string{"t3"}},
		"/excluded":   {by: "--exclude-apps", listed: true},
		"/unreadable": {listed: true, tasks: []string{}},
		"/missing":    {missing: true},
		"/gone":       {},
		"/never":      {},
	} {
		by, listed := m.Lists(app)
		if tasks := m.TasksOf(app); by != want.by || listed != want.listed || m.Missing(app) != want.missing || !slices.Equal(tasks, want.tasks) {
			t.Errorf("%s: left out by %q, listed %t, missing %t, tasks %v; want %+v", app, by, listed, m.Missing(app), tasks, want)
		}
	}
	if got, want := m.AppIDs(), []string{"/a", "/excluded", "/labelled", "/missing", "/unreadable"}; !slices.Equal(got, want) {
		t.Errorf("apps %v, want %v", got, want)
	}
	if task, known := m.Task("t1"); !known || task.AppID != "/a" {
		t.Errorf("t1: %+v, %t", task, known)
	}
	if task, known := m.Task("t9"); known || task.ID != "" {
		t.Errorf("a task that nobody has heard of: %+v", task)
	}
}

// An app is called by the name that is made of its ID, and by those that its labels give its
// services.
func TestWhoIsCalledByAName(t *testing.T) {
	tr := testTranslation()
	tr.Shaping.ExcludeApps = globs("/excluded")
	m := New(tr)
	unreadable := marathonSnapshot(newApp("/shop/web"), called("/front", "consul.name=shop-web"), called("/other", "consul.name=api"), newApp("/excluded"))
	unreadable.Unreadable = []marathon.Unreadable{{ID: "/broken"}}
	m.ApplySnapshot(m.BeginRead(), unreadable, start, Alone)
	for name, want := range map[string][]string{
		"shop-web": {"/front", "/shop/web"},
		"api":      {"/other"},
		"other":    {"/other"},
		"excluded": {"/excluded"},
		"broken":   {"/broken"},
		"nobody":   nil,
	} {
		if got := m.Called(name); !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

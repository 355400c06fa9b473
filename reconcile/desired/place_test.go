package desired

import (
	"slices"
	"testing"

	"consular/marathon"
)

// The end of a task names the services that go, and whether any are known to be: whether the
// task was known before or not.
func TestEndNamesTheServicesThatGo(t *testing.T) {
	for name, test := range map[string]struct {
		app   marathon.App
		ids   []string
		quiet bool
	}{
		"the task's own":             {app: called("/shop", "", "web")},
		"no port's":                  {app: called("/shop", "consul.port.first.register=false", "web")},
		"another port's":             {app: called("/shop", "consul.ports=web", "web"), ids: []string{"task-of-shop:web"}},
		"several":                    {app: called("/shop", "consul.ports=all", "web"), ids: []string{"task-of-shop", "task-of-shop:web"}},
		"of an app that is left out": {app: called("/shop", "consul.register=false"), quiet: true},
	} {
		for _, known := range []bool{true, false} {
			task, app := test.app.Tasks[0], test.app
			if !known {
				app.Tasks = nil
			}
			m := knowing(app)
			if _, tasks := m.Count(); tasks == 1 != (known && !test.quiet) {
				t.Errorf("%s: %d tasks run", name, tasks)
			}
			e := m.ApplyEvent(changed(in(marathon.TaskKilled, task)), start)
			if len(e.Tasks) != 1 || !slices.Equal(e.Tasks[0].IDs, test.ids) || e.Tasks[0].Quiet != test.quiet || e.Tasks[0].Services != max(1, len(test.ids)) {
				t.Errorf("%s, known %t: %+v, want %v", name, known, e.Tasks, test.ids)
			}
		}
	}
}

// On another agent than its host's, a service whose address is left to the node has its
// host's; one with an address of its own keeps it.
func TestAddressesOffTheNode(t *testing.T) {
	tr := testTranslation()
	tr.Shaping.NodeAddress, tr.Shaping.AllPorts = true, true
	app := newApp("/a", newTask("t1", "/a"))
	app.Definition = marathon.Definition{Network: marathon.ContainerNetwork, Ports: []marathon.Port{{OnHost: true}, {Container: 80}}}
	app.Tasks[0].Addresses = []string{"10.9.0.7"}
	m := New(tr)
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(app), start, Alone)
	home := m.Want("t1", "")
	away := home.OffNode()
	for i, want := range [][2]string{{"", "agent-1.test"}, {"10.9.0.7", "10.9.0.7"}} {
		if got := [2]string{home.Services[i].Address, away.Services[i].Address}; got != want {
			t.Errorf("service %d: at home and elsewhere %q, want %q", i, got, want)
		}
	}
}

// A version that Marathon had deleted, and that is the app's own now, is like any other.
func TestDeletedVersionIsTheAppsAgain(t *testing.T) {
	app := newApp("/a", newTask("t1", "/a"))
	app.Version = "v2"
	m := knowing(app)
	m.ApplyDefinition(Version{"/a", "v1"}, marathon.Definition{}, true)
	if w := m.Want("t1", ""); !w.VersionGone {
		t.Errorf("its version is gone: %+v", w)
	}
	app.Version = "v1"
	m.ApplyApp(m.BeginRead(), app, start)
	if w := m.Want("t1", ""); w.VersionGone || w.Verdict != Present {
		t.Errorf("its version is the app's: %+v", w)
	}
}

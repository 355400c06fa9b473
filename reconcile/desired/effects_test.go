package desired

import (
	"fmt"
	"slices"
	"testing"

	"consular/marathon"
)

// refs is which tasks are named, and where they are.
func refs(tasks []TaskRef) string {
	var all []string
	for _, t := range tasks {
		all = append(all, fmt.Sprintf("{%s %s %s}", t.Task, t.App, t.Host))
	}
	return fmt.Sprint(all)
}

// An answer names the tasks that it lists and those that it omits, each on its host, and
// the names whose labels it changes.
func TestAnswerNamesWhatItMayHaveChanged(t *testing.T) {
	elsewhere := newTask("t2", "/a")
	elsewhere.Host = "agent-2.test"
	m := knowing(newApp("/a", newTask("t1", "/a"), elsewhere))
	e := m.ApplyApp(m.BeginRead(), newApp("/a", newTask("t3", "/a"), newTask("t1", "/a")), start)
	want := "[{t2 /a agent-2.test} {t1 /a agent-1.test} {t3 /a agent-1.test}]"
	if got := refs(e.Tasks); got != want || len(e.Names) > 0 || len(e.ReadAgain) > 0 {
		t.Errorf("names %s, want %s; %v, %v", got, want, e.Names, e.ReadAgain)
	}
	if hosts := m.Hosts(); !slices.Equal(hosts, []string{"agent-1.test"}) {
		t.Errorf("tasks are on %v", hosts)
	}
	if on := m.TasksOn("agent-1.test", "agent-2.test"); !slices.Equal(on, []string{"t1", "t3"}) {
		t.Errorf("on them are %v", on)
	}
	relabelled := newApp("/a", newTask("t1", "/a"))
	relabelled.Labels = map[string]string{"role": "api"}
	if e = m.ApplyApp(m.BeginRead(), relabelled, start); !slices.Equal(e.Names, []string{"a"}) {
		t.Errorf("names %v when labels change", e.Names)
	}
	if e = m.ApplyNotFound(m.BeginRead(), "/a", start); refs(e.Tasks) != "[{t1 /a agent-1.test}]" || !slices.Equal(e.Names, []string{"a"}) {
		t.Errorf("a 404 names %v, %v", e.Tasks, e.Names)
	}
	if len(m.Hosts()) > 0 || len(m.Names()) > 0 {
		t.Errorf("left are %v, %v", m.Hosts(), m.Names())
	}
}

// What a deployment says is a pod costs no reads, but for what is known as an app.
func TestPodsOfADeploymentAreNoApps(t *testing.T) {
	m := knowing(newApp("/a"))
	m.ApplyEvent(marathon.DeploymentEnded{Version: "v2", Pods: []string{"/pod", "/a"}}, start)
	if e := m.ApplyEvent(changed(newTask("p1", "/pod")), start); len(e.ReadUnprompted) > 0 || len(e.Tasks) > 0 {
		t.Errorf("a pod's task: %+v", e)
	}
	if e := m.ApplyEvent(changed(newTask("t1", "/a")), start); len(e.Tasks) != 1 {
		t.Errorf("an app's task: %+v", e)
	}
}

// The end of a task, told twice while its app is being read, contradicts no answer.
func TestEndToldTwiceAsksNothing(t *testing.T) {
	task := newTask("t1", "/a")
	m := knowing(newApp("/a", task))
	asked := m.BeginRead()
	m.ApplyEvent(changed(in(marathon.TaskKilled, task)), start)
	m.ApplyEvent(changed(in(marathon.TaskKilled, task)), start)
	if e := m.ApplyApp(asked, newApp("/a", task), start); len(e.ReadAgain) > 0 {
		t.Errorf("asks again for %v", e.ReadAgain)
	}
	asked = m.BeginRead()
	m.ApplyEvent(changed(in(marathon.TaskStaging, task)), start)
	if e := m.ApplyApp(asked, newApp("/a"), start); !slices.Equal(e.ReadAgain, []string{"/a"}) {
		t.Errorf("what comes after its end may be of a new life: asks again for %v", e.ReadAgain)
	}
}

// The app that came later to a name is quarantined, in whatever order they are told of;
// of two that come at once, none goes on.
func TestWhoCameFirstKeepsTheName(t *testing.T) {
	older, newer := newApp("/a-b", newTask("t1", "/a-b")), newApp("/a/b", newTask("t2", "/a/b"))
	m := knowing(older)
	m.ApplyApp(m.BeginRead(), newer, start)
	if c, clashes := clashOf(m); !clashes || c.Incumbent != "/a-b" {
		t.Errorf("the older one is there first: %+v", c)
	}
	m = knowing(newer)
	m.ApplyApp(m.BeginRead(), older, start)
	if c, _ := clashOf(m); c.Incumbent != "/a/b" {
		t.Errorf("the other one is there first: %+v", c)
	}
	m = knowing(older, newer)
	if c, _ := clashOf(m); c.Incumbent != "" || len(m.Clashes()) != 1 {
		t.Errorf("both at once: %+v", c)
	}
	m = knowing(newApp("/a-b"))
	m.ApplyApp(m.BeginRead(), newer, start)
	if c, _ := clashOf(m); c.Incumbent != "" {
		t.Errorf("the first one has no tasks: %+v", c)
	}
	third := newApp("/a/b", newTask("t2", "/a/b"))
	m = knowing(older, third, newApp("/c"))
	m.PickIncumbents(map[Registered]bool{{"/a-b", "a-b"}: true, {"/c", "c"}: true}, noKeys, true)
	m.ApplyNotFound(m.BeginRead(), "/a-b", start)
	if c, clashes := clashOf(m); clashes || c.Incumbent != "" {
		t.Errorf("the incumbent has gone: %+v", c)
	}
	m.ApplyApp(m.BeginRead(), older, start)
	if c, _ := clashOf(m); c.Incumbent != "/a/b" {
		t.Errorf("it comes back, later: %+v", c)
	}
}

// Old definitions go with the last task that runs them; those of plans with the oldest.
func TestOldDefinitionsGoWithTheirTasks(t *testing.T) {
	old := newTask("t1", "/a")
	old.Version = "v0"
	app := newApp("/a", old, newTask("t2", "/a"))
	m := knowing(app)
	m.ApplyDefinition(Version{"/a", "v0"}, app.Definition, false)
	m.ApplyDefinition(Version{"/gone", "v0"}, app.Definition, false)
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(app), start, Alone)
	if n := len(m.definitions); n != 1 {
		t.Errorf("%d definitions are kept, want that of a task", n)
	}
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(newApp("/a", newTask("t2", "/a"))), start, Alone)
	if n := len(m.definitions); n != 0 {
		t.Errorf("%d definitions are kept of no task", n)
	}
}

// An ID that was no app is doubted by the next snapshot, and forgotten long after.
func TestIDsThatAreNoAppsAreDoubtedAndForgotten(t *testing.T) {
	m := knowing()
	m.ApplyNotFound(m.BeginRead(), "/pod", start)
	running := func() int { return len(m.ApplyEvent(changed(newTask("p1", "/pod")), start).ReadUnprompted) }
	if running() != 0 {
		t.Error("a 404 is not believed")
	}
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(), start.Add(tombstoneLife-1), Alone)
	if _, known := m.gone["/pod"]; !known || running() != 1 {
		t.Errorf("known %t; not doubted after a snapshot", known)
	}
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(), start.Add(tombstoneLife), Alone)
	if _, known := m.gone["/pod"]; known {
		t.Error("never forgotten")
	}
	asked := m.BeginRead()
	m.ApplyNotFound(m.BeginRead(), "/late", start)
	m.ApplySnapshot(asked, marathonSnapshot(), start, Alone)
	if m.gone["/late"].mayExist {
		t.Error("a snapshot that was asked for earlier doubts a later 404")
	}
}

// An app that was missing, or could not be read, has its keys looked at when it is told of
// again; one of which something else than its labels has changed has not.
func TestAnswerNamesKeysThatMayHaveChanged(t *testing.T) {
	unreadable := marathon.Snapshot{Unreadable: []marathon.Unreadable{{ID: "/a"}}}
	moved := newApp("/a")
	moved.Version, moved.Definition.Ports = "v2", []marathon.Port{{OnHost: true}, {OnHost: true}}
	for name, test := range map[string]struct {
		before marathon.Snapshot
		answer marathon.App
		names  []string
	}{
		"as it was":             {marathonSnapshot(newApp("/a")), newApp("/a"), nil},
		"another port":          {marathonSnapshot(newApp("/a")), moved, nil},
		"it could not be read":  {unreadable, newApp("/a"), []string{"a"}},
		"it was missing":        {marathonSnapshot(), newApp("/a"), []string{"a"}},
		"missing, another port": {marathonSnapshot(), moved, []string{"a"}},
	} {
		m := knowing(newApp("/a"))
		m.ApplySnapshot(m.BeginRead(), test.before, start, Alone)
		if e := m.ApplyApp(m.BeginRead(), test.answer, start); !slices.Equal(e.Names, test.names) {
			t.Errorf("%s: names %v, want %v", name, e.Names, test.names)
		}
	}
}

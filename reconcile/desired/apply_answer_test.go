package desired

import (
	"errors"
	"slices"
	"testing"
	"time"

	"consular/marathon"
)

// Two questions about one app are on their way at once. The one that was asked first is answered
// first, and has a task that the other omits: which answer is the younger one nobody can tell, for
// Marathon answers sometime while it is asked. The task stays until one more read has settled it.
func TestAnswersThatWereOnTheirWayTogether(t *testing.T) {
	before, after := newTask("before", "/a"), newTask("after", "/a")
	for _, snapshot := range []bool{false, true} {
		d := knowing(newApp("/a", before))
		first, second := d.BeginRead(), d.BeginRead()
		app := newApp("/a", before)
		app.Instances = 1 // all that it should have are in service: such an answer explains itself
		d.ApplyApp(first, newApp("/a", before, after), start)
		var e Effects
		if snapshot {
			e = d.ApplySnapshot(second, marathonSnapshot(app), start, Alone)
		} else {
			e = d.ApplyApp(second, app, start)
		}
		if w := d.Want("after", "/a"); w.Verdict != Present || !slices.Equal(e.ReadAgain, []string{"/a"}) {
			t.Errorf("snapshot %t: verdict %v because of %s, read again %v; want it present, and one more read", snapshot, w.Verdict, w.Grounds, e.ReadAgain)
		}
		e = d.ApplyApp(d.BeginRead(), app, start)
		if w := d.Want("after", "/a"); w.Verdict != Absent || len(e.ReadAgain) > 0 {
			t.Errorf("snapshot %t: afterwards verdict %v, read again %v; want it absent", snapshot, w.Verdict, e.ReadAgain)
		}
	}
}

// While an app or a snapshot is read, events go on.
func TestEventsDuringAReadAreReplayed(t *testing.T) {
	task := newTask("t1", "/a")
	for name, test := range map[string]struct {
		heard    []marathon.State
		answered []marathon.Task
		want     Verdict
		again    bool // one more read
	}{
		"killed, listed as running":        {[]marathon.State{marathon.TaskKilled}, []marathon.Task{task}, Absent, false},
		"running, not listed":              {[]marathon.State{marathon.TaskRunning}, nil, Present, true},
		"running, listed":                  {[]marathon.State{marathon.TaskRunning}, []marathon.Task{task}, Present, false},
		"running, listed as lost":          {[]marathon.State{marathon.TaskRunning}, []marathon.Task{in(marathon.TaskLost, task)}, Present, true},
		"running, listed in unknown state": {[]marathon.State{marathon.TaskRunning}, []marathon.Task{in("TASK_DREAMING", task)}, Present, true},
		"unreachable, listed as running":   {[]marathon.State{marathon.TaskUnreachable}, []marathon.Task{task}, Absent, true},
		"unreachable, not listed":          {[]marathon.State{marathon.TaskUnreachable}, nil, Absent, false},
		"running, then killed, not listed": {[]marathon.State{marathon.TaskRunning, marathon.TaskKilled}, nil, Absent, false},
		"unreachable and back":             {[]marathon.State{marathon.TaskUnreachable, marathon.TaskRunning}, []marathon.Task{task}, Present, true},
	} {
		for _, snapshot := range []bool{false, true} {
			d := knowing(newApp("/a"))
			asked := d.BeginRead()
			for _, state := range test.heard {
				d.ApplyEvent(changed(in(state, task)), start)
			}
			answer := func(asked Ticket) Effects {
				if snapshot {
					return d.ApplySnapshot(asked, marathonSnapshot(newApp("/a", test.answered...)), start, Alone)
				}
				return d.ApplyApp(asked, newApp("/a", test.answered...), start)
			}
			e := answer(asked)
			wantVerdict(t, d, "t1", "/a", test.want)
			if again := slices.Contains(e.ReadAgain, "/a"); again != test.again {
				t.Errorf("%s (snapshot %v): read again %v, want %v", name, snapshot, again, test.again)
			}
			if e = answer(d.BeginRead()); len(e.Read)+len(e.ReadUnprompted)+len(e.ReadAgain) > 0 {
				t.Errorf("%s (snapshot %v): the second answer asks for a third", name, snapshot)
			}
			if len(d.journal.events) > 0 {
				t.Errorf("%s: no read is open, and the journal keeps %v", name, d.journal.events)
			}
		}
	}
}

// A snapshot cannot list an app that was created after it was asked for.
func TestTaskOfUnlistedAppIsReadFor(t *testing.T) {
	d := knowing()
	asked := d.BeginRead()
	d.ApplyEvent(changed(newTask("t1", "/new")), start)
	if e := d.ApplySnapshot(asked, marathonSnapshot(), start, Alone); !slices.Equal(e.ReadUnprompted, []string{"/new"}) {
		t.Errorf("effects %+v, want a read of /new", e)
	}
}

// Nor does it say that an app is gone that was read after it was asked for.
func TestSnapshotDoesNotDropAppsReadLater(t *testing.T) {
	d := knowing()
	asked, later := d.BeginRead(), d.BeginRead()
	d.ApplyApp(later, newApp("/new", newTask("t1", "/new")), start)
	d.ApplySnapshot(asked, marathonSnapshot(), start, Alone)
	wantVerdict(t, d, "t1", "/new", Present)
}

// Of two answers the one that was asked for later counts, whichever comes first.
func TestOutdatedAnswersSayNothing(t *testing.T) {
	old, young := newApp("/a", newTask("t1", "/a")), newApp("/a", newTask("t2", "/a"))
	young.Labels = map[string]string{"role": "api"}
	type answer func(d *Model, asked Ticket, app marathon.App)
	answers := map[string]answer{
		"app": func(d *Model, asked Ticket, app marathon.App) { d.ApplyApp(asked, app, start) },
		"snapshot": func(d *Model, asked Ticket, app marathon.App) {
			d.ApplySnapshot(asked, marathonSnapshot(app), start, Alone)
		},
		"gone": func(d *Model, asked Ticket, app marathon.App) { d.ApplyNotFound(asked, app.ID, start) },
		"unreadable": func(d *Model, asked Ticket, app marathon.App) {
			d.ApplySnapshot(asked, marathon.Snapshot{Unreadable: []marathon.Unreadable{{ID: app.ID, Err: errors.New("x")}}}, start, Alone)
		},
	}
	for first, outdated := range answers {
		for second, newer := range answers {
			d := knowing()
			asked, later := d.BeginRead(), d.BeginRead()
			newer(d, later, young)
			before, w := snapshotOf(d), d.Want("t2", "/a")
			outdated(d, asked, old)
			if diff := snapshotOf(d).diff(before); diff != "" {
				t.Errorf("%s changed what %s had said: %s", first, second, diff)
			}
			if again := d.Want("t2", "/a"); again.Verdict != w.Verdict {
				t.Errorf("%s changed what %s had said: %v, was %v", first, second, again.Verdict, w.Verdict)
			}
		}
	}
}

func TestTombstonesLive(t *testing.T) {
	task := newTask("t1", "/a")
	dead := func() *Model {
		d := knowing(newApp("/a", task))
		d.ApplyEvent(changed(in(marathon.TaskKilled, task)), start)
		return d
	}
	for name, test := range map[string]struct {
		after  time.Duration
		listed []marathon.Task
		before bool // the snapshot was asked for before the task ended
		want   Verdict
	}{
		"young":                {after: tombstoneLife - time.Second, want: Absent},
		"old":                  {after: tombstoneLife, want: Present},
		"old, but listed":      {after: tombstoneLife, listed: []marathon.Task{in(marathon.TaskKilling, task)}, want: Absent},
		"old, asked for early": {after: tombstoneLife, before: true, want: Absent},
	} {
		d := knowing(newApp("/a", task))
		asked := d.BeginRead()
		if !test.before {
			d = dead()
			asked = d.BeginRead()
		} else {
			d.ApplyEvent(changed(in(marathon.TaskKilled, task)), start)
		}
		d.ApplySnapshot(asked, marathonSnapshot(newApp("/a", test.listed...)), start.Add(test.after), Alone)
		d.ApplyEvent(changed(task), start.Add(test.after))
		if w := d.Want("t1", "/a"); w.Verdict != test.want {
			t.Errorf("%s: a late TASK_RUNNING gives %v, want %v", name, w.Verdict, test.want)
		}
	}
}

// REST may run ahead of the stream: a dead task that it lists is dead for good.
func TestListedDeadTaskIsRemembered(t *testing.T) {
	task := newTask("t1", "/a")
	d := knowing(newApp("/a", in(marathon.TaskFailed, task)))
	d.ApplyEvent(changed(task), start)
	if w := wantVerdict(t, d, "t1", "/a", Absent); !w.Grounds.Has(Announced) {
		t.Error("not announced")
	}
}

// A state that is none we know changes nothing, whoever tells it.
func TestListedUnknownStateLeavesServiceAlone(t *testing.T) {
	d := knowing(newApp("/a", in("TASK_DREAMING", newTask("t1", "/a"))))
	wantVerdict(t, d, "t1", "/a", Untouched)
	d.ApplyEvent(changed(newTask("t1", "/a")), start)
	wantVerdict(t, d, "t1", "/a", Present)
}

func TestMissingTaskIsAnnouncedByItsAppsOwnAnswer(t *testing.T) {
	d := knowing(newApp("/a", newTask("t1", "/a")))
	d.ApplySnapshot(d.BeginRead(), marathonSnapshot(newApp("/a")), start, Alone)
	if w := wantVerdict(t, d, "t1", "/a", Absent); w.Grounds.Has(Announced) {
		t.Error("missing from the snapshot alone, and announced")
	}
	d.ApplyApp(d.BeginRead(), newApp("/a"), start)
	if w := wantVerdict(t, d, "t1", "/a", Absent); w.Grounds != Answered {
		t.Errorf("the app's own answer omits it: %v", w.Grounds)
	}
}

// An answer that lists as many tasks in service as there should be has said what became
// of all others, whichever answer it is; no other has.
func TestAnswerExplainsItself(t *testing.T) {
	check := marathon.HealthCheck{Protocol: marathon.HealthHTTP}
	alive, dead := marathon.HealthCheckResult{Alive: true}, marathon.HealthCheckResult{}
	with := func(state marathon.State, results ...marathon.HealthCheckResult) marathon.Task {
		task := in(state, newTask("t2", "/a"))
		task.HealthCheckResults = results
		return task
	}
	for name, test := range map[string]struct {
		instances int
		checks    []marathon.HealthCheck
		listed    []marathon.Task
		explained bool
	}{
		"as many as there should be": {1, nil, []marathon.Task{with(marathon.TaskRunning)}, true},
		"more":                       {0, nil, []marathon.Task{with(marathon.TaskRunning)}, true},
		"none, and none should be":   {0, nil, nil, true},
		"too few":                    {2, nil, []marathon.Task{with(marathon.TaskRunning)}, false},
		"forgotten":                  {100, nil, nil, false},
		"not told how many":          {marathon.InstancesNotTold, nil, []marathon.Task{with(marathon.TaskRunning)}, false},
		"one is staged":              {1, nil, []marathon.Task{with(marathon.TaskStaging)}, false},
		"one is lost":                {1, nil, []marathon.Task{with(marathon.TaskUnreachable)}, false},
		"healthy":                    {1, []marathon.HealthCheck{check}, []marathon.Task{with(marathon.TaskRunning, alive)}, true},
		"not healthy":                {1, []marathon.HealthCheck{check}, []marathon.Task{with(marathon.TaskRunning, dead)}, false},
		"not reported":               {1, []marathon.HealthCheck{check}, []marathon.Task{with(marathon.TaskRunning)}, false},
		"one of two reported":        {1, []marathon.HealthCheck{check, check}, []marathon.Task{with(marathon.TaskRunning, alive)}, false},
	} {
		app := newApp("/a", test.listed...)
		app.Instances, app.Definition.HealthChecks = test.instances, test.checks
		own := knowing(newApp("/a", newTask("t1", "/a")))
		own.ApplyApp(own.BeginRead(), app, start)
		if w := own.Want("t1", "/a"); w.Grounds.Has(Announced) != test.explained {
			t.Errorf("%s, in the app's own answer: %v", name, w.Grounds)
		}
		all := knowing(newApp("/a", newTask("t1", "/a")))
		all.ApplySnapshot(all.BeginRead(), marathonSnapshot(app), start, Alone)
		if w := all.Want("t1", "/a"); w.Grounds.Has(Announced) != test.explained || !test.explained && w.Grounds != Missing {
			t.Errorf("%s, in a snapshot: %v", name, w.Grounds)
		}
	}
}

// Marathon before 1.4.7 starts tasks with persistent volumes again under their old ID.
// An answer that was asked for after the end, and has the ID as running, begins a new
// life; events alone never do, but each of them is cause to ask.
func TestSameIDLivesAgain(t *testing.T) {
	task := newTask("t1", "/a")
	d := knowing(newApp("/a", task))
	early := d.BeginRead()
	d.ApplyEvent(changed(in(marathon.TaskFailed, task)), start)
	for _, state := range []marathon.State{marathon.TaskStaging, marathon.TaskRunning, marathon.TaskUnreachable} {
		e := d.ApplyEvent(changed(in(state, task)), start)
		if w := d.Want("t1", "/a"); w.Verdict != Absent || !slices.Equal(e.ReadAgain, []string{"/a"}) {
			t.Errorf("%s after the end: %+v, reads %v", state, w, e.ReadAgain)
		}
	}
	task.Ports = []int{31002}
	d.ApplyApp(early, newApp("/a", task), start)
	wantVerdict(t, d, "t1", "/a", Absent)
	d.ApplyApp(d.BeginRead(), newApp("/a", in(marathon.TaskStaging, task)), start)
	wantVerdict(t, d, "t1", "/a", Absent)
	d.ApplyApp(d.BeginRead(), newApp("/a", task), start)
	if w := wantVerdict(t, d, "t1", "/a", Present); w.Services[0].Port != 31002 {
		t.Errorf("its service is %+v", w.Services[0])
	}

	e := d.ApplyEvent(changed(in(marathon.TaskKilling, task)), start)
	if w := d.Want("t1", "/a"); w.Verdict != Present || !slices.Equal(e.ReadAgain, []string{"/a"}) {
		t.Errorf("a kill that may be the earlier task's: %+v, reads %v", w, e.ReadAgain)
	}
	e = d.ApplyEvent(changed(in(marathon.TaskKilled, task)), start)
	if w := d.Want("t1", "/a"); w.Verdict != Absent || !slices.Equal(e.ReadAgain, []string{"/a"}) {
		t.Errorf("its end: %+v, reads %v", w, e.ReadAgain)
	}
}

// The event brings the address while the app is being read; the answer, which was asked
// for before, has none yet.
func TestAddressHeardDuringAReadStands(t *testing.T) {
	task := newTask("t1", "/a")
	task.Ports = nil
	d := knowing(newApp("/a"))
	asked := d.BeginRead()
	d.ApplyEvent(changed(newTask("t1", "/a")), start)
	d.ApplyApp(asked, newApp("/a", task), start)
	wantVerdict(t, d, "t1", "/a", Present)
}

func TestUnreadableAppStaysAsItIs(t *testing.T) {
	d := knowing(newApp("/a", newTask("t1", "/a")), newApp("/b"))
	unreadable := func(id string) marathon.Snapshot {
		return marathon.Snapshot{Apps: []marathon.App{newApp("/b")}, Unreadable: []marathon.Unreadable{{ID: id, Err: errors.New("ports")}}}
	}
	d.ApplySnapshot(d.BeginRead(), unreadable("/a"), start, Alone)
	wantVerdict(t, d, "t1", "/a", Untouched)
	wantVerdict(t, d, "t9", "/a", Untouched)
	if w := d.WantKeys("a"); w.Verdict != Untouched {
		t.Errorf("labels of an unreadable app: %+v", w)
	}
	wantVerdict(t, d, "t8", "/b", Absent)

	// Not even its ID: then nothing at all is purged.
	d.ApplySnapshot(d.BeginRead(), unreadable(""), start, Alone)
	wantVerdict(t, d, "t1", "/a", Untouched)
	wantVerdict(t, d, "t8", "/b", Untouched)
	wantVerdict(t, d, "t7", "/c", Untouched)
	if w := d.WantKeys("c"); w.Verdict != Untouched {
		t.Errorf("labels of nobody beside an app without an ID: %+v", w)
	}
	d.ApplySnapshot(d.BeginRead(), marathonSnapshot(newApp("/b")), start, Alone)
	wantVerdict(t, d, "t7", "/c", Absent)
}

// Address and port are those of the definition that the task runs.
func TestDefinitionOfTheTasksOwnVersion(t *testing.T) {
	scaled := newApp("/a")
	scaled.Version, scaled.LastScalingAt, scaled.LastConfigChangeAt = "v4", "v3", "v2"
	scaled.Definition = marathon.Definition{Network: marathon.ContainerNetwork, Ports: []marathon.Port{{Container: 80}}}
	old := marathon.Definition{Ports: []marathon.Port{{OnHost: true}}}
	version := Version{"/a", "v1"}
	for name, test := range map[string]struct {
		version string
		define  func(*Model)
		want    Verdict
		port    int
		keep    bool
	}{
		"the app's own":           {version: "v4", want: Present, port: 80},
		"since the last scaling":  {version: "v3", want: Present, port: 80},
		"since the last change":   {version: "v2", want: Present, port: 80},
		"older, not known yet":    {version: "v1", want: Untouched},
		"older, known":            {version: "v1", want: Present, port: 31001, define: func(d *Model) { d.ApplyDefinition(version, old, false) }},
		"older, deleted":          {version: "v1", want: Present, port: 80, keep: true, define: func(d *Model) { d.ApplyDefinition(version, marathon.Definition{}, true) }},
		"between, after rollback": {version: "v2.5", want: Untouched},
	} {
		task := newTask("t1", "/a")
		task.Version, task.Addresses = test.version, []string{"127.9.1.1"}
		app := scaled
		app.Tasks = []marathon.Task{task}
		d := New(testTranslation())
		e := d.ApplySnapshot(d.BeginRead(), marathonSnapshot(app), start, Alone)
		if asks := len(e.Definitions) > 0; asks == app.Runs(test.version) {
			t.Errorf("%s: asks for definitions %v", name, e.Definitions)
		}
		if test.define != nil {
			test.define(d)
		}
		w := wantVerdict(t, d, "t1", "/a", test.want)
		port := 0
		for _, s := range w.Services {
			port = s.Port
		}
		if port != test.port || w.VersionGone != test.keep {
			t.Errorf("%s: port %d, keep %v; want %d, %v", name, port, w.VersionGone, test.port, test.keep)
		}
	}
}

func TestDefinitionsAreForgottenWhenNoTaskRunsThem(t *testing.T) {
	task := newTask("t1", "/a")
	task.Version = "v0"
	d := knowing(newApp("/a", task))
	if e := d.ApplyDefinition(Version{"/a", "v0"}, newApp("/a").Definition, false); len(e.Tasks) != 1 {
		t.Errorf("a definition that came touches %v, want its task", e.Tasks)
	}
	d.ApplySnapshot(d.BeginRead(), marathonSnapshot(newApp("/a")), start, Alone)
	if len(d.definitions) > 0 {
		t.Errorf("still kept: %v", d.definitions)
	}
}

func TestAbandonedReadKeepsNoJournal(t *testing.T) {
	d := knowing(newApp("/a"))
	first, second := d.BeginRead(), d.BeginRead()
	d.ApplyEvent(changed(newTask("t1", "/a")), start)
	d.CancelRead(first)
	if len(d.journal.events) != 1 {
		t.Errorf("the other read needs %d events, want 1", len(d.journal.events))
	}
	d.CancelRead(second)
	if len(d.journal.events) != 0 {
		t.Errorf("the journal keeps %v", d.journal.events)
	}
}

// That an app ends was heard while a snapshot was on its way that still has it: the
// next one's silence is no surprise.
func TestStopHeardDuringASnapshotStands(t *testing.T) {
	apps := []marathon.App{newApp("/g/a", newTask("t1", "/g/a")), newApp("/other")}
	d := knowing(apps...)
	asked := d.BeginRead()
	d.ApplyEvent(marathon.DeploymentPlanned{Version: "d1", Apps: []string{"/g/a"}, Stopped: []string{"/g/a"}}, start)
	d.ApplySnapshot(asked, marathonSnapshot(apps...), start, Alone)
	d.ApplySnapshot(d.BeginRead(), marathonSnapshot(apps[1]), start, Alone)
	if w := d.Want("t1", "/g/a"); w.Verdict != Absent || !w.Grounds.Has(Announced) {
		t.Errorf("its task: %+v, want it announced as gone", w)
	}
}

// A version that was not there once is asked for again with its app.
func TestVersionThatWasGoneIsAskedForAgain(t *testing.T) {
	task := newTask("t1", "/a")
	task.Version = "v0"
	app := newApp("/a", task)
	d := knowing(app)
	old := Version{App: "/a", Version: "v0"}
	d.ApplyDefinition(old, marathon.Definition{}, true)
	e := d.ApplySnapshot(d.BeginRead(), marathonSnapshot(app), start, Alone)
	if !slices.Contains(e.Definitions, old) {
		t.Errorf("asks for %v, want %v", e.Definitions, old)
	}
	d.ApplyDefinition(old, marathon.Definition{}, false)
	if e = d.ApplySnapshot(d.BeginRead(), marathonSnapshot(app), start, Alone); len(e.Definitions) > 0 {
		t.Errorf("asks again for %v", e.Definitions)
	}
}

// A Marathon that contradicts itself: a task is of the app that claimed it last.
func TestOneTaskOfTwoApps(t *testing.T) {
	d := knowing(newApp("/a", newTask("t1", "/a")), newApp("/b"))
	d.ApplyEvent(changed(newTask("t1", "/b")), start)
	d.ApplyApp(d.BeginRead(), newApp("/b"), start)
	d.ApplyNotFound(d.BeginRead(), "/a", start)
	d.ApplySnapshot(d.BeginRead(), marathonSnapshot(newApp("/a", newTask("t2", "/a")), newApp("/b", newTask("t2", "/b"))), start, Alone)
	d.ApplyNotFound(d.BeginRead(), "/a", start)
	wantVerdict(t, d, "t2", "/b", Present)
}

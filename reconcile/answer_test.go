package reconcile

import (
	"errors"
	"slices"
	"testing"
	"time"

	"consular/marathon"
)

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
			asked := d.Ask()
			for _, state := range test.heard {
				d.Apply(changed(in(state, task)), start)
			}
			answer := func(asked Ticket) Effects {
				if snapshot {
					return d.Replace(asked, snapshotOf(newApp("/a", test.answered...)), start)
				}
				return d.Answer(asked, newApp("/a", test.answered...), start)
			}
			e := answer(asked)
			wantVerdict(t, d, "t1", "/a", test.want)
			if again := slices.Contains(e.ReadAgain, "/a"); again != test.again {
				t.Errorf("%s (snapshot %v): read again %v, want %v", name, snapshot, again, test.again)
			}
			if e = answer(d.Ask()); len(e.Read)+len(e.ReadStrange)+len(e.ReadAgain) > 0 {
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
	asked := d.Ask()
	d.Apply(changed(newTask("t1", "/new")), start)
	if e := d.Replace(asked, snapshotOf(), start); !slices.Equal(e.ReadStrange, []string{"/new"}) {
		t.Errorf("effects %+v, want a read of /new", e)
	}
}

// Nor does it say that an app is gone that was read after it was asked for.
func TestSnapshotDoesNotDropAppsReadLater(t *testing.T) {
	d := knowing()
	asked, later := d.Ask(), d.Ask()
	d.Answer(later, newApp("/new", newTask("t1", "/new")), start)
	d.Replace(asked, snapshotOf(), start)
	wantVerdict(t, d, "t1", "/new", Present)
}

// Of two answers the one that was asked for later counts, whichever comes first.
func TestOutdatedAnswersSayNothing(t *testing.T) {
	old, young := newApp("/a", newTask("t1", "/a")), newApp("/a", newTask("t2", "/a"))
	young.Labels = map[string]string{"role": "api"}
	type answer func(d *Desired, asked Ticket, app marathon.App)
	answers := map[string]answer{
		"app":      func(d *Desired, asked Ticket, app marathon.App) { d.Answer(asked, app, start) },
		"snapshot": func(d *Desired, asked Ticket, app marathon.App) { d.Replace(asked, snapshotOf(app), start) },
		"gone":     func(d *Desired, asked Ticket, app marathon.App) { d.AnswerGone(asked, app.ID, start) },
		"unreadable": func(d *Desired, asked Ticket, app marathon.App) {
			d.Replace(asked, marathon.Snapshot{Unreadable: []marathon.Unreadable{{ID: app.ID, Err: errors.New("x")}}}, start)
		},
	}
	for first, outdated := range answers {
		for second, newer := range answers {
			d := knowing()
			asked, later := d.Ask(), d.Ask()
			newer(d, later, young)
			before, w := pictureOf(d), d.Look("t2", "/a")
			outdated(d, asked, old)
			if diff := pictureOf(d).diff(before); diff != "" {
				t.Errorf("%s changed what %s had said: %s", first, second, diff)
			}
			if again := d.Look("t2", "/a"); again.Verdict != w.Verdict {
				t.Errorf("%s changed what %s had said: %v, was %v", first, second, again.Verdict, w.Verdict)
			}
		}
	}
}

func TestTombstonesLive(t *testing.T) {
	task := newTask("t1", "/a")
	dead := func() *Desired {
		d := knowing(newApp("/a", task))
		d.Apply(changed(in(marathon.TaskKilled, task)), start)
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
		"old, but listed":      {after: tombstoneLife, listed: []marathon.Task{task}, want: Absent},
		"old, asked for early": {after: tombstoneLife, before: true, want: Absent},
	} {
		d := knowing(newApp("/a", task))
		asked := d.Ask()
		if !test.before {
			d = dead()
			asked = d.Ask()
		} else {
			d.Apply(changed(in(marathon.TaskKilled, task)), start)
		}
		d.Replace(asked, snapshotOf(newApp("/a", test.listed...)), start.Add(test.after))
		d.Apply(changed(task), start.Add(test.after))
		if w := d.Look("t1", "/a"); w.Verdict != test.want {
			t.Errorf("%s: a late TASK_RUNNING gives %v, want %v", name, w.Verdict, test.want)
		}
	}
}

// REST may run ahead of the stream: a dead task that it lists is dead for good.
func TestListedDeadTaskIsRemembered(t *testing.T) {
	task := newTask("t1", "/a")
	d := knowing(newApp("/a", in(marathon.TaskFailed, task)))
	d.Apply(changed(task), start)
	if w := wantVerdict(t, d, "t1", "/a", Absent); !w.Announced {
		t.Error("not announced")
	}
}

// A state that is none we know changes nothing, whoever tells it.
func TestListedUnknownStateLeavesServiceAlone(t *testing.T) {
	d := knowing(newApp("/a", in("TASK_DREAMING", newTask("t1", "/a"))))
	wantVerdict(t, d, "t1", "/a", Untouched)
	d.Apply(changed(newTask("t1", "/a")), start)
	wantVerdict(t, d, "t1", "/a", Present)
}

func TestMissingTaskIsAnnouncedByItsAppsOwnAnswer(t *testing.T) {
	d := knowing(newApp("/a", newTask("t1", "/a")))
	d.Replace(d.Ask(), snapshotOf(newApp("/a")), start)
	if w := wantVerdict(t, d, "t1", "/a", Absent); w.Announced {
		t.Error("missing from the snapshot alone, and announced")
	}
	e := d.Answer(d.Ask(), newApp("/a"), start)
	if w := wantVerdict(t, d, "t1", "/a", Absent); !w.Announced {
		t.Errorf("the app's own answer omits it, and it is not announced (effects %+v)", e)
	}
}

func TestUnreadableAppStaysAsItIs(t *testing.T) {
	d := knowing(newApp("/a", newTask("t1", "/a")), newApp("/b"))
	unreadable := func(id string) marathon.Snapshot {
		return marathon.Snapshot{Apps: []marathon.App{newApp("/b")}, Unreadable: []marathon.Unreadable{{ID: id, Err: errors.New("ports")}}}
	}
	d.Replace(d.Ask(), unreadable("/a"), start)
	wantVerdict(t, d, "t1", "/a", Untouched)
	wantVerdict(t, d, "t9", "/a", Untouched)
	if w := d.Labels("a"); w.Verdict != Untouched {
		t.Errorf("labels of an unreadable app: %+v", w)
	}
	wantVerdict(t, d, "t8", "/b", Absent)

	// Not even its ID: then nothing at all is purged.
	d.Replace(d.Ask(), unreadable(""), start)
	wantVerdict(t, d, "t1", "/a", Untouched)
	wantVerdict(t, d, "t8", "/b", Untouched)
	wantVerdict(t, d, "t7", "/c", Untouched)
	if w := d.Labels("c"); w.Verdict != Untouched {
		t.Errorf("labels of nobody beside an app without an ID: %+v", w)
	}
	d.Replace(d.Ask(), snapshotOf(newApp("/b")), start)
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
		define  func(*Desired)
		want    Verdict
		port    int
		keep    bool
	}{
		"the app's own":           {version: "v4", want: Present, port: 80},
		"since the last scaling":  {version: "v3", want: Present, port: 80},
		"since the last change":   {version: "v2", want: Present, port: 80},
		"older, not known yet":    {version: "v1", want: Untouched},
		"older, known":            {version: "v1", want: Present, port: 31001, define: func(d *Desired) { d.Define(version, old, false) }},
		"older, deleted":          {version: "v1", want: Present, port: 80, keep: true, define: func(d *Desired) { d.Define(version, marathon.Definition{}, true) }},
		"between, after rollback": {version: "v2.5", want: Untouched},
	} {
		task := newTask("t1", "/a")
		task.Version, task.Addresses = test.version, []string{"127.9.1.1"}
		app := scaled
		app.Tasks = []marathon.Task{task}
		d := NewDesired(testTranslation())
		e := d.Replace(d.Ask(), snapshotOf(app), start)
		if asks := len(e.Definitions) > 0; asks == app.Runs(test.version) {
			t.Errorf("%s: asks for definitions %v", name, e.Definitions)
		}
		if test.define != nil {
			test.define(d)
		}
		w := wantVerdict(t, d, "t1", "/a", test.want)
		if w.Service.Port != test.port || w.Keep != test.keep {
			t.Errorf("%s: port %d, keep %v; want %d, %v", name, w.Service.Port, w.Keep, test.port, test.keep)
		}
	}
}

func TestDefinitionsAreForgottenWhenNoTaskRunsThem(t *testing.T) {
	task := newTask("t1", "/a")
	task.Version = "v0"
	d := knowing(newApp("/a", task))
	if e := d.Define(Version{"/a", "v0"}, newApp("/a").Definition, false); len(e.Tasks) != 1 {
		t.Errorf("a definition that came touches %v, want its task", e.Tasks)
	}
	d.Replace(d.Ask(), snapshotOf(newApp("/a")), start)
	if len(d.definitions) > 0 {
		t.Errorf("still kept: %v", d.definitions)
	}
}

func TestAbandonedReadKeepsNoJournal(t *testing.T) {
	d := knowing(newApp("/a"))
	first, second := d.Ask(), d.Ask()
	d.Apply(changed(newTask("t1", "/a")), start)
	d.Abandon(first)
	if len(d.journal.events) != 1 {
		t.Errorf("the other read needs %d events, want 1", len(d.journal.events))
	}
	d.Abandon(second)
	if len(d.journal.events) != 0 {
		t.Errorf("the journal keeps %v", d.journal.events)
	}
}

// That an app ends was heard while a snapshot was on its way that still has it: the
// next one's silence is no surprise.
func TestStopHeardDuringASnapshotStands(t *testing.T) {
	apps := []marathon.App{newApp("/g/a", newTask("t1", "/g/a")), newApp("/other")}
	d := knowing(apps...)
	asked := d.Ask()
	d.Apply(marathon.DeploymentPlanned{Version: "d1", Apps: []string{"/g/a"}, Stopped: []string{"/g/a"}}, start)
	d.Replace(asked, snapshotOf(apps...), start)
	d.Replace(d.Ask(), snapshotOf(apps[1]), start)
	if w := d.Look("t1", "/g/a"); w.Verdict != Absent || !w.Announced {
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
	d.Define(old, marathon.Definition{}, true)
	e := d.Replace(d.Ask(), snapshotOf(app), start)
	if !slices.Contains(e.Definitions, old) {
		t.Errorf("asks for %v, want %v", e.Definitions, old)
	}
	d.Define(old, marathon.Definition{}, false)
	if e = d.Replace(d.Ask(), snapshotOf(app), start); len(e.Definitions) > 0 {
		t.Errorf("asks again for %v", e.Definitions)
	}
}

// A Marathon that contradicts itself: a task is of the app that claimed it last.
func TestOneTaskOfTwoApps(t *testing.T) {
	d := knowing(newApp("/a", newTask("t1", "/a")), newApp("/b"))
	d.Apply(changed(newTask("t1", "/b")), start)
	d.Answer(d.Ask(), newApp("/b"), start)
	d.AnswerGone(d.Ask(), "/a", start)
	d.Replace(d.Ask(), snapshotOf(newApp("/a", newTask("t2", "/a")), newApp("/b", newTask("t2", "/b"))), start)
	d.AnswerGone(d.Ask(), "/a", start)
	wantVerdict(t, d, "t2", "/b", Present)
}

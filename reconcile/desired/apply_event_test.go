package desired

import (
	"slices"
	"testing"
	"time"

	"consular/marathon"
)

func TestTaskStates(t *testing.T) {
	ended := []marathon.State{
		marathon.TaskKilling, marathon.TaskFinished, marathon.TaskFailed, marathon.TaskKilled, marathon.TaskError,
		marathon.TaskGone, marathon.TaskGoneByOperator, marathon.TaskDropped,
	}
	away := []marathon.State{marathon.TaskLost, marathon.TaskUnreachable, marathon.TaskUnknown}
	ignored := []marathon.State{marathon.TaskStaging, marathon.TaskStarting, marathon.TaskCreated, "TASK_DREAMING"}
	for _, state := range slices.Concat(ended, away, ignored) {
		t.Run(string(state), func(t *testing.T) {
			task := newTask("t1", "/a")
			d := knowing(newApp("/a", task))
			effects := d.ApplyEvent(changed(in(state, task)), start)

			want := Absent
			if slices.Contains(ignored, state) {
				want = Present
			}
			w := wantVerdict(t, d, "t1", "/a", want)
			if named := len(effects.Tasks) > 0; named != (want == Absent) {
				t.Errorf("effects name %v", effects.Tasks)
			}
			if w.Grounds.Has(Announced) != slices.Contains(ended, state) || w.Grounds.Has(Lost) != slices.Contains(away, state) {
				t.Errorf("announced %v, away %v", w.Grounds.Has(Announced), w.Grounds.Has(Lost))
			}

			if killing := !w.Killing.IsZero(); killing != (state == marathon.TaskKilling) {
				t.Errorf("is being killed since %s", w.Killing)
			}

			d.ApplyEvent(changed(task), start)
			if slices.Contains(ended, state) {
				wantVerdict(t, d, "t1", "/a", Absent)
			} else {
				wantVerdict(t, d, "t1", "/a", Present)
			}
		})
	}
}

// A task is being killed since that was first heard or read, and until anything says that it has
// ended, in whatever order.
func TestBeingKilledEnds(t *testing.T) {
	task := newTask("t1", "/a")
	killing, killed := in(marathon.TaskKilling, task), in(marathon.TaskKilled, task)
	since := func(d *Model) time.Time { return wantVerdict(t, d, "t1", "/a", Absent).Killing }
	for name, c := range map[string]struct {
		hears []marathon.Task
		want  time.Time
	}{
		"killed":         {[]marathon.Task{killing, killed}, time.Time{}},
		"twice":          {[]marathon.Task{killing, killing}, start},
		"the wrong way":  {[]marathon.Task{killed, killing}, time.Time{}},
		"and once again": {[]marathon.Task{killing, killed, killing}, time.Time{}},
	} {
		heard, read := knowing(newApp("/a", task)), New(testTranslation())
		for i, state := range c.hears {
			at := start.Add(time.Duration(i) * time.Second)
			heard.ApplyEvent(changed(state), at)
			read.ApplySnapshot(read.BeginRead(), marathon.Snapshot{Apps: []marathon.App{newApp("/a", state)}}, at, Alone)
		}
		if got := since(heard); !got.Equal(c.want) {
			t.Errorf("%s: heard to be killed since %s, want %s", name, got, c.want)
		}
		if got := since(read); !got.Equal(c.want) {
			t.Errorf("%s: read to be killed since %s, want %s", name, got, c.want)
		}
	}
}

// One task's events come in Marathon's order or not: a final state always wins,
// and what is not final is settled by the last word.
func TestFinalStateWinsInAnyOrder(t *testing.T) {
	states := []marathon.State{
		marathon.TaskStarting, marathon.TaskRunning, marathon.TaskUnreachable, marathon.TaskKilled,
	}
	for order := range permutations(states) {
		d := knowing(newApp("/a"))
		asked := d.BeginRead()
		for _, state := range order {
			d.ApplyEvent(changed(in(state, newTask("t1", "/a"))), start)
		}
		if w := d.Want("t1", "/a"); w.Verdict != Absent || !w.Grounds.Has(Announced) {
			t.Errorf("after %v: %+v", order, w)
		}
		// An answer that was overtaken by the final state does not bring it back.
		d.ApplySnapshot(asked, marathonSnapshot(newApp("/a", newTask("t1", "/a"))), start, Alone)
		wantVerdict(t, d, "t1", "/a", Absent)
	}
}

// What an event announced about an app holds until something heard later says
// otherwise: a plan that starts it again, or a gap in which one may have been missed.
func TestStoppedAppIsStartedAgain(t *testing.T) {
	stop := marathon.DeploymentPlanned{Version: "v2", Apps: []string{"/a"}, Stopped: []string{"/a"}}
	for name, test := range map[string]struct {
		later func(m *Model)
		want  Grounds
	}{
		"nothing":               {func(*Model) {}, AppGone},
		"a plan that starts it": {func(m *Model) { m.ApplyEvent(marathon.DeploymentPlanned{Version: "v3", Apps: []string{"/a"}}, start) }, Missing},
		"a plan of another app": {func(m *Model) { m.ApplyEvent(marathon.DeploymentPlanned{Version: "v3", Apps: []string{"/b"}}, start) }, AppGone},
		"its deployment's end":  {func(m *Model) { m.ApplyEvent(marathon.DeploymentEnded{Version: "v2", Apps: []string{"/a"}}, start) }, AppGone},
		"its failure": {func(m *Model) {
			m.ApplyEvent(marathon.DeploymentEnded{Version: "v2", Apps: []string{"/a"}, Failed: true}, start)
		}, Missing},
		"a gap": {(*Model).NoteGap, Missing},
	} {
		m := knowing(newApp("/a", newTask("t1", "/a")))
		m.ApplyEvent(stop, start)
		test.later(m)
		m.ApplySnapshot(m.BeginRead(), marathonSnapshot(), start, Alone)
		if w := m.Want("t1", "/a"); w.Verdict != Absent || w.Grounds != test.want {
			t.Errorf("%s: %+v, want %v", name, w, test.want)
		}
	}
}

// A task that runs has the labels of its app brought up to date; and one whose address
// is not known yet has its app asked for it.
func TestRunningTaskNamesWhatItNeeds(t *testing.T) {
	plain := newApp("/b")
	plain.Labels = nil
	m := knowing(newApp("/a"), plain)
	if e := m.ApplyEvent(changed(newTask("t1", "/a")), start); !slices.Equal(e.Names, []string{"a"}) || len(e.ReadAgain) > 0 {
		t.Errorf("of an app with labels: %+v", e)
	}
	if e := m.ApplyEvent(changed(newTask("t2", "/b")), start); len(e.Names) > 0 {
		t.Errorf("of an app without labels: %+v", e)
	}
	task := newTask("t3", "/b")
	task.Ports = nil
	if e := m.ApplyEvent(changed(task), start); !slices.Equal(e.ReadAgain, []string{"/b"}) {
		t.Errorf("without a port: %+v", e)
	}
}

// permutations yields every order of a few things.
func permutations[T any](of []T) func(func([]T) bool) {
	return func(yield func([]T) bool) {
		permute(slices.Clone(of), 0, yield)
	}
}

func permute[T any](of []T, from int, yield func([]T) bool) bool {
	if from == len(of) {
		return yield(slices.Clone(of))
	}
	for i := from; i < len(of); i++ {
		of[from], of[i] = of[i], of[from]
		more := permute(of, from+1, yield)
		of[from], of[i] = of[i], of[from]
		if !more {
			return false
		}
	}
	return true
}

func TestUnreachableTaskComesBack(t *testing.T) {
	task := newTask("t1", "/a")
	d := knowing(newApp("/a", task))
	lost := in(marathon.TaskUnreachable, task)
	lost.Addresses = nil
	for range 2 { // TASK_UNREACHABLE may come twice
		d.ApplyEvent(changed(lost), start)
		if w := wantVerdict(t, d, "t1", "/a", Absent); !w.Grounds.Has(Lost) {
			t.Errorf("not away: %+v", w)
		}
	}
	d.ApplyEvent(changed(task), start)
	wantVerdict(t, d, "t1", "/a", Present)
}

// A task of a version that nobody has told of: the app has changed unheard.
func TestTaskOfUnknownVersionIsReadFor(t *testing.T) {
	d := knowing(newApp("/a"))
	task := newTask("t1", "/a")
	task.Version = "v2"
	if e := d.ApplyEvent(changed(task), start); !slices.Equal(e.ReadUnprompted, []string{"/a"}) {
		t.Errorf("effects %+v, want a read of /a", e)
	}
	wantVerdict(t, d, "t1", "/a", Untouched)
}

func TestPlansAreReadByVersion(t *testing.T) {
	d := knowing(newApp("/a"), newApp("/b"))
	if e := d.ApplyEvent(marathon.DeploymentPlanned{Version: "v2", Apps: []string{"/a"}}, start); len(e.Read) > 0 {
		t.Errorf("a plan alone reads %v: REST does not show it yet", e.Read)
	}
	if e := d.ApplyEvent(marathon.GroupChanged{Version: "v2"}, start); !slices.Equal(e.Read, []string{"/a"}) || e.Resync != "" {
		t.Errorf("group change: %+v, want a read of /a", e)
	}
	if e := d.ApplyEvent(marathon.DeploymentEnded{Version: "v2", Apps: []string{"/a"}}, start); !slices.Equal(e.Read, []string{"/a"}) {
		t.Errorf("end of the deployment: %+v, want a read of /a", e)
	}
	if e := d.ApplyEvent(marathon.GroupChanged{Version: "v9"}, start); e.Resync == "" || len(e.Read) > 0 {
		t.Errorf("group change of unknown version: %+v, want a resync", e)
	}
}

func TestEndOfEmptyPlanAnnouncesItsVersion(t *testing.T) {
	d := knowing(newApp("/a"))
	d.ApplyEvent(marathon.DeploymentEnded{Version: "v2", Apps: []string{"/a"}}, start)
	if e := d.ApplyEvent(marathon.GroupChanged{Version: "v2"}, start); e.Resync != "" || !slices.Equal(e.Read, []string{"/a"}) {
		t.Errorf("group change after the end: %+v, want a read of /a", e)
	}
}

// A deployment that failed before anything ran is rolled back by a plan without
// steps: the change that takes it back names no app (found by TestChaos, seed
// 318827).
func TestChangeThatNamesNoAppMayTakeBackAFailedOne(t *testing.T) {
	d := knowing()
	d.ApplyEvent(marathon.DeploymentEnded{Version: "v2", Apps: []string{"/a"}, Failed: true}, start)
	d.ApplyEvent(marathon.GroupChanged{Version: "v2"}, start) // comes late: the app is there now
	d.ApplyEvent(marathon.DeploymentEnded{Version: "v1"}, start)
	if e := d.ApplyEvent(marathon.GroupChanged{Version: "v1"}, start); !slices.Equal(e.Read, []string{"/a"}) {
		t.Errorf("reads %v, want /a again", e.Read)
	}
	d.ApplySnapshot(d.BeginRead(), marathon.Snapshot{}, start, Alone)
	if e := d.ApplyEvent(marathon.GroupChanged{Version: "v1"}, start); len(e.Read) > 0 {
		t.Errorf("reads %v, though a snapshot has told since", e.Read)
	}
	asked := d.BeginRead()
	d.ApplyEvent(marathon.DeploymentEnded{Version: "v3", Apps: []string{"/a"}, Failed: true}, start)
	d.ApplySnapshot(asked, marathon.Snapshot{}, start, Alone)
	if e := d.ApplyEvent(marathon.GroupChanged{Version: "v1"}, start); !slices.Equal(e.Read, []string{"/a"}) {
		t.Errorf("reads %v after a snapshot that was asked for before it failed, want /a", e.Read)
	}
}

func TestMemoryOfPlansIsBounded(t *testing.T) {
	p := deployments{}
	for i := range Ticket(maxDeployments + 2) {
		p.remember(time.Unix(int64(i), 0).String(), nil, i)
	}
	if _, oldest := p[time.Unix(1, 0).String()]; len(p) != maxDeployments || oldest {
		t.Errorf("%d plans, the oldest still there: %v", len(p), oldest)
	}
}

// What changes before the first snapshot is read only if the snapshot was asked
// for too early to show it.
func TestChangesBeforeFirstSnapshotWait(t *testing.T) {
	for _, late := range []bool{false, true} {
		d := New(testTranslation())
		d.ApplyEvent(marathon.DeploymentPlanned{Version: "v2", Apps: []string{"/a"}}, start)
		asked := Ticket(0)
		if late {
			asked = d.BeginRead()
		}
		if e := d.ApplyEvent(marathon.GroupChanged{Version: "v2"}, start); len(e.Read) > 0 {
			t.Errorf("read of %v before the first snapshot", e.Read)
		}
		if !late {
			asked = d.BeginRead()
		}
		e := d.ApplySnapshot(asked, marathonSnapshot(newApp("/a")), start, Alone)
		if read := slices.Contains(e.Read, "/a"); read != late {
			t.Errorf("heard after asking: %v; read again: %v", late, read)
		}
	}
}

func TestNothingIsRemovedBeforeFirstSnapshot(t *testing.T) {
	d := New(testTranslation())
	if e := d.ApplyEvent(changed(in(marathon.TaskKilled, newTask("t1", "/a"))), start); len(e.Tasks) > 0 {
		t.Errorf("effects %+v before the first snapshot", e)
	}
	wantVerdict(t, d, "t2", "/a", Untouched)
	if w := d.WantKeys("a"); w.Verdict != Untouched {
		t.Errorf("labels %+v before the first snapshot", w)
	}
}

func TestPodsCostNoReads(t *testing.T) {
	d := knowing()
	task := newTask("pod.main.1", "/pod")
	if e := d.ApplyEvent(changed(task), start); !slices.Equal(e.ReadUnprompted, []string{"/pod"}) {
		t.Fatalf("the first event of an unknown ID: %+v, want a read", e)
	}
	d.ApplyNotFound(d.BeginRead(), "/pod", start)
	for _, state := range []marathon.State{marathon.TaskRunning, marathon.TaskUnreachable, marathon.TaskKilled} {
		if e := d.ApplyEvent(changed(in(state, task)), start); len(e.Read)+len(e.ReadUnprompted)+len(e.Tasks) > 0 {
			t.Errorf("%s of a pod: %+v, want nothing", state, e)
		}
	}
	asked := d.BeginRead()
	d.ApplyEvent(changed(newTask("pod.main.2", "/pod")), start)
	if e := d.ApplySnapshot(asked, marathonSnapshot(), start, Alone); len(e.Read)+len(e.ReadUnprompted) > 0 {
		t.Errorf("a pod's event during a snapshot reads %v", e.Read)
	}
}

// A 404 is remembered until a deployment names the ID, or until a resync.
func TestNoAppIsRememberedUntilItMayBeOne(t *testing.T) {
	for name, news := range map[string]func(*Model){
		"deployment": func(d *Model) {
			d.ApplyEvent(marathon.DeploymentPlanned{Version: "v2", Apps: []string{"/a"}}, start)
		},
		"resync": func(d *Model) { d.ApplySnapshot(d.BeginRead(), marathonSnapshot(), start, Alone) },
	} {
		d := knowing()
		d.ApplyNotFound(d.BeginRead(), "/a", start)
		news(d)
		if e := d.ApplyEvent(changed(newTask("t1", "/a")), start); !slices.Equal(e.ReadUnprompted, []string{"/a"}) {
			t.Errorf("after a %s: %+v, want a read", name, e)
		}
	}
}

// An ID that was none, then an app whose task ends while the app is being read.
func TestTaskOfNewAppEndsDuringItsFirstRead(t *testing.T) {
	d := knowing()
	d.ApplyNotFound(d.BeginRead(), "/a", start)
	d.ApplyEvent(marathon.DeploymentPlanned{Version: "v2", Apps: []string{"/a"}}, start)
	task := newTask("t1", "/a")
	d.ApplyEvent(changed(task), start)
	asked := d.BeginRead()
	d.ApplyEvent(changed(in(marathon.TaskKilled, task)), start)
	d.ApplyApp(asked, newApp("/a", task), start)
	wantVerdict(t, d, "t1", "/a", Absent)
}

func TestLateEventsOfGoneAppRegisterNothing(t *testing.T) {
	task := newTask("t1", "/a")
	d := knowing(newApp("/a", task))
	e := d.ApplyNotFound(d.BeginRead(), "/a", start)
	if len(e.Tasks) != 1 || !slices.Equal(e.Names, []string{"a"}) {
		t.Errorf("effects of a 404: %+v, want its task and its name", e)
	}
	if e := d.ApplyEvent(changed(task), start); len(e.Tasks)+len(e.Read)+len(e.ReadUnprompted) > 0 {
		t.Errorf("late TASK_RUNNING of a gone app: %+v", e)
	}
	if w := wantVerdict(t, d, "t1", "/a", Absent); !w.Grounds.Has(Announced) {
		t.Error("removal of a gone app's service is not announced")
	}
	if w := d.WantKeys("a"); w.Verdict != Absent || !w.Grounds.Has(Announced) {
		t.Errorf("labels of a gone app: %+v", w)
	}
	if e := d.ApplyEvent(changed(in(marathon.TaskKilled, task)), start); len(e.Tasks) != 1 {
		t.Errorf("final event of a gone app's task: %+v, want its deregistration", e)
	}
}

func TestStoppedAppIsAnnouncedGone(t *testing.T) {
	for name, stop := range map[string]marathon.Event{
		"plan":       marathon.DeploymentPlanned{Version: "v2", Apps: []string{"/a"}, Stopped: []string{"/a"}},
		"terminated": marathon.AppTerminated{AppID: "/a"},
	} {
		d := knowing(newApp("/a", newTask("t1", "/a")), newApp("/b", newTask("t2", "/b")))
		d.ApplyEvent(stop, start)
		d.ApplySnapshot(d.BeginRead(), marathonSnapshot(), start, Alone)
		if w := wantVerdict(t, d, "t1", "/a", Absent); !w.Grounds.Has(Announced) {
			t.Errorf("%s: a stopped app that is gone is not announced", name)
		}
		if w := wantVerdict(t, d, "t2", "/b", Absent); w.Grounds.Has(Announced) {
			t.Errorf("%s: an app that is merely missing is announced", name)
		}
	}
}

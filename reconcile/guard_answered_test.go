package reconcile_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
)

// What an answer of Marathon merely omits, whichever answer it is, is no announcement.

// keeps makes Marathon list only so many tasks of its first app, which should have a
// hundred.
func (m *fakeMarathon) keeps(n int) {
	m.set(func(m *fakeMarathon) {
		app := hundred(h1)
		app.Instances, app.Tasks = 100, app.Tasks[:n]
		m.apps[0] = app
	})
}

// deploys has the stream tell that a deployment of the first app has ended, because of
// which the app is read.
func (x *fakeCluster) deploys() {
	x.Event(marathon.DeploymentEnded{Version: "v2", Apps: []string{"/a"}})
	time.Sleep(time.Second)
}

// 90 of 100 tasks are lost in a partition, and expunged at once: half of them are held
// back. An event that makes us read the app lets none of these go.
func TestAnswerReleasesNoHold(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{hundred(h1)}
		x.connect()
		x.marathon.keeps(10)
		for i := 10; i < 100; i++ {
			lost := taskOn(h1, "/a", fmt.Sprintf("a.%02d", i))
			lost.State = marathon.TaskUnreachable
			x.tells(lost)
		}
		time.Sleep(time.Second)
		x.wantsHalf()
		for range 3 {
			x.deploys()
			x.wantsHalf()
		}
		x.Missed("oversize") // and a snapshot, which omits them too
		time.Sleep(2 * time.Minute)
		x.wantsHalf()
	}, h1)
}

// A Marathon that has forgotten its tasks says so in every answer: nothing goes, until
// every resync of --purge-confirm has said the same.
func TestForgottenTasksStayUntilConfirmed(t *testing.T) {
	for name, forgets := range map[string]func(x *fakeCluster){
		"the app's own answer": func(x *fakeCluster) { x.deploys() },
		"a snapshot":           func(x *fakeCluster) { x.Missed("oversize"); time.Sleep(2 * time.Second) },
		"between snapshot and plan": func(x *fakeCluster) {
			x.agents[h1].set(func(a *fakeAgent) { a.slow = 500 * time.Millisecond })
			x.Missed("oversize")
			time.Sleep(200 * time.Millisecond)
			x.deploys()
			x.agents[h1].set(func(a *fakeAgent) { a.slow = 0 })
			time.Sleep(2 * time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				x.marathon.apps = []marathon.App{hundred(h1)}
				x.connect()
				x.marathon.keeps(0)
				forgets(x)
				x.wantsHalf()
				time.Sleep(x.config.Policy.Confirm / 2)
				x.wantsHalf()
				time.Sleep(x.config.Policy.Confirm)
				x.wants(h1)
			}, h1)
		})
	}
}

func TestNoPurgeKeepsWhatAnAnswerOmits(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.Policy.Purge = false
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1", "a.2")}
		x.connect()
		x.marathon.set(func(m *fakeMarathon) { m.apps[0] = appOn(h1, "/a", "a.2") })
		x.deploys()
		x.Missed("oversize")
		time.Sleep(time.Hour)
		x.wants(h1, "a.1", "a.2")
	}, h1)
}

// An answer that lists as many tasks in service as there should be needs no guard:
// scaling down while the events of it were missed goes at once.
func TestAnswerThatExplainsItselfIsBelieved(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{hundred(h1)}
		x.connect()
		x.marathon.keeps(3)
		x.marathon.set(func(m *fakeMarathon) { m.apps[0].Instances = 3 })
		x.deploys()
		x.wants(h1, "a.00", "a.01", "a.02")
	}, h1)
}

// A second TASK_UNREACHABLE, which Marathon sends when the instance becomes inactive,
// and a snapshot that omits the tasks, are the same news again.
func TestHoldOfLostTasksDoesNotLeak(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{hundred(h1)}
		x.connect()
		lose := func() {
			for i := range 74 {
				lost := taskOn(h1, "/a", fmt.Sprintf("a.%02d", i))
				lost.State = marathon.TaskUnreachable
				x.tells(lost)
			}
			time.Sleep(time.Second)
		}
		lose()
		x.wantsHalf()
		x.marathon.set(func(m *fakeMarathon) { m.apps[0].Tasks = m.apps[0].Tasks[74:] })
		time.Sleep(20 * time.Second)
		x.wantsHalf()
		time.Sleep(2 * time.Minute)
		lose()
		x.wantsHalf()
	}, h1)
}

// The app whose services are registered keeps a name that clashes, and its labels, when
// one snapshot omits it.
func TestShortSnapshotHandsNoNameOver(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		newcomer := appOn(h1, "/a-b", "new.1")
		newcomer.Labels = map[string]string{"role": "newcomer"}
		x.marathon.apps = []marathon.App{appOn(h1, "/a/b", "old.1")}
		x.connect()
		x.marathon.set(func(m *fakeMarathon) {
			m.apps = append(m.apps, newcomer)
			m.omits, m.appTakes = []string{"/a/b"}, 5*time.Second
		})
		x.Missed("oversize")
		for range 10 {
			time.Sleep(time.Second)
			x.wants(h1, "old.1")
			if role := x.kv.value("a-b", "role"); role != "web" {
				t.Fatalf("the incumbent's label is %q", role)
			}
		}
		x.marathon.set(func(m *fakeMarathon) { m.apps = m.apps[1:] }) // now it is gone
		x.Missed("oversize")
		time.Sleep(time.Minute)
		x.wants(h1, "new.1")
		if role := x.kv.value("a-b", "role"); role != "newcomer" {
			t.Errorf("the label of the one that is left is %q", role)
		}
	}, h1)
}

// A service that carries our registration ID and names no app: nobody can be asked about
// it. Time confirms that it goes, and it costs no snapshots after that.
func TestServiceWithoutAnAppGoesInTime(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = 5 * time.Minute
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.agents[h1].services["x"] = consul.Service{ID: "x", Name: "x", Tags: []string{clusterOwner.Tag()}}
		x.connect()
		x.wants(h1, "a.1", "x")
		time.Sleep(x.config.Policy.Confirm + time.Minute)
		x.wants(h1, "a.1")
		before := x.marathon.count()
		time.Sleep(time.Hour)
		if n := x.marathon.count() - before; n > 14 {
			t.Errorf("%d snapshots in the hour after it", n)
		}
	}, h1)
}

// An app that a confirmation shows to be there after all, with a task on a host that was
// not listed before, is registered at once.
func TestAppThatAConfirmationBringsBackIsRegistered(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1"), appOn(h1, "/b", "b.1")}
		x.connect()
		x.Disconnected("closed")
		x.marathon.set(func(m *fakeMarathon) { m.apps[1], m.omits = appOn(h2, "/b", "b.2"), []string{"/b"} })
		x.Connected()
		time.Sleep(3 * time.Second)
		x.wants(h2, "b.2")
	}, h1, h2)
}

// Old versions and confirmations that take long to read delay nobody whom they do not
// concern: at the start, and in the gap after it.
func TestSlowAnswersDelayNobodyElse(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		m := &sluggish{fakeMarathon: x.marathon, takes: map[string]time.Duration{}}
		x.marathon.apps = []marathon.App{appOn(h1, "/other", "other.1")}
		for i := range 180 {
			id := fmt.Sprintf("/old-%03d", i)
			app := appOn(h1, id, "old."+id[5:])
			m.takes[id], m.takes[id+" v0"] = 15*time.Second, 10*time.Second
			if i >= 100 {
				app.Tasks[0].Version = "v0"
			}
			x.marathon.apps = append(x.marathon.apps, app)
		}
		x.connectTo(m)
		if have := x.agents[h1].tasks(); !slices.Contains(have, "other.1") || len(have) < 101 {
			t.Fatalf("at the start %d are registered within 2 s", len(have))
		}
		x.Disconnected("closed")
		x.marathon.set(func(f *fakeMarathon) {
			f.apps[0] = appOn(h1, "/other", "other.1", "other.2")
			for i := range 100 {
				f.omits = append(f.omits, fmt.Sprintf("/old-%03d", i))
			}
		})
		x.Connected()
		time.Sleep(2 * time.Second)
		if !slices.Contains(x.agents[h1].tasks(), "other.2") {
			t.Error("what was missed in the gap is not registered within 2 s")
		}
		x.Disconnected("closed")
		x.marathon.set(func(f *fakeMarathon) { f.apps[0] = appOn(h1, "/other", "other.1", "other.2", "other.3") })
		x.Connected()
		time.Sleep(2 * time.Second)
		if !slices.Contains(x.agents[h1].tasks(), "other.3") {
			t.Error("what was missed in the next gap is not registered within 2 s")
		}
	}, h1)
}

// An app's own answer that has a task is no confirmation because a later snapshot, which
// is short, has outdated it.
func TestOutdatedAnswerConfirmsNothing(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1"), appOn(h1, "/b", "b.1")}
		x.connect()
		x.marathon.set(func(m *fakeMarathon) { m.omits, m.appTakes = []string{"/b"}, 20*time.Second })
		x.Missed("oversize")
		time.Sleep(3 * time.Second)
		x.TryAgain() // any reason for a second resync while the question is open
		time.Sleep(22 * time.Second)
		x.wants(h1, "a.1", "b.1")
	}, h1)
}

// What is held back stays so while its agent is silent at one resync.
func TestHoldOutlastsASilentAgent(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{hundred(h1)}
		x.connect()
		lose := func(from, to int) {
			for i := from; i < to; i++ {
				lost := taskOn(h1, "/a", fmt.Sprintf("a.%02d", i))
				lost.State = marathon.TaskUnreachable
				x.tells(lost)
			}
		}
		x.marathon.loses(90)
		lose(0, 90)
		time.Sleep(5 * time.Second)
		n := len(x.agents[h1].tasks())
		x.agents[h1].set(func(a *fakeAgent) { a.gone = true })
		time.Sleep(75 * time.Second) // less than Confirm
		x.agents[h1].set(func(a *fakeAgent) { a.gone = false })
		lose(50, 90) // Marathon tells it twice
		time.Sleep(45 * time.Second)
		if have := len(x.agents[h1].tasks()); have != n {
			x.Errorf("%d services are left of the %d that were held back, after 2 of 5 minutes", have, n)
		}
	}, h1)
}

// At a start, too, the app whose services Consul has keeps its name when the first
// snapshot omits it.
func TestShortSnapshotAtStartHandsNoNameOver(t *testing.T) {
	for name, slow := range map[string]time.Duration{"all listed at once": 0, "one agent takes long": 2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				x.agents[h1].services["old.1"] = consul.Service{
					ID: "old.1", Name: "a-b", Address: h1, Tags: clusterOwner.Tags("/a/b"),
					Meta: map[string]string{consul.MetaApp: "/a/b", consul.MetaTask: "old.1", consul.MetaVersion: "v1", consul.MetaFramework: "ours"},
				}
				x.hasKeys("a-b")
				newer := appOn(h1, "/a-b", "new.1")
				newer.Labels = map[string]string{"role": "newcomer"}
				x.marathon.apps = []marathon.App{appOn(h1, "/a/b", "old.1"), newer, appOn(h2, "/z", "z.1")}
				x.marathon.omits = []string{"/a/b"}
				x.marathon.appTakes, x.config.Patience = 5*time.Second, 10*time.Second
				x.agents[h2].slow = slow
				x.connect()
				for range 20 {
					time.Sleep(time.Second)
					x.wants(h1, "old.1")
					if v := x.kv.value("a-b", "role"); v != "web" {
						t.Fatalf("the incumbent's label is %q", v)
					}
				}
			}, h1, h2)
		})
	}
}

// omittedSlowly has a cluster with tasks of /m, and so many of /a. A snapshot omits those of /m, whose
// own answer takes 90 s; after 80 s, 29 of /a are lost.
func omittedSlowly(t *testing.T, m marathon.App, ofA int, then func(*fakeCluster)) {
	t.Helper()
	inFakeCluster(t, func(x *fakeCluster) {
		a := hundred(h1)
		a.Tasks = a.Tasks[:ofA]
		x.marathon.apps = []marathon.App{m, a}
		x.connect()
		x.marathon.set(func(f *fakeMarathon) {
			f.appTakes, f.omits, f.apps = 90*time.Second, []string{m.ID}, []marathon.App{appOn(h1, m.ID), a}
			f.apps[0].Instances = len(m.Tasks)
		})
		x.Missed("oversize")
		time.Sleep(80 * time.Second)
		for _, lost := range a.Tasks[:29] {
			lost.State = marathon.TaskUnreachable
			x.tells(lost)
		}
		then(x)
	}, h1)
}

// Removals whose apps take long to answer are judged by what has gone meanwhile.
func TestSlowConfirmationsAreCounted(t *testing.T) {
	omittedSlowly(t, appOn(h1, "/m", ids("m", 40)...), 60, func(x *fakeCluster) {
		for range 60 {
			time.Sleep(time.Second)
			if n := len(x.agents[h1].tasks()); n < 50 {
				x.Fatalf("%d of 100 left", n)
			}
		}
	})
}

// An app with a persistent volume starts its task again under the same ID. A snapshot that was
// taken between the two lives omits it, and the app's own answer, which has to confirm that,
// has it on another host: then the service on the former one goes, as what has moved.
func TestSameIDOnAnotherHostWhileItIsConfirmed(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.PollInterval, x.config.SyncInterval = 5*time.Second, time.Hour
		x.marathon.apps = []marathon.App{appOn(h1, "/volume", "v"), appOn(h2, "/other", "other")}
		x.connect()
		x.wants(h1, "v")
		x.marathon.set(func(m *fakeMarathon) {
			m.apps[0].Tasks = nil
			m.hook = func() { m.apps[0].Tasks = []marathon.Task{taskOn(h2, "/volume", "v")} }
		})
		x.Missed("oversize")
		time.Sleep(20 * time.Second)
		x.wants(h1)
		x.wants(h2, "other", "v")
	}, h1, h2)
}

// What an app's own answer confirms has to be younger than the newest snapshot. When a resync
// begins while an earlier one's question is on its way, that answer comes too late for it: then
// another resync asks again soon, and not only when the sync interval is over.
func TestAnswerThatASnapshotOvertakesIsAskedForAgain(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.PollInterval, x.config.SyncInterval = 5*time.Second, time.Hour
		x.marathon.apps = []marathon.App{appOn(h1, "/gone", "g"), appOn(h2, "/other", "other")}
		x.connect()
		x.wants(h1, "g")
		x.marathon.set(func(m *fakeMarathon) { m.apps, m.appTakes = m.apps[1:], 2*time.Second })
		x.Disconnected("closed")
		time.Sleep(1500 * time.Millisecond)
		x.Connected()
		time.Sleep(20 * time.Second)
		x.wants(h1)
	}, h1, h2)
}

package reconcile_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"consular/marathon"
	"consular/reconcile"
)

// Reads that events ask for, of a Marathon that takes its time.

// sluggish is a cluster's Marathon that takes a while for some apps, and then says
// what was true when it was asked.
type sluggish struct {
	*fakeMarathon
	takes map[string]time.Duration
	// inFlight are requests that are, and most those that were at once.
	inFlight, most int
}

func (m *sluggish) App(ctx context.Context, id string) (marathon.App, error) {
	app, err := m.fakeMarathon.App(ctx, id)
	if late := m.think(ctx, id); late != nil {
		return marathon.App{}, late
	}
	return app, err
}

func (m *sluggish) Version(ctx context.Context, id, version string) (marathon.Definition, error) {
	if err := m.think(ctx, id+" "+version); err != nil {
		return marathon.Definition{}, err
	}
	return m.fakeMarathon.Version(ctx, id, version)
}

// think takes as long as the answer about something does.
func (m *sluggish) think(ctx context.Context, what string) error {
	m.set(func(*fakeMarathon) { m.inFlight++; m.most = max(m.most, m.inFlight) })
	defer m.set(func(*fakeMarathon) { m.inFlight-- })
	return takes(ctx, m.takes[what])
}

// requests returns how many are in flight, and how many were at most.
func (m *sluggish) requests() (now, most int) {
	m.set(func(*fakeMarathon) { now, most = m.inFlight, m.most })
	return now, most
}

// inSlowCluster runs a test in a cluster whose Marathon takes so long for some answers.
func inSlowCluster(t *testing.T, takes map[string]time.Duration, test func(*fakeCluster, *sluggish)) {
	inFakeCluster(t, func(x *fakeCluster) {
		m := &sluggish{fakeMarathon: x.marathon, takes: takes}
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.connectTo(m)
		test(x, m)
	}, h1)
}

// connectTo is connect with another Marathon.
func (x *fakeCluster) connectTo(m reconcile.Marathon) {
	x.Reconciler = x.consularOf(m)
	ctx, cancel := context.WithCancel(x.Context())
	ended := make(chan error)
	go func() { ended <- x.Reconciler.Run(ctx) }()
	x.Cleanup(func() {
		cancelled := time.Now()
		cancel()
		if err := <-ended; err != nil || time.Since(cancelled) > 0 {
			x.Errorf("ended after %v: %v", time.Since(cancelled), err)
		}
	})
	x.Connected()
	time.Sleep(2 * time.Second)
}

// ends has the stream tell that a deployment of apps has ended: they are to be read.
func (x *fakeCluster) ends(apps ...string) {
	x.Event(marathon.DeploymentEnded{Meta: marathon.Meta{Type: "deployment_success"}, Version: "d", Apps: apps})
}

// wantsReads fails the test unless an app was read so many times.
func (x *fakeCluster) wantsReads(app string, least, most int) {
	x.Helper()
	if n := len(x.marathon.reads(app)); n < least || n > most {
		x.Errorf("%s was read %d times, want %d to %d", app, n, least, most)
	}
}

// numberedApps are apps without tasks.
func numberedApps(n int) (apps []marathon.App, ids []string) {
	for i := range n {
		id := fmt.Sprintf("/app-%02d", i)
		apps, ids = append(apps, appOn(h1, id)), append(ids, id)
	}
	return apps, ids
}

const hangs = 15 * time.Second

func TestHangingReadDelaysNoOther(t *testing.T) {
	inSlowCluster(t, map[string]time.Duration{"/slow": hangs}, func(x *fakeCluster, m *sluggish) {
		m.set(func(m *fakeMarathon) {
			m.apps = append(m.apps, appOn(h1, "/slow", "slow.1"), appOn(h1, "/new", "new.1"))
		})
		x.tells(taskOn(h1, "/slow", "slow.1"))
		time.Sleep(100 * time.Millisecond)
		x.tells(taskOn(h1, "/new", "new.1"))
		time.Sleep(100 * time.Millisecond)
		x.wants(h1, "a.1", "new.1")
		time.Sleep(hangs)
		x.wants(h1, "a.1", "new.1", "slow.1")
	})
}

func TestHangingDefinitionDelaysNoRead(t *testing.T) {
	inSlowCluster(t, map[string]time.Duration{"/a v0": hangs}, func(x *fakeCluster, m *sluggish) {
		old := taskOn(h1, "/a", "a.0")
		old.Version = "v0"
		m.set(func(m *fakeMarathon) {
			m.apps[0].Tasks = append(m.apps[0].Tasks, old)
			m.apps = append(m.apps, appOn(h1, "/new", "new.1"))
		})
		x.ends("/a")
		time.Sleep(100 * time.Millisecond)
		if n, _ := m.requests(); n != 1 {
			t.Fatalf("%d requests in flight, want that of the definition", n)
		}
		x.tells(taskOn(h1, "/new", "new.1"))
		time.Sleep(100 * time.Millisecond)
		x.wants(h1, "a.1", "new.1")
	})
}

// Asked for while it is being read, an app is read once more, and later: the read
// that began before may say what was true before.
func TestReadThatBeganBeforeDoesNotCount(t *testing.T) {
	inSlowCluster(t, map[string]time.Duration{"/b": 3 * time.Second}, func(x *fakeCluster, m *sluggish) {
		m.set(func(m *fakeMarathon) { m.apps = append(m.apps, appOn(h1, "/b")) })
		for i := range 20 {
			x.ends("/b")
			time.Sleep(100 * time.Millisecond)
			m.set(func(m *fakeMarathon) { m.apps[1] = appOn(h1, "/b", fmt.Sprint("b.", i)) })
		}
		x.ends("/b")
		time.Sleep(3 * time.Second)
		x.wants(h1, "a.1")
		time.Sleep(2 * time.Second)
		x.wants(h1, "a.1", "b.19")
		x.wantsReads("/b", 2, 2)
	})
}

func TestBurstAboutOneAppCostsAHandfulOfReads(t *testing.T) {
	inSlowCluster(t, map[string]time.Duration{"/b": 50 * time.Millisecond}, func(x *fakeCluster, m *sluggish) {
		m.set(func(m *fakeMarathon) { m.apps = append(m.apps, appOn(h1, "/b")) })
		for range 1000 {
			x.ends("/b")
			time.Sleep(100 * time.Microsecond)
		}
		time.Sleep(time.Second)
		x.wantsReads("/b", 2, 4)
	})
}

func TestFewReadsAreInFlight(t *testing.T) {
	takes := map[string]time.Duration{}
	apps, ids := numberedApps(40)
	for _, id := range ids {
		takes[id] = time.Second
	}
	inSlowCluster(t, takes, func(x *fakeCluster, m *sluggish) {
		m.set(func(m *fakeMarathon) { m.apps = append(m.apps, apps...) })
		x.ends(ids...)
		time.Sleep(5*time.Second + time.Millisecond)
		if now, most := m.requests(); most != 8 || now != 0 {
			t.Errorf("%d reads in flight at once, and %d still, want 8 and none", most, now)
		}
		for _, id := range ids {
			x.wantsReads(id, 1, 1)
		}
	})
}

// A read that fails makes room at once, though it has to wait itself.
func TestFailedReadMakesRoom(t *testing.T) {
	apps, ids := numberedApps(9)
	takes := map[string]time.Duration{ids[7]: time.Second}
	for _, id := range ids[:7] {
		takes[id] = hangs
	}
	inSlowCluster(t, takes, func(x *fakeCluster, m *sluggish) {
		m.set(func(m *fakeMarathon) { m.apps, m.broken = append(m.apps, apps...), ids[7:8] })
		x.ends(ids[:8]...)
		time.Sleep(100 * time.Millisecond)
		x.ends(ids[8])
		time.Sleep(899 * time.Millisecond)
		x.wantsReads(ids[8], 0, 0)
		time.Sleep(2 * time.Millisecond)
		x.wantsReads(ids[8], 1, 1)
	})
}

// Where many apps are to be read, one snapshot serves for all, for those too that
// could not be read so far.
func TestSnapshotServesForManyApps(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		apps, ids := numberedApps(60)
		x.marathon.apps, x.marathon.broken = apps, ids
		x.connect()
		x.ends(ids[:40]...)
		time.Sleep(time.Minute)
		before := x.marathon.count()
		x.ends(ids[40:]...)
		time.Sleep(time.Hour)
		if n := x.marathon.count() - before; n != 1 {
			t.Errorf("%d snapshots, want 1", n)
		}
		for _, id := range ids[40:] {
			x.wantsReads(id, 0, 0)
		}
		if last := x.marathon.reads(ids[0]); time.Since(last[len(last)-1]) < time.Hour-time.Second {
			t.Errorf("%s was read once more, %v ago", ids[0], time.Since(last[len(last)-1]))
		}
	}, h1)
}

// Of a Marathon that answers nothing a few apps are asked for at once, not all.
func TestFailingMarathonIsLeftAlone(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		apps, ids := numberedApps(40)
		x.marathon.apps = apps
		x.connect()
		x.marathon.set(func(m *fakeMarathon) { m.silent = true })
		x.ends(ids...)
		time.Sleep(900 * time.Millisecond)
		n := 0
		for _, id := range ids {
			n += len(x.marathon.reads(id))
		}
		if n == 0 || n > 16 {
			t.Errorf("%d reads of %d apps in a second of silence", n, len(ids))
		}
		x.marathon.set(func(m *fakeMarathon) { m.silent = false })
		time.Sleep(20 * time.Second)
		for _, id := range ids {
			x.wantsReads(id, 1, 8)
		}
	}, h1)
}

// What fails is told first and then every tenth time, and its end when all that
// failed is read again, not when anything else is.
func TestFailedReadsAreToldOfNowAndThen(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a"), appOn(h1, "/b")}
		x.connect()
		x.marathon.set(func(m *fakeMarathon) { m.broken = []string{"/b"} })
		for range 3 * 60 {
			x.ends("/a", "/b")
			time.Sleep(time.Second)
		}
		n := len(x.marathon.reads("/b"))
		if n < 11 || n > 40 {
			t.Errorf("the app that cannot be read was asked for %d times in three minutes", n)
		}
		x.says("cannot read", "no answer", 1+n/10)
		x.says("work again", "", 0)
		x.marathon.set(func(m *fakeMarathon) { m.broken = nil })
		time.Sleep(20 * time.Second)
		x.says("work again", "", 1)
	}, h1)
}

// While the tasks of an app start one after the other, each answer is older than
// the last of them: it is asked for once more, but not again and again.
func TestTasksThatStartMeanwhileCostAHandfulOfReads(t *testing.T) {
	inSlowCluster(t, map[string]time.Duration{"/b": 50 * time.Millisecond}, func(x *fakeCluster, m *sluggish) {
		app := appOn(h1, "/b")
		m.set(func(m *fakeMarathon) { m.apps = append(m.apps, app) })
		var ids []string
		for i := range 1000 {
			id := fmt.Sprintf("b.%03d", i)
			app.Tasks, ids = append(app.Tasks, taskOn(h1, "/b", id)), append(ids, id)
			m.set(func(m *fakeMarathon) { m.apps[1] = app })
			x.tells(app.Tasks[i])
			time.Sleep(10 * time.Millisecond)
		}
		x.wantsReads("/b", 2, 8)
		x.wants(h1, append([]string{"a.1"}, ids...)...)
	})
}

// What a deployment has changed is read at once, also while an answer that was
// contradicted waits to be asked for again.
func TestChangedAppIsReadAtOnceWhileItSettles(t *testing.T) {
	inSlowCluster(t, map[string]time.Duration{"/a": 50 * time.Millisecond}, func(x *fakeCluster, _ *sluggish) {
		x.ends("/a")
		time.Sleep(10 * time.Millisecond)
		x.tells(taskOn(h1, "/a", "a.2")) // contradicts the answer that is on its way
		time.Sleep(60 * time.Millisecond)
		x.wantsReads("/a", 1, 1)
		x.wants(h1, "a.1", "a.2")
		x.ends("/a")
		time.Sleep(60 * time.Millisecond)
		x.wantsReads("/a", 2, 2)
		x.wants(h1, "a.1")
	})
}

package reconcile_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"consular/marathon"
)

// When one snapshot serves for many apps, and when it cannot.

// largeMarathon takes a while for a snapshot, which says what was true before.
type largeMarathon struct {
	*fakeMarathon
	takes atomic.Int64 // nanoseconds
}

func (m *largeMarathon) Apps(ctx context.Context) (marathon.Snapshot, error) {
	s, err := m.fakeMarathon.Apps(ctx)
	if late := takes(ctx, time.Duration(m.takes.Load())); late != nil {
		return s, late
	}
	return s, err
}

// connectLarge is connect with a Marathon whose snapshots take so long.
func (x *fakeCluster) connectLarge(takes time.Duration) {
	m := &largeMarathon{fakeMarathon: x.marathon}
	x.connectTo(m)
	m.takes.Store(int64(takes))
}

// While the tasks of very many apps start, each snapshot is contradicted by many: it
// is not asked for again and again.
func TestLaunchOfManyAppsCostsFewSnapshots(t *testing.T) {
	for _, version := range []string{"v1", "v0"} { // that of the app, and one that has to be asked for
		for _, takes := range []time.Duration{0, 300 * time.Millisecond} {
			t.Run(fmt.Sprint(version, takes), func(t *testing.T) {
				inFakeCluster(t, func(x *fakeCluster) {
					apps, ids := numberedApps(100)
					x.marathon.apps, x.marathon.appTakes = apps, takes
					x.connectLarge(2 * time.Second)
					x.Missed("undecodable")
					before := x.marathon.count()
					for i := range 6000 {
						task := taskOn(h1, ids[i%100], fmt.Sprint("t.", i))
						task.Version = version
						x.marathon.set(func(m *fakeMarathon) { m.apps[i%100].Tasks = append(m.apps[i%100].Tasks[:i/100:i/100], task) })
						x.tells(task)
						time.Sleep(10 * time.Millisecond)
					}
					if n := x.marathon.count() - before; n > 6 {
						t.Errorf("%d snapshots in a minute in which nothing but tasks started", n)
					}
				}, h1)
			})
		}
	}
}

// hides makes so many apps that Marathon shows neither in a snapshot nor alone, as it
// does what a token may not see.
func (m *fakeMarathon) hides(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprint("/hidden-", i))
	}
	m.set(func(m *fakeMarathon) { m.broken = ids })
	return ids
}

func TestHiddenAppsCostFewSnapshots(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		hidden := x.marathon.hides(200)
		x.connect()
		before := x.marathon.count()
		tell := func(n int) {
			for i := range n {
				x.tells(taskOn(h1, hidden[i%200], fmt.Sprint("t.", i)))
				time.Sleep(10 * time.Millisecond)
			}
		}
		tell(6000)
		if n := x.marathon.count() - before; n > 6 {
			t.Errorf("%d snapshots in a minute in which only hidden apps had events", n)
		}
		x.marathon.set(func(m *fakeMarathon) { m.apps = append(m.apps, appOn(h1, "/new", "new.1")) })
		x.tells(taskOn(h1, "/new", "new.1"))
		tell(500)
		x.wants(h1, "a.1", "new.1")
	}, h1)
}

// An app that cannot be read is not asked for for ever: the next snapshot says
// whether there is one.
func TestSnapshotAnswersForWhatCouldNotBeRead(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = 5 * time.Minute
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		hidden := x.marathon.hides(40)
		x.connect()
		for _, id := range hidden {
			x.tells(taskOn(h1, id, "t"+id))
		}
		time.Sleep(6 * time.Minute)
		reads := len(x.marathon.reads(hidden[0]))
		time.Sleep(24 * time.Hour)
		if n := len(x.marathon.reads(hidden[0])); n != reads || n < 2 {
			t.Errorf("asked for %d times until the next snapshot, and %d times in a day after it", reads, n-reads)
		}
	}, h1)
}

// A read that has failed is tried again after its pause, and not only when a snapshot
// that takes long is there.
func TestSlowSnapshotHoldsUpNoReadThatFailed(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.connectLarge(55 * time.Second)
		x.marathon.set(func(m *fakeMarathon) { m.apps, m.broken = append(m.apps, appOn(h1, "/new", "new.1")), []string{"/new"} })
		x.tells(taskOn(h1, "/new", "new.1"))
		time.Sleep(10 * time.Millisecond)
		x.marathon.set(func(m *fakeMarathon) { m.broken = nil })
		x.Missed("undecodable")
		time.Sleep(time.Second)
		x.wants(h1, "a.1", "new.1")
	}, h1)
}

// What is asked for after a snapshot began is read, also when it had failed before.
func TestSnapshotAnswersForNothingThatCameLater(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a")}
		x.connectLarge(10 * time.Second)
		x.marathon.set(func(m *fakeMarathon) { m.broken = []string{"/a"} })
		x.ends("/a")
		time.Sleep(9 * time.Second) // its pauses are long by now
		x.Missed("undecodable")
		time.Sleep(10 * time.Millisecond)
		x.marathon.set(func(m *fakeMarathon) { m.apps, m.broken = []marathon.App{appOn(h1, "/a", "a.1")}, nil })
		x.ends("/a")
		time.Sleep(30 * time.Second)
		x.wants(h1, "a.1")
	}, h1)
}

// A deployment of very many apps that is over at once names them twice. However long
// a snapshot takes, none of them is read beside it.
func TestDeploymentOfManyAppsCostsSnapshots(t *testing.T) {
	for _, takes := range []time.Duration{50 * time.Millisecond, 40 * time.Second} {
		inFakeCluster(t, func(x *fakeCluster) {
			apps, ids := numberedApps(100)
			x.marathon.apps = apps
			x.connectLarge(takes)
			before := x.marathon.count()
			x.ends(ids...)
			time.Sleep(100 * time.Millisecond)
			x.Event(marathon.GroupChanged{Meta: marathon.Meta{Type: "group_change_success"}, Version: "d"})
			time.Sleep(3 * time.Minute)
			if n := x.marathon.count() - before; n != 2 {
				t.Errorf("%d snapshots, want one for each time", n)
			}
			for _, id := range ids {
				x.wantsReads(id, 0, 0)
			}
		}, h1)
	}
}

// Each outage of reads is told of, also when a snapshot has ended the one before.
func TestNextOutageOfReadsIsTold(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		hidden := x.marathon.hides(2)
		x.connect()
		x.tells(taskOn(h1, hidden[0], "t.1"))
		time.Sleep(time.Second)
		x.Missed("undecodable")
		time.Sleep(time.Hour)
		x.says("work again", "", 0) // a snapshot is no read of an app
		x.tells(taskOn(h1, hidden[1], "t.2"))
		time.Sleep(500 * time.Millisecond)
		x.says("cannot read", "no answer", 2)
	}, h1)
}

package reconcile_test

import (
	"context"
	"testing"
	"time"

	"consular/marathon"
)

// readyMarathon tells what readiness checks say when it is asked with that.
type readyMarathon struct {
	*fakeMarathon
	results []marathon.ReadinessCheckResult
}

func (m *readyMarathon) AppsWithReadiness(ctx context.Context) (marathon.Snapshot, error) {
	s, err := m.Apps(ctx)
	for i := range s.Apps {
		s.Apps[i].ReadinessCheckResults = m.results
	}
	return s, err
}

func (m *readyMarathon) AppWithReadiness(ctx context.Context, id string) (marathon.App, error) {
	app, err := m.App(ctx, id)
	app.ReadinessCheckResults = m.results
	return app, err
}

func (*readyMarathon) Ahead() (time.Duration, bool) { return 0, false }

// A consular that knows nothing yet asks what readiness checks say: one that begins within a
// deployment, and one that does a single resync, would take what is ready for what is not.
func TestTheFirstSnapshotTellsOfReadiness(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		app := checkedApp("ready", "waits")
		app.Definition.ReadinessChecks = []marathon.ReadinessCheck{{Name: "one", Interval: time.Second}}
		app.Deployments = []string{"d"}
		x.marathon.apps = []marathon.App{app}
		m := &readyMarathon{x.marathon, []marathon.ReadinessCheckResult{{Name: "one", TaskID: "ready", Ready: true}, {Name: "one", TaskID: "waits"}}}
		if _, sum, err := x.consularOf(m).Sync(x.Context()); err != nil || !sum.Clean() {
			t.Fatal(err, sum.String())
		}
		x.saysOf("ready", "passing")
		x.saysOf("waits", "critical")
		m.results[1].Ready = true
		if _, sum, err := x.consularOf(m).Sync(x.Context()); err != nil || !sum.Clean() {
			t.Fatal(err, sum.String())
		}
		x.saysOf("waits", "passing")
	}, h1)
}

// No event says that a task is ready, and Marathon kills the one before it at once: that has the
// app asked, and the one that is killed stays until the other passes. It does not stay for one
// that is not ready, nor when Marathon does not answer.
func TestDeregistrationAwaitsWhatIsReady(t *testing.T) {
	for name, test := range map[string]struct {
		ready, broken bool
		status        string
		stays         time.Duration
	}{
		"ready":      {true, false, "passing", 400 * time.Millisecond},
		"not ready":  {false, false, "critical", 100 * time.Millisecond},
		"not a word": {true, true, "critical", 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				mirror(x)
				app := checkedApp("old", "new")
				app.Definition.ReadinessChecks = []marathon.ReadinessCheck{{Name: "one", Interval: time.Hour}}
				app.Deployments, app.LastConfigChangeAt = []string{"d"}, "v0" // one definition will do
				app.Tasks[0].Version, app.Tasks[1].Host = "v0", h2
				x.marathon.apps = []marathon.App{app, appOn(h2, "/other", "other")}
				m := &readyMarathon{x.marathon, []marathon.ReadinessCheckResult{{Name: "one", TaskID: "new"}}}
				x.connectTo(m)
				x.saysOf("old", "passing")
				old := taskOn(h1, "/web", "old")
				old.State = marathon.TaskKilling
				x.marathon.set(func(fake *fakeMarathon) {
					fake.apps[0].Tasks = []marathon.Task{old, app.Tasks[1]}
					m.results = []marathon.ReadinessCheckResult{{Name: "one", TaskID: "new", Ready: test.ready}}
					fake.appTakes = 100 * time.Millisecond
					if test.broken {
						fake.broken = []string{"/web"}
					}
				})
				x.agents[h2].set(func(a *fakeAgent) { a.slow = 300 * time.Millisecond })
				x.tells(old)
				time.Sleep(test.stays - 5*time.Millisecond)
				x.wants(h1, "old")
				time.Sleep(15 * time.Millisecond)
				x.wants(h1)
				if have := x.agents[h2].says("new"); have != test.status {
					t.Errorf("the other says %q", have)
				}
			}, h1, h2)
		})
	}
}

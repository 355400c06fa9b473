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

package reconcile_test

import (
	"testing"
	"time"

	"consular/marathon"
)

// What is registered on the main agent, for there is no way to its own, turns and recovers
// there as it would at home: when an event says so, and when only a resync sees it.
func TestAFallbackTurns(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		x.config.Fallback, x.config.SyncInterval = true, time.Minute
		x.agents[h2].gone = true
		x.catalog.unknown[h2] = true
		app := checkedApp("t1")
		app.Tasks[0].Host = h2
		x.marathon.apps = []marathon.App{app, appOn(h1, "/other", "o1")}
		x.connect()
		time.Sleep(90 * time.Second) // between two resyncs
		x.wants("", "t1")
		says := func(when, want string) {
			t.Helper()
			if have := x.agents[""].says("t1"); have != want {
				t.Errorf("%s: it says %q, want %q", when, have, want)
			}
		}
		says("at first", "passing")
		x.turns("t1", false)
		says("an event", "critical")
		x.turns("t1", true)
		says("another", "passing")
		x.marathon.set(func(m *fakeMarathon) {
			failing := checkedApp("t1")
			failing.Tasks[0].Host = h2
			failing.Tasks[0].HealthCheckResults[0] = marathon.HealthCheckResult{LastFailure: time.Now(), LastFailureCause: "refused"}
			m.apps = []marathon.App{failing, m.apps[1]}
		})
		time.Sleep(2 * time.Minute)
		says("a resync", "critical")
		x.agents[h2].set(func(a *fakeAgent) { a.gone = false })
		time.Sleep(2 * time.Minute)
		x.wants("")
		x.wants(h2, "t1")
		if have := x.agents[h2].says("t1"); have != "critical" {
			t.Errorf("at home it says %q", have)
		}
	}, h1, h2)
}

package reconcile_test

import (
	"testing"
	"time"

	"consular/marathon"
)

// An agent is gone, Marathon has nothing there any more, and Consul does not know
// its node: what was to be deregistered there still is when the agent is back,
// with what it had kept.
func TestSilentAgentKeepsItsJobs(t *testing.T) {
	for name, end := range map[string]func(*fakeCluster){
		"heard": func(x *fakeCluster) {
			killed := taskOn(h1, "/a", "a.1")
			killed.State = marathon.TaskKilled
			x.tells(killed)
		},
		"not heard": func(x *fakeCluster) { x.Missed("oversize") },
	} {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				x.config.SyncInterval = time.Minute
				x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
				x.connect()
				x.wants(h1, "a.1")
				x.agents[h1].set(func(a *fakeAgent) { a.gone = true })
				x.catalog.set(func(c *fakeCatalog) { c.unknown[h1] = true })
				x.marathon.set(func(m *fakeMarathon) { m.apps[0] = appOn(h2, "/a", "a.2") })
				end(x)
				x.tells(taskOn(h2, "/a", "a.2"))
				time.Sleep(time.Hour)
				x.wants(h2, "a.2")
				x.agents[h1].set(func(a *fakeAgent) { a.gone = false })
				time.Sleep(time.Minute)
				x.wants(h1)
				x.wants(h2, "a.2")
			}, h1, h2)
		})
	}
}

// When Consul has long forgotten a node whose agent is silent, so do we.
func TestAgentSilentForDaysIsForgotten(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = time.Hour
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.connect()
		x.agents[h1].set(func(a *fakeAgent) { a.gone = true })
		x.catalog.set(func(c *fakeCatalog) { c.unknown[h1] = true })
		x.marathon.set(func(m *fakeMarathon) { m.apps[0] = appOn(h2, "/a", "a.2") })
		x.Missed("oversize")
		time.Sleep(100 * time.Hour)
		before := x.agents[h1].dialled()
		time.Sleep(24 * time.Hour)
		if n := x.agents[h1].dialled() - before; before == 0 || n > 0 {
			x.Errorf("asked %d times in the fifth day, after %d times before", n, before)
		}
	}, h1, h2)
}

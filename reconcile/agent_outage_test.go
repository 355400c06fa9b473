package reconcile_test

import (
	"testing"
	"time"

	"consular/marathon"
)

// When an agent counts as silent, and when it does not any more.

// An agent that was away and then refuses a write does answer: it is looked at again,
// and what was refused is done when it is allowed.
func TestRefusalEndsASilence(t *testing.T) {
	killed := taskOn(h1, "/a", "a.1")
	killed.State = marathon.TaskKilled
	for name, c := range map[string]struct {
		before, after marathon.App
		event         marathon.Task
		want          []string
	}{
		"of a registration":   {marathon.App{ID: "/a", Version: "v1"}, appOn(h1, "/a", "a.1"), taskOn(h1, "/a", "a.1"), []string{"a.1"}},
		"of a deregistration": {appOn(h1, "/a", "a.1"), marathon.App{ID: "/a", Version: "v1"}, killed, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				x.config.SyncInterval = 5 * time.Minute
				x.marathon.apps = []marathon.App{appOn(h2, "/b", "b.1"), c.before}
				x.connect()
				x.agents[h1].set(func(a *fakeAgent) { a.gone, a.refuses = true, []string{"a.1"} })
				x.marathon.set(func(m *fakeMarathon) { m.apps[1] = c.after })
				x.tells(c.event)
				time.Sleep(10 * time.Second)
				x.agents[h1].set(func(a *fakeAgent) { a.gone = false })
				time.Sleep(time.Minute)
				x.agents[h1].set(func(a *fakeAgent) { a.refuses = nil })
				x.TryAgain()
				time.Sleep(10 * time.Minute)
				x.wants(h1, c.want...)
			}, h1, h2)
		})
	}
}

// What can be told without asking an agent is no answer of it.
func TestSilenceLastsUntilTheAgentIsAsked(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = 5 * time.Minute
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1"), appOn(h2, "/b", "b.1")}
		x.connect()
		x.agents[h1].set(func(a *fakeAgent) { a.gone = true })
		before := x.marathon.count()
		for range 360 { // an hour of a task whose health flips
			x.tells(taskOn(h1, "/a", "a.1"))
			time.Sleep(10 * time.Second)
		}
		x.says("works again", "", 0)
		if n := x.marathon.count() - before; n > 15 {
			t.Errorf("%d snapshots in an hour, want those of --sync-interval", n)
		}
	}, h1, h2)
}

// With --fallback, events of tasks on a slow host do not hold up the main agent.
func TestSlowAgentDelaysNotTheMainOne(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.Fallback = true
		x.agents[h2] = x.agents[""]
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1"), appOn(h2, "/b")}
		x.connect()
		x.agents[h1].set(func(a *fakeAgent) { a.slow = 10 * time.Second })
		for range 200 {
			x.tells(taskOn(h1, "/a", "a.1"))
		}
		x.tells(taskOn(h2, "/b", "b.1"))
		for range 50 {
			x.tells(taskOn(h1, "/a", "a.1"))
		}
		time.Sleep(100 * time.Millisecond)
		x.wants(h2, "b.1")
	}, h1, h2)
}

package reconcile_test

import (
	"context"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile"
)

// What agents that are slow or away cost of Marathon.

// slowAgent takes a while for what it is asked, and gives up with the client.
type slowAgent struct {
	*fakeAgent
	takes time.Duration
}

func (a slowAgent) think(ctx context.Context) error {
	return takes(ctx, a.takes)
}

func (a slowAgent) Self(ctx context.Context) (consul.Node, error) {
	if err := a.think(ctx); err != nil {
		return consul.Node{}, err
	}
	return a.fakeAgent.Self(ctx)
}

func (a slowAgent) Services(ctx context.Context) ([]consul.Service, error) {
	if err := a.think(ctx); err != nil {
		return nil, err
	}
	return a.fakeAgent.Services(ctx)
}

// An agent that takes longer for a listing than a resync waits has answered all the same:
// it makes no resyncs, is said to be away by nobody, and what is stale there goes. The
// resyncs wait longer for it then, but not for one that takes too long.
func TestSlowListingIsNoSilence(t *testing.T) {
	for name, c := range map[string]struct {
		takes time.Duration
		have  []string
	}{
		"together": {700 * time.Millisecond, []string{"a.1"}},
		"each":     {1100 * time.Millisecond, []string{"a.1"}},
		"too long": {3 * time.Second, []string{"a.1", "stale.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				x.config.SyncInterval = 5 * time.Minute
				x.replace = map[string]reconcile.Agent{h1: slowAgent{x.agents[h1], c.takes}}
				x.agents[h1].services["stale.1"] = consul.Service{ID: "stale.1", Name: "a", Tags: clusterOwner.Tags("/a")}
				x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1"), appOn(h2, "/b", "b.1")}
				x.connect()
				time.Sleep(time.Minute)
				x.wants(h1, c.have...)
				time.Sleep(time.Hour)
				if n := x.marathon.count(); n > 16 {
					t.Errorf("%d snapshots in an hour, want those of --sync-interval", n)
				}
				x.says("works again", "", 0)
				x.says("left alone", "", 0)
				x.wants(h2, "b.1")
			}, h1, h2)
		})
	}
}

// With --fallback, the agent of a host that is gone makes a resync when that is noticed,
// when a task is to be registered there, and when it is back.
func TestDeadHostWithFallbackMakesFewResyncs(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.Fallback, x.config.SyncInterval = true, 5*time.Minute
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1"), appOn(h2, "/b", "b.1")}
		x.connect()
		x.agents[h1].set(func(a *fakeAgent) { a.gone = true; a.services = map[string]consul.Service{} })
		x.tells(ended("/b", "b.0")) // of h1: now it is noticed
		before := x.marathon.count()
		time.Sleep(time.Minute)
		x.wants("", "a.1")
		time.Sleep(59 * time.Minute)
		if n := x.marathon.count() - before; n > 15 {
			t.Errorf("%d snapshots in an hour, want those of --sync-interval", n)
		}
		x.marathon.set(func(m *fakeMarathon) { m.apps[0] = appOn(h1, "/a", "a.1", "a.2") })
		x.tells(taskOn(h1, "/a", "a.2"))
		time.Sleep(20 * time.Second)
		x.wants("", "a.1", "a.2")
		x.agents[h1].set(func(a *fakeAgent) { a.gone = false })
		time.Sleep(time.Minute)
		x.wants("")
		x.wants(h1, "a.1", "a.2")
	}, h1, h2)
}

// An agent that was away for a moment, in which no resync was made, makes none when it is
// back: it is listed anew, and what it has lost is registered.
func TestShortSilenceMakesNoResync(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1", "a.2")}
		x.connect()
		before := x.marathon.count()
		x.agents[h1].set(func(a *fakeAgent) { a.gone = true; a.services = map[string]consul.Service{} })
		x.tells(ended("/a", "a.0")) // now it is noticed
		time.Sleep(5 * time.Second)
		x.agents[h1].set(func(a *fakeAgent) { a.gone = false })
		time.Sleep(time.Minute)
		x.says("works again", "", 1)
		x.wants(h1, "a.1", "a.2")
		if n := x.marathon.count() - before; n != 0 {
			t.Errorf("%d snapshots", n)
		}
	}, h1)
}

// A service that fails at home stays where else it is, and goes there when it is at home:
// neither each second, nor only with the next regular resync, of which there is none.
func TestServiceThatFailedAtHomeGoesElsewhereInTheEnd(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.agents[h1].fails = []string{"a.1"}
		x.agents[h2].services["a.1"] = consul.Service{ID: "a.1", Name: "a", Tags: clusterOwner.Tags("/a")}
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1"), appOn(h2, "/b", "b.1")}
		x.connect()
		time.Sleep(time.Hour)
		x.wants(h1)
		x.wants(h2, "a.1", "b.1")
		if n := x.marathon.count(); n > 2 {
			x.Errorf("%d snapshots in an hour without any cause", n)
		}
		x.agents[h1].set(func(a *fakeAgent) { a.fails = nil })
		time.Sleep(time.Minute)
		x.wants(h1, "a.1")
		x.wants(h2, "b.1")
	}, h1, h2)
}

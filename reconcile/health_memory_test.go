package reconcile_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile"
	"consular/reconcile/desired"
)

// What a consular remembers of checks.

// versions is a Marathon that tells of the definition of an old version.
type versions struct {
	*fakeMarathon
	old marathon.Definition
}

func (m versions) Version(ctx context.Context, _, _ string) (marathon.Definition, error) {
	return m.old, takes(ctx, 500*time.Millisecond)
}

// An agent that was listed when nobody was known to have checks is asked for them when that turns
// out; one that has told of none is not asked again.
func TestChecksAreAskedForWhenTheyTurnOutToBe(t *testing.T) {
	for name, test := range map[string]struct {
		version string
		lists   int
	}{"of an old version": {"v0", 2}, "of the present one": {"v1", 1}} {
		inFakeCluster(t, func(x *fakeCluster) {
			mirror(x)
			app := checkedApp("t1")
			old := app.Definition
			app.Tasks[0].Version = test.version
			if test.version == "v0" {
				app.Definition.HealthChecks, app.LastConfigChangeAt = nil, "v1"
			}
			x.marathon.apps = []marathon.App{app}
			x.agents[h1].services["t1"] = consul.Service{ID: "t1", Name: "web", Address: h1, Tags: clusterOwner.Tags("/web")}
			x.connectTo(versions{x.marathon, old})
			x.saysOf("t1", "passing")
			if lists, _ := x.agents[h1].asked("t1"); lists != test.lists {
				t.Errorf("%s: listed %d times, want %d", name, lists, test.lists)
			}
		}, h1)
	}
}

// A text that others wrote, beside the status that Marathon tells too by then, goes when ours is
// another than the one before.
func TestATextOfOthersGoes(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		x.marathon.apps = []marathon.App{checkedApp("t1")}
		x.connect()
		must(t, x.agents[h1].UpdateCheck(t.Context(), consul.CheckID("t1"), consul.Critical, "by hand"))
		failing := checkedApp("t1")
		failing.Tasks[0].HealthCheckResults[0] = marathon.HealthCheckResult{LastFailure: time.Now(), LastFailureCause: "refused"}
		x.marathon.set(func(m *fakeMarathon) { m.apps = []marathon.App{failing} })
		before, _ := x.agents[h1].checksWritten()
		x.config.SyncInterval = time.Minute
		for range 3 {
			x.Missed("test")
			time.Sleep(time.Minute)
		}
		if after, _ := x.agents[h1].checksWritten(); after-before != 1 {
			t.Errorf("%d writes, want 1", after-before)
		}
		x.saysOf("t1", "critical")
		if output := x.agents[h1].checksOn("t1")[0].Output; output == "by hand" {
			t.Errorf("it still says %q", output)
		}
	}, h1)
}

// A check that is not wanted any more is removed once, and one of a service that is updated is
// what it was: an event that says nothing new costs no request.
func TestChecksAreRememberedAsTheyAre(t *testing.T) {
	for name, change := range map[string]func(*fakeCluster){
		"removed": func(x *fakeCluster) { x.config.Translation.Health = desired.HealthNone },
		"updated": func(x *fakeCluster) {
			x.agents[h1].set(func(a *fakeAgent) {
				s := a.services["t1"]
				s.Port++
				a.services["t1"] = s
			})
		},
	} {
		inFakeCluster(t, func(x *fakeCluster) {
			mirror(x)
			x.marathon.apps = []marathon.App{checkedApp("t1")}
			_, _, err := x.consular().Sync(x.Context())
			must(t, err)
			x.saysOf("t1", "passing")
			change(x)
			x.connect()
			x.saysOf("t1", map[string]string{"updated": "passing"}[name])
			before := x.agents[h1].dialled()
			x.tells(taskOn(h1, "/web", "t1"))
			time.Sleep(time.Second)
			if n := x.agents[h1].dialled() - before; n > 0 {
				t.Errorf("%s: %d requests for a task that is as it should be", name, n)
			}
		}, h1)
	}
}

// failsUpdates is an agent that does not update a check the first time.
type failsUpdates struct {
	*fakeAgent
	err   error
	fails *atomic.Bool
}

func (a failsUpdates) UpdateCheck(ctx context.Context, id string, status consul.Status, output string) error {
	if a.fails.CompareAndSwap(true, false) {
		return a.err
	}
	return a.fakeAgent.UpdateCheck(ctx, id, status, output)
}

// Only an update outlives an agent's restart: one that fails, after the registration of a service
// or of its check, is made later although the status is right.
func TestAStatusThatIsOnlyRegisteredIsUpdatedLater(t *testing.T) {
	for name, err := range map[string]error{
		"not done": api.StatusError{Code: 500, Body: "internal error"}, "no answer": context.DeadlineExceeded,
		"refused": api.StatusError{Code: 403, Body: "Permission denied"},
	} {
		for _, there := range []bool{false, true} {
			inFakeCluster(t, func(x *fakeCluster) {
				mirror(x)
				x.config.SyncInterval = 5 * time.Minute
				x.marathon.apps = []marathon.App{checkedApp("t1")}
				if there {
					_, _, err := x.consular().Sync(x.Context())
					must(t, err)
					must(t, x.agents[h1].DeregisterCheck(t.Context(), consul.CheckID("t1")))
				}
				fails := &atomic.Bool{}
				fails.Store(true)
				x.replace = map[string]reconcile.Agent{h1: failsUpdates{x.agents[h1], err, fails}}
				x.connect()
				time.Sleep(20 * time.Minute)
				x.saysOf("t1", "passing")
				if c := x.agents[h1].checksOn("t1")[0]; c.Output == "" {
					t.Errorf("%s, registered %t: no update has been made of %+v", name, there, c)
				}
			}, h1)
		}
	}
}

// failsRegistrations is an agent that registers no check while it fails.
type failsRegistrations struct {
	*fakeAgent
	fails *atomic.Bool
}

func (a failsRegistrations) RegisterCheck(ctx context.Context, service string, c consul.Check) error {
	if a.fails.Load() {
		return api.StatusError{Code: 500, Body: "internal error"}
	}
	return a.fakeAgent.RegisterCheck(ctx, service, c)
}

// A service keeps its check as long as what is to take its place cannot be registered.
func TestAServiceIsNeverWithoutACheck(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		app := checkedApp("t1")
		app.Definition.Ports, app.Tasks[0].Ports = []marathon.Port{{OnHost: true}}, []int{31001}
		x.marathon.apps = []marathon.App{app}
		_, _, err := x.consular().Sync(x.Context())
		must(t, err)
		x.config.Translation.Health = desired.HealthChecks
		fails := &atomic.Bool{}
		x.replace = map[string]reconcile.Agent{h1: failsRegistrations{x.agents[h1], fails}}
		for _, now := range []struct {
			fails bool
			check string
		}{{true, "t1:marathon"}, {false, "t1:marathon-0"}} {
			fails.Store(now.fails)
			if x.Reconciler == nil {
				x.connect()
			}
			time.Sleep(time.Minute)
			if checks := x.agents[h1].checksOn("t1"); len(checks) != 1 || checks[0].ID != now.check {
				t.Errorf("it fails: %t; has %+v, want %s", now.fails, checks, now.check)
			}
		}
	}, h1)
}

package reconcile_test

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"consular/consul"
	"consular/marathon"
)

// versioned is a cluster's Marathon whose versions all are as the apps are now.
type versioned struct{ *fakeMarathon }

func (m versioned) Version(ctx context.Context, id, _ string) (marathon.Definition, error) {
	app, err := m.fakeMarathon.App(ctx, id)
	return app.Definition, err
}

// What `consular sync` says of its writes is all of them, though an answer that it waits
// for has named the same things.
func TestSyncCountsEachOfItsWrites(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		const all, gone = 200, 90
		for i := range all {
			x.marathon.apps = append(x.marathon.apps, appOn(h1, fmt.Sprint("/", i), fmt.Sprint(i, ".1")))
		}
		x.marathon.apps[0].Tasks[0].Version = "v0"
		_, sum, err := x.consularOf(versioned{x.marathon}).Sync(x.Context())
		if err != nil || !sum.Clean() || sum.Registered != all || sum.KeysSet != all {
			x.Errorf("one task has an old version: %v: %s", err, sum.String())
		}
		x.marathon.apps = x.marathon.apps[gone:]
		_, sum, err = x.consular().Sync(x.Context())
		if err != nil || !sum.Clean() || sum.Deregistered != gone || sum.KeysDeleted != gone {
			x.Errorf("many apps are gone: %v: %s", err, sum.String())
		}
	}, h1)
}

// What has started, and was registered by the consular that runs, after Marathon was asked and
// before its agent was, stays.
func TestSyncLeavesWhatHasStartedMeanwhile(t *testing.T) {
	for _, force := range []bool{false, true} {
		inFakeCluster(t, func(x *fakeCluster) {
			x.config.Policy.Force = force
			scaled := func(tasks ...string) {
				x.marathon.apps = []marathon.App{appOn(h1, "/a", tasks...)}
				x.marathon.apps[0].Instances = len(tasks)
			}
			scaled("a.1")
			_, _, err := x.consular().Sync(x.Context())
			must(t, err)
			starts := func(id string) func() {
				return func() {
					x.marathon.hook = nil
					scaled("a.1", id)
					x.agents[h1].set(func(a *fakeAgent) {
						s := a.services["a.1"]
						s.ID, s.Meta = id, maps.Clone(s.Meta)
						s.Meta[consul.MetaTask] = id
						a.services[id] = s
					})
				}
			}
			x.marathon.hook = starts("a.2")
			_, sum, err := x.consular().Sync(x.Context())
			must(t, err)
			if x.wants(h1, "a.1", "a.2"); !sum.Clean() || sum.Registered+sum.Updated+sum.Deregistered > 0 {
				t.Errorf("force %t: %s", force, sum.String())
			}
			x.marathon.hook = starts("a.3")
			p, err := x.consular().Plan(x.Context())
			must(t, err)
			if len(p.Changes) != 1 || p.Changes[0].ID != "a.2" {
				t.Errorf("force %t: plans %v", force, whys(p))
			}
		}, h1)
	}
}

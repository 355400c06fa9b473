package reconcile_test

import (
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
)

// Another Marathon with our registration ID, or our own under an earlier framework ID.

// foreign is a task's service that another framework has registered.
func foreign(task string) consul.Service {
	return consul.Service{
		ID: task, Name: "z", Tags: clusterOwner.Tags("/z"),
		Meta: map[string]string{consul.MetaApp: "/z", consul.MetaTask: task, consul.MetaFramework: "theirs"},
	}
}

// relabel takes the label off the first app, and has an event tell of it.
func (x *fakeCluster) relabel() {
	x.marathon.set(func(m *fakeMarathon) { m.apps[0].Labels = nil })
	x.Event(marathon.DeploymentEnded{Version: "v2", Apps: []string{"/a"}})
	time.Sleep(time.Second)
}

// What was seen of another Marathon holds until everything has been read without finding
// it: not when its agent and the catalog are away.
func TestAnotherMarathonIsNotForgottenWhenItCannotBeSeen(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1"), appOn(h2, "/b", "b.1")}
		x.agents[h2].services["z.1"] = foreign("z.1")
		x.connect()
		x.agents[h2].set(func(a *fakeAgent) { a.gone = true })
		x.catalog.set(func(c *fakeCatalog) { c.broken = errSilent })
		x.Missed("oversize")
		time.Sleep(time.Minute)
		x.relabel()
		x.wantsKeys("a", "b")
	}, h1, h2)
}

// Before everything has been looked at once, no event removes a key.
func TestNoKeyGoesBeforeTheFirstPlan(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.hasKeys("a")
		x.agents[h1].services["z.1"] = foreign("z.1")
		x.agents[h1].slow = 900 * time.Millisecond
		x.connect() // the snapshot is in, and the agent has not been listed
		x.relabel()
		time.Sleep(time.Minute)
		x.wantsKeys("a")
	}, h1)
}

// Our own services of an earlier framework ID are reported; what a task's own end says
// holds for them too, and an operator who says so removes them and stale keys.
func TestServicesOfAFormerFramework(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.agents[h1].services["z.1"], x.agents[h1].services["z.2"] = foreign("z.1"), foreign("z.2")
		x.hasKeys("z")
		x.connect()
		if n := x.log.countBoth("another Marathon framework", `"others":"theirs"`); n != 1 {
			t.Errorf("told %d times of the other framework", n)
		}
		if n := x.log.countBoth(`"message":"resync"`, `"foreign_framework":2`); n != 1 {
			t.Errorf("%d summaries count them", n)
		}
		ended := taskOn(h1, "/z", "z.1")
		ended.State = marathon.TaskKilled
		x.tells(ended)
		time.Sleep(time.Second)
		x.wants(h1, "a.1", "z.2")
		x.Missed("oversize")
		time.Sleep(time.Minute)
		x.wants(h1, "a.1", "z.2")
		x.wantsKeys("a", "z")

		x.config.Policy.Force, x.config.Translation.AnyFramework = true, true
		_, _, err := x.consular().Sync(x.Context())
		must(t, err)
		x.wants(h1, "a.1")
		x.wantsKeys("a")
	}, h1)
}

// Keys that wait because another Marathon has our registration ID may do so for years: that is
// no reason to look more often.
func TestKeysThatAnotherMarathonHoldsSetNoPace(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = 5 * time.Minute
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.agents[h1].services["z.1"] = foreign("z.1")
		x.hasKeys("stale")
		x.connect()
		before := x.marathon.count()
		time.Sleep(time.Hour)
		if n := x.marathon.count() - before; n > 14 {
			t.Errorf("%d snapshots within an hour", n)
		}
		x.wantsKeys("a", "stale")
		x.agents[h1].set(func(a *fakeAgent) { delete(a.services, "z.1") })
		time.Sleep(2*x.config.Policy.Confirm + time.Minute)
		x.wantsKeys("a")
	}, h1)
}

package reconcile_test

import (
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
)

// A host that was set up anew: its agent is another node, and the catalog shows the
// dead one at the same address.

// setUpAnew leaves services on the dead node that had the address of h1.
func (x *fakeCluster) setUpAnew(ids ...string) {
	x.catalog.former = map[string]consul.Service{}
	for _, id := range ids {
		x.catalog.former[id] = consul.Service{ID: id, Name: "a", Tags: clusterOwner.Tags("/a")}
	}
}

func TestServicesOfAFormerNodeGo(t *testing.T) {
	for name, host := range map[string]string{"its agent answers": h1, "its agent is silent": h2} {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				x.config.SyncInterval = 5 * time.Minute
				x.marathon.apps = []marathon.App{appOn(host, "/a", "a.1")}
				x.agents[h1].gone = host != h1
				x.setUpAnew("a.0", "a.1")
				x.connect()
				time.Sleep(10 * time.Minute)
				x.wants(host, "a.1")
				x.catalog.set(func(c *fakeCatalog) {
					if len(c.former) > 0 {
						t.Errorf("the catalog still shows %v on the dead node", c.former)
					}
				})
				plan, err := x.Plan(x.Context())
				must(t, err)
				if !plan.InSync() || plan.Services != 1 {
					t.Errorf("afterwards %d services, and %v", plan.Services, whys(plan))
				}
			}, h1, h2)
		})
	}
}

// No service is counted twice because two nodes have one address.
func TestFormerNodeDoesNotWeakenTheGuard(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		a, b := hundred(h1), hundred(h2)
		for _, task := range a.Tasks[:12] {
			x.agents[h1].services[task.ID] = consul.Service{ID: task.ID, Name: "a", Tags: clusterOwner.Tags("/a")}
		}
		for _, task := range b.Tasks[:20] {
			x.agents[h2].services["b"+task.ID] = consul.Service{ID: "b" + task.ID, Name: "b", Tags: clusterOwner.Tags("/b")}
		}
		a.Tasks = a.Tasks[:12]
		x.marathon.apps = []marathon.App{a, appOn(h2, "/b")}
		x.setUpAnew("a.99")
		plan, err := x.consular().Plan(x.Context())
		must(t, err)
		if plan.Services != 33 || len(plan.Held) < 20 {
			t.Errorf("%d services, %d removals held back; want 33, and those of /b", plan.Services, len(plan.Held))
		}
	}, h1, h2)
}

// What the guard holds back on a former node is confirmed in time, as anywhere.
func TestHeldBackOnAFormerNodeGoesInTime(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = 5 * time.Minute
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		var ids []string
		for _, task := range hundred(h1).Tasks[2:] {
			ids = append(ids, task.ID)
		}
		x.setUpAnew(ids...)
		x.connect()
		x.catalog.set(func(c *fakeCatalog) {
			if len(c.former) != len(ids) {
				t.Errorf("%d of %d are left at once", len(c.former), len(ids))
			}
		})
		time.Sleep(x.config.Policy.Confirm + 3*x.config.PollInterval)
		x.catalog.set(func(c *fakeCatalog) {
			if len(c.former) > 0 {
				t.Errorf("%d stay", len(c.former))
			}
		})
	}, h1)
}

// While a former node has another Marathon's service with our registration ID, no key
// goes: it may be that Marathon's. Also when the node was found because of a key that
// has an app now.
func TestAnotherMarathonOnAFormerNodeKeepsItsKeys(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = 5 * time.Minute
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.connect()
		x.Missed("undecodable") // the second look of ten
		time.Sleep(20 * time.Second)
		x.catalog.set(func(c *fakeCatalog) {
			c.former = map[string]consul.Service{"z.1": {
				ID: "z.1", Name: "z", Tags: clusterOwner.Tags("/z"), Meta: map[string]string{consul.MetaFramework: "theirs"},
			}}
		})
		x.hasKeys("orphan")
		x.kv.mu.Lock()
		x.kv.keys[[2]string{"a", "theirs"}] = consul.Key{Service: "a", Label: "theirs", Value: "x", Flags: clusterOwner.Flags(), ModifyIndex: 1}
		x.kv.mu.Unlock()
		x.Missed("undecodable")
		time.Sleep(20 * time.Second)
		x.marathon.set(func(m *fakeMarathon) { m.apps = append(m.apps, appOn(h1, "/orphan")) })
		x.ends("/orphan")
		for _, role := range []string{"api", "web", "api", "web"} {
			time.Sleep(6 * time.Minute)
			x.marathon.set(func(m *fakeMarathon) { m.apps[0].Labels = map[string]string{"role": role} })
			x.ends("/a")
			time.Sleep(time.Second)
		}
		if x.kv.value("a", "theirs") == "" {
			t.Error("their key is gone")
		}
	}, h1)
}

// A host that Marathon calls by name is not looked at twice because a former node has
// its address.
func TestNamedHostIsListedOnce(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = 5 * time.Minute
		x.agents["web1"] = x.agents[h1]
		x.marathon.apps = []marathon.App{appOn("web1", "/a", "a.1")}
		x.setUpAnew("a.0")
		x.connect()
		time.Sleep(time.Hour)
		lists, _ := x.agents[h1].asked("a.1")
		looks := x.marathon.count()
		time.Sleep(10 * time.Hour)
		more, _ := x.agents[h1].asked("a.1")
		if lists, looks = more-lists, x.marathon.count()-looks; lists > looks+2 {
			t.Errorf("listed %d times in %d resyncs", lists, looks)
		}
	}, h1)
}

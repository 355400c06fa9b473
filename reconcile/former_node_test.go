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
func (x *town) setUpAnew(ids ...string) {
	x.catalog.former = map[string]consul.Service{}
	for _, id := range ids {
		x.catalog.former[id] = consul.Service{ID: id, Name: "a", Tags: townOwner.Tags("/a")}
	}
}

func TestServicesOfAFormerNodeGo(t *testing.T) {
	for name, host := range map[string]string{"its agent answers": h1, "its agent is silent": h2} {
		t.Run(name, func(t *testing.T) {
			inTown(t, func(x *town) {
				x.config.SyncInterval = 5 * time.Minute
				x.marathon.apps = []marathon.App{appOn(host, "/a", "a.1")}
				x.agents[h1].gone = host != h1
				x.setUpAnew("a.0", "a.1")
				x.connect()
				time.Sleep(10 * time.Minute)
				x.wants(host, "a.1")
				x.catalog.set(func(c *townCatalog) {
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
	inTown(t, func(x *town) {
		a, b := hundred(h1), hundred(h2)
		for _, task := range a.Tasks[:12] {
			x.agents[h1].services[task.ID] = consul.Service{ID: task.ID, Name: "a", Tags: townOwner.Tags("/a")}
		}
		for _, task := range b.Tasks[:20] {
			x.agents[h2].services["b"+task.ID] = consul.Service{ID: "b" + task.ID, Name: "b", Tags: townOwner.Tags("/b")}
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

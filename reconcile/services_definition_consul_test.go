package reconcile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"consular/consul"
	"consular/consul/devconsul"
	"consular/marathon/simulator"
	"consular/reconcile"
	"consular/reconcile/desired"
)

// Which definition shapes services, what is not wanted of them any more, and what is refused,
// on real Consul.

// tagged waits until the services of an app are so many of each name and tags: "shop [a] 2".
func (s *env) tagged(want ...string) {
	s.t.Helper()
	s.counts(func(x consul.Service) string { return fmt.Sprint(x.Name, " ", x.Tags[2:]) }, want)
}

// While a deployment hangs, the old tasks keep the services of the definition that they run,
// also when one of these is lost, and keys follow the app as it is now. What is wrong with labels is
// told once for each definition: scaling makes no other one.
func TestServicesFollowTheDefinitionOfTheirTask(t *testing.T) {
	s := newEnv(t, theCluster(t))
	app := shop("consul.ports=all", "consul.tags=old", "consul.kv=perhaps")
	app.ID, app.Instances = "/shop", 2
	must(t, s.marathon.Create(app))
	s.run(s.consular(func(c *reconcile.Config) { c.SyncInterval = time.Second }))
	s.tagged("shop [old] 2", "shop-admin [old] 2")
	must(t, s.marathon.Scale("/shop", 3))
	s.tagged("shop [old] 3", "shop-admin [old] 3")
	told := func() int { return s.log.countBoth(`"level":"warn"`, `consul.kv=\"perhaps\": must be true or false`) }
	if n := told(); n != 1 {
		t.Errorf("told %d times of the label, want once", n)
	}
	must(t, s.marathon.Update("/shop", func(a *simulator.App) {
		a.Labels = map[string]string{"consul.name": "next", "consul.tags": "new", "consul.kv": "perhaps"}
		a.CPUs = simulator.HostCPUs + 1 // fits nowhere
	}))
	eventually(t, "the keys follow", func() string {
		for _, key := range keysOf(s.actual()) {
			if strings.HasSuffix(key, "/consul.name") {
				return ""
			}
		}
		return "none"
	})
	task := s.marathon.Tasks("/shop")[0]
	must(t, s.agents()[task.Host].ServiceDeregister(task.ID+":admin"))
	s.tagged("shop [old] 3", "shop-admin [old] 3")
	if p := s.plan(); !p.InSync() {
		t.Errorf("another consular would do more: %v", whys(p))
	}
	if n := told(); n != 2 {
		t.Errorf("told %d times of the label, want once for each definition", n)
	}
	must(t, s.marathon.ForceUpdate("/shop", func(a *simulator.App) { a.CPUs = 0.1 }))
	s.tagged("next [new] 3")
}

// Services of ports that are not wanted any more go by a plan, behind the guard, for the reason
// "excluded"; --no-purge keeps them.
func TestPortsThatAreNotWantedAnyMore(t *testing.T) {
	s := newEnv(t, theCluster(t))
	app := simulator.App{ID: "/shop", Instances: 4, Ports: []simulator.Port{{Name: "web"}, {Name: "admin"}, {}}}
	must(t, s.marathon.Create(app))
	s.sync(allPorts)
	s.shows("shop 4", "shop-2 4", "shop-admin 4")
	if _, sum := s.sync(func(c *reconcile.Config) { c.Policy.Purge = false }); sum.Deregistered+sum.Held > 0 {
		t.Errorf("--no-purge: %s", sum.String())
	}
	p, sum := s.sync()
	if sum.Deregistered != 0 || sum.Held != 8 || len(p.Held) != 8 || !slices.Contains(p.Held[0].Why, "not a service of its task") || p.Held[0].Grounds != desired.Excluded {
		t.Errorf("8 of 12: %s, %+v", sum.String(), p.Held)
	}
	if _, sum := s.sync(func(c *reconcile.Config) { c.Policy.Limit = 70 }); sum.Deregistered != 8 || !sum.Clean() {
		t.Errorf("within the limit: %s", sum.String())
	}
	s.shows("shop 4")
}

// One service that the token may not write keeps the other of its task neither out nor in.
func TestRefusedServiceOfATask(t *testing.T) {
	g := newGuarded(t, devconsul.Config{HCL: denyByDefault, Token: management}, plainAddress)
	app := shop("consul.ports=all")
	app.ID = "/shop"
	g.must(g.marathon.Create(app))
	task := g.marathon.Tasks("/shop")[0]
	for name, test := range map[string]struct{ there, refused string }{
		"shop": {task.ID, task.ID + ":admin"}, "shop-admin": {task.ID + ":admin", task.ID},
	} {
		rules := minimal()
		rules["service"] = fmt.Sprintf(`service_prefix "" { policy = "read" }
			service %q { policy = "write" }`, name)
		g.useToken(g.newToken(rules))
		_, log, clean := g.sync("--consul-token-file", g.token)
		services, err := g.admin.Agent().ServicesWithFilter(`ID contains "shop"`)
		g.must(err)
		if clean || len(services) != 1 || services[test.there] == nil || !strings.Contains(log, "service:write") {
			t.Errorf("%s may be written: clean %t, there are %v\n%s", name, clean, keysIn(services), log)
		}
		g.must(g.admin.Agent().ServiceDeregister(test.there))
	}
}

func keysIn(services map[string]*api.AgentService) (ids []string) {
	for id := range services {
		ids = append(ids, id)
	}
	return ids
}

// Two apps whose services have names of their own, but whose IDs make one name: that of who was
// there first stay, the other's keys wait, and nothing else of it.
func TestKeysOfOneName(t *testing.T) {
	s := newEnv(t, theCluster(t))
	first, second := shop("consul.name=x", "a=1"), shop("consul.name=y", "b=1")
	first.ID, second.ID = "/a/b", "/a-b"
	must(t, s.marathon.Create(first))
	s.sync()
	must(t, s.marathon.Create(second))
	// Also a consular that is new finds out whose they are: by the services of the other there
	// is no telling, nor when the one has none.
	for _, services := range [][]string{{"x 1", "y 1"}, {"x 1", "y 1"}, {"y 1"}} {
		if len(services) == 1 {
			must(t, s.marathon.Scale("/a/b", 0))
		}
		if p, sum := s.sync(); sum.Clean() || len(p.Clashes) != 1 || !p.Clashes[0].KeysOnly || p.Clashes[0].Incumbent != "/a/b" {
			t.Errorf("sync: %s, clashes %+v", sum.String(), p.Clashes)
		}
		s.shows(services...)
		keys := keysOf(s.actual())
		slices.Sort(keys)
		if want := []string{s.prefix + "/a-b/a", s.prefix + "/a-b/consul.name"}; !slices.Equal(keys, want) {
			t.Errorf("keys %q, want %q", keys, want)
		}
	}
	if s.log.countBoth("name clash: the keys of the others wait", `"goes_on":"/a/b"`) == 0 {
		t.Error("the log does not say so")
	}
	must(t, s.marathon.Destroy("/a/b"))
	s.sync()
	s.shows("y 1")
	if keys := s.actual().keys; len(keys) != 2 || !strings.HasPrefix(keys[s.prefix+"/a-b/b"], "1 ") {
		t.Errorf("the keys are %v", keys)
	}
}

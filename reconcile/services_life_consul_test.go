package reconcile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"consular/consul"
	"consular/consul/devconsul"
	"consular/marathon/simulator"
	"consular/reconcile"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
)

// The services of tasks as they come, drift, clash and go, on real Consul.

// allPorts is --ports all.
func allPorts(c *reconcile.Config) { c.Translation.Shaping.AllPorts = true }

// shows waits until there are so many services of each name, "name 2".
func (s *env) shows(want ...string) {
	s.t.Helper()
	s.counts(func(x consul.Service) string { return x.Name }, want)
}

// counts waits until there are so many services of each kind.
func (s *env) counts(kind func(consul.Service) string, want []string) {
	s.t.Helper()
	eventually(s.t, "services", func() string {
		count := map[string]int{}
		for _, x := range s.actual().services {
			count[kind(x)]++
		}
		var have []string
		for kind, n := range count {
			have = append(have, fmt.Sprint(kind, " ", n))
		}
		slices.Sort(have)
		if slices.Equal(have, want) {
			return ""
		}
		return strings.Join(have, ", ") + "; want " + strings.Join(want, ", ")
	})
}

func TestSeveralServicesComeAndGoTogether(t *testing.T) {
	s := newEnv(t, theCluster(t))
	s.configure = allPorts
	app := shop()
	app.ID, app.Instances = "/shop", 3
	s.run(s.consular(func(c *reconcile.Config) { c.PollInterval = time.Hour }))
	s.listens()
	must(t, s.marathon.Create(app))
	s.shows("shop 3", "shop-admin 3")
	for _, words := range []string{`"service":"shop-admin","id":"`, `"port_name":"admin"`, `"service":"shop","port_name":"web"`} {
		eventually(t, "the log tells of three", func() string { // after the agent has it
			if n := s.log.countBoth(words, `"message":"registered"`); n != 3 {
				return fmt.Sprintf("%d lines have %s", n, words)
			}
			return ""
		})
	}
	must(t, s.marathon.Scale("/shop", 2))
	s.shows("shop 2", "shop-admin 2")
	must(t, s.marathon.Crash(s.marathon.Tasks("/shop")[0].ID))
	eventually(t, "the crashed one is gone, and its successor is there", func() string {
		for _, task := range s.marathon.Tasks("/shop") {
			if _, there := s.actual().services[task.Host+" "+task.ID+":admin"]; !there {
				return task.ID
			}
		}
		return ""
	})
	s.shows("shop 2", "shop-admin 2")
	must(t, s.marathon.Destroy("/shop"))
	s.shows()
}

// What drifts of a task with several services is one write, and what is in the way of one
// keeps no other back.
func TestDriftOfOneServiceIsOneWrite(t *testing.T) {
	s := newEnv(t, theCluster(t))
	s.configure = allPorts
	app := shop()
	app.ID = "/shop"
	must(t, s.marathon.Create(app))
	task := s.marathon.Tasks("/shop")[0]
	admin := task.ID + ":admin"
	s.byHand(task.Host, consul.Service{ID: admin, Name: "theirs", Port: 1})
	p, sum := s.sync()
	if sum.Registered != 1 || sum.Conflicts != 1 || p.Conflicts[0].ID != admin || p.Conflicts[0].Port != "admin" || p.Conflicts[0].Task != task.ID {
		t.Errorf("sync: %s, conflicts %+v", sum.String(), p.Conflicts)
	}
	must(t, s.agents()[task.Host].ServiceDeregister(admin))
	p = s.plan()
	if len(p.Changes) != 1 || p.Changes[0].ID != admin || p.Changes[0].Port != "admin" || p.Changes[0].Service != "shop-admin" || p.Changes[0].Task != task.ID {
		t.Errorf("plan: %+v", p.Changes)
	}
	if _, sum = s.sync(); sum.Registered != 1 || !sum.Clean() {
		t.Errorf("sync: %s", sum.String())
	}
	x := s.actual().services[task.Host+" "+admin]
	x.Port++
	s.byHand(task.Host, x)
	x.ID = task.ID + ":old"
	s.byHand(task.Host, x)
	if _, sum = s.sync(); sum.Updated != 1 || sum.Deregistered != 1 || sum.Registered != 0 || !sum.Clean() {
		t.Errorf("sync: %s", sum.String())
	}
	if p = s.plan(); !p.InSync() {
		t.Errorf("left: %v", whys(p))
	}
}

// What options leave out goes by a plan, behind the guard, which no time opens; --no-purge
// keeps it.
func TestWhatIsExcludedGoesBehindTheGuard(t *testing.T) {
	s := newEnv(t, theCluster(t))
	for _, id := range []string{"/prod/a", "/prod/b", "/stage/a"} {
		app := shop("role=x")
		app.ID, app.Instances = id, 3
		must(t, s.marathon.Create(app))
	}
	s.sync(allPorts)
	s.shows("prod-a 3", "prod-a-admin 3", "prod-b 3", "prod-b-admin 3", "stage-a 3", "stage-a-admin 3")
	apps := func(globs ...string) func(*reconcile.Config) {
		return func(c *reconcile.Config) { c.Translation.Shaping = desired.Shaping{AllPorts: true, Apps: globs} }
	}
	noPurge := func(c *reconcile.Config) { c.Policy.Purge = false }

	p, sum := s.sync(apps("/prod/**"), noPurge)
	if sum.Deregistered+sum.KeysDeleted+sum.Held > 0 || sum.LeftOut != 1 || leftOut(p) != "1 by --apps" || sum.Apps != 2 || sum.Tasks != 6 {
		t.Errorf("--no-purge: %s; left out %s", sum.String(), leftOut(p))
	}
	if p, sum = s.sync(apps("/prod/**")); sum.Deregistered != 6 || sum.KeysDeleted != 1 || !sum.Clean() {
		t.Errorf("one of three: %s, %v", sum.String(), whys(p))
	}
	s.shows("prod-a 3", "prod-a-admin 3", "prod-b 3", "prod-b-admin 3")

	// A typing error would leave out all.
	r := s.consular(apps("/pord/**"), func(c *reconcile.Config) { c.Policy.Confirm, c.SyncInterval = time.Millisecond, time.Second })
	running := s.run(r)
	eventually(t, "five looks", func() string {
		if n := s.log.count(`"message":"resync"`); n < 5 {
			return fmt.Sprint(n)
		}
		return ""
	})
	running.end()
	s.shows("prod-a 3", "prod-a-admin 3", "prod-b 3", "prod-b-admin 3")
	if s.log.countBoth("removals are held back", "time will not confirm them") == 0 || s.log.countBoth("removals are held back", "would lose 12 of 12 services") == 0 {
		t.Error("the log does not say that it is held back")
	}
	if _, sum = s.sync(apps("/pord/**"), force); sum.Deregistered != 12 || sum.KeysDeleted != 2 {
		t.Errorf("sync --force: %s", sum.String())
	}
	s.shows()
}

// leftOut counts what a plan says is left out.
func leftOut(p plan.Plan) string {
	var all []string
	for _, out := range p.LeftOut {
		all = append(all, fmt.Sprint(out.Apps, " by ", out.By))
	}
	return strings.Join(all, ", ")
}

// A label that leaves an app out takes its keys with the next plan, and the services of its
// old tasks with their end.
func TestAppThatLeavesItselfOut(t *testing.T) {
	s := newEnv(t, theCluster(t))
	app := shop("role=x")
	app.ID, app.Instances = "/shop", 2
	must(t, s.marathon.Create(app))
	s.run(s.consular(func(c *reconcile.Config) { c.SyncInterval = time.Second }))
	s.shows("shop 2")
	must(t, s.marathon.Relabel("/shop", map[string]string{"role": "x", "consul.register": "false"}))
	s.shows()
	eventually(t, "its keys are gone", func() string { return strings.Join(keysOf(s.actual()), " ") })
	must(t, s.marathon.Relabel("/shop", map[string]string{"role": "x"}))
	s.shows("shop 2")
	s.converges()
}

func keysOf(p snapshot) []string {
	var keys []string
	for key := range p.keys {
		keys = append(keys, key)
	}
	return keys
}

// /shop with the port admin, and /shop/admin: who is registered goes on, also after consular
// was started anew; the other's service waits, and nothing else of it, such as that of another port.
func TestNameThatAppAndPortMake(t *testing.T) {
	port, app := shop("consul.ports=all"), shop("consul.port.admin.tags=second")
	port.ID, app.ID = "/shop", "/shop/admin"
	for name, test := range map[string]struct {
		first, second simulator.App
		goesOn        string
	}{
		"the port was there": {port, app, "/shop"}, "the app was there": {app, port, "/shop/admin"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newEnv(t, theCluster(t))
			must(t, s.marathon.Create(test.first))
			s.sync()
			must(t, s.marathon.Create(test.second))
			for range 2 {
				p, sum := s.sync()
				if sum.Quarantined != 1 || sum.Clean() || len(p.Clashes) != 1 || p.Clashes[0].Incumbent != test.goesOn {
					t.Errorf("sync: %s, clashes %+v", sum.String(), p.Clashes)
				}
				s.shows("shop 1", "shop-admin 1", "shop-admin-admin 1")
			}
			if s.log.countBoth("name clash", "the label consul.port.admin.name of /shop") == 0 {
				t.Error("the log does not say what to do")
			}
			s.run(s.consular(func(c *reconcile.Config) { c.PollInterval = time.Hour }))
			s.listens()
			must(t, s.marathon.Relabel("/shop", map[string]string{"consul.ports": "all", "consul.port.admin.name": "backstage"}))
			s.shows("backstage 1", "shop 1", "shop-admin 1", "shop-admin-admin 1")
		})
	}
}

// Two apps share a name on purpose, and one made of an ID is no hindrance.
func TestCanarySharesItsName(t *testing.T) {
	s := newEnv(t, theCluster(t))
	for id, labels := range map[string][]string{"/stable": {"consul.name=web"}, "/canary": {"consul.name=web"}, "/web": nil} {
		app := shop(labels...)
		app.ID = id
		must(t, s.marathon.Create(app))
	}
	if _, sum := s.sync(); !sum.Clean() {
		t.Errorf("sync: %s", sum.String())
	}
	s.shows("web 3")
}

// Without keys the KV store is not asked, and what is there stays.
func TestNoKV(t *testing.T) {
	g := newGuarded(t, devconsul.Config{Clients: 1, HCL: denyByDefault, Token: management}, plainAddress)
	rules := minimal()
	delete(rules, "key")
	g.app("/web", 2)
	g.useToken(g.newToken(minimal()))
	if _, log, clean := g.sync("--consul-token-file", g.token); !clean {
		t.Fatal(log)
	}
	g.useToken(g.newToken(rules))
	g.must(g.marathon.Relabel("/web", map[string]string{"role": "other"}))
	g.app("/more", 1)
	unread, log, clean := g.sync("--consul-token-file", g.token, "--no-kv")
	if !clean || len(unread) > 0 {
		t.Errorf("unread %v\n%s", unread, log)
	}
	state := strings.Join(g.state(), "\n")
	if !strings.Contains(state, "consular/web/role=/web") || strings.Contains(state, "consular/more") || !strings.Contains(state, " more.") {
		t.Errorf("in Consul is\n%s", state)
	}
}

// Hostile labels cost no registration, and little to tell of.
func TestHostileLabelsCostNoRegistration(t *testing.T) {
	s := newEnv(t, theCluster(t))
	s.configure = s.shaped(desired.Shaping{TagLabels: desired.Globs{"**"}, MetaLabels: desired.Globs{"**"}, NoKV: true})
	many, large := shop(), shop()
	many.ID, large.ID = "/many", "/large"
	for i := range 10_000 {
		many.Labels[fmt.Sprintf("consul.%d\x1b[31m", i)] = "x"
		many.Labels[fmt.Sprintf("label-%d", i)] = "x"
	}
	for _, key := range []string{"consul.name", "consul.tags", "consul.meta.k", "consul.port.web.name", "label"} {
		large.Labels[key] = strings.Repeat("x, ", 1<<20/3)
	}
	must(t, s.marathon.Create(many))
	must(t, s.marathon.Create(large))
	for range 2 {
		if _, sum := s.sync(); sum.Failed > 0 {
			t.Errorf("sync: %s", sum.String())
		}
	}
	s.shows("large 1", "many 1")
	if size := len(s.log.String()); size > 256<<10 {
		t.Errorf("the log has %d bytes", size)
	}
	if strings.Contains(s.log.String(), "\x1b") {
		t.Error("the log has control characters")
	}
}

package reconcile_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"consular/consul"
	"consular/marathon/simulator"
	"consular/reconcile"
	"consular/reconcile/plan"
)

// beside returns a second scene on the same Consul and the same prefix.
func (s *env) beside(id string, config simulator.Config) *env {
	other := newEnv(s.t, s.dev, config)
	other.prefix, other.id = s.prefix, id
	return other
}

func TestTwoConsularsLeaveEachOtherAlone(t *testing.T) {
	a := newEnv(t, theCluster(t))
	foreign := a.foreign()
	b := a.beside("other", simulator.Config{Seed: 2, FrameworkID: "framework-b", TaskKilling: true})
	must(t, a.marathon.Create(web("/shop/web", 3)))
	must(t, a.marathon.Create(web("/a/only", 2)))
	must(t, b.marathon.Create(web("/b/only", 3)))
	a.run(a.consular())
	b.run(b.consular())
	a.converges(b.desired(), foreign)

	must(t, a.marathon.Destroy("/a/only"))
	must(t, b.marathon.Scale("/b/only", 1))
	must(t, a.marathon.Relabel("/shop/web", map[string]string{"role": "api", "tier": "2"}))
	a.converges(b.desired(), foreign)

	for _, s := range []*env{a, b} {
		if plan := s.plan(); !plan.InSync() {
			t.Errorf("%s: %v, conflicts %v", s.id, whys(plan), plan.Conflicts)
		}
	}
	a.remove()
	if diff := a.actual().diff(b.desired().and(foreign)); diff != "" {
		t.Errorf("after remove, what is not the other's:\n%s", diff)
	}
}

func TestKeyThatTwoClustersWantStaysWithItsOwner(t *testing.T) {
	a := newEnv(t, theCluster(t))
	b := a.beside("other", simulator.Config{Seed: 2, FrameworkID: "framework-b"})
	must(t, a.marathon.Create(web("/web", 1)))
	must(t, b.marathon.Create(web("/web", 1)))
	a.sync()
	keys := a.actual().keys
	plan, sum := b.sync()
	if len(plan.Conflicts) != 1 || !strings.HasSuffix(plan.Conflicts[0].Key, "/web/role") || sum.Clean() {
		t.Errorf("conflicts: %+v; %s", plan.Conflicts, sum.String())
	}
	if now := a.actual().keys; now[a.prefix+"/web/role"] != keys[a.prefix+"/web/role"] {
		t.Errorf("the key was %v, is %v", keys, now)
	}
	if n := b.log.count("conflict, left alone"); n != 1 {
		t.Errorf("told %d times", n)
	}
	a.remove()
	if _, sum = b.sync(); !sum.Clean() || sum.KeysSet != 1 {
		t.Errorf("the key is free, and was not taken over: %s", sum.String())
	}
	b.want()
}

// Two Marathons, with hosts of their own, were given one registration ID.
func TestTwoMarathonsWithOneIDLeaveEachOtherAlone(t *testing.T) {
	dev := theCluster(t)
	hosts := hostsOf(dev.Clients())
	a := newEnv(t, dev, simulator.Config{Hosts: hosts[:1]})
	b := a.beside(a.id, simulator.Config{Hosts: hosts[1:], Seed: 2, FrameworkID: "framework-b"})
	must(t, a.marathon.Create(web("/a", 3)))
	must(t, b.marathon.Create(web("/b", 3)))
	first := a.consular()
	_, _, err := first.Sync(t.Context())
	must(t, err)
	b.sync()
	b.want(a.desired())

	// At no look, whether it is one that looks at all nodes or not.
	for range 3 {
		plan, sum, err := first.Sync(t.Context())
		must(t, err)
		if sum.Deregistered+sum.KeysDeleted > 0 {
			t.Errorf("removed what is the other's: %s, plan %v", sum.String(), whys(plan))
		}
	}
	b.want(a.desired())

	forced, _ := b.sync(force)
	if n := forced.Counts()[plan.Delete]; n != 1 {
		t.Errorf("--force deletes %d keys, want the other's one: %v", n, whys(forced))
	}
}

func TestServiceInTheWayIsAConflict(t *testing.T) {
	s := newEnv(t, theCluster(t))
	must(t, s.marathon.Create(web("/web", 1)))
	task := s.marathon.Tasks("/web")[0]
	agent := s.agents()[task.Host]
	must(t, agent.ServiceRegister(&api.AgentServiceRegistration{ID: task.ID, Name: "mine", Port: 1, Tags: []string{"consular-reg-id=another"}}))
	plan := s.plan()
	if len(plan.Conflicts) != 1 || !strings.Contains(plan.Conflicts[0].Why, "registration ID another") || plan.InSync() {
		t.Errorf("conflicts: %+v", plan.Conflicts)
	}
	s.sync()
	if have := s.actual().services[task.Host+" "+task.ID]; have.Name != "mine" {
		t.Errorf("it is %+v now", have)
	}
	must(t, agent.ServiceDeregister(task.ID))
	s.sync()
	s.want()
}

func TestKeysOfNobody(t *testing.T) {
	s := newEnv(t, theCluster(t))
	must(t, s.marathon.Create(web("/web", 1)))
	s.put("web/role", "old", 0)
	s.put("web/stale", "old", 0)
	s.put("gone/role", "old", 0)
	plan, sum := s.sync()
	if plan.Unowned != 2 || !sum.Clean() {
		t.Errorf("unowned %d, want 2; %s", plan.Unowned, sum.String())
	}
	if again := s.plan(); !again.InSync() || again.Unowned != 2 {
		t.Errorf("keys of nobody are drift: %v", whys(again))
	}
	untouched := snapshot{keys: map[string]string{s.prefix + "/web/stale": "old (0)", s.prefix + "/gone/role": "old (0)"}}
	s.want(untouched)
	s.sync(adopt)
	s.want()
}

// put writes a key by hand, below the prefix.
func (s *env) put(key, value string, flags uint64) {
	s.t.Helper()
	pair := &api.KVPair{Key: s.prefix + "/" + key, Value: []byte(value), Flags: flags}
	_, err := s.api(s.dev.Server()).KV().Put(pair, nil)
	must(s.t, err)
}

func TestAdoptFromAnEarlierID(t *testing.T) {
	s := newEnv(t, theCluster(t))
	must(t, s.marathon.Create(web("/web", 3)))
	must(t, s.marathon.Create(web("/gone", 1)))
	must(t, s.marathon.Relabel("/web", map[string]string{"role": "web", "stale": "yes"}))
	s.sync(func(c *reconcile.Config) { c.Translation.Owner.RegistrationID = "earlier" })
	must(t, s.marathon.Destroy("/gone"))
	s.configure = func(c *reconcile.Config) { c.Translation.Former = &consul.Owner{RegistrationID: "earlier"} }
	_, sum := s.sync()
	s.want()
	if sum.Registered != 0 || sum.Updated != 3 || sum.Deregistered != 1 {
		t.Errorf("a service was absent for a moment: %s", sum.String())
	}
}

package reconcile_test

import (
	"fmt"
	"testing"
	"time"

	"consular/consul/devconsul"
	"consular/marathon/simulator"
	"consular/reconcile"
)

// Agents that are started again, on a real Consul.

// An agent that is restarted, or whose status somebody changed, says again what Marathon
// says, and a steady resync writes nothing.
func TestAnAgentRestartKeepsWhatMarathonSays(t *testing.T) {
	s := healthEnv(t, ownCluster(t, devconsul.Config{Clients: 2}))
	must(t, s.marathon.Create(checkedWeb("/web", 6)))
	s.run(s.consular())
	s.passes("/web", "web", 6)
	for _, agent := range s.dev.Clients() {
		must(t, agent.Kill())
		s.restarted(agent)
	}
	s.passes("/web", "web", 6)
	if p := s.plan(); len(p.Changes) > 0 {
		t.Errorf("after the restart: %v", whys(p))
	}
	task := s.marathon.Tasks("/web")[0]
	must(t, s.agents()[task.Host].UpdateTTL(task.ID+":marathon", "by hand", "critical"))
	if p := s.plan(); len(p.Changes) != 1 {
		t.Errorf("a status changed by hand: %v", whys(p))
	}
	s.sync()
	s.passes("/web", "web", 6)
}

// All agents crash and are started again, one after the other, in the middle of such an upgrade.
// A task that has become healthy while its agent is away passes when that is back; whatever has
// passed once passes until Marathon kills it, and nobody is seen before Marathon calls him healthy.
func TestAgentsRestartWithinARollingUpgrade(t *testing.T) {
	const n, least = 50, 40
	s := healthEnv(t, ownCluster(t, devconsul.Config{Clients: 3}))
	app := checkedWeb("/restarts", n)
	app.Upgrade = &simulator.Upgrade{MinimumHealthCapacity: 0.8, MaximumOverCapacity: 0.4}
	s.marathon.Behave("/restarts", simulator.Behavior{HealthyAfter: 5 * time.Second})
	must(t, s.marathon.Create(app))
	s.run(s.consular())
	s.passes("/restarts", "restarts", n)
	old := s.passing("restarts")
	c := s.consume("/restarts", "restarts")
	must(t, s.marathon.Update("/restarts", func(a *simulator.App) { a.Cmd = "new" }))
	fresh := func(among map[string]bool) (n int) {
		for id := range among {
			if !old[id] {
				n++
			}
		}
		return n
	}
	running := func() map[string]bool {
		ids := map[string]bool{}
		for _, task := range s.marathon.Tasks("/restarts") {
			ids[task.ID] = task.State == "TASK_RUNNING"
		}
		return ids
	}
	for i, enough := range []func() bool{
		func() bool { return fresh(running()) > 5 },               // they are registered
		func() bool { return fresh(s.passing("restarts")) > 0 },   // they are made passing
		func() bool { return fresh(s.passing("restarts")) > n/2 }, // and the old ones deregistered
	} {
		eventually(t, "the upgrade goes on", func() string {
			if !enough() {
				return fmt.Sprintf("before agent %d", i)
			}
			return ""
		})
		agent := s.dev.Clients()[i]
		must(t, agent.Kill())
		s.restarted(agent)
	}
	s.passes("/restarts", "restarts", n)
	c.end()
	t.Logf("%d looks, at least %d pass, %d with those that were late", c.looks, c.fewest, c.owed)
	if c.owed < least || len(c.early)+len(c.lost) > 0 {
		t.Errorf("as few as %d, want %d; %d passed early: %.200v; %d did no more: %.200v", c.owed, least, len(c.early), c.early, len(c.lost), c.lost)
	}
	if p := s.plan(); len(p.Changes) > 0 {
		t.Errorf("not in sync: %v", whys(p))
	}
}

// A service that somebody has deregistered is there again with the next flip of its task, and
// with its status.
func TestAFlipOfAServiceThatIsGone(t *testing.T) {
	s := healthEnv(t, theCluster(t))
	must(t, s.marathon.Create(checkedWeb("/gone", 1)))
	s.run(s.consular(func(c *reconcile.Config) { c.SyncInterval = time.Hour }))
	s.passes("/gone", "gone", 1)
	task := s.marathon.Tasks("/gone")[0]
	must(t, s.agents()[task.Host].ServiceDeregister(task.ID))
	s.marathon.CutOff(1)
	eventually(t, "it is there, and critical", func() string {
		checks, err := s.agents()[task.Host].Checks()
		must(t, err)
		if c := checks[task.ID+":marathon"]; c == nil || c.Status != "critical" {
			return fmt.Sprintf("%+v", c)
		}
		return ""
	})
	if n := s.log.count("refused"); n > 0 {
		t.Errorf("%d lines say that it is refused, and it waits for a minute", n)
	}
}

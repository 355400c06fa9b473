package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"consular/consul/devconsul"
	"consular/reconcile"
)

// An agent that is killed delays nobody else; when it is back, what has started
// on its host meanwhile is there. One that comes back empty is filled again.
func TestDeadAgentDelaysNobody(t *testing.T) {
	dev, err := startCluster(devconsul.Config{Clients: 3})
	must(t, err)
	t.Cleanup(func() { must(t, dev.Stop()) })
	s := newEnv(t, dev)
	s.timeout = 2 * time.Second
	s.run(s.consular(func(c *reconcile.Config) { c.SyncInterval = 2 * time.Second }))
	must(t, s.marathon.Create(web("/web", 6)))
	s.converges()

	dead := dev.Clients()[0]
	must(t, dead.Kill())
	must(t, s.marathon.Scale("/web", 12))
	start := time.Now()
	onOthers := func(id string) bool { return !strings.HasPrefix(id, dead.Host+" ") }
	eventually(t, "the others have their services", func() string {
		return s.actual().only(onOthers).diff(s.desired().only(onOthers))
	})
	t.Logf("the others took %v beside a dead agent", time.Since(start).Round(time.Millisecond))
	if plan := s.plan(); len(plan.Unread)+len(plan.Skipped) == 0 || len(plan.Changes) > 0 {
		t.Errorf("unread: %v, would change %v", plan.Unread, whys(plan))
	}
	if n := s.log.count("left alone for a while"); n > 2 {
		t.Errorf("said %d times that the agent does not answer", n)
	}

	must(t, dead.Restart())
	s.converges()
	eventually(t, "says that the agent is back", func() string { return s.saysNothingOf("works again") })

	for id := range s.actual().only(func(id string) bool { return !onOthers(id) }).services {
		must(t, s.api(dead).Agent().ServiceDeregister(strings.TrimPrefix(id, dead.Host+" ")))
	}
	s.converges() // behind our back, all of it: within the sync interval
}

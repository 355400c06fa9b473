package reconcile_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"consular/consul/devconsul"
	"consular/marathon/simulator"
	"consular/reconcile"
	"consular/reconcile/desired"
)

// Health as Consul's agents find it out themselves, from tasks that answer HTTP.

// patients are tasks that answer their health check as a test says: well from after their
// start on, but for those that are sick.
type patients struct {
	simulator.Servers
	after time.Duration

	mu   sync.Mutex
	sick map[string]bool
	// well are the tasks that have ever answered well.
	well map[string]bool
}

func newPatients(after time.Duration) *patients {
	p := &patients{after: after, sick: map[string]bool{}, well: map[string]bool{}}
	p.Handler = func(task simulator.Task) http.Handler {
		started := time.Now()
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.sick[task.ID] || time.Since(started) < p.after {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			p.well[task.ID] = true
		})
	}
	return p
}

func (p *patients) sicken(task string, sick bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sick[task] = sick
}

// answered reports whether a task has ever answered well.
func (p *patients) answered(task string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.well[task]
}

// probedEnv is healthEnv with tasks that really answer, and agents that ask them.
func probedEnv(t *testing.T, dev *devconsul.Cluster, p *patients) *env {
	t.Cleanup(p.Close)
	s := healthEnv(t, dev, p.Run)
	s.configure = func(c *reconcile.Config) { c.Translation.Health = desired.HealthChecks }
	return s
}

// tellsTheServers waits until an agent finds that all its checks pass, and the servers know
// nothing older: what it tells them goes one after the other, and so they have all from before a
// service that it tells of now.
func (s *env) tellsTheServers(agent *devconsul.Agent) {
	s.t.Helper()
	local := s.api(agent).Agent()
	eventually(s.t, "all checks on "+agent.Name+" pass", func() string {
		checks, err := local.Checks()
		must(s.t, err)
		for id, check := range checks {
			if check.Status != api.HealthPassing {
				return id + " does not"
			}
		}
		return ""
	})
	must(s.t, local.ServiceRegister(&api.AgentServiceRegistration{Name: "told"}))
	eventually(s.t, "the servers are told", func() string {
		if !slices.Contains(s.inCatalog(agent.Name), "told") {
			return "they are not"
		}
		return ""
	})
	must(s.t, local.ServiceDeregister("told"))
}

// Agents make Marathon's checks: what they find out is what consumers see, whatever
// Marathon says, and consular has nothing to write. So it stays while consular or the agent is
// started again, Marathon fails over, or is cut off from its tasks.
func TestAgentsMakeTheChecks(t *testing.T) {
	const n = 6
	p := newPatients(0)
	s := probedEnv(t, ownCluster(t, devconsul.Config{Clients: 2}), p)
	must(t, s.marathon.Create(checkedWeb("/probed", n)))
	r := s.run(s.consular())
	s.passes("/probed", "probed", n)
	sick := s.marathon.Tasks("/probed")[0].ID
	p.sicken(sick, true)
	passing := func(n int) func() string {
		return func() string {
			if have := len(s.passing("probed")); have != n {
				return fmt.Sprintf("%d pass", have)
			}
			return ""
		}
	}
	eventually(t, "one is critical", passing(n-1))
	p.sicken(sick, false)
	eventually(t, "it passes again", passing(n))
	for _, agent := range s.dev.Clients() {
		must(t, agent.Kill())
		s.restarted(agent)
		s.tellsTheServers(agent)
	}
	s.passes("/probed", "probed", n)

	c := s.consume("/probed", "probed")
	r.end()
	s.run(s.consular())
	s.marathon.Failover()
	cut := s.marathon.CutOff(0.8)
	eventually(t, "Marathon finds them dead", func() string { return s.healthy("/probed", n-len(cut)) })
	s.marathon.Reconnect()
	eventually(t, "Marathon finds them well", func() string { return s.healthy("/probed", n) })
	c.end()
	if c.fewest != n {
		t.Errorf("seen as few as %d of %d in %d looks", c.fewest, n, c.looks)
	}
	if p := s.plan(); len(p.Changes) > 0 {
		t.Errorf("not in sync: %v", whys(p))
	}
	if wrote := s.log.count(`"message":"health"`); wrote > 0 {
		t.Errorf("%d writes of what agents find out", wrote)
	}
}

// A rolling upgrade whose checks the agents make: nobody sees a task before it answers well.
func TestRollingUpgradeThatAgentsCheck(t *testing.T) {
	const n, warmUp = 10, 3 * time.Second
	p := newPatients(warmUp)
	s := probedEnv(t, theCluster(t), p)
	s.marathon.Behave("/warm", simulator.Behavior{HealthyAfter: warmUp})
	app := checkedWeb("/warm", n)
	app.Upgrade = &simulator.Upgrade{MinimumHealthCapacity: 0.8, MaximumOverCapacity: 0.4}
	must(t, s.marathon.Create(app))
	s.run(s.consular())
	s.passes("/warm", "warm", n)
	c := s.consume("/warm", "warm", p.answered)
	must(t, s.marathon.Update("/warm", func(a *simulator.App) { a.Cmd = "new" }))
	s.passes("/warm", "warm", n)
	c.end()
	t.Logf("%d looks, at least %d of %d pass", c.looks, c.fewest, n)
	if len(c.early) > 0 {
		t.Errorf("%d passed before they answered well: %.200v", len(c.early), c.early)
	}
}

// A mode changes on a running cluster: no consumer sees fewer for it.
func TestAModeChangesUnseen(t *testing.T) {
	const n = 6
	p := newPatients(0)
	s := probedEnv(t, theCluster(t), p)
	must(t, s.marathon.Create(checkedWeb("/changes", n)))
	s.configure = mirrors
	r := s.run(s.consular())
	s.passes("/changes", "changes", n)
	c := s.consume("/changes", "changes")
	for _, mode := range []desired.HealthMode{desired.HealthChecks, desired.HealthMirror, desired.HealthNone, desired.HealthMirror} {
		r.end()
		s.configure = func(c *reconcile.Config) { c.Translation.Health = mode }
		r = s.run(s.consular())
		eventually(t, "in sync with "+string(mode), func() string {
			if p := s.plan(); len(p.Changes) > 0 {
				return fmt.Sprint(whys(p))
			}
			return ""
		})
	}
	c.end()
	if c.fewest != n || c.looks == 0 {
		t.Errorf("seen as few as %d of %d in %d looks", c.fewest, n, c.looks)
	}
}

// While a deployment waits for readiness checks, no consumer sees a task before they say that
// it is ready; nor fewer for it than Marathon allows, though no event says so.
func TestNobodySeesWhatIsNotReady(t *testing.T) {
	const n, warmUp = 6, 2 * time.Second
	var running sync.Map
	s := healthEnv(t, theCluster(t), func(task simulator.Task) {
		if task.State == "TASK_RUNNING" {
			running.LoadOrStore(task.ID, time.Now())
		}
	})
	s.marathon.Behave("/ready", simulator.Behavior{ReadyAfter: warmUp})
	app := web("/ready", n)
	app.CPUs = 0.01
	app.ReadinessChecks = []simulator.ReadinessCheck{{PortName: "http", Interval: time.Second, Timeout: time.Second}}
	must(t, s.marathon.Create(app))
	s.run(s.consular())
	c := s.consume("/ready", "ready", func(task string) bool {
		at, known := running.Load(task)
		return known && time.Since(at.(time.Time)) >= warmUp
	})
	s.passes("/ready", "ready", n)
	upgrade := s.consume("/ready", "ready")
	must(t, s.marathon.Update("/ready", func(a *simulator.App) { a.Cmd = "new" }))
	s.passes("/ready", "ready", n)
	upgrade.end()
	c.end()
	if upgrade.fewest < n {
		t.Errorf("seen as few as %d of %d in %d looks", upgrade.fewest, n, upgrade.looks)
	}
	if len(c.early) > 0 || c.looks == 0 {
		t.Errorf("%d of %d looks saw what was not ready: %.200v", len(c.early), c.looks, c.early)
	}
}

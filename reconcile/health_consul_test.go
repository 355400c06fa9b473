package reconcile_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"consular/consul/devconsul"
	"consular/marathon/simulator"
	"consular/reconcile"
	"consular/reconcile/desired"
)

// Health on a real Consul: what a consumer sees at the servers.

func mirrors(c *reconcile.Config) { c.Translation.Health = desired.HealthMirror }

// checkedWeb is an app of n small tasks with one check, made each second.
func checkedWeb(id string, n int) simulator.App {
	app := web(id, n)
	app.CPUs = 0.01
	app.HealthChecks = []simulator.HealthCheck{{Path: "/health", GracePeriod: time.Minute, Interval: time.Second, Timeout: time.Second}}
	return app
}

// healthEnv has a Marathon that probes its tasks as time goes by.
func healthEnv(t *testing.T, dev *devconsul.Cluster, executors ...func(simulator.Task)) *env {
	s := newEnv(t, dev, simulator.Config{
		TaskKilling: true, Probes: true, Executor: func(task simulator.Task) {
			for _, run := range executors {
				run(task)
			}
		},
		Pace: simulator.Pace{Offer: 5 * time.Millisecond, Start: 5 * time.Millisecond, Run: 5 * time.Millisecond, Killing: 20 * time.Millisecond, Kill: 3 * time.Second},
	})
	s.configure = mirrors
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { _ = s.marathon.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	return s
}

// passing are the IDs of the instances of a service that the servers give to a consumer.
func (s *env) passing(service string) map[string]bool {
	entries, _, err := s.api(s.dev.Server()).Health().Service(service, "", true, &api.QueryOptions{RequireConsistent: true})
	must(s.t, err)
	ids := map[string]bool{}
	for _, e := range entries {
		ids[e.Service.ID] = true
	}
	return ids
}

// consumer reads a service again and again, and remembers what it must never see.
type consumer struct {
	*env
	service, app string
	// healthy are the tasks that Marathon has ever called so.
	healthy map[string]bool
	// may tells which tasks may pass, if not those that Marathon has called healthy.
	may    func(task string) bool
	fewest int
	early  []string
	looks  int
	// passed are those that have ever passed, and lost those of them that Marathon still calls
	// healthy, and that pass no more. owed is fewest, with those that Marathon calls healthy
	// and that have never passed yet.
	passed map[string]bool
	lost   []string
	owed   int
	stop   context.CancelFunc
	ended  sync.WaitGroup
}

func (s *env) consume(app, service string, may ...func(task string) bool) *consumer {
	ctx, cancel := context.WithCancel(context.Background())
	c := &consumer{env: s, service: service, app: app, healthy: map[string]bool{}, passed: map[string]bool{}, fewest: 1 << 30, owed: 1 << 30, stop: cancel}
	c.may = func(task string) bool { return c.healthy[task] }
	if len(may) > 0 {
		c.may = may[0]
	}
	c.note()
	c.ended.Go(func() {
		for ctx.Err() == nil {
			c.look()
		}
	})
	s.t.Cleanup(c.end)
	return c
}

func (c *consumer) end() {
	c.stop()
	c.ended.Wait()
}

// note remembers what Marathon calls healthy now.
func (c *consumer) note() {
	for _, task := range c.marathon.Tasks(c.app) {
		if task.Healthy {
			c.healthy[task.ID] = true
		}
	}
}

// look reads Consul first: what passes there, Marathon has called healthy before.
func (c *consumer) look() {
	passing := c.passing(c.service)
	c.note()
	for id := range passing {
		if !c.may(id) {
			c.early = append(c.early, id)
		}
	}
	late := 0
	for _, task := range c.marathon.Tasks(c.app) {
		switch {
		case passing[task.ID] || !task.Healthy || task.State != "TASK_RUNNING":
		case c.passed[task.ID]:
			c.lost = append(c.lost, task.ID)
		default:
			late++
		}
	}
	maps.Copy(c.passed, passing)
	c.fewest, c.owed = min(c.fewest, len(passing)), min(c.owed, len(passing)+late)
	c.looks++
}

// passes waits until just so many instances pass, all of one version.
func (s *env) passes(app, service string, n int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d of %s pass", n, service), func() string {
		passing := s.passing(service)
		tasks := s.marathon.Tasks(app)
		for _, t := range tasks {
			if !passing[t.ID] {
				return fmt.Sprintf("%s of %d does not: healthy %v", t.ID, len(tasks), t.Healthy)
			}
		}
		if len(tasks) != n || len(passing) != n || len(s.marathon.Deployments()) > 0 {
			return fmt.Sprintf("%d tasks, %d pass, %d deployments", len(tasks), len(passing), len(s.marathon.Deployments()))
		}
		return ""
	})
}

// healthy says how many tasks Marathon calls so, "" when they are as many as wanted.
func (s *env) healthy(app string, want int) string {
	n := 0
	for _, task := range s.marathon.Tasks(app) {
		if task.Healthy {
			n++
		}
	}
	if n == want {
		return ""
	}
	return fmt.Sprintf("%d are healthy", n)
}

// Fifty tasks are replaced by others that need five seconds until they are healthy. No
// consumer ever sees fewer than Marathon's minimumHealthCapacity allows, nor one that
// Marathon has not called healthy: also if consular is stopped and started in the middle,
// or Marathon fails over.
func TestRollingUpgradeSeenByConsumers(t *testing.T) {
	const n, least = 50, 40
	for name, middle := range map[string]func(s *env, r *running){
		"undisturbed": func(*env, *running) {},
		"consular restarted": func(s *env, r *running) {
			r.end()
			s.run(s.consular())
		},
		"Marathon failed over": func(s *env, _ *running) { s.marathon.Failover() },
	} {
		t.Run(name, func(t *testing.T) {
			s := healthEnv(t, theCluster(t))
			app := checkedWeb("/rolling", n)
			app.Upgrade = &simulator.Upgrade{MinimumHealthCapacity: 0.8, MaximumOverCapacity: 0.4}
			s.marathon.Behave("/rolling", simulator.Behavior{HealthyAfter: 5 * time.Second})
			must(t, s.marathon.Create(app))
			r := s.run(s.consular())
			s.passes("/rolling", "rolling", n)
			c := s.consume("/rolling", "rolling")
			reads := s.marathon.Requests()["/v2/apps/rolling"]
			must(t, s.marathon.Update("/rolling", func(a *simulator.App) { a.Cmd = "new" }))
			old := s.passing("rolling")
			eventually(t, "the middle", func() string {
				for id := range s.passing("rolling") {
					if !old[id] {
						return ""
					}
				}
				return "no new one passes"
			})
			middle(s, r)
			s.passes("/rolling", "rolling", n)
			c.end()
			t.Logf("%d looks, at least %d pass; %d reads of apps", c.looks, c.fewest, s.marathon.Requests()["/v2/apps/rolling"]-reads)
			if c.fewest < least || len(c.early) > 0 {
				t.Errorf("seen as few as %d, want %d at least; %d passed early: %.200v", c.fewest, least, len(c.early), c.early)
			}
		})
	}
}

// What an upgrade of very many tasks asks of Marathon does not grow by a check: their events
// are the verdict.
func TestAnUpgradeWithACheckReadsNoMore(t *testing.T) {
	const n, few = 200, 10
	s := healthEnv(t, theCluster(t))
	s.run(s.consular())
	upgrade := func(id, service string, app simulator.App) int {
		app.CPUs = 0.01
		must(t, s.marathon.Create(app))
		s.passes(id, service, n)
		reads := s.marathon.Requests()["/v2/apps"+id]
		must(t, s.marathon.Update(id, func(a *simulator.App) { a.Cmd = "new" }))
		s.passes(id, service, n)
		return s.marathon.Requests()["/v2/apps"+id] - reads
	}
	plain := upgrade("/plain", "plain", web("/plain", n))
	checked := upgrade("/checked", "checked", checkedWeb("/checked", n))
	t.Logf("%d reads without a check, %d with one", plain, checked)
	// How many moments of a deployment one read answers for depends on the machine (5 and 1 at load 20;
	// TestAnUpgradeWithOneCheckReadsNoMore compares them without it): a few more are
	// no read for a task.
	if checked > plain+few || plain == 0 {
		t.Errorf("%d reads without a check, and %d with one", plain, checked)
	}
}

// A Marathon that is cut off from most tasks finds them dead. So many stay passing that
// consumers have where to go, and all of them again when it is over.
func TestAPartitionFindsMostTasksDead(t *testing.T) {
	const n = 50
	s := healthEnv(t, theCluster(t))
	must(t, s.marathon.Create(checkedWeb("/cut", n)))
	s.run(s.consular())
	s.passes("/cut", "cut", n)
	c := s.consume("/cut", "cut")
	s.marathon.CutOff(0.8)
	eventually(t, "held back", func() string { return s.saysNothingOf("too many services turn critical") })
	eventually(t, "Marathon finds them dead", func() string { return s.healthy("/cut", n/5) })
	eventually(t, "the first ones are believed", func() string {
		if left := len(s.passing("cut")); left != n/2 {
			return fmt.Sprintf("%d pass", left)
		}
		return ""
	})
	s.marathon.Reconnect()
	s.passes("/cut", "cut", n)
	c.end()
	t.Logf("%d looks, at least %d of %d pass", c.looks, c.fewest, n)
	if c.fewest < n/2 {
		t.Errorf("seen as few as %d of %d", c.fewest, n)
	}
}

// The first start with health adds a check to every service, and none is critical; `none`
// takes all away again. What others put there stays.
func TestFirstStartWithHealthAndTheWayBack(t *testing.T) {
	s := newEnv(t, theCluster(t))
	app := checkedWeb("/first", 6)
	app.HealthChecks[0].GracePeriod = 0
	must(t, s.marathon.Create(app))
	s.sync() // Marathon knows nothing of their health, as after a failover
	host := s.marathon.Tasks("/first")[0].Host
	id := s.marathon.Tasks("/first")[0].ID
	must(t, s.agents()[host].EnableServiceMaintenance(id, "by hand"))
	if p := s.plan(); len(p.Changes) > 0 {
		t.Fatalf("without health: %v", whys(p))
	}
	s.configure = mirrors
	eventually(t, "tasks as old as their first probe", func() string {
		for _, why := range whys(s.plan()) {
			if !strings.Contains(why, "-→passing") {
				return why
			}
		}
		return ""
	})
	_, sum := s.sync()
	if sum.Checks != 6 || sum.Registered+sum.Updated+sum.Deregistered > 0 {
		t.Errorf("first start: %s, %d checks", sum.String(), sum.Checks)
	}
	if passing := s.passing("first"); len(passing) != 5 || passing[id] {
		t.Errorf("passing: %v, want all but %s, which is in maintenance", passing, id)
	}
	s.configure = func(c *reconcile.Config) { c.Translation.Health = desired.HealthNone }
	s.sync()
	checks, err := s.agents()[host].ChecksWithFilter(fmt.Sprintf("ServiceID == %q", id))
	must(t, err)
	if len(checks) != 1 {
		t.Errorf("left are %v, want maintenance only", checks)
	}
}

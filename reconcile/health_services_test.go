package reconcile_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

// Health of tasks with several services, of many tasks at once, and as labels say.

// checkedPorts is checkedApp with two ports that both are services.
func checkedPorts(tasks ...string) marathon.App {
	app := checkedApp(tasks...)
	app.Definition.Ports = []marathon.Port{{OnHost: true, Name: "http"}, {OnHost: true, Name: "admin"}}
	app.Labels = map[string]string{"consul.ports": "all"}
	app.Definition.Labels = app.Labels
	for i := range app.Tasks {
		app.Tasks[i].Ports = []int{31001 + 2*i, 31002 + 2*i}
	}
	return app
}

// Each service of a task says what Marathon says of the task, by one write each.
func TestAllServicesOfATaskTurn(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		x.marathon.apps = []marathon.App{checkedPorts("t1", "t2")}
		x.connect()
		for _, status := range []string{"passing", "critical", "passing"} {
			before, _ := x.agents[h1].checksWritten()
			x.turns("t1", status == "passing")
			x.saysOf("t1", status)
			x.saysOf("t1:admin", status)
			x.saysOf("t2:admin", "passing")
			if after, _ := x.agents[h1].checksWritten(); after-before > 2 {
				t.Errorf("%d writes of two services that become %s", after-before, status)
			}
		}
	}, h1)
}

// The guard counts services, and all of one task turn or none.
func TestTheGuardCountsServicesThatTurn(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		var tasks []string
		for i := range 20 {
			tasks = append(tasks, fmt.Sprint("t", i))
		}
		x.marathon.apps = []marathon.App{checkedPorts(tasks...)}
		x.connect()
		for _, task := range tasks {
			x.turns(task, false)
		}
		first, second := 0, 0
		for _, task := range tasks {
			if x.agents[h1].says(task) == "critical" {
				first++
			}
			if x.agents[h1].says(task+":admin") == "critical" {
				second++
			}
		}
		if first != 10 || second != 10 {
			t.Errorf("%d and %d of 20 are critical, want 10 of each", first, second)
		}
	}, h1)
}

// Very many tasks recover within a second. With one check each that is one write each, and
// no read; with two, events are hints, and each app is read once or a few times.
func TestAThousandRecoveries(t *testing.T) {
	const apps, tasks = 10, 100
	for checks, mostReads := range map[int]int{1: 0, 2: 3} {
		inFakeCluster(t, func(x *fakeCluster) {
			mirror(x)
			x.config.Policy.Limit = 100
			for a := range apps {
				var ids []string
				for i := range tasks {
					ids = append(ids, fmt.Sprintf("a%d-%d", a, i))
				}
				app := checkedApp(ids...)
				app.ID = fmt.Sprint("/web", a)
				if checks == 2 {
					app.Definition.HealthChecks = append(slices.Clip(app.Definition.HealthChecks), app.Definition.HealthChecks[0])
				}
				for i := range app.Tasks {
					task := &app.Tasks[i]
					task.AppID = app.ID
					task.HealthCheckResults = make([]marathon.HealthCheckResult, checks)
					for n := range checks {
						task.HealthCheckResults[n] = marathon.HealthCheckResult{LastFailure: time.Now()}
					}
				}
				x.marathon.apps = append(x.marathon.apps, app)
			}
			x.connect()
			time.Sleep(10 * time.Second) // until all are registered
			before, _ := x.agents[h1].checksWritten()
			x.marathon.set(func(m *fakeMarathon) {
				for a := range m.apps {
					m.apps[a].Tasks = slices.Clone(m.apps[a].Tasks)
					for i := range m.apps[a].Tasks {
						m.apps[a].Tasks[i].HealthCheckResults = make([]marathon.HealthCheckResult, checks)
						for n := range checks {
							m.apps[a].Tasks[i].HealthCheckResults[n] = marathon.HealthCheckResult{Alive: true, LastSuccess: time.Now()}
						}
					}
				}
			})
			for i := range tasks {
				for a := range apps {
					for range checks {
						x.Event(marathon.HealthStatusChanged{
							Meta:  marathon.Meta{Type: "health_status_changed_event", Time: time.Now()},
							AppID: fmt.Sprint("/web", a), TaskID: fmt.Sprintf("a%d-%d", a, i), Version: "v1", Alive: true,
						})
					}
				}
				time.Sleep(time.Second / tasks)
			}
			time.Sleep(10 * time.Second)
			if after, _ := x.agents[h1].checksWritten(); after-before != apps*tasks {
				t.Errorf("%d checks: %d writes, want %d", checks, after-before, apps*tasks)
			}
			for a := range apps {
				if n := len(x.marathon.reads(fmt.Sprint("/web", a))); n > mostReads {
					t.Errorf("%d checks: app %d was read %d times, want %d at most", checks, a, n, mostReads)
				}
				x.saysOf(fmt.Sprintf("a%d-99", a), "passing")
			}
			if n := x.marathon.count(); n != 1 {
				t.Errorf("%d checks: %d snapshots, want 1", checks, n)
			}
		}, h1)
	}
}

// A label says it for one app, by the definition that a task runs; what it should not be is
// one warning, and as the option says.
func TestTheLabelOfHealth(t *testing.T) {
	for label, want := range map[string]map[desired.HealthMode]string{
		"none":        {desired.HealthMirror: "", desired.HealthNone: ""},
		" mirror ":    {desired.HealthMirror: "passing", desired.HealthNone: "passing"},
		"yes, please": {desired.HealthMirror: "passing", desired.HealthNone: ""},
	} {
		for mode, status := range want {
			inFakeCluster(t, func(x *fakeCluster) {
				x.config.Translation.Health = mode
				app := checkedApp("t1")
				app.Labels = map[string]string{"consul.health": label}
				app.Definition.Labels = app.Labels
				x.marathon.apps = []marathon.App{app}
				x.connect()
				x.saysOf("t1", status)
				x.wants(h1, "t1")
				warnings := map[bool]int{true: 1}[label == "yes, please"]
				if n := x.log.count("must be mirror, checks or none"); n != warnings {
					t.Errorf("%q with --health %s: warned %d times, want %d", label, mode, n, warnings)
				}
				if status != "" {
					x.turns("t1", false)
					x.saysOf("t1", "critical")
				}
			}, h1)
		}
	}
}

// A copy that may not write leaves checks alone, whatever it hears; who takes over says what is
// so now.
func TestAStandbyWritesNoCheck(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		x.marathon.apps = []marathon.App{checkedApp("t1", "t2", "t3")}
		turns := func(task string, alive bool) {
			x.marathon.set(func(m *fakeMarathon) {
				m.apps[0].Tasks = slices.Clone(m.apps[0].Tasks)
				for i := range m.apps[0].Tasks {
					if m.apps[0].Tasks[i].ID == task {
						m.apps[0].Tasks[i].HealthCheckResults = []marathon.HealthCheckResult{{Alive: alive, LastSuccess: time.Now(), LastFailure: time.Now()}}
					}
				}
			})
			x.turns(task, alive)
		}
		p := x.standby()
		turns("t1", false)
		turns("t2", false)
		turns("t2", true)
		if n := x.dials(); n > 0 {
			t.Errorf("a standby made %d requests", n)
		}
		p.unlock(x.Reconciler)
		time.Sleep(time.Second)
		x.saysOf("t1", "critical")
		x.saysOf("t2", "passing")
		p.shut()
		turns("t1", true)
		turns("t3", false)
		x.saysOf("t1", "critical")
		x.saysOf("t3", "passing")
		p.unlock(x.Reconciler)
		time.Sleep(time.Second)
		x.saysOf("t1", "passing")
		x.saysOf("t3", "critical")
	}, h1)
}

// What turned critical one by one while nothing could be written is one set when it can be.
func TestTakeoverJudgesAllThatTurnedCriticalAsOne(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		var tasks []string
		for i := range 20 {
			tasks = append(tasks, fmt.Sprintf("t%02d", i))
		}
		x.marathon.apps = []marathon.App{checkedApp(tasks...)}
		p := x.standby()
		p.unlock(x.Reconciler)
		time.Sleep(time.Minute)
		critical := func() (n int) {
			for _, id := range tasks {
				if x.agents[h1].says(id) == "critical" {
					n++
				}
			}
			return n
		}
		p.shut()
		for i, id := range tasks[:12] {
			time.Sleep(10 * time.Minute)
			x.marathon.set(func(m *fakeMarathon) {
				m.apps[0].Tasks = slices.Clone(m.apps[0].Tasks)
				m.apps[0].Tasks[i].HealthCheckResults = []marathon.HealthCheckResult{{LastSuccess: time.Now().Add(-time.Hour), LastFailure: time.Now()}}
			})
			x.turns(id, false)
		}
		p.unlock(x.Reconciler)
		time.Sleep(time.Minute)
		if n := critical(); n > 10 || x.log.count("held back") == 0 {
			x.Errorf("%d of 20 are critical at once:\n%s", n, x.log)
		}
		time.Sleep(10 * time.Minute)
		if n := critical(); n != 12 {
			x.Errorf("%d are critical when that is confirmed, want 12", n)
		}
	}, h1)
}

// A check that somebody has removed is there again with the next flip, and with its status.
func TestAFlipOfACheckThatIsGone(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		x.marathon.apps = []marathon.App{checkedApp("t1")}
		x.connect()
		if err := x.agents[h1].DeregisterCheck(t.Context(), consul.CheckID("t1")); err != nil {
			t.Fatal(err)
		}
		x.turns("t1", false)
		x.saysOf("t1", "critical")
	}, h1)
}

package reconcile_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

// What a consular writes of health, in a bubble of time.

// checkedApp is /web with one check of 10 s and tasks on h1 that have been healthy since.
func checkedApp(tasks ...string) marathon.App {
	app := appOn(h1, "/web", tasks...)
	app.Definition.HealthChecks = []marathon.HealthCheck{{
		Protocol: marathon.HealthHTTP, Path: "/health", GracePeriod: 10 * time.Second, Interval: 10 * time.Second, Timeout: 5 * time.Second,
	}}
	for i := range app.Tasks {
		t := &app.Tasks[i]
		t.StagedAt = time.Now().Add(-time.Hour)
		t.HealthCheckResults = []marathon.HealthCheckResult{{Alive: true, LastSuccess: time.Now()}}
	}
	return app
}

func mirror(x *fakeCluster) { x.config.Translation.Health = desired.HealthMirror }

// says is what the check on a service says on an agent; "" for none.
func (a *fakeAgent) says(service string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.services[service].Checks {
		if c.ID == consul.CheckID(service) {
			return string(c.Status)
		}
	}
	return ""
}

// checksOn are the checks on a service.
func (a *fakeAgent) checksOn(service string) []consul.Check {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.services[service].Checks)
}

// checksWritten returns how many writes of checks there were, and how often they were listed.
func (a *fakeAgent) checksWritten() (writes, lists int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.checkWrites), a.checkLists
}

func (x *fakeCluster) saysOf(service, want string) {
	x.Helper()
	if have := x.agents[h1].says(service); have != want {
		x.Errorf("the check of %s says %q, want %q", service, have, want)
	}
}

// turns has the stream tell of one check of a task.
func (x *fakeCluster) turns(task string, alive bool) {
	x.Event(marathon.HealthStatusChanged{
		Meta: marathon.Meta{Type: "health_status_changed_event", Time: time.Now()}, AppID: "/web", TaskID: task, Version: "v1", Alive: alive,
	})
	time.Sleep(100 * time.Millisecond)
}

func TestOneWriteAFlip(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		x.marathon.apps = []marathon.App{checkedApp("t1", "t2"), appOn(h1, "/plain", "p1")}
		x.connect()
		x.saysOf("t1", "passing")
		x.saysOf("p1", "")
		before, _ := x.agents[h1].checksWritten()
		x.turns("t1", false)
		x.saysOf("t1", "critical")
		x.saysOf("t2", "passing")
		x.turns("t1", false)
		x.turns("t1", true)
		x.saysOf("t1", "passing")
		if after, _ := x.agents[h1].checksWritten(); after-before != 2 {
			t.Errorf("%d writes for two flips", after-before)
		}
		if n := len(x.marathon.reads("/web")); n > 0 {
			t.Errorf("the app was read %d times", n)
		}
		if n := x.log.count(`"status":"critical"`); n != 1 || x.log.count(`"before":"passing"`) != 1 {
			t.Errorf("the log has %d lines of the flip, want 1", n)
		}
	}, h1)
}

// Apps without checks cost nothing: the agents are not even asked for some.
func TestNoChecksNoRequests(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		x.marathon.apps = []marathon.App{appOn(h1, "/plain", "p1")}
		x.connect()
		if writes, lists := x.agents[h1].checksWritten(); writes+lists > 0 {
			t.Errorf("%d writes and %d listings of checks", writes, lists)
		}
	}, h1)
}

func TestASteadyResyncWritesNoCheck(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		x.config.SyncInterval = time.Minute
		app := checkedApp("t1", "t2")
		app.Tasks[1].HealthCheckResults[0] = marathon.HealthCheckResult{LastFailure: time.Now(), LastFailureCause: "refused"}
		x.marathon.apps = []marathon.App{app}
		x.connect()
		x.saysOf("t2", "critical")
		before, lists := x.agents[h1].checksWritten()
		time.Sleep(10 * time.Minute)
		after, listed := x.agents[h1].checksWritten()
		if after != before || listed < lists+5 {
			t.Errorf("%d writes, and %d listings", after-before, listed-lists)
		}
	}, h1)
}

// A task that starts is critical until Marathon calls it healthy; one of which a Marathon
// that has failed over knows nothing keeps what it had.
func TestStartingIsCriticalAndSilenceIsNot(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		x.marathon.apps = []marathon.App{checkedApp("t1")}
		x.connect()
		x.Event(marathon.TaskChanged{Meta: marathon.Meta{Type: "status_update_event", Time: time.Now()}, Task: taskOn(h1, "/web", "t2")})
		time.Sleep(time.Second)
		x.saysOf("t2", "critical")
		x.turns("t2", true)
		x.saysOf("t2", "passing")
		x.marathon.set(func(m *fakeMarathon) {
			m.apps[0].Tasks = append(m.apps[0].Tasks, taskOn(h1, "/web", "t2"))
			for i := range m.apps[0].Tasks {
				m.apps[0].Tasks[i].HealthCheckResults = nil
			}
		})
		x.Disconnected("failover")
		x.Connected()
		time.Sleep(time.Minute)
		x.saysOf("t1", "passing")
		x.saysOf("t2", "passing")
	}, h1)
}

// A relaunched task has what its predecessor had: no event says that it is healthy, so
// that the app is read until it is.
func TestARelaunchedTaskIsReadFor(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		app := checkedApp("web.instance-00000000-0000-0000-0000-000000000001._app.2")
		task := &app.Tasks[0]
		task.StagedAt = time.Now()
		task.HealthCheckResults[0].LastSuccess = time.Now().Add(-time.Second)
		x.marathon.apps = []marathon.App{app}
		x.connect()
		x.saysOf(task.ID, "critical")
		x.marathon.set(func(m *fakeMarathon) {
			m.apps[0].Tasks = slices.Clone(m.apps[0].Tasks)
			m.apps[0].Tasks[0].HealthCheckResults = []marathon.HealthCheckResult{{Alive: true, LastSuccess: time.Now()}}
		})
		time.Sleep(11 * time.Second)
		x.saysOf(task.ID, "passing")
		n := len(x.marathon.reads("/web"))
		time.Sleep(time.Hour)
		if more := len(x.marathon.reads("/web")); n == 0 || more > n {
			t.Errorf("read %d times, and then %d", n, more)
		}
	}, h1)
}

// A Marathon that finds nearly all tasks dead is believed for some of them only. What
// recovers does not wait, and neither do plans let pass what an event was not let.
func TestTooManyTurnCritical(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		x.config.SyncInterval = time.Minute
		var tasks []string
		for i := range 100 {
			tasks = append(tasks, "t"+string(rune('a'+i/26))+string(rune('a'+i%26)))
		}
		x.marathon.apps = []marathon.App{checkedApp(tasks...)}
		x.connect()
		critical := func() (n int) {
			for _, task := range tasks {
				if x.agents[h1].says(task) == "critical" {
					n++
				}
			}
			return n
		}
		result := func(i int, r marathon.HealthCheckResult) {
			x.marathon.set(func(m *fakeMarathon) {
				m.apps[0].Tasks = slices.Clone(m.apps[0].Tasks)
				m.apps[0].Tasks[i].HealthCheckResults = []marathon.HealthCheckResult{r}
			})
		}
		for i, task := range tasks[:80] {
			result(i, marathon.HealthCheckResult{LastFailure: time.Now()})
			x.turns(task, false)
		}
		time.Sleep(2 * time.Minute)
		if n := critical(); n != 50 {
			t.Errorf("%d are critical, want 50", n)
		}
		if n := x.log.count("too many services turn critical"); n == 0 || n > 2 {
			t.Errorf("it says so %d times", n)
		}
		result(0, marathon.HealthCheckResult{Alive: true, LastSuccess: time.Now()})
		x.turns(tasks[0], true)
		x.saysOf(tasks[0], "passing")
		time.Sleep(5 * time.Minute) // --purge-confirm
		if n := critical(); n != 79 {
			t.Errorf("%d are critical when time has confirmed it, want 79", n)
		}
	}, h1)
}

// Checks come and go with the mode, and a service is never without one, nor critical for no
// reason.
func TestAModeChanges(t *testing.T) {
	for _, modes := range [][]desired.HealthMode{
		{desired.HealthMirror, desired.HealthChecks, desired.HealthMirror, desired.HealthNone},
		{desired.HealthChecks, desired.HealthNone, desired.HealthChecks},
	} {
		inFakeCluster(t, func(x *fakeCluster) {
			app := checkedApp("t1")
			app.Definition.Ports = []marathon.Port{{OnHost: true}}
			app.Tasks[0].Ports = []int{31001}
			x.marathon.apps = []marathon.App{app}
			for _, mode := range modes {
				x.config.Translation.Health = mode
				p, sum, err := x.consular().Sync(x.Context())
				if err != nil || !sum.Clean() {
					t.Fatal(err, sum.String())
				}
				want := map[desired.HealthMode][]string{desired.HealthMirror: {"t1:marathon"}, desired.HealthChecks: {"t1:marathon-0"}}[mode]
				var have []string
				for _, c := range x.agents[h1].checksOn("t1") {
					have = append(have, c.ID)
					if c.Status != consul.Passing {
						t.Errorf("%s: %s is %s", mode, c.ID, c.Status)
					}
				}
				if !slices.Equal(have, want) {
					t.Errorf("%s: checks %v, want %v; it was %s", mode, have, want, strings.Join(whys(p), "\n"))
				}
				if again, err := x.consular().Plan(x.Context()); err != nil || len(again.Changes) > 0 {
					t.Errorf("%s: not in sync: %v %v", mode, whys(again), err)
				}
			}
		}, h1)
	}
}

// One line a flip: that a critical check says something else is for those who debug.
func TestANewOutputIsNoLineAtInfo(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		app := checkedApp("t1")
		x.marathon.apps = []marathon.App{app}
		x.connect()
		var said []string
		for _, cause := range []string{"refused", "500"} {
			failing := app // what was told before is not written to: it may still be read
			failing.Tasks = slices.Clone(app.Tasks)
			failing.Tasks[0].HealthCheckResults = []marathon.HealthCheckResult{{
				LastFailure: time.Now(), LastFailureCause: cause, ConsecutiveFailures: 3,
			}}
			x.marathon.set(func(m *fakeMarathon) { m.apps = []marathon.App{failing} })
			x.Missed("test")
			time.Sleep(time.Minute)
			x.saysOf("t1", "critical")
			said = append(said, x.agents[h1].checksOn("t1")[0].Output)
		}
		if said[0] == said[1] {
			t.Fatalf("the check says %q throughout", said[0])
		}
		if lines := strings.Count(x.log.String(), `"message":"health"`); lines != 1 {
			t.Errorf("%d lines for one flip", lines)
		}
	}, h1)
}

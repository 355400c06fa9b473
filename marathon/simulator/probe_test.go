package simulator_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"consular/marathon/simulator"
)

// inTime runs a Marathon that probes by itself, in a bubble's time.
func inTime(t *testing.T, config simulator.Config, happen func(t *testing.T, a actor)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		config.Probes = true
		m := simulator.New(config)
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- m.Run(ctx) }()
		happen(t, actor{m, t})
		stop()
		must(t, <-ran)
	})
}

// healthyTasks counts those that Marathon calls healthy, after some time.
func (a actor) healthyTasks(id string, after time.Duration) int {
	time.Sleep(after)
	synctest.Wait()
	n := 0
	for _, task := range a.Tasks(id) {
		if task.Healthy {
			n++
		}
	}
	return n
}

// web5s answers its checks five seconds after it runs, and is asked each second.
func web5s(a actor, instances int) simulator.App {
	check := probed("HTTP", 0)
	check.Interval = time.Second
	app := onePort("/slow", check)
	app.Instances = instances
	a.Behave(app.ID, simulator.Behavior{HealthyAfter: 5 * time.Second})
	return app
}

func TestTasksBecomeHealthyInTime(t *testing.T) {
	inTime(t, simulator.Config{}, func(t *testing.T, a actor) {
		a.ok(a.Create(web5s(a, 3)))
		if n := a.healthyTasks("/slow", 4900*time.Millisecond); n != 0 || len(a.Deployments()) != 1 {
			t.Errorf("%d are healthy before their time", n)
		}
		if n := a.healthyTasks("/slow", 1200*time.Millisecond); n != 3 || len(a.Deployments()) != 0 {
			t.Errorf("%d are healthy in time, want 3, and %d deployments", n, len(a.Deployments()))
		}
		sick := a.first("/slow")
		a.ok(a.Break(sick))
		if n := a.healthyTasks("/slow", 1200*time.Millisecond); n != 2 {
			t.Errorf("%d are healthy beside a broken one, want 2", n)
		}
		a.ok(a.Mend(sick))
		if n := a.healthyTasks("/slow", 1200*time.Millisecond); n != 3 {
			t.Errorf("%d are healthy after it was mended, want 3", n)
		}
	})
}

// A rolling upgrade never leaves fewer healthy tasks than it may.
func TestUpgradeKeepsHealthCapacity(t *testing.T) {
	inTime(t, simulator.Config{TaskKilling: true, Pace: simulator.Pace{Run: 100 * time.Millisecond, Kill: time.Second}}, func(t *testing.T, a actor) {
		app := web5s(a, 20)
		app.Upgrade = &simulator.Upgrade{MinimumHealthCapacity: 0.8, MaximumOverCapacity: 0.2}
		a.ok(a.Create(app))
		if n := a.healthyTasks("/slow", 10*time.Second); n != 20 {
			t.Fatalf("%d are healthy, want 20", n)
		}
		a.ok(a.Relabel("/slow", map[string]string{"v": "2"}))
		least, took := 20, 0
		for ; len(a.Deployments()) > 0 && took < 600; took++ {
			least = min(least, a.healthyTasks("/slow", 100*time.Millisecond))
		}
		if least != 16 || took == 600 || took < 60 {
			t.Errorf("%d were healthy at least, want 16; it took %d tenths of a second", least, took)
		}
	})
}

// Marathon is cut off from most agents: it finds their tasks dead, and kills none
// of those that may fail for ever; checks by Mesos go on.
func TestPartitionFindsMostDead(t *testing.T) {
	inTime(t, simulator.Config{}, func(t *testing.T, a actor) {
		app := web5s(a, 50)
		a.ok(a.Create(app))
		byMesos := onePort("/mesos", probed("MESOS_HTTP", 0))
		a.ok(a.Create(byMesos))
		if n := a.healthyTasks("", 10*time.Second); n != 51 {
			t.Fatalf("%d are healthy, want 51", n)
		}
		cut := a.CutOff(0.8)
		if n := a.healthyTasks("/slow", 2*time.Second); len(cut) != 40 || n < 10 || n > 11 {
			t.Errorf("%d were cut off, and %d are healthy", len(cut), n)
		}
		for _, task := range a.Tasks("/slow") {
			if task.State != "TASK_RUNNING" || task.Healthy == slices.Contains(cut, task.ID) {
				t.Errorf("task %+v, cut off %v", task, slices.Contains(cut, task.ID))
			}
		}
		a.CutOff(1)
		if slow, mesos := a.healthyTasks("/slow", 2*time.Second), a.healthyTasks("/mesos", 2*time.Second); slow != 0 || mesos != 1 {
			t.Errorf("cut off from all, %d are healthy, and %d by Mesos, want 0 and 1", slow, mesos)
		}
		a.Reconnect()
		if n := a.healthyTasks("", 2*time.Second); n != 51 {
			t.Errorf("%d are healthy afterwards, want 51", n)
		}
	})
}

// A sick app is killed again and again: one failure more than it may have each time.
func TestSickTasksAreKilled(t *testing.T) {
	inTime(t, simulator.Config{}, func(t *testing.T, a actor) {
		check := probed("HTTP", 2)
		check.GracePeriod, check.Interval = 5*time.Second, time.Second
		app := onePort("/sick", check)
		a.Behave(app.ID, simulator.Behavior{Sick: true})
		a.ok(a.Create(app))
		a.healthyTasks("/sick", 6500*time.Millisecond) // in grace, then two failures
		if id := a.first("/sick"); !strings.HasSuffix(id, "._app.1") {
			t.Errorf("the task is %s after two failures", id)
		}
		a.healthyTasks("/sick", time.Second)
		if id := a.first("/sick"); !strings.HasSuffix(id, "._app.2") {
			t.Errorf("the task is %s after three failures", id)
		}
	})
}

// A task that takes its time to die is killed once, however often it fails meanwhile.
func TestSlowDeathIsOne(t *testing.T) {
	pace := simulator.Pace{Killing: 5 * time.Second, Kill: 5 * time.Second}
	inTime(t, simulator.Config{TaskKilling: true, Pace: pace}, func(t *testing.T, a actor) {
		check := probed("HTTP", 1)
		check.GracePeriod, check.Interval = 0, time.Second
		a.Behave("/sick", simulator.Behavior{Sick: true})
		a.ok(a.Create(onePort("/sick", check)))
		a.healthyTasks("/sick", 2500*time.Millisecond) // two failures, and the kill begins
		for _, want := range []string{"TASK_RUNNING", "TASK_KILLING", "TASK_RUNNING"} {
			if state := a.Tasks("/sick")[0].State; state != want {
				t.Errorf("the task is %s, want %s", state, want)
			}
			a.healthyTasks("/sick", 5*time.Second)
		}
	})
}

// A relaunched task has its predecessor's results in REST, and is not healthy by them.
func TestInheritedResultsAreNotHealth(t *testing.T) {
	m := simulator.New(simulator.Config{})
	url := serve(t, m)
	must(t, m.Create(onePort("/a", probed("HTTP", 0))))
	m.Probe()
	must(t, m.Crash(m.Tasks("/a")[0].ID))
	task := snapshotOf(t, url)["/a"].Tasks[0]
	if r := task.HealthCheckResults; len(r) != 1 || !r[0].Alive || r[0].LastSuccess.After(task.StagedAt) {
		t.Errorf("the relaunched task is %+v", task)
	}
	if m.Tasks("/a")[0].Healthy {
		t.Error("it is healthy before it was probed")
	}
	m.Probe()
	task = snapshotOf(t, url)["/a"].Tasks[0]
	if r := task.HealthCheckResults; !r[0].LastSuccess.After(task.StagedAt) || !m.Tasks("/a")[0].Healthy {
		t.Errorf("the probed task is %+v", task)
	}
}

// A new leader begins anew: it has nothing, and then what its own probes find.
func TestFailoverInTime(t *testing.T) {
	inTime(t, simulator.Config{}, func(t *testing.T, a actor) {
		check := probed("HTTP", 0)
		check.Interval = 30 * time.Second
		a.ok(a.Create(onePort("/a", check)))
		if n := a.healthyTasks("/a", 6*time.Second); n != 1 {
			t.Fatalf("%d are healthy, want 1: the first probe comes after 5 s", n)
		}
		a.Failover()
		if n := a.healthyTasks("/a", 4*time.Second); n != 0 {
			t.Errorf("%d are healthy before the new leader's first probe", n)
		}
		if n := a.healthyTasks("/a", 2*time.Second); n != 1 {
			t.Errorf("%d are healthy after it, want 1", n)
		}
	})
}

func TestReadinessInTime(t *testing.T) {
	inTime(t, simulator.Config{}, func(t *testing.T, a actor) {
		app := onePort("/a")
		app.ReadinessChecks = []simulator.ReadinessCheck{{Interval: 2 * time.Second}}
		a.Behave("/a", simulator.Behavior{ReadyAfter: 3 * time.Second})
		a.ok(a.Create(app))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if len(a.Deployments()) != 1 {
			t.Error("the deployment did not wait for readiness")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(a.Deployments()) != 0 {
			t.Error("the deployment goes on though the task is ready")
		}
	})
}

func TestBreakingWhatIsNotThere(t *testing.T) {
	m := simulator.New(simulator.Config{})
	must(t, m.Create(onePort("/a", probed("HTTP", 0))))
	task := m.Tasks("/a")[0].ID
	for name, err := range map[string]error{
		"break": m.Break("none"), "mend": m.Mend("none"), "ready": m.Ready("none", true),
		"probe": m.ProbeCheck("none", 0), "no such check": m.ProbeCheck(task, 1), "negative check": m.ProbeCheck(task, -1),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

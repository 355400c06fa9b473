package reconcile_test

import (
	"fmt"
	"testing"
	"time"

	"consular/marathon"
	"consular/reconcile/desired"
)

// Services as they are shaped, where agents have to fail.

// withPorts gives an app so many ports on its host, and makes services of all.
func withPorts(app marathon.App, ports int) marathon.App {
	app.Definition.Labels = map[string]string{"consul.ports": "all"}
	for i := range ports {
		app.Definition.Ports = append(app.Definition.Ports, marathon.Port{Name: fmt.Sprint("p", i), OnHost: true})
	}
	for t := range app.Tasks {
		for i := range ports {
			app.Tasks[t].Ports = append(app.Tasks[t].Ports, 31000+i)
		}
	}
	return app
}

// The guard counts services, and lets all of a task go or none.
func TestGuardCountsServicesOfLostTasks(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		app := withPorts(appOn(h1, "/a", "a.1", "a.2", "a.3", "a.4", "a.5", "a.6"), 3)
		x.marathon.apps = []marathon.App{app, appOn(h1, "/b", "b.1", "b.2", "b.3", "b.4")}
		x.connect()
		if n := len(x.agents[h1].tasks()); n != 22 {
			x.Fatalf("%d services, want 22", n)
		}
		// The snapshot still has them: the guard is asked because of events alone.
		for _, task := range app.Tasks {
			task.State = marathon.TaskUnreachable
			x.tells(task)
		}
		time.Sleep(time.Second)
		// 9 of 22 are less than half of them, 12 are more.
		x.wants(h1, "a.4", "a.4:p1", "a.4:p2", "a.5", "a.5:p1", "a.5:p2", "a.6", "a.6:p1", "a.6:p2", "b.1", "b.2", "b.3", "b.4")
		if n := x.log.countBoth("held back: too many tasks lost", "12 of 22 services lost within a minute"); n != 1 {
			x.Errorf("told %d times", n)
		}
	}, h1)
}

// What is registered elsewhere for want of an agent has its host's address, for that of the
// node would be the wrong one's.
func TestFallbackHasItsHostsAddress(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.Fallback, x.config.SyncInterval = true, time.Minute
		x.config.Translation.Shaping.NodeAddress = true
		x.catalog.unknown[h1] = true
		x.agents[h1].set(func(a *fakeAgent) { a.gone = true })
		x.marathon.apps = []marathon.App{withPorts(appOn(h1, "/a", "a.1"), 2), appOn(h2, "/b", "b.1")}
		x.connect()
		time.Sleep(5 * time.Minute)
		address := func(host, id string) string {
			x.agents[host].mu.Lock()
			defer x.agents[host].mu.Unlock()
			s, there := x.agents[host].services[id]
			if !there {
				return "nothing"
			}
			return s.Address
		}
		if first, second, other := address("", "a.1"), address("", "a.1:p1"), address(h2, "b.1"); first != h1 || second != h1 || other != "" {
			x.Errorf("addresses %q, %q, %q", first, second, other)
		}
		if n := x.agents[""].registers["a.1"]; n != 1 {
			x.Errorf("registered %d times at the main agent", n)
		}
		x.agents[h1].set(func(a *fakeAgent) { a.gone = false })
		time.Sleep(5 * time.Minute)
		x.wants("")
		x.wants(h1, "a.1", "a.1:p1")
		if got := address(h1, "a.1"); got != "" {
			x.Errorf("at home its address is %q", got)
		}
	}, h1, h2)
}

// Who was registered goes on after a restart also when the agent that has it is silent: the
// catalog tells of it.
func TestSilentAgentKeepsItsNames(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		port := withPorts(appOn(h1, "/shop", "s.1"), 2)
		x.marathon.apps = []marathon.App{port}
		x.connect()
		x.wants(h1, "s.1", "s.1:p1")
		x.marathon.set(func(m *fakeMarathon) {
			m.apps = []marathon.App{port, withPorts(appOn(h2, "/shop/p1", "w.1"), 2)}
		})
		x.Missed("oversize")
		time.Sleep(time.Minute)
		x.wants(h2, "w.1:p1")
		x.agents[h1].set(func(a *fakeAgent) { a.gone = true })
		x.connect()
		time.Sleep(time.Minute)
		x.wants(h2, "w.1:p1")
		if n := x.log.countBoth("name clash", `"goes_on":"/shop/p1"`); n > 0 {
			t.Error("the name has passed on")
		}
	}, h1, h2)
}

// An app that is left out costs its hosts nothing: they may have no agent.
func TestLeftOutAppNeedsNoAgent(t *testing.T) {
	const nowhere = "10.0.0.9"
	for name, shaping := range map[string]desired.Shaping{
		"by its ID": {ExcludeApps: desired.Globs{"/out"}}, "by a label": {},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				x.config.Translation.Shaping = shaping
				out := appOn(nowhere, "/out", "o.1")
				out.Labels = map[string]string{"consul.register": "false"}
				x.marathon.apps = []marathon.App{appOn(h1, "/in", "i.1"), out}
				x.connect()
				for _, state := range []marathon.State{marathon.TaskRunning, marathon.TaskUnreachable, marathon.TaskRunning, marathon.TaskKilled} {
					task := taskOn(nowhere, "/out", "o.2")
					task.State = state
					x.tells(task)
					time.Sleep(time.Second)
				}
				x.wants(h1, "i.1")
				if n := x.log.count(nowhere); n > 0 || x.log.count(`"level":"warn"`) > 0 {
					x.Errorf("%d lines about its host", n)
				}
				if x.log.countBoth(`"message":"resync"`, `"apps":1,"tasks":1`) == 0 || x.log.countBoth(`"message":"resync"`, `"left_out":1`) == 0 {
					x.Error("the summary counts it, or does not say that it is left out")
				}
			}, h1)
		})
	}
}

// What of a left-out app is there, held back, goes with its task's end.
func TestEndOfWhatIsLeftOutAndHeldBack(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		tasks := ids("o", 12)
		x.marathon.apps = []marathon.App{appOn(h1, "/out", tasks...)}
		x.connect()
		x.wants(h1, tasks...)
		x.config.Translation.Shaping.ExcludeApps = desired.Globs{"/out"}
		x.connect()
		x.wants(h1, tasks...)
		ended := taskOn(h1, "/out", tasks[0])
		ended.State = marathon.TaskFinished
		x.tells(ended)
		time.Sleep(time.Second)
		x.wants(h1, tasks[1:]...)
	}, h1)
}

// Removals whose app takes long to answer count with all services of each task.
func TestSlowConfirmationsCountServices(t *testing.T) {
	omittedSlowly(t, withPorts(appOn(h1, "/m", ids("m", 14)...), 3), 58, func(x *fakeCluster) {
		time.Sleep(time.Minute)
		if n := len(x.agents[h1].deregistered()); n != 29 || x.log.count("71 of 100 services lost within a minute") != 1 {
			x.Errorf("%d services were removed, want the 29 that are lost", n)
		}
	})
}

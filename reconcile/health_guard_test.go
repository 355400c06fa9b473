package reconcile_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"consular/marathon"
	"consular/reconcile/desired"
)

// Which tasks count for the guard against a Marathon that finds them all dead.

// numbered are the IDs of n tasks.
func numbered(name string, n int) (tasks []string) {
	for i := range n {
		tasks = append(tasks, fmt.Sprint(name, i))
	}
	return tasks
}

// Tasks that never became healthy turn nobody away: when a few of those that were fail, they
// are critical at once.
func TestWhatStartsCriticalDoesNotCount(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		good, bad := numbered("good", 12), numbered("bad", 12)
		x.marathon.apps = []marathon.App{checkedApp(good...)}
		x.connect()
		for _, id := range bad {
			x.Event(marathon.TaskChanged{Meta: marathon.Meta{Type: "status_update_event", Time: time.Now()}, Task: taskOn(h1, "/web", id)})
		}
		x.marathon.set(func(m *fakeMarathon) {
			m.apps[0].Tasks = slices.Clone(m.apps[0].Tasks)
			for _, id := range bad {
				task := taskOn(h1, "/web", id)
				task.StagedAt = time.Now()
				task.HealthCheckResults = []marathon.HealthCheckResult{{LastFailure: time.Now().Add(15 * time.Second), LastFailureCause: "refused"}}
				m.apps[0].Tasks = append(m.apps[0].Tasks, task)
			}
		})
		time.Sleep(40 * time.Second)
		for _, id := range bad {
			x.saysOf(id, "critical")
		}
		for _, id := range good[:4] {
			x.turns(id, false)
			x.saysOf(id, "critical")
		}
		if n := x.log.count("held back"); n > 0 {
			t.Errorf("held back %d times", n)
		}
	}, h1)
}

// What Consul's agents check themselves, Marathon's verdict turns nowhere: it is neither held
// back, nor a reason to hold back others.
func TestWhatAgentsCheckDoesNotCount(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		probed, mirrored := checkedPorts(numbered("probed", 30)...), checkedApp(numbered("mirrored", 20)...)
		probed.ID, probed.Labels = "/probed", map[string]string{"consul.health": string(desired.HealthChecks)}
		probed.Definition.Labels = probed.Labels
		for i := range probed.Tasks {
			probed.Tasks[i].AppID = probed.ID
		}
		x.marathon.apps = []marathon.App{probed, mirrored}
		x.connect()
		time.Sleep(time.Second)
		for _, task := range probed.Tasks {
			x.Event(marathon.HealthStatusChanged{
				Meta: marathon.Meta{Type: "health_status_changed_event", Time: time.Now()}, AppID: "/probed", TaskID: task.ID, Version: "v1",
			})
		}
		time.Sleep(time.Second)
		if n := x.log.count("held back"); n > 0 {
			t.Errorf("held back %d times what agents check", n)
		}
		critical := 0
		for _, task := range mirrored.Tasks {
			x.turns(task.ID, false)
			if x.agents[h1].says(task.ID) == "critical" {
				critical++
			}
		}
		if critical != 10 {
			t.Errorf("%d of 20 that are mirrored are critical, want 10", critical)
		}
	}, h1)
}

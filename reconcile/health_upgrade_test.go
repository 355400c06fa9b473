package reconcile_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"consular/marathon"
)

// upgrade has Marathon replace the tasks of /web one by one, the next one when the last one
// is there: when it is healthy, if it has a check. It returns how often the app was read.
func (x *fakeCluster) upgrade(app marathon.App) (reads int) {
	checked := len(app.Definition.HealthChecks) > 0
	before := len(x.marathon.reads("/web"))
	old := app.Tasks
	app.Version, app.Tasks = "v2", nil
	show := func(remaining []marathon.Task) {
		now := app
		now.Tasks = append(slices.Clone(app.Tasks), remaining...)
		x.marathon.set(func(m *fakeMarathon) { m.apps = []marathon.App{now} })
	}
	show(old)
	x.Event(marathon.DeploymentPlanned{Version: "v2", Apps: []string{"/web"}})
	x.Event(marathon.GroupChanged{Version: "v2"})
	for i := range old {
		time.Sleep(time.Second)
		task := taskOn(h1, "/web", fmt.Sprintf("new-%03d", i))
		task.Version, task.StagedAt, task.StartedAt = "v2", time.Now(), time.Now()
		app.Tasks = append(app.Tasks, task)
		show(old[i:])
		x.tells(task)
		time.Sleep(5 * time.Second)
		if checked {
			app.Tasks[i].HealthCheckResults = []marathon.HealthCheckResult{{Alive: true, LastSuccess: time.Now()}}
			show(old[i:])
			x.Event(marathon.HealthStatusChanged{
				Meta: marathon.Meta{Type: "health_status_changed_event", Time: time.Now()}, AppID: "/web", TaskID: task.ID, Version: "v2", Alive: true,
			})
			time.Sleep(time.Second)
			x.saysOf(task.ID, "passing")
		}
		show(old[i+1:])
		gone := old[i]
		gone.State = marathon.TaskKilled
		x.tells(gone)
	}
	x.Event(marathon.DeploymentEnded{Version: "v2", Apps: []string{"/web"}})
	time.Sleep(time.Minute)
	return len(x.marathon.reads("/web")) - before
}

// A rolling upgrade of many tasks with one check each costs no more reads than one of tasks
// that have none.
func TestAnUpgradeWithOneCheckReadsNoMore(t *testing.T) {
	var ids []string
	for i := range 200 {
		ids = append(ids, fmt.Sprintf("old-%03d", i))
	}
	var reads []int
	for _, app := range []func(...string) marathon.App{
		func(tasks ...string) marathon.App { return appOn(h1, "/web", tasks...) }, checkedApp,
	} {
		inFakeCluster(t, func(x *fakeCluster) {
			mirror(x)
			x.marathon.apps = []marathon.App{app(ids...)}
			x.connect()
			reads = append(reads, x.upgrade(x.marathon.apps[0]))
			if have := x.agents[h1].tasks(); len(have) != len(ids) || have[0] != "new-000" {
				t.Errorf("%d tasks are there, from %v", len(have), have[:1])
			}
		}, h1)
	}
	t.Logf("%d reads without a check, %d with one", reads[0], reads[1])
	if reads[0] == 0 || reads[1] > reads[0] {
		t.Errorf("%d reads without a check, %d with one", reads[0], reads[1])
	}
}

package reconcile_test

import (
	"fmt"
	"testing"
	"time"

	"consular/marathon"
)

// What is being killed waits until its app was asked which others have become healthy. When so many
// apps are to be asked that a snapshot answers for them, that is an answer too: later nothing waits.
func TestKillsAwaitNothingAfterASnapshot(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		x.marathon.appTakes = 5 * time.Second
		task := func(app, n int) string { return fmt.Sprint(app, ".", n) }
		for i := range 70 {
			app := checkedApp(task(i, 1), task(i, 2), task(i, 3))
			app.ID = fmt.Sprint("/", i)
			app.Definition.HealthChecks = append(app.Definition.HealthChecks, app.Definition.HealthChecks[0])
			for j := range app.Tasks {
				app.Tasks[j].AppID = app.ID
				app.Tasks[j].HealthCheckResults = append(app.Tasks[j].HealthCheckResults, app.Tasks[j].HealthCheckResults[0])
			}
			x.marathon.apps = append(x.marathon.apps, app)
		}
		x.connect()
		kill := func() { // the first task of each
			var killed []marathon.Task
			x.marathon.set(func(m *fakeMarathon) {
				for i := range m.apps {
					dying := m.apps[i].Tasks[0]
					dying.State = marathon.TaskKilling
					killed, m.apps[i].Tasks = append(killed, dying), m.apps[i].Tasks[1:]
				}
			})
			for _, dying := range killed {
				x.tells(dying)
			}
		}
		for i := range 70 {
			x.Event(marathon.HealthStatusChanged{
				Meta:  marathon.Meta{Type: "health_status_changed_event", Time: time.Now()},
				AppID: fmt.Sprint("/", i), TaskID: task(i, 3), Version: "v1",
			})
		}
		kill()
		time.Sleep(time.Minute)
		kill()
		time.Sleep(500 * time.Millisecond)
		if n := len(x.agents[h1].tasks()); n != 70 {
			t.Errorf("%d services are left, want 70", n)
		}
	}, h1)
}

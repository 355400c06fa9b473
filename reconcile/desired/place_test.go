package desired

import (
	"slices"
	"testing"

	"consular/marathon"
)

// The end of a task names the services that go, and whether any are known to be: whether the
// task was known before or not.
func TestEndNamesTheServicesThatGo(t *testing.T) {
	for name, test := range map[string]struct {
		app   marathon.App
		ids   []string
		quiet bool
	}{
		"the task's own":             {app: called("/shop", "", "web")},
		"no port's":                  {app: called("/shop", "consul.port.first.register=false", "web")},
		"another port's":             {app: called("/shop", "consul.ports=web", "web"), ids: []string{"task-of-shop:web"}},
		"several":                    {app: called("/shop", "consul.ports=all", "web"), ids: []string{"task-of-shop", "task-of-shop:web"}},
		"of an app that is left out": {app: called("/shop", "consul.register=false"), quiet: true},
	} {
		for _, known := range []bool{true, false} {
			task, app := test.app.Tasks[0], test.app
			if !known {
				app.Tasks = nil
			}
			m := knowing(app)
			if _, tasks := m.Count(); tasks == 1 != (known && !test.quiet) {
				t.Errorf("%s: %d tasks run", name, tasks)
			}
			e := m.ApplyEvent(changed(in(marathon.TaskKilled, task)), start)
			if len(e.Tasks) != 1 || !slices.Equal(e.Tasks[0].IDs, test.ids) || e.Tasks[0].Quiet != test.quiet || e.Tasks[0].Services != max(1, len(test.ids)) {
				t.Errorf("%s, known %t: %+v, want %v", name, known, e.Tasks, test.ids)
			}
		}
	}
}

package desired

import (
	"testing"
	"time"

	"consular/marathon"
)

// Marathon calls a task unhealthy when its checks fail; not one that passes, is lost, has no
// checks, or is not there.
func TestWhoIsUnhealthy(t *testing.T) {
	with := func(result marathon.HealthCheckResult) marathon.Task {
		task := newTask("t1", "/a")
		task.StagedAt, task.HealthCheckResults = start.Add(-time.Hour), []marathon.HealthCheckResult{result}
		return task
	}
	alive := with(marathon.HealthCheckResult{Alive: true, LastSuccess: start})
	dead := with(marathon.HealthCheckResult{LastFailure: start, LastFailureCause: "refused"})
	for name, test := range map[string]struct {
		app       marathon.App
		then      []marathon.Event
		unhealthy bool
	}{
		"its check passes": {app: checkedApp(1, alive)},
		"its check fails":  {app: checkedApp(1, dead), unhealthy: true},
		"it is lost":       {app: checkedApp(1, dead), then: []marathon.Event{changed(in(marathon.TaskUnreachable, dead))}},
		"it has ended":     {app: checkedApp(1, dead), then: []marathon.Event{changed(in(marathon.TaskKilled, dead))}},
		"without checks":   {app: checkedApp(0, dead)},
	} {
		m := mirroring()
		m.ApplySnapshot(m.BeginRead(), marathonSnapshot(test.app), start, Alone)
		for _, e := range test.then {
			m.ApplyEvent(e, start)
		}
		if m.Unhealthy("t1") != test.unhealthy || m.Unhealthy("t2") {
			t.Errorf("%s: unhealthy %t, another one %t", name, m.Unhealthy("t1"), m.Unhealthy("t2"))
		}
		if checks := len(test.app.Definition.HealthChecks) > 0; m.HasChecks() != checks {
			t.Errorf("%s: has checks %t", name, m.HasChecks())
		}
	}
}

// Events about health are asked for unless neither the option nor any label may want them.
func TestEventsOfHealthThatAreAskedFor(t *testing.T) {
	few, all := len(marathon.EventTypes()), len(marathon.EventTypes())+len(marathon.HealthEventTypes())
	for _, test := range []struct {
		mode    HealthMode
		allegro bool
		want    int
	}{
		{"", false, all},
		{HealthNone, false, all},
		{HealthMirror, false, all},
		{"", true, few},
		{HealthNone, true, few},
		{HealthMirror, true, all},
		{HealthChecks, true, all},
	} {
		tr := testTranslation()
		tr.Health, tr.Shaping.Allegro = test.mode, test.allegro
		if got := len(tr.EventTypes()); got != test.want {
			t.Errorf("%q, allegro %t: %d types, want %d", test.mode, test.allegro, got, test.want)
		}
	}
}

// What readiness checks say is asked for with an app that has some and whose health is shown;
// with all apps only while such an app is being deployed.
func TestReadinessThatIsAskedFor(t *testing.T) {
	ready := func(id string, deployments ...string) marathon.App {
		app := newApp(id)
		app.Definition.ReadinessChecks, app.Deployments = make([]marathon.ReadinessCheck, 1), deployments
		return app
	}
	plain := newApp("/plain")
	plain.Deployments = []string{"d1"}
	deployed := checkedApp(1)
	deployed.Deployments = []string{"d1"}
	for name, test := range map[string]struct {
		mode     HealthMode
		apps     []marathon.App
		own, all bool
	}{
		"none":                    {HealthMirror, []marathon.App{plain}, false, false},
		"health checks alone":     {HealthMirror, []marathon.App{deployed}, false, false},
		"not deployed":            {HealthMirror, []marathon.App{plain, ready("/a")}, true, false},
		"deployed":                {HealthMirror, []marathon.App{plain, ready("/a", "d2")}, true, true},
		"its health is not shown": {HealthNone, []marathon.App{plain, ready("/a", "d2")}, false, false},
	} {
		tr := testTranslation()
		tr.Health = test.mode
		m := New(tr)
		m.ApplySnapshot(m.BeginRead(), marathonSnapshot(test.apps...), start, Alone)
		if own, all := m.AsksReadiness("/a"), m.AsksReadiness(""); own != test.own || all != test.all || m.AsksReadiness("/plain") || m.AsksReadiness("/unknown") {
			t.Errorf("%s: asks with the app %t, with all %t; want %t, %t", name, own, all, test.own, test.all)
		}
	}
}

package desired

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
)

// A verdict that differs from the one before is told once: as a recovery, or as one that has
// turned, which the guard counts. What is critical when it is first heard of has not turned.
func TestVerdictsThatTurn(t *testing.T) {
	for name, test := range map[string]struct {
		alive             []bool // answer by answer
		turned, recovered bool
	}{
		"healthy from the first":   {[]bool{true}, false, true},
		"healthy still":            {[]bool{true, true}, false, false},
		"unhealthy from the first": {[]bool{false}, false, false},
		"it turns":                 {[]bool{true, false}, true, false},
		"unhealthy still":          {[]bool{true, false, false}, true, false},
		"it recovers":              {[]bool{true, false, true}, false, true},
		"it has recovered before":  {[]bool{false, true, true}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := mirroring()
			m.ApplySnapshot(m.BeginRead(), marathonSnapshot(checkedApp(1)), start, Alone)
			var e Effects
			for _, alive := range test.alive {
				e = m.ApplyApp(m.BeginRead(), checkedApp(1, healthy(alive, 1, launched(1))), start)
			}
			w := m.Want(launched(1).ID, "")
			if w.Health.Turned != test.turned || e.Tasks[0].Recovered != test.recovered {
				t.Errorf("turned %t, recovered %t; want %t, %t", w.Health.Turned, e.Tasks[0].Recovered, test.turned, test.recovered)
			}
		})
	}
}

// A task that was critical because it started, and whose first verdict is that it fails, has not
// turned; one that passed, for Marathon was silent for longer than that, has.
func TestWhatStartsCriticalHasNotTurned(t *testing.T) {
	for name, test := range map[string]struct {
		silent time.Duration // since its launch, until Marathon is asked for the last time before
		turned bool
	}{"it starts": {44 * time.Second, false}, "it has passed in the meantime": {45 * time.Second, true}} {
		m := mirroring()
		task := newTask("t1", "/a")
		task.StagedAt = start
		m.ApplySnapshot(m.BeginRead(), marathonSnapshot(checkedApp(1, task)), start.Add(test.silent), Alone)
		task.HealthCheckResults = []marathon.HealthCheckResult{{LastFailure: start.Add(46 * time.Second)}}
		m.ApplyApp(m.BeginRead(), checkedApp(1, task), start.Add(46*time.Second))
		if h := m.Want("t1", "").Health; h.Turned != test.turned || h.Status != consul.Critical {
			t.Errorf("%s: turned %t, status %q", name, h.Turned, h.Status)
		}
	}
}

// Readiness checks hold back only what a deployment brings and has never been fit for
// requests; answers that do not tell of deployments end none.
func TestWhoWaitsForReadiness(t *testing.T) {
	const none, some, untold = "none", "some", "untold"
	type answer struct {
		deployments string
		alive       bool
	}
	for name, test := range map[string]struct {
		answers []answer
		unready bool
	}{
		"deployed":                           {[]answer{{some, true}}, true},
		"and then it is not told":            {[]answer{{some, true}, {untold, true}}, true},
		"the deployment is over":             {[]answer{{some, true}, {none, true}}, false},
		"never told of a deployment":         {[]answer{{untold, true}}, false},
		"it was fit before the deployment":   {[]answer{{none, true}, {some, true}}, false},
		"it was unhealthy before":            {[]answer{{none, false}, {some, false}}, true},
		"unhealthy while it is deployed":     {[]answer{{some, false}, {some, false}}, true},
		"it was fit, and unhealthy since":    {[]answer{{none, true}, {none, false}, {some, false}}, false},
		"healthy, but not ready, until then": {[]answer{{some, true}, {some, true}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := mirroring()
			for _, a := range test.answers {
				app := checkedApp(1, healthy(a.alive, 1, launched(1)))
				app.Definition.ReadinessChecks = []marathon.ReadinessCheck{{Name: "ready", Interval: time.Second}}
				app.Deployments = map[string][]string{none: {}, some: {"d"}, untold: nil}[a.deployments]
				m.ApplySnapshot(m.BeginRead(), marathonSnapshot(app), start, Alone)
			}
			h := m.Want(launched(1).ID, "").Health
			if h.Unready != test.unready || h.Window != 15*time.Second {
				t.Errorf("it waits: %t, want %t; its checks take %v", h.Unready, test.unready, h.Window)
			}
		})
	}
}

// The results of a task whose definition is not known wait until it is; without results
// nothing is remembered.
func TestResultsWaitForTheirDefinition(t *testing.T) {
	for name, test := range map[string]struct {
		task       marathon.Task
		remembered int
		status     consul.Status
	}{
		"with results":    {healthy(false, 1, launched(1)), 1, consul.Critical},
		"without results": {launched(1), 0, ""},
	} {
		m := mirroring()
		test.task.Version = "v0"
		m.ApplySnapshot(m.BeginRead(), marathonSnapshot(checkedApp(1, test.task)), start, Alone)
		if n := len(m.instances); n != test.remembered {
			t.Errorf("%s: %d instances are remembered, want %d", name, n, test.remembered)
		}
		m.ApplyDefinition(Version{"/a", "v0"}, checkedApp(1).Definition, false)
		if status := m.Want(test.task.ID, "").Health.Status; status != test.status {
			t.Errorf("%s: %q when the definition is known, want %q", name, status, test.status)
		}
	}
}

// A failure says which check fails, why, and since when, and nothing that is not known.
func TestWhatPeopleReadOfAFailure(t *testing.T) {
	failed := marathon.HealthCheckResult{LastFailure: start, LastFailureCause: "refused"}
	untold, once := failed, failed
	untold.LastFailureCause = ""
	once.LastSuccess = start.Add(-time.Minute)
	alive := marathon.HealthCheckResult{Alive: true, LastSuccess: start}
	for want, test := range map[string]struct {
		checks  []marathon.HealthCheck
		results []marathon.HealthCheckResult
	}{
		"Marathon's HTTP check /x fails: refused; it has not succeeded yet": {
			[]marathon.HealthCheck{{Protocol: marathon.HealthHTTP, Path: "/x"}}, []marathon.HealthCheckResult{failed},
		},
		"Marathon's TCP check fails: no cause told; it has not succeeded yet": {
			[]marathon.HealthCheck{{Protocol: marathon.HealthTCP}}, []marathon.HealthCheckResult{untold},
		},
		"Marathon's TCP check fails: refused; it last succeeded at 2026-11-22T15:59:00Z": {
			[]marathon.HealthCheck{{Protocol: marathon.HealthHTTP, Path: "/x"}, {Protocol: marathon.HealthTCP}}, []marathon.HealthCheckResult{alive, once},
		},
		"Marathon's health check fails: refused; it has not succeeded yet": {
			[]marathon.HealthCheck{{Protocol: marathon.HealthHTTP}, {Protocol: marathon.HealthTCP}}, []marathon.HealthCheckResult{failed},
		},
	} {
		app := newApp("/a", newTask("t1", "/a"))
		app.Tasks[0].StagedAt, app.Tasks[0].HealthCheckResults = start.Add(-time.Hour), test.results
		app.Definition.HealthChecks = test.checks
		m := mirroring()
		m.ApplySnapshot(m.BeginRead(), marathonSnapshot(app), start, Alone)
		if output := m.Want("t1", "").Health.Output; output != want {
			t.Errorf("%q, want %q", output, want)
		}
	}
}

// What a check that an agent makes begins with: what ours said before, the worst of several
// with its text; and else what we would say.
func TestWhatChecksBeginWith(t *testing.T) {
	check := func(status consul.Status, output string) consul.Check {
		return consul.Check{Status: status, Output: output}
	}
	for name, test := range map[string]struct {
		health Health
		have   []consul.Check
		status consul.Status
		output string
	}{
		"none, and it starts":       {Health{Starting: true}, nil, consul.Critical, waitText},
		"none, and it is silent":    {Health{}, nil, consul.Passing, silentText},
		"none, and it is unhealthy": {Health{Status: consul.Critical, Output: "dead"}, nil, consul.Critical, "dead"},
		"one that warns":            {Health{}, []consul.Check{check(consul.Warning, "w")}, consul.Warning, "w"},
		"one that starts":           {Health{Starting: true}, []consul.Check{{Status: consul.Critical, Output: "Capt", Wrote: waitText}}, consul.Critical, waitText},
		"the worst is first":        {Health{}, []consul.Check{check(consul.Critical, "c"), check(consul.Warning, "w"), check(consul.Passing, "p")}, consul.Critical, "c"},
		"the worst is last":         {Health{}, []consul.Check{check(consul.Passing, "p"), check(consul.Warning, "w"), check(consul.Critical, "c")}, consul.Critical, "c"},
		"two are as bad":            {Health{}, []consul.Check{check(consul.Critical, "first"), check(consul.Critical, "second")}, consul.Critical, "first"},
	} {
		status, output := test.health.Says(test.have)
		if initial := test.health.Initial(test.have); initial != test.status || status != test.status || output != test.output || len(test.have) > 0 && Sum(test.have) != test.status {
			t.Errorf("%s: begins with %q, says %q (%s), want %q (%s)", name, initial, status, output, test.status, test.output)
		}
	}
	if status, _ := (Health{}).Says([]consul.Check{{Status: consul.Critical, Wrote: waitText}}); status != consul.Passing {
		t.Errorf("on an agent that throws texts away, what has started long ago is %q", status)
	}
	kept := Health{Status: consul.Passing}
	if initial := kept.Initial([]consul.Check{check(consul.Critical, "")}); initial != consul.Critical {
		t.Errorf("what our former check said is lost: %q", initial)
	}
}

// Which tasks have checks, and which of them Marathon calls unhealthy, by the mode that the
// option and the app's label give.
func TestModesOfHealth(t *testing.T) {
	for name, test := range map[string]struct {
		option HealthMode
		label  string
		state  marathon.State
		mode   HealthMode
		// checked is that it has checks, sick that they say what Marathon does.
		checked, sick bool
	}{
		"mirror":                   {HealthMirror, "", marathon.TaskRunning, HealthMirror, true, true},
		"checks":                   {HealthChecks, "", marathon.TaskRunning, HealthChecks, true, true},
		"none":                     {HealthNone, "", marathon.TaskRunning, HealthNone, false, false},
		"none by label":            {HealthMirror, " none ", marathon.TaskRunning, HealthNone, false, false},
		"checks by label":          {HealthNone, "checks", marathon.TaskRunning, HealthChecks, true, true},
		"a bad label":              {HealthMirror, "sometimes", marathon.TaskRunning, HealthMirror, true, true},
		"a bad label and none":     {HealthNone, "sometimes", marathon.TaskRunning, HealthNone, false, false},
		"mirror, but it has ended": {HealthMirror, "", marathon.TaskFailed, "", false, false},
	} {
		tr := testTranslation()
		tr.Health = test.option
		m := New(tr)
		app := checkedApp(1, healthy(false, 1, in(test.state, newTask("t1", "/a"))))
		app.Tasks[0].StagedAt = start.Add(-time.Hour)
		if test.label != "" {
			app.Definition.Labels = map[string]string{"consul.health": test.label}
		}
		m.ApplySnapshot(m.BeginRead(), marathonSnapshot(app), start, Alone)
		w := m.Want("t1", "/a")
		if w.Health.Mode != test.mode || w.Checked() != test.checked || w.Health.Sick() != test.sick {
			t.Errorf("%s: %q, checked %t, sick %t; want %q, %t, %t", name, w.Health.Mode, w.Checked(), w.Health.Sick(), test.mode, test.checked, test.sick)
		}
		said := strings.Contains(fmt.Sprint(m.Troubles()), "sometimes")
		if said != (test.label == "sometimes") {
			t.Errorf("%s: a bad label is told of: %t", name, said)
		}
	}
	var unknown Want
	unknown.Verdict = Present
	unknown.Health.Status = consul.Critical
	if unknown.Checked() || unknown.Health.Sick() {
		t.Errorf("without a mode there are no checks: %t, %t", unknown.Checked(), unknown.Health.Sick())
	}
}

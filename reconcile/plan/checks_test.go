package plan

import (
	"strings"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

// checkedCluster is a model whose only task has been healthy for an hour, or fails.
func checkedCluster(mode desired.HealthMode, alive bool) *desired.Model {
	tr := testTranslation()
	tr.Health = mode
	app := newApp("/a", newTask("t1", "/a"))
	app.Definition.HealthChecks = []marathon.HealthCheck{{Protocol: marathon.HealthHTTP, Path: "/health", Interval: time.Minute, Timeout: 5 * time.Second}}
	app.Tasks[0].StagedAt = start.Add(-time.Hour)
	app.Tasks[0].HealthCheckResults = []marathon.HealthCheckResult{{Alive: alive, LastSuccess: start, LastFailure: start, LastFailureCause: "refused"}}
	m := desired.New(tr)
	m.ApplySnapshot(m.BeginRead(), marathon.Snapshot{Apps: []marathon.App{app}}, start, desired.Alone)
	return m
}

// What of checks has drifted, and in which order it is mended.
func TestPlanFindsDriftOfChecks(t *testing.T) {
	const failing = "Marathon's HTTP check /health fails: refused; it last succeeded at 2026-11-22T16:00:00Z"
	mirrored := func(status consul.Status, wrote string) consul.Check {
		c := checkedCluster(desired.HealthMirror, true).Want("t1", "").Services[0].Checks[0]
		c.Status, c.Output, c.Wrote = status, "what the agent has made of it", wrote
		return c
	}
	probed := checkedCluster(desired.HealthChecks, true).Want("t1", "").Services[0].Checks[0]
	probed.Status = consul.Passing
	other := probed
	other.Notes = "GET http://agent-1.test:1/"
	for name, test := range map[string]struct {
		mode  desired.HealthMode
		fails bool
		have  []consul.Check
		want  string
	}{
		"in sync":                    {have: []consul.Check{mirrored(consul.Passing, "")}},
		"not asked for":              {have: nil},
		"missing":                    {have: []consul.Check{}, want: "register-check t1: check missing: t1:marathon; status -→passing"},
		"missing, and unhealthy":     {fails: true, have: []consul.Check{}, want: "register-check t1: check missing: t1:marathon; status -→critical"},
		"an agent has restarted":     {have: []consul.Check{mirrored(consul.Critical, "")}, want: "update-check t1: status critical→passing"},
		"it has become unhealthy":    {fails: true, have: []consul.Check{mirrored(consul.Passing, "")}, want: "update-check t1: status passing→critical"},
		"unhealthy as before":        {fails: true, have: []consul.Check{mirrored(consul.Critical, failing)}},
		"unhealthy in another way":   {fails: true, have: []consul.Check{mirrored(consul.Critical, "timeout")}, want: "update-check t1: output of the check"},
		"to checks":                  {mode: desired.HealthChecks, have: []consul.Check{mirrored(consul.Passing, "")}, want: "register-check t1: check missing: t1:marathon-0; status passing→passing\nderegister-check t1: check extra: t1:marathon"},
		"checks, in sync":            {mode: desired.HealthChecks, have: []consul.Check{probed}},
		"checks, another address":    {mode: desired.HealthChecks, have: []consul.Check{other}, want: "register-check t1: check t1:marathon-0: " + other.Notes + "→" + probed.Notes},
		"checks, found out critical": {mode: desired.HealthChecks, have: []consul.Check{{ID: probed.ID, Notes: probed.Notes, Status: consul.Critical}}},
		"to none":                    {mode: desired.HealthNone, have: []consul.Check{mirrored(consul.Critical, "")}, want: "deregister-check t1: check extra: t1:marathon"},
	} {
		mode := test.mode
		if mode == "" {
			mode = desired.HealthMirror
		}
		m := checkedCluster(mode, !test.fails)
		s := m.Want("t1", "").Services[0]
		s.Checks = test.have
		p := Make(m, Actual{Agents: []Agent{agentOn("agent-1.test", s)}, Keys: []consul.Key{keyOf("a", "role", "web")}}, desired.Alone)
		if got := strings.ReplaceAll(lines(p), " agent-1.test:8500", ""); got != test.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, test.want)
		}
		if text := table(t, p, false); strings.Contains(text, "checks are added") != strings.HasPrefix(test.want, "register-check") {
			t.Errorf("%s: the table does not say how many are added:\n%s", name, text)
		}
	}
}

// A check that is replaced stays as long as the one in its place is held back: a service
// without any would be passing.
func TestAnOldCheckStaysWhileTheNewOneIsHeldBack(t *testing.T) {
	s := consul.Service{ID: "t1", Name: "a", Checks: []consul.Check{{ID: "t1:marathon"}}}
	have := s
	have.Checks = []consul.Check{{ID: "t1:marathon-0", Status: consul.Passing}}
	w := desired.Want{
		Verdict: desired.Present, Task: "t1", Services: []consul.Service{s},
		Health: desired.Health{Mode: desired.HealthMirror, Status: consul.Critical},
	}
	decided := Decide(w, []consul.Service{have}, func(consul.Service) bool { return true }, func(string) Standing { return Home })
	if len(decided) != 2 || decided[0].Op != RegisterCheck || decided[1].Op != DeregisterCheck {
		t.Fatalf("%+v", decided)
	}
	for _, d := range decided {
		if d.Grounds != desired.Unhealthy {
			t.Errorf("%s on the grounds %q", d.Op, d.Grounds)
		}
	}
}

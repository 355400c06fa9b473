package marathon

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every task of every recorded answer, of Marathon 0.11 to 1.11, has the times
// and results that its JSON has, read here without the package's help.
func TestHealthAsRecorded(t *testing.T) {
	results := 0
	for _, path := range append(fixtures(t, "rest", ".json"), fixtures(t, "live", ".json")...) {
		text := fixture(t, path)
		if !isAboutApps(string(text)) || strings.Contains(path, "taskstats") || strings.Contains(path, "no-embed") || strings.HasSuffix(path, "app_list.json") {
			continue
		}
		var answer struct {
			App  map[string]any
			Apps []map[string]any
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatal(err)
		}
		if answer.App != nil {
			answer.Apps = append(answer.Apps, answer.App)
		}
		for i, app := range readFixture(t, path) {
			tasks, _ := answer.Apps[i]["tasks"].([]any)
			if len(app.Problems)+len(app.Definition.Problems) > 0 || len(tasks) != len(app.Tasks) {
				t.Errorf("%s: %d tasks of %d, problems %q and %q", path, len(app.Tasks), len(tasks), app.Problems, app.Definition.Problems)
			}
			for k, task := range app.Tasks {
				want := healthOf(tasks[k])
				results += len(want)
				if got := healthTold(task); !slices.Equal(got, want) {
					t.Errorf("%s: task %s:\n got  %q\n want %q", path, task.ID, got, want)
				}
			}
		}
	}
	if results < 200 {
		t.Errorf("%d lines were compared, want some hundreds", results)
	}
}

// healthOf tells a task's times and results, one line each, from its JSON.
func healthOf(task any) []string {
	fields, _ := task.(map[string]any)
	lines := []string{fmt.Sprint(fields["stagedAt"], " ", fields["startedAt"])}
	list, _ := fields["healthCheckResults"].([]any)
	for _, r := range list {
		result, _ := r.(map[string]any)
		if result["lastFailureCause"] == "" {
			result["lastFailureCause"] = nil // of checks by Mesos
		}
		lines = append(lines, fmt.Sprint(result["alive"], " ", result["consecutiveFailures"], " ",
			result["lastSuccess"], " ", result["lastFailure"], " ", result["lastFailureCause"]))
	}
	return lines
}

func healthTold(task Task) []string {
	text := func(t time.Time) any {
		if t.IsZero() {
			return nil
		}
		return t.Format("2006-01-02T15:04:05.000Z")
	}
	lines := []string{fmt.Sprint(text(task.StagedAt), " ", text(task.StartedAt))}
	for _, r := range task.HealthCheckResults {
		var cause any
		if r.LastFailureCause != "" {
			cause = r.LastFailureCause
		}
		lines = append(lines, fmt.Sprint(r.Alive, " ", r.ConsecutiveFailures, " ", text(r.LastSuccess), " ", text(r.LastFailure), " ", cause))
	}
	return lines
}

func TestHealthChecksAsRecorded(t *testing.T) {
	const s = time.Second
	for file, want := range map[string][]HealthCheck{
		"rest/app-0.11.json": {
			{Protocol: HealthHTTP, Path: "/", GracePeriod: 10 * s, Interval: 5 * s, Timeout: 10 * s, Delay: 15 * s, MaxConsecutiveFailures: 3},
			{Protocol: HealthHTTP, Path: "/custom", Port: 8123, GracePeriod: 10 * s, Interval: 5 * s, Timeout: 10 * s, Delay: 15 * s, MaxConsecutiveFailures: 3},
		},
		"rest/app-1.7-mesos-http-check.json": {
			{Protocol: HealthMesosHTTP, Path: "/", PortIndex: 2, GracePeriod: 5 * s, Interval: 60 * s, Timeout: 10 * s, Delay: 15 * s, MaxConsecutiveFailures: 3},
		},
		"live/next/health-tcp-app-failed.json": {
			{Protocol: HealthTCP, PortIndex: 1, GracePeriod: 3 * s, Interval: 2 * s, Timeout: s, Delay: 15 * s},
		},
		"live/next/health-two-mesos-app.json": {
			{Protocol: HealthMesosHTTP, Path: "/h", GracePeriod: 60 * s, Interval: 2 * s, Timeout: s, Delay: 15 * s, MaxConsecutiveFailures: 2},
			{Protocol: HealthCommand, GracePeriod: 60 * s, Interval: 2 * s, Timeout: s, Delay: 15 * s, MaxConsecutiveFailures: 2},
		},
		"live/next/check-app-503.json": nil, // `check` is no health check
	} {
		app := readFixture(t, file)[0]
		if got := app.Definition.HealthChecks; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got  %+v\nwant %+v", file, got, want)
		}
	}
	// The same check given twice is stored once.
	if n := len(readFixture(t, "live/next/health-same-twice-app.json")[0].Definition.HealthChecks); n != 1 {
		t.Errorf("%d checks, want 1", n)
	}
}

func TestReadinessAsRecorded(t *testing.T) {
	const first, second = "ready_web.instance-71b1aca5-eadc-11f1-84db-02fc00000001._app.1", "ready_web.instance-71b1aca6-eadc-11f1-84db-02fc00000001._app.1"
	for file, want := range map[string]struct {
		deployments int
		results     []ReadinessCheckResult
	}{
		"readiness-apps-embed-starting.json":        {1, []ReadinessCheckResult{}},
		"readiness-apps-embed-nothing-listens.json": {1, []ReadinessCheckResult{}},
		"readiness-apps-embed-first-answers-503.json": {1, []ReadinessCheckResult{
			{"ready", first, false}, {"ready", second, false},
		}},
		"readiness-apps-embed-first-ready.json": {1, []ReadinessCheckResult{
			{"ready", first, true}, {"ready", second, false},
		}},
		"readiness-apps-embed-upgrade-first-new-not-ready.json": {1, []ReadinessCheckResult{
			{"ready", "ready_web.instance-79aef667-eadc-11f1-84db-02fc00000001._app.1", false},
		}},
		"readiness-apps-embed-done.json":   {0, []ReadinessCheckResult{}},
		"readiness-app-first-ready.json":   {1, nil}, // asked for without embed
		"health-http-apps-in-grace.json":   {1, nil},
		"health-http-app-failed-once.json": {0, nil},
	} {
		app := readFixture(t, "live/next/"+file)[0]
		if got := app.ReadinessCheckResults; !reflect.DeepEqual(got, want.results) {
			t.Errorf("%s: results are %#v, want %#v", file, got, want.results)
		}
		if app.Deployments == nil || len(app.Deployments) != want.deployments {
			t.Errorf("%s: deployments are %#v, want %d", file, app.Deployments, want.deployments)
		}
		checks := []ReadinessCheck{{Name: "ready", Interval: 2 * time.Second}}
		if strings.HasPrefix(file, "readiness") && !slices.Equal(app.Definition.ReadinessChecks, checks) {
			t.Errorf("%s: checks are %+v, want %+v", file, app.Definition.ReadinessChecks, checks)
		}
	}
	for _, app := range readFixture(t, "rest/apps-1.9-all-network-modes.json") {
		if app.Deployments == nil {
			t.Errorf("%s: the answer tells of no deployments", app.ID)
		}
	}
}

// What is not understood of an app's health is left out and named. The app is
// there, and so are its tasks: no registration is lost for it.
func TestProblemsOfHealth(t *testing.T) {
	unknown := HealthCheck{
		GracePeriod: 300 * time.Second, Interval: 60 * time.Second, Timeout: 20 * time.Second, Delay: 15 * time.Second, MaxConsecutiveFailures: 3,
	}
	tcp := unknown
	tcp.Protocol = HealthTCP
	future := tcp
	future.Protocol, future.PortIndex = "GRPC", 9
	for _, test := range []struct {
		fields   string
		checks   []HealthCheck
		results  []HealthCheckResult
		problems []string
	}{
		{fields: `"healthChecks":[{"protocol":"TCP"},{"protocol":"GRPC","portIndex":9}]`, checks: []HealthCheck{tcp, future}},
		{fields: `"healthChecks":null`},
		{
			fields: `"healthChecks":[{"protocol":"TCP"},{"intervalSeconds":-1}]`, checks: []HealthCheck{tcp, unknown},
			problems: []string{"health check 1: field intervalSeconds: -1 is no number of seconds; left out"},
		},
		{
			fields: `"healthChecks":[{"protocol":"TCP","port":70000},{"protocol":"TCP","gracePeriodSeconds":9223372036854775807}]`, checks: []HealthCheck{unknown, unknown},
			problems: []string{
				"health check 0: field port: 70000 is no port; left out",
				"health check 1: field gracePeriodSeconds: 9223372036854775807 is no number of seconds; left out",
			},
		},
		{
			fields: `"healthChecks":[{"protocol":"TCP"},{"timeoutSeconds":"5"},7]`, checks: []HealthCheck{unknown, unknown, unknown},
			problems: []string{"field healthChecks: field timeoutSeconds: unexpected string; left out"},
		},
		{fields: `"healthChecks":"none"`, checks: []HealthCheck{unknown}, problems: []string{"field healthChecks: unexpected string; left out"}},
		{fields: `"healthChecks":{}`, checks: []HealthCheck{unknown}, problems: []string{"field healthChecks: unexpected object; left out"}},
		{fields: `"deployments":{}`, problems: []string{"field deployments: unexpected object"}},
		{fields: `"portDefinitions":[{"labels":[],"protocol":{}}]`, problems: []string{"port 0: field protocol: unexpected object; left out", "port 0: field labels: unexpected array; left out"}},
		{
			fields:   `"readinessChecks":[{"intervalSeconds":-1}],"readinessCheckResults":[5],"deployments":{"id":"x"}`,
			problems: []string{"readiness check 0: field intervalSeconds: -1 is no number of seconds; left out", "field deployments: unexpected object", "field readinessCheckResults: unexpected number"},
		},
		{
			fields:  `"tasks":[{"id":"a.1","healthCheckResults":[{"alive":false},{"alive":true,"lastSuccess":"yesterday","lastFailure":7,"consecutiveFailures":2}]}]`,
			results: []HealthCheckResult{{}, {Alive: true, ConsecutiveFailures: 2}},
		},
		{
			fields:   `"tasks":[{"id":"a.1","healthCheckResults":[{"alive":true},{"lastSuccess":"2026-11-28T03:30:57.788Z"}]}]`,
			problems: []string{"task a.1: field healthCheckResults: field alive: missing or empty"},
		},
		{
			fields:   `"tasks":[{"id":"a.1","healthCheckResults":[{"alive":"yes"}],"stagedAt":[1],"startedAt":{}}]`,
			problems: []string{"task a.1: field healthCheckResults: field alive: unexpected string"},
		},
	} {
		if !strings.Contains(test.fields, `"tasks"`) {
			test.fields += `,"tasks":[{"id":"a.1"}]`
		}
		snapshot, err := ReadSnapshot(strings.NewReader(`{"apps":[{"id":"/a",` + test.fields + `},{"id":"/b","tasks":[]}]}`))
		if err != nil || len(snapshot.Apps) != 2 {
			t.Errorf("%s: %+v, %v", test.fields, snapshot, err)
			continue
		}
		app := snapshot.Apps[0]
		if !reflect.DeepEqual(app.Definition.HealthChecks, test.checks) {
			t.Errorf("%s: checks are %+v, want %+v", test.fields, app.Definition.HealthChecks, test.checks)
		}
		if len(app.Tasks) != 1 || !reflect.DeepEqual(app.Tasks[0].HealthCheckResults, test.results) {
			t.Errorf("%s: tasks are %+v", test.fields, app.Tasks)
		}
		if got := slices.Concat(app.Definition.Problems, app.Problems); !slices.Equal(got, test.problems) {
			t.Errorf("%s: problems are %q, want %q", test.fields, got, test.problems)
		}
	}
}

func TestLongFailureCauseIsCut(t *testing.T) {
	cause := strings.Repeat("é", 3000) + "!"
	snapshot, err := ReadSnapshot(strings.NewReader(`{"apps":[{"id":"/a","tasks":[{"id":"a.1","healthCheckResults":[{"alive":false,"lastFailureCause":"x` + cause + `"}]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got := snapshot.Apps[0].Tasks[0].HealthCheckResults[0].LastFailureCause
	if want := "x" + strings.Repeat("é", 2047); got != want {
		t.Errorf("%d bytes are kept, want %d", len(got), len(want))
	}
}

// However much is not understood of an app, the log can tell of it.
func TestProblemsAreBounded(t *testing.T) {
	snapshot, err := ReadSnapshot(strings.NewReader(`{"apps":[{"id":"/a",
		"portDefinitions":[` + numbered(30, `{"labels":#}`) + `],"tasks":[` + numbered(30, `{"id":"a.#`+strings.Repeat("x", 1000)+`","healthCheckResults":1}`) + `]}]}`))
	if err != nil || len(snapshot.Apps) != 1 {
		t.Fatalf("%+v, %v", snapshot, err)
	}
	for _, problems := range [][]string{snapshot.Apps[0].Problems, snapshot.Apps[0].Definition.Problems} {
		if len(problems) != maxProblems+1 || problems[maxProblems] != "and more" || len(problems[0]) > 300 {
			t.Errorf("problems are %q", problems)
		}
	}
}

package simulator_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"consular/marathon"
	"consular/marathon/simulator"
)

// What was recorded of health is played again: what each publisher told must be
// the same, as in TestScenesAsRecorded, with the same keys, and at each moment
// whose answer was recorded REST must show the same.
func TestHealthScenesAsRecorded(t *testing.T) {
	for _, s := range healthScenes() {
		t.Run(s.name, func(t *testing.T) {
			events := recorded(t, "next/"+s.name)
			want := accountOf(events)
			for seed := range uint64(5) {
				synctest.Test(t, func(t *testing.T) {
					m := simulator.New(simulator.Config{TaskKilling: true, Seed: seed, Shuffle: seed > 0})
					client := serveByPipe(t, m)
					l := listenBy(t, client, "http://marathon.test")
					s.during(onlooker{actor{m, t}, func(file string) { compareMoment(t, client, file) }})
					m.CloseStreams()
					heard := l.rest(t)
					for _, difference := range accountOf(heard).diff(want) {
						t.Errorf("seed %d: %s", seed, difference)
					}
					got := shapes(heard)
					for name, set := range shapes(events) {
						if !strings.HasPrefix(name, "event_stream") && name != "api_post_event" && !slices.Equal(got[name], set) {
							t.Errorf("%s has keys\n     %q\nwant %q", name, got[name], set)
						}
					}
				})
			}
		})
	}
}

// compareMoment compares the app of a recorded answer with what REST shows of it.
func compareMoment(t *testing.T, client *http.Client, file string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(live, "next", file+".json"))
	must(t, err)
	want := appIn(t, raw)
	// A list embeds, an answer about one app that was recorded with embed shows it.
	query := ""
	if _, embedded := want["readinessCheckResults"]; embedded {
		query = "?embed=app.readiness"
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://marathon.test/v2/apps"+want["id"].(string)+query, nil)
	must(t, err)
	response, err := client.Do(request)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	got := appIn(t, body)
	if g, w := momentOf(got), momentOf(want); g != w {
		t.Errorf("%s:\n got  %s\n want %s", file, g, w)
	}
	// Some were recorded with more embedded, in lists, or with ports without names.
	incidental := regexp.MustCompile(`^\.(lastTaskFailure|tasksStats|portDefinitions\[\]\.name)`)
	essential := func(app map[string]any) []string { return slices.DeleteFunc(keys(app), incidental.MatchString) }
	if g, w := essential(got), essential(want); !slices.Equal(g, w) {
		t.Errorf("%s: keys\n got  %s\n want %s", file, g, w)
	}
}

func appIn(t *testing.T, answer []byte) map[string]any {
	t.Helper()
	var a struct {
		App  map[string]any
		Apps []map[string]any
	}
	must(t, json.Unmarshal(answer, &a))
	if a.App == nil {
		return a.Apps[0]
	}
	return a.App
}

// momentOf tells what an app shows of health, IDs and times left out.
func momentOf(app map[string]any) string {
	var tasks []string
	for _, t := range app["tasks"].([]any) {
		task := t.(map[string]any)
		line := fmt.Sprint(task["state"])
		for _, r := range task["healthCheckResults"].([]any) {
			result := r.(map[string]any)
			line += fmt.Sprint("; ", result["alive"], result["consecutiveFailures"], result["firstSuccess"] != nil,
				result["lastSuccess"] != nil, result["lastFailure"] != nil, result["lastFailureCause"] != nil)
		}
		tasks = append(tasks, line)
	}
	slices.Sort(tasks)
	var ready []any
	results, _ := app["readinessCheckResults"].([]any)
	for _, r := range results {
		ready = append(ready, r.(map[string]any)["ready"])
	}
	return fmt.Sprint(app["tasksRunning"], app["tasksHealthy"], app["tasksUnhealthy"], len(app["deployments"].([]any)), ready, tasks)
}

// In the task era a result is a task's: a new one begins with none, and events
// name tasks.
func TestHealthOfTheTaskEra(t *testing.T) {
	for _, version := range []string{"", "0.11.1"} {
		m := simulator.New(simulator.Config{TaskEra: true, Version: version})
		url := serve(t, m)
		app := onePort("/a", probed("HTTP", 1))
		app.HealthChecks[0].GracePeriod = 0
		l := listen(t, url)
		must(t, m.Create(app))
		if results := snapshotOf(t, url)["/a"].Tasks[0].HealthCheckResults; results != nil {
			t.Errorf("%q: before any probe results are %+v", version, results)
		}
		task := m.Tasks("/a")[0].ID
		m.Probe()
		must(t, m.Break(task))
		m.Probe()
		read := snapshotOf(t, url)["/a"].Tasks[0]
		if r := read.HealthCheckResults; len(r) != 1 || r[0].Alive || !r[0].LastSuccess.After(read.StagedAt) || r[0].LastFailureCause != "500 Internal Server Error" {
			t.Errorf("%q: results are %+v", version, r)
		}
		m.Probe() // one failure more than it may have
		if after := snapshotOf(t, url)["/a"].Tasks; len(after) != 1 || after[0].ID == task || after[0].HealthCheckResults != nil {
			t.Errorf("%q: after the kill there is %+v", version, after)
		}
		m.CloseStreams()
		var told []string
		for _, h := range l.rest(t) {
			event, err := marathon.Decode(h.name, []byte(h.raw))
			must(t, err)
			if e, ok := event.(marathon.HealthStatusChanged); ok {
				told = append(told, fmt.Sprintf("%s %v %s %v", e.AppID, e.TaskID == task, e.InstanceID, e.Alive))
			}
			if strings.HasPrefix(h.name, "instance_") || h.name == "unhealthy_instance_kill_event" {
				t.Errorf("%q: heard %s", version, h.name)
			}
			if h.name == "status_update_event" && version != "" && h.data["taskStatus"] != "TASK_RUNNING" && h.data["taskStatus"] != "TASK_KILLED" {
				t.Errorf("%q: heard %s", version, h.raw)
			}
		}
		if want := []string{"/a true  true", "/a true  false"}; !slices.Equal(told, want) {
			t.Errorf("%q: told %q, want %q", version, told, want)
		}
	}
}

// What curl does not name stays: checks, host ports, persistent volumes.
func TestWritingKeepsChecks(t *testing.T) {
	m := simulator.New(simulator.Config{})
	url := serve(t, m)
	for _, app := range []simulator.App{
		{
			ID: "/a", Instances: 1, Network: simulator.Bridge, Ports: []simulator.Port{{Name: "http", Container: 80, HostPort: 31500}}, Resident: true,
			HealthChecks:    []simulator.HealthCheck{probed("HTTP", 3), probed("COMMAND", 2), {Protocol: "TCP", Port: 31500}},
			ReadinessChecks: []simulator.ReadinessCheck{{Name: "r", Preserve: true}},
		},
		{ID: "/b", Instances: 1, RequirePorts: true, Ports: []simulator.Port{{Service: 31600}}},
	} {
		must(t, m.Create(app))
		m.Probe()
		find := func() simulator.App {
			return m.Apps()[slices.IndexFunc(m.Apps(), func(a simulator.App) bool { return a.ID == app.ID })]
		}
		before := find()
		if status, body := do(t, http.MethodPut, url+"/v2/apps"+app.ID, `{"instances":0}`); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		before.Instances = 0
		if after := find(); !reflect.DeepEqual(after, before) {
			t.Errorf("after a PUT of instances\n got  %+v\n want %+v", after, before)
		}
	}
}

package simulator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"consular/marathon"
	"consular/marathon/simulator"
)

// upgrade1_3 are the events of a rolling upgrade of a Marathon 1.3, as recorded.
func upgrade1_3(t *testing.T) []heard {
	t.Helper()
	raw, err := os.ReadFile("../../testdata/sse/recorded-1.3-rolling-upgrade.lf.sse")
	must(t, err)
	var all []heard
	for block := range strings.SplitSeq(string(raw), "\n\n") {
		name, data, ok := strings.Cut(strings.TrimSpace(block), "\ndata: ")
		if !ok {
			continue
		}
		h := heard{name: strings.TrimPrefix(name, "event: "), raw: data}
		must(t, json.Unmarshal([]byte(data), &h.data))
		all = append(all, h)
	}
	return all
}

// taskEra plays the recorded upgrade: four tasks of an app in a group get
// another definition, two at a time.
func taskEra(t *testing.T) []heard {
	t.Helper()
	m := simulator.New(simulator.Config{TaskEra: true, TaskKilling: true})
	app := small("/zdd/base-min-over", 4, nil)
	app.Network, app.Ports = simulator.Bridge, []simulator.Port{{Container: 8080}}
	app.Upgrade = &simulator.Upgrade{MinimumHealthCapacity: 0.5, MaximumOverCapacity: 0}
	must(t, m.Create(app))
	return record(t, m, func() {
		must(t, m.Update(app.ID, func(a *simulator.App) { a.Cmd = "sleep 2000" }))
	})
}

// statesOf is each task's states in order, one line for each course of states.
func statesOf(events []heard) []string {
	states := map[string]string{}
	for _, h := range events {
		if h.name == "status_update_event" {
			_, known := h.data["ipAddresses"]
			states[h.data["taskId"].(string)] += fmt.Sprintf(" %s %t", h.data["taskStatus"], known)
		}
	}
	var courses []string
	for _, course := range states {
		courses = append(courses, course)
	}
	slices.Sort(courses)
	return courses
}

func TestTaskEraAsRecorded(t *testing.T) {
	got, want := taskEra(t), upgrade1_3(t)
	// The recording ends before the last task of the old definition is dead.
	wantCourses := statesOf(want)
	for _, course := range statesOf(got) {
		if !slices.Contains(wantCourses, course) {
			t.Errorf("a task went through%s, want one of %q", course, wantCourses)
		}
	}
	uuid := regexp.MustCompile(`^zdd_base-min-over\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	names := map[string]bool{}
	for _, h := range want {
		names[h.name] = true
	}
	for _, h := range got {
		if !names[h.name] && !strings.HasPrefix(h.name, "event_stream_") {
			t.Errorf("%s was not recorded", h.name)
		}
		if id, ok := h.data["taskId"].(string); ok && !uuid.MatchString(id) {
			t.Errorf("task ID %s", id)
		}
		if event, err := marathon.Decode(h.name, []byte(h.raw)); err != nil {
			t.Errorf("%s: %v", h.name, err)
		} else if _, plan := event.(marathon.DeploymentPlanned); plan != (h.name == "deployment_info") {
			t.Errorf("%s is a %T", h.name, event)
		}
	}
}

// The plan holds all apps before and after, in groups, as recorded.
func TestTaskEraPlansAreHeavy(t *testing.T) {
	plans := func(events []heard) map[string]any {
		for _, h := range events {
			if h.name == "deployment_info" {
				return h.data["plan"].(map[string]any)
			}
		}
		t.Fatal("no deployment_info")
		return nil
	}
	got, want := plans(taskEra(t)), plans(upgrade1_3(t))
	if g, w := sorted(got), sorted(want); !slices.Equal(g, w) {
		t.Errorf("the plan has %q, want %q", g, w)
	}
	for _, side := range []string{"original", "target"} {
		g, w := got[side].(map[string]any), want[side].(map[string]any)
		group := g["groups"].([]any)[0].(map[string]any)
		recordedGroup := w["groups"].([]any)[0].(map[string]any)
		for name, pair := range map[string][2]map[string]any{
			side: {g, w}, side + "'s group": {group, recordedGroup},
		} {
			for key := range pair[0] {
				if _, known := pair[1][key]; !known {
					t.Errorf("%s has %q, which was not recorded", name, key)
				}
			}
		}
		if id := group["id"]; id != "/zdd" || len(group["apps"].([]any)) != 1 {
			t.Errorf("%s has group %v with apps %v", side, id, group["apps"])
		}
	}
}

func sorted(m map[string]any) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func TestTaskEraStandbyPassesStreamsOn(t *testing.T) {
	m := simulator.New(simulator.Config{TaskEra: true})
	first, leader := serveMaster(t, m)
	second, standby := serveMaster(t, m)
	code, header := standbyAnswer(t, standby+"/v2/events")
	if code != 200 || header.Get("X-Marathon-Via") == "" || header.Get("X-Marathon-Leader") != leader {
		t.Errorf("standby answers %d with %v", code, header)
	}
	l := listen(t, standby)
	second.Kill()
	h := l.next(t)
	if h.name == "event_stream_detached" { // the first stream's, on its way
		h = l.next(t)
	}
	if h.name != "" {
		t.Errorf("heard %s through a dead standby", h.name)
	}
	second.Elect()
	first.Elect()
	first.Kill()
	if code, _ := standbyAnswer(t, standby+"/v2/events"); code != 503 {
		t.Errorf("standby of a dead leader answers %d, want 503", code)
	}
}

// Before 1.3.7 there is no filter, and what is too slow misses events.
func TestTaskEraStreams(t *testing.T) {
	m := simulator.New(simulator.Config{TaskEra: true, Queue: 4})
	l := listen(t, serve(t, m), "?event_type=event_stream_attached")
	m.StallStreams(true)
	must(t, m.Create(small("/a", 10, nil)))
	m.StallStreams(false)
	if h := l.next(t); h.name != "deployment_info" {
		t.Errorf("heard %s in spite of the filter, want deployment_info", h.name)
	}
	if n := m.Streams(); n != 1 {
		t.Errorf("%d streams are left of one that was too slow, want 1", n)
	}
}

// A task that died is gone at once; one that is lost is listed, and replaced.
func TestTaskEraListsNoDeadTasks(t *testing.T) {
	m := simulator.New(simulator.Config{TaskEra: true})
	must(t, m.Create(small("/a", 1, nil)))
	before := m.Tasks("/a")[0].ID
	must(t, m.Crash(before))
	after := m.Tasks("/a")
	if len(after) != 1 || after[0].ID == before || after[0].State != "TASK_RUNNING" {
		t.Errorf("after the crash of %s: %+v", before, after)
	}
	must(t, m.Unreachable(after[0].ID))
	lost := m.Tasks("/a")
	if len(lost) != 2 || lost[0].State != "TASK_LOST" || lost[1].State != "TASK_RUNNING" {
		t.Errorf("after the loss: %+v", lost)
	}
	url := serve(t, m)
	if status, body := get(t, url+"/v2/apps/a"); status != 200 || strings.Contains(string(body), `"networks"`) {
		t.Errorf("the app is shown as since 1.5: %s", body)
	}
	_, body := get(t, url+"/v2/apps?embed=apps.tasks")
	snapshot, err := marathon.ReadSnapshot(bytes.NewReader(body))
	must(t, err)
	if tasks := snapshot.Apps[0].Tasks; len(tasks) != 2 || tasks[0].State != marathon.TaskLost {
		t.Errorf("read as %+v", snapshot)
	}
	must(t, m.Destroy("/a"))
	if left := m.Tasks(""); len(left) != 0 {
		t.Errorf("left of a destroyed app: %+v", left)
	}
}

package marathon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// readFixture reads a recorded answer about all apps, or about one.
func readFixture(t testing.TB, path string) []App {
	t.Helper()
	data := fixture(t, path)
	snapshot, err := ReadSnapshot(bytes.NewReader(data))
	if err == nil {
		for _, u := range snapshot.Unreadable {
			t.Errorf("%s: %q is unreadable: %v", path, u.ID, u.Err)
		}
		return snapshot.Apps
	}
	var answer struct{ App *struct{ ID string } }
	if err := json.Unmarshal(data, &answer); err != nil || answer.App == nil {
		t.Fatalf("%s holds neither apps nor an app: %v", path, err)
	}
	app, err := readApp(bytes.NewReader(data), answer.App.ID)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return []App{app}
}

func TestReadEveryFixture(t *testing.T) {
	paths := append(fixtures(t, "rest", ".json"), fixtures(t, "live", ".json")...)
	apps, tasks := 0, 0
	for _, path := range paths {
		text := string(fixture(t, path))
		// The former has no IDs, and is no answer to what is asked here.
		if strings.Contains(path, "taskstats") || !isAboutApps(text) {
			continue
		}
		// What was asked for without embed tells nothing of tasks: see
		// TestUnreadableAppsAreListed.
		if strings.Contains(path, "no-embed") || strings.HasSuffix(path, "app_list.json") {
			continue
		}
		for _, app := range readFixture(t, path) {
			apps++
			for _, task := range app.Tasks {
				tasks++
				if task.ID == "" || task.AppID != app.ID || task.State.Phase() == Unrecognised {
					t.Errorf("%s: incomplete %+v", path, task)
				}
			}
		}
	}
	if apps != 244 || tasks != 372 {
		t.Errorf("read %d apps and %d tasks, want the 244 and 372 that the files have", apps, tasks)
	}
}

func isAboutApps(text string) bool {
	flat := strings.Join(strings.Fields(text), "")
	return strings.HasPrefix(flat, `{"apps":`) && !strings.Contains(flat, `"groups":`) || strings.HasPrefix(flat, `{"app":`)
}

func TestReadSnapshotOfAllModes(t *testing.T) {
	for _, app := range readFixture(t, "rest/apps-1.9-all-network-modes.json") {
		if app.ID != "/modes/container-mixed-hostport" {
			continue
		}
		want := App{
			ID: "/modes/container-mixed-hostport", Version: "2020-06-02T08:15:30.120Z",
			LastScalingAt: "2020-06-02T08:15:30.120Z", LastConfigChangeAt: "2020-06-02T08:15:30.120Z",
			Instances: 1, Deployments: []string{},
			Definition: Definition{Network: ContainerNetwork, LastConfigChangeAt: "2020-06-02T08:15:30.120Z", Ports: []Port{
				{Name: "http", Protocol: "tcp", Container: 8080},
				{Name: "metrics", Protocol: "tcp", Container: 9090, OnHost: true},
				{Name: "gossip", Protocol: "udp", Container: 7000},
				{Name: "admin", Protocol: "tcp", Container: 7001, OnHost: true},
			}},
			Tasks: []Task{{
				ID:    "modes_container-mixed-hostport.instance-a94c77d3-a4ae-11ea-9f3c-02424a8c5a01._app.1",
				AppID: "/modes/container-mixed-hostport", Host: "10.20.0.12", State: TaskRunning,
				Addresses: []string{"9.0.3.18"}, Ports: []int{31800, 31801}, Version: "2020-06-02T08:15:30.120Z",
				StagedAt: at("2020-06-02T08:15:31.000Z"), StartedAt: at("2020-06-02T08:15:40.000Z"),
			}},
		}
		if !reflect.DeepEqual(app, want) {
			t.Errorf("got  %+v\nwant %+v", app, want)
		}
		return
	}
	t.Error("app is missing")
}

func TestReadStateOfOldTasks(t *testing.T) {
	for state, task := range map[State]string{
		TaskRunning: `{"id":"a.1","startedAt":"2015-12-01T10:03:40.966Z"}`,
		TaskStaging: `{"id":"a.1","startedAt":null,"stagedAt":"2015-12-01T10:03:40.966Z"}`,
		TaskKilling: `{"id":"a.1","startedAt":"2015-12-01T10:03:40.966Z","state":"TASK_KILLING"}`,
	} {
		snapshot, err := ReadSnapshot(strings.NewReader(`{"apps":[{"id":"/a","tasks":[` + task + `]}]}`))
		if err != nil || len(snapshot.Apps) != 1 {
			t.Fatalf("%+v, %v", snapshot, err)
		}
		if got := snapshot.Apps[0].Tasks[0].State; got != state {
			t.Errorf("state of %s is %s, want %s", task, got, state)
		}
	}
}

func TestUnreadableAppsAreListed(t *testing.T) {
	for _, test := range []struct{ app, id, err string }{
		{`{"id":"/a","instances":"2"}`, "/a", "field instances: unexpected string"},
		{`{"id":"/a","instances":1e400}`, "/a", "field instances: unexpected number"},
		{`{"id":"/a","labels":{"k":["v"]}}`, "/a", "field labels: unexpected array"},
		{`{"labels":[],"id":"/a"}`, "/a", "field labels: unexpected array"},
		{`{"id":"/a","tasks":[{"id":"a.1","ports":[70000]}]}`, "/a", "task a.1: field ports: 70000 is no port"},
		{`{"id":"/a","tasks":[{"id":"a.1","ports":[-1]}]}`, "/a", "task a.1: field ports: -1 is no port"},
		{`{"id":"/a","tasks":[{"host":"h"}]}`, "/a", "task without an ID: field id: missing or empty"},
		{`{"id":"/a"}`, "/a", "field tasks: missing or empty"}, // as without embed: not an app without tasks
		{`{"id":"/a","tasks":null}`, "/a", "field tasks: missing or empty"},
		{`{"id":"/a","networks":[{"mode":"container"}],"container":{"portMappings":[{"containerPort":80},{"containerPort":-1}]}}`, "/a", "port 1: field containerPort: -1 is no port"},
		{`{"id":"/a","ipAddress":{"discovery":{"ports":[{"number":65536}]}}}`, "/a", "port 0: field number: 65536 is no port"},
		{`{"id":"/a","tasks":[{"host":7,"id":"a.1"}]}`, "/a", "task a.1: field host: unexpected number"},
		{`{"id":"/a","tasks":[{"id":"` + strings.Repeat("x", 500) + `","ports":[-1]}]}`, "/a", "task " + strings.Repeat("x", 200) + ": field ports: -1 is no port"},
		{`{"id":7}`, "", "field id: unexpected number"},
		// Nobody can say which of the two counts.
		{`{"id":"/a","tasks":[{"id":"a.1"}],"tasks":[]}`, "/a", "field tasks: is there twice"},
		{`{"tasks":null,"tasks":[],"id":"/a"}`, "/a", "field tasks: is there twice"},
		{`{"id":"/a","tasks":[],"instances":2,"instances":0}`, "/a", "field instances: is there twice"},
		{`{"id":"/a","tasks":[],"labels":{},"labels":{}}`, "/a", "field labels: is there twice"},
		{`{"id":"/a","tasks":[],"labels":{"a":"1","\u0061":"2"}}`, "/a", `field labels: "a" is there twice`},
		{`{"id":"/a","tasks":[{"id":"a.1"},{"id":"a.2"},{"id":"a.1"}]}`, "/a", `field tasks: "a.1" is there twice`},
		{`{"id":"/a","tasks":[{"id":"a.1","host":"h","host":"i"}]}`, "/a", "task a.1: field host: is there twice"},
		{`{"id":"/a","tasks":[{"id":"a.1","id":"a.2"}]}`, "/a", "task without an ID: field id: is there twice"},
		{`{"id":"/a","tasks":[],"id":"/b"}`, "", "field id: is there twice"},
		{`{"id":"/a","id":"/a","id":"/a","tasks":[]}`, "", "field id: is there twice"},
		{`{"instances":1}`, "", `app ID "": does not start with /`},
		{`{"id":"a"}`, "", `app ID "a": does not start with /`},
		{`{"id":"/a//b"}`, "", `app ID "/a//b": has a segment ""`},
		{`{"id":"/a/../b"}`, "", `app ID "/a/../b": has a segment ".."`},
		{`{"id":"/a` + "\xff" + `","tasks":[]}`, "", "field id: not UTF-8"},
		{`{"id":"/a\n"}`, "", `app ID "/a\n": has control characters`},
		{`null`, "", `app ID "": does not start with /`},
		{`"text"`, "", "unexpected string"},
	} {
		answer := fmt.Sprintf(`{"apps":[{"id":"/first","tasks":[]},%s,{"id":"/last","tasks":[]}]}`, test.app)
		snapshot, err := ReadSnapshot(strings.NewReader(answer))
		if err != nil {
			t.Errorf("%s: %v", test.app, err)
			continue
		}
		if len(snapshot.Apps) != 2 || snapshot.Apps[0].ID != "/first" || snapshot.Apps[1].ID != "/last" {
			t.Errorf("%s: other apps are %+v", test.app, snapshot.Apps)
		}
		if len(snapshot.Unreadable) != 1 {
			t.Errorf("%s: unreadable are %v", test.app, snapshot.Unreadable)
			continue
		}
		if u := snapshot.Unreadable[0]; u.ID != test.id || u.Err.Error() != test.err {
			t.Errorf("%s: unreadable is %q: %v, want %q: %s", test.app, u.ID, u.Err, test.id, test.err)
		}
	}
}

func TestAppsListedTwiceAreUnreadable(t *testing.T) {
	const answer = `{"apps":[{"id":"/a","instances":1,"tasks":[]},{"id":"/b","tasks":[]},{"id":"/a","instances":2,"tasks":[]},{"id":"/c","tasks":[]},{"id":"/c","instances":"x"}]}`
	snapshot, err := ReadSnapshot(strings.NewReader(answer))
	if err != nil || len(snapshot.Apps) != 1 || snapshot.Apps[0].ID != "/b" {
		t.Errorf("apps are %+v, %v; want just /b", snapshot.Apps, err)
	}
	var unreadable []string
	for _, u := range snapshot.Unreadable {
		unreadable = append(unreadable, u.ID+": "+u.Err.Error())
	}
	if want := []string{"/c: field instances: unexpected string", "/a: listed 2 times", "/c: listed 2 times"}; !slices.Equal(unreadable, want) {
		t.Errorf("unreadable are %q, want %q", unreadable, want)
	}
}

func TestReadSnapshotIsAllOrAnError(t *testing.T) {
	for answer, want := range map[string]string{
		``:                          "answer is not usable after 0 bytes: unexpected EOF",
		`{`:                         "answer is not usable after 1 bytes: unexpected EOF",
		`{"apps":[{"id":"/a"}`:      "answer is not usable after 20 bytes: unexpected EOF",
		`{"apps":[{"id":"/a"},`:     "unexpected EOF",
		`{"apps":[{"id":"/a"}]`:     "answer is not usable after 21 bytes: unexpected EOF",
		`{"apps":[{"id":"/a"}],"x"`: "unexpected EOF",
		`{}`:                        `field "apps" is missing`,
		`{"tasks":[]}`:              `field "apps" is missing`,
		`{"apps":null}`:             "unexpected null where [ should be",
		`{"apps":{}}`:               "unexpected object where [ should be",
		`{"apps":"none"}`:           "unexpected string where [ should be",
		`[]`:                        "unexpected array where { should be",
		`null`:                      "unexpected null where { should be",
		`<html>`:                    "invalid character '<' looking for beginning of value",
		`{"apps":[]}{"apps":[]}`:    "unexpected object after its end",
		`{"apps":[]} garbage`:       "invalid character 'g'",
		`{"apps":[],"apps":[]}`:     `field "apps" is there twice`,
		`{"apps":[{"id":"/a",}]}`:   "invalid character '}'",
		`{"apps":[{"id":"/a"},]}`:   "invalid character ']'",
		`{"apps":[` + strings.Repeat("[", 20_000): "unexpected EOF",
	} {
		snapshot, err := ReadSnapshot(strings.NewReader(answer))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error of %.40s is %v, want one with %s", answer, err, want)
		}
		if snapshot.Apps != nil || snapshot.Unreadable != nil {
			t.Errorf("%.40s gives %+v beside its error", answer, snapshot)
		}
	}
}

func TestReadSnapshotSkipsOtherFields(t *testing.T) {
	const answer = `{"before":{"apps":[1]},"apps":[{"id":"/a","tasks":[],"deep":[[{"id":"/b"}]]}],"after":[null]}` + "\n"
	snapshot, err := ReadSnapshot(strings.NewReader(answer))
	if err != nil || len(snapshot.Apps) != 1 || snapshot.Apps[0].ID != "/a" {
		t.Errorf("read %+v, %v", snapshot, err)
	}
}

// FuzzSnapshot checks that no answer is taken for more or less than it says,
// however it arrives.
func FuzzSnapshot(f *testing.F) {
	for _, path := range fixtures(f, "rest", ".json") {
		f.Add(fixture(f, path))
	}
	f.Add([]byte(`{"apps":[{"id":"/a"},{"id":"/a"},{"id":7},null]}`))
	f.Add([]byte(`{"apps":[{"id":"/a"}]} `))
	f.Add([]byte(`{"apps":[{"id":"/a","tasks":[],"portDefinitions":[{"labels":{"k":7},"protocol":[]}]}]}`))
	f.Add([]byte(`{"apps":[{"id":"/a","tasks":[{"id":"a.1","healthCheckResults":[{"alive":1}]}],"healthChecks":[{"port":-1},{}],"readinessChecks":[{}]}]}`))
	f.Add(fixture(f, "live/next/health-http-apps-failed-once.json"))
	f.Add(fixture(f, "live/next/readiness-apps-embed-first-ready.json"))
	f.Fuzz(func(t *testing.T, data []byte) {
		snapshot, err := ReadSnapshot(bytes.NewReader(data))
		slow, slowErr := ReadSnapshot(iotest.OneByteReader(bytes.NewReader(data)))
		if (err == nil) != (slowErr == nil) || !reflect.DeepEqual(snapshot.Apps, slow.Apps) {
			t.Errorf("read %+v, %v at once\nbut %+v, %v in bytes", snapshot, err, slow, slowErr)
		}
		if err != nil && (snapshot.Apps != nil || snapshot.Unreadable != nil) {
			t.Errorf("%+v beside error %v", snapshot, err)
		}
		seen := map[string]bool{}
		for _, app := range snapshot.Apps {
			if checkID(app.ID) != nil || seen[app.ID] {
				t.Errorf("app %q", app.ID)
			}
			seen[app.ID] = true
			for _, c := range app.Definition.HealthChecks {
				if checkPort("port", c.Port) != nil || c.GracePeriod < 0 || c.Interval < 0 || c.Timeout < 0 {
					t.Errorf("health check %+v", c)
				}
			}
			for _, task := range app.Tasks {
				if err := checkPorts(task.Ports); task.ID == "" || err != nil {
					t.Errorf("task %+v: %v", task, err)
				}
				for _, r := range task.HealthCheckResults {
					if len(r.LastFailureCause) > maxFailureCause {
						t.Errorf("a cause of %d bytes is kept", len(r.LastFailureCause))
					}
				}
				if n := len(app.Definition.Endpoints(task)); n != max(1, len(app.Definition.Ports)) {
					t.Errorf("%d endpoints of %+v", n, app.Definition)
				}
			}
		}
		for _, u := range snapshot.Unreadable {
			if u.Err == nil || seen[u.ID] {
				t.Errorf("unreadable %+v", u)
			}
		}
	})
}

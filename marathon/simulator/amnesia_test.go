package simulator_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"consular/marathon"
	"consular/marathon/simulator"
)

// snapshotOf is what this project reads of a Marathon.
func snapshotOf(t *testing.T, url string) map[string]marathon.App {
	t.Helper()
	_, body := get(t, url+"/v2/apps?embed=apps.tasks")
	snapshot, err := marathon.ReadSnapshot(bytes.NewReader(body))
	must(t, err)
	if len(snapshot.Unreadable) > 0 {
		t.Errorf("unreadable: %v", snapshot.Unreadable)
	}
	apps := map[string]marathon.App{}
	for _, app := range snapshot.Apps {
		if len(app.Problems)+len(app.Definition.Problems) > 0 {
			t.Errorf("%s: problems %q, %q", app.ID, app.Problems, app.Definition.Problems)
		}
		apps[app.ID] = app
	}
	return apps
}

// A Marathon that has forgotten its tasks shows apps without any, says nothing,
// and may remember.
func TestForgottenTasks(t *testing.T) {
	m := simulator.New(simulator.Config{})
	url := serve(t, m)
	must(t, m.Create(small("/a", 3, nil)))
	must(t, m.Create(small("/b", 2, nil)))
	before := m.Tasks("")
	l := listen(t, url)
	must(t, m.ForgetTasks("/a"))
	m.Inject([]byte("event: forgotten\r\ndata: {}\r\n\r\n"))
	if h := l.next(t); h.name != "forgotten" {
		t.Errorf("heard %s", h.name)
	}
	apps := snapshotOf(t, url)
	if a, b := apps["/a"], apps["/b"]; len(a.Tasks) != 0 || a.Instances != 3 || len(b.Tasks) != 2 {
		t.Errorf("the apps are %+v and %+v", a, b)
	}
	ended := before[0].ID
	must(t, m.Back(ended)) // its agent tells of it, and it is killed
	if h := l.next(t); h.name != "unknown_instance_terminated_event" {
		t.Errorf("heard %s", h.name)
	}
	m.RecallTasks()
	want := slices.DeleteFunc(slices.Clone(before), func(task simulator.Task) bool { return task.ID == ended })
	if got := m.Tasks(""); !reflect.DeepEqual(got, want) {
		t.Errorf("remembered are %+v, want %+v", got, want)
	}
	must(t, m.ForgetTasks())
	m.ScaleCheck()
	for _, task := range m.Tasks("") {
		if slices.ContainsFunc(before, func(old simulator.Task) bool {
			return old.ID == task.ID || old.Host == task.Host && old.Ports[0] == task.Ports[0]
		}) {
			t.Errorf("%+v was launched where one runs", task)
		}
	}
	if n := len(m.Tasks("")); n != 5 {
		t.Errorf("%d tasks are launched in their place, want 5", n)
	}
	if m.ForgetTasks("/none") == nil {
		t.Error("an app that is not there was forgotten")
	}
}

// The agent of a task with a persistent volume: before 1.4.7 its task is launched
// again under the ID that it had, on other ports.
func TestResidentTasksKeepTheirID(t *testing.T) {
	m := simulator.New(simulator.Config{TaskEra: true})
	url := serve(t, m)
	app := small("/db", 1, nil)
	app.Resident = true
	must(t, m.Create(app))
	before := m.Tasks("/db")[0]
	l := listen(t, url)
	must(t, m.Crash(before.ID))
	m.CloseStreams()
	var states []string
	for _, h := range l.rest(t) {
		event, err := marathon.Decode(h.name, []byte(h.raw))
		must(t, err)
		if e, ok := event.(marathon.TaskChanged); ok && e.Task.ID == before.ID {
			states = append(states, string(e.Task.State))
		}
	}
	if got := strings.Join(states, " "); got != "TASK_FAILED TASK_STAGING TASK_RUNNING" {
		t.Errorf("the task was %s", got)
	}
	after := snapshotOf(t, url)["/db"].Tasks
	if len(after) != 1 || after[0].ID != before.ID || after[0].Ports[0] == before.Ports[0] || after[0].State != marathon.TaskRunning {
		t.Errorf("before %+v, after %+v", before, after)
	}
	must(t, m.Unreachable(before.ID))
	if tasks := m.Tasks("/db"); len(tasks) != 1 || tasks[0].State != "TASK_LOST" {
		t.Errorf("a lost task that waits for its volume has a replacement: %+v", tasks)
	}
	must(t, m.Back(before.ID))
	if tasks := m.Tasks("/db"); len(tasks) != 1 || tasks[0].State != "TASK_RUNNING" {
		t.Errorf("it came back as %+v", tasks)
	}
}

// Mesos repeats that an agent is lost: the second time, what waits becomes
// inactive and is replaced. What does not wait was expunged the first time.
func TestAgentThatIsLostTwice(t *testing.T) {
	m := simulator.New(simulator.Config{Hosts: []string{"127.0.0.2", "127.0.0.3"}})
	url := serve(t, m)
	must(t, m.Create(patient("/x/patient")))
	must(t, m.Create(small("/x/hasty", 2, nil)))
	l := listen(t, url)
	must(t, m.LoseAgent("127.0.0.2"))
	must(t, m.LoseAgent("127.0.0.2"))
	m.CloseStreams()
	lost := map[string]int{}
	for _, h := range l.rest(t) {
		if h.data["taskStatus"] == "TASK_UNREACHABLE" {
			lost[h.data["appId"].(string)]++
		}
	}
	if lost["/x/patient"] != 2 || lost["/x/hasty"] != 1 {
		t.Errorf("TASK_UNREACHABLE came %v times", lost)
	}
	apps := snapshotOf(t, url)
	if n := len(apps["/x/patient"].Tasks); n != 3 {
		t.Errorf("%d tasks are listed, want the lost one and two", n)
	}
	if n := len(apps["/x/hasty"].Tasks); n != 2 {
		t.Errorf("%d tasks are listed, want two", n)
	}
}

func TestSlowApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := simulator.New(simulator.Config{})
		client := serveByPipe(t, m)
		must(t, m.Create(small("/slow", 1, nil)))
		must(t, m.Create(small("/fast", 1, nil)))
		m.SlowApp("/slow", 7*time.Second)
		for path, want := range map[string]time.Duration{
			"/v2/apps/slow": 7 * time.Second, "/v2/apps/slow/versions": 7 * time.Second, "/v2/apps/fast": 0, "/v2/apps?embed=apps.tasks": 0,
		} {
			before := time.Now()
			response, err := client.Get("http://marathon.test" + path)
			must(t, err)
			response.Body.Close()
			if took := time.Since(before); took != want || response.StatusCode != 200 {
				t.Errorf("%s took %v, want %v: %s", path, took, want, response.Status)
			}
		}
	})
}

// A host port that an app fixes is there once on a host: the second one waits.
func TestFixedPortIsTakenOnce(t *testing.T) {
	m := simulator.New(simulator.Config{Hosts: []string{"127.0.0.2"}})
	for _, id := range []string{"/a", "/b"} {
		must(t, m.Create(simulator.App{ID: id, Instances: 1, Network: simulator.Bridge, Ports: []simulator.Port{{Container: 80, HostPort: 31500}}}))
	}
	if a, b := m.Tasks("/a"), m.Tasks("/b"); len(a) != 1 || a[0].Ports[0] != 31500 || len(b) != 0 {
		t.Errorf("tasks are %+v and %+v", a, b)
	}
	must(t, m.Destroy("/a"))
	m.Settle()
	if b := m.Tasks("/b"); len(b) != 1 || b[0].Ports[0] != 31500 {
		t.Errorf("when the port is free, the task that waited is %+v", b)
	}
}

// The forms in which versions of Marathon write ports are read as one.
func TestPortsOfAllForms(t *testing.T) {
	host := []simulator.Port{{Name: "http", Labels: map[string]string{"k": "v"}}, {Name: "dns", Protocol: "udp"}}
	mapped := []simulator.Port{
		{Name: "http", Container: 80, OnHost: true, Labels: map[string]string{"k": "v"}},
		{Name: "admin", Container: 81},
		{Name: "dns", Protocol: "udp", Container: 53, OnHost: true, HostPort: 31700},
	}
	apps := func() []simulator.App {
		return []simulator.App{
			{ID: "/host", Instances: 1, Ports: host},
			{ID: "/required", Instances: 1, RequirePorts: true, Ports: []simulator.Port{{Name: "b", Service: 31502}, {Name: "a", Service: 31501}}},
			{ID: "/none", Instances: 1, Ports: []simulator.Port{}},
			{ID: "/bridge", Instances: 1, Network: simulator.Bridge, Ports: mapped},
			{ID: "/container", Instances: 1, Network: simulator.Container, Ports: mapped},
			{ID: "/discovery", Instances: 1, Network: simulator.Container, Discovery: true, Ports: []simulator.Port{{Name: "http", Container: 80, Labels: map[string]string{"k": "v"}}}},
		}
	}
	for name, config := range map[string]simulator.Config{
		"1.11": {Hosts: []string{"127.0.0.2"}}, "1.3": {TaskEra: true, Hosts: []string{"127.0.0.2"}}, "0.11": {TaskEra: true, Version: "0.11.1", Hosts: []string{"127.0.0.2"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := simulator.New(config)
			url := serve(t, m)
			for _, app := range apps() {
				// One host, and a fixed port: the second app that fixes it waits.
				if app.ID == "/container" {
					app.Ports = slices.Clone(app.Ports)
					app.Ports[2].HostPort = 31701
				}
				must(t, m.Create(app))
			}
			for id, app := range snapshotOf(t, url) {
				task := app.Tasks[0]
				var got []string
				for i, e := range app.Definition.Endpoints(task) {
					line := fmt.Sprintf("%s:%d", e.Address, e.Port)
					if len(app.Definition.Ports) > 0 {
						p := app.Definition.Ports[i]
						line = fmt.Sprint(p.Name, " ", p.Protocol, " ", p.Labels["k"], " ", line)
					}
					got = append(got, line)
				}
				if want := reached(id, name, task); !slices.Equal(got, want) {
					t.Errorf("%s is reached at %q, want %q", id, got, want)
				}
				if task.State != marathon.TaskRunning {
					t.Errorf("%s: %+v", id, task)
				}
			}
		})
	}
}

// reached tells where the ports of an app above are, in one era.
func reached(id, era string, task marathon.Task) []string {
	at := func(i int) string { return fmt.Sprintf("127.0.0.2:%d", task.Ports[i]) }
	address := ""
	if len(task.Addresses) > 0 {
		address = task.Addresses[0]
	}
	switch {
	case id == "/none":
		return []string{"127.0.0.2:0"}
	case id == "/host" && era == "0.11": // there are no names
		return []string{" tcp  " + at(0), " tcp  " + at(1)}
	case id == "/host":
		return []string{"http tcp v " + at(0), "dns udp  " + at(1)}
	case id == "/required" && era == "0.11":
		return []string{" tcp  127.0.0.2:31502", " tcp  127.0.0.2:31501"}
	case id == "/required":
		return []string{"b tcp  127.0.0.2:31502", "a tcp  127.0.0.2:31501"}
	case id == "/bridge":
		return []string{"http tcp v " + at(0), "admin tcp  " + at(1), "dns udp  127.0.0.2:31700"}
	case id == "/container" && era == "0.11": // nobody is told of addresses
		return []string{"http tcp v " + at(0), "admin tcp  :0", "dns udp  127.0.0.2:31701"}
	case id == "/container":
		return []string{"http tcp v " + at(0), "admin tcp  " + address + ":81", "dns udp  127.0.0.2:31701"}
	case era == "0.11":
		return []string{"http tcp v :0"}
	default:
		return []string{"http tcp v " + address + ":80"}
	}
}

// A task that comes back when Marathon has just given it up is killed as unknown: nobody hears
// that it runs.
func TestNobodyHearsOfWhatWasGivenUp(t *testing.T) {
	m := simulator.New(simulator.Config{TaskEra: true, Manual: true})
	url := serve(t, m)
	must(t, m.Create(small("/web", 1, nil)))
	m.Settle()
	id := m.Tasks("/web")[0].ID
	must(t, m.Unreachable(id))
	for m.Tasks("/web")[0].State != "TASK_LOST" {
		m.Step()
	}
	must(t, m.Expunge(id))
	l := listen(t, url)
	must(t, m.Back(id))
	m.Settle()
	m.CloseStreams()
	for _, h := range l.rest(t) {
		event, err := marathon.Decode(h.name, []byte(h.raw))
		must(t, err)
		if e, ok := event.(marathon.TaskChanged); ok && e.Task.ID == id {
			t.Errorf("it is heard to be %s", e.Task.State)
		}
	}
}

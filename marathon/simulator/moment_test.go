package simulator_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"consular/marathon/simulator"
)

// Events run ahead of REST: between deployment_info and group_change_success
// an app is not there yet, or not gone yet, or still the old one.
func TestEventsRunAheadOfREST(t *testing.T) {
	m := simulator.New(simulator.Config{TaskKilling: true, Manual: true})
	url := serve(t, m)
	l := listen(t, url)
	shows := func() int { return len(m.Apps()) }
	for _, c := range []struct {
		what          string
		happen        func() error
		before, after int
	}{
		{"create", func() error { return m.Create(web()) }, 0, 1},
		{"destroy", func() error { return m.Destroy("/shop/web") }, 1, 0},
	} {
		must(t, c.happen())
		m.Step()
		if h := l.next(t); h.name != "deployment_info" || shows() != c.before {
			t.Errorf("%s: after %s REST shows %d apps, want %d", c.what, h.name, shows(), c.before)
		}
		for shows() == c.before && m.Step() {
		}
		m.Inject([]byte("event: swapped\r\ndata: {}\r\n\r\n"))
		m.Settle()
		names := heardUntil(t, l, "deployment_success")
		swapped := slices.Index(names, "swapped")
		if first := slices.Index(names, "group_change_success"); first < swapped {
			t.Errorf("%s: group_change_success before REST shows the change: %v", c.what, names)
		}
		if first := slices.Index(names, "status_update_event"); first < swapped {
			t.Errorf("%s: a task started before REST shows the change: %v", c.what, names)
		}
		if shows() != c.after {
			t.Errorf("%s: at its end REST shows %d apps, want %d", c.what, shows(), c.after)
		}
	}
}

// heardUntil returns the names of the events up to and including one.
func heardUntil(t *testing.T, l *listener, last string) []string {
	t.Helper()
	var names []string
	for !slices.Contains(names, last) {
		h := l.next(t)
		if h.name == "" {
			t.Fatalf("the stream ended after %v", names)
		}
		names = append(names, h.name)
	}
	return names
}

// Step by step, REST shows every state that a task is in.
func TestRESTShowsEveryState(t *testing.T) {
	m := simulator.New(simulator.Config{TaskKilling: true, Manual: true})
	must(t, m.Create(web()))
	var states []string
	for m.Step() {
		for _, task := range m.Tasks("/shop/web") {
			if !slices.Contains(states, task.State) {
				states = append(states, task.State)
			}
		}
	}
	if want := []string{"TASK_STAGING", "TASK_STARTING", "TASK_RUNNING"}; !slices.Equal(states, want) {
		t.Errorf("a task was %v, want %v", states, want)
	}
}

func TestPaceTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace := simulator.Pace{Offer: time.Second, Start: 2 * time.Second, Run: 4 * time.Second}
		m := simulator.New(simulator.Config{Pace: pace})
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- m.Run(ctx) }()
		must(t, m.Create(web()))
		for _, c := range []struct {
			wait time.Duration
			want string
		}{
			{0, "[]"},
			{1500 * time.Millisecond, "[TASK_STAGING TASK_STAGING]"},
			{2 * time.Second, "[TASK_STARTING TASK_STARTING]"},
			{4 * time.Second, "[TASK_RUNNING TASK_RUNNING]"},
		} {
			<-time.After(c.wait)
			synctest.Wait()
			states := []string{}
			for _, task := range m.Tasks("") {
				states = append(states, task.State)
			}
			if got := fmt.Sprint(states); got != c.want {
				t.Errorf("after another %v tasks are %s, want %s", c.wait, got, c.want)
			}
		}
		cancel()
		must(t, <-ran)
	})
}

func TestServeAnswersUntilTold(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	m := simulator.New(simulator.Config{Pace: simulator.Pace{Run: time.Millisecond}})
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- m.Serve(ctx, listener) }()
	l := listen(t, "http://"+listener.Addr().String())
	must(t, m.Create(web()))
	heardUntil(t, l, "deployment_success")
	cancel()
	must(t, <-served)
	if h := l.next(t); h.name != "" {
		t.Errorf("heard %s after the end", h.name)
	}
}

func TestHostPortsAreUniqueOnAHost(t *testing.T) {
	m := simulator.New(simulator.Config{Seed: 3, Hosts: []string{"127.0.0.2", "127.0.0.3"}})
	for n := range 20 {
		app := web()
		app.ID, app.Instances = fmt.Sprintf("/x/app%d", n), 20
		must(t, m.Create(app))
	}
	seen := map[string]bool{}
	for _, task := range m.Tasks("") {
		for _, port := range task.Ports {
			at := fmt.Sprintf("%s:%d", task.Host, port)
			if seen[at] {
				t.Errorf("%s was given twice", at)
			}
			seen[at] = true
		}
	}
	if len(seen) != 800 {
		t.Errorf("%d ports, want 800", len(seen))
	}
}

func TestInterceptAndCount(t *testing.T) {
	m := simulator.New(simulator.Config{})
	url := serve(t, m)
	m.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/apps" {
			http.Error(w, "<html>", http.StatusBadGateway)
			return true
		}
		return false
	})
	status, _ := get(t, url+"/v2/apps?embed=apps.tasks")
	pong, _ := get(t, url+"/ping")
	m.Intercept(nil)
	after, _ := get(t, url+"/v2/apps")
	if status != 502 || pong != 200 || after != 200 {
		t.Errorf("got %d, %d, %d, want 502, 200, 200", status, pong, after)
	}
	if n := m.Requests()["/v2/apps"]; n != 2 {
		t.Errorf("%d requests for /v2/apps, want 2", n)
	}
}

// What a demo user does with curl.
func TestWritingREST(t *testing.T) {
	m := simulator.New(simulator.Config{TaskKilling: true})
	url := serve(t, m)
	for _, c := range []struct {
		method, path, body string
		status             int
		tasks              int
	}{
		{"POST", "/v2/apps", `{"id":"/x/y","instances":2,"labels":{"a":"b"}}`, 201, 2},
		{"POST", "/v2/apps", `{"id":"/x/y"}`, 409, 2},
		{"POST", "/v2/apps", `{`, 422, 2},
		{"PUT", "/v2/apps/x/y", `{"instances":3}`, 200, 3},
		{"PUT", "/v2/apps//x/z", `{"instances":1}`, 201, 4},
		{"PUT", "/v2/apps", `[{"id":"/x/w","instances":1}]`, 200, 5},
		{"POST", "/v2/apps/x/y/restart", ``, 200, 5},
		{"DELETE", "/v2/apps/x/z", ``, 200, 4},
		{"DELETE", "/v2/apps/x/z", ``, 404, 4},
		{"DELETE", "/v2/deployments/none", ``, 404, 4},
	} {
		status, body := do(t, c.method, url+c.path, c.body)
		if status != c.status || len(m.Tasks("")) != c.tasks {
			t.Errorf("%s %s %s: %d %s and %d tasks, want %d and %d",
				c.method, c.path, c.body, status, body, len(m.Tasks("")), c.status, c.tasks)
		}
	}
	app := m.Apps()[slices.IndexFunc(m.Apps(), func(a simulator.App) bool { return a.ID == "/x/y" })]
	if app.Labels["a"] != "b" || app.Instances != 3 {
		t.Errorf("a PUT of instances left %+v", app)
	}
}

// A host that is lost takes no tasks, and gets back those that Marathon knows.
func TestLostAgentReturns(t *testing.T) {
	m := simulator.New(simulator.Config{TaskKilling: true, Hosts: []string{"127.0.0.2", "127.0.0.3"}})
	must(t, m.Create(patient("/x/patient")))
	must(t, m.Create(small("/x/hasty", 2, nil)))
	must(t, m.LoseAgent("127.0.0.2"))
	for _, task := range m.Tasks("") {
		lost := task.AppID == "/x/patient" && task.Host == "127.0.0.2"
		if lost != (task.State == "TASK_UNREACHABLE") || !lost && task.Host != "127.0.0.3" {
			t.Errorf("task of %s on %s is %s", task.AppID, task.Host, task.State)
		}
	}
	must(t, m.RecoverAgent("127.0.0.2"))
	for _, task := range m.Tasks("") {
		if task.State != "TASK_RUNNING" {
			t.Errorf("task of %s on %s is %s", task.AppID, task.Host, task.State)
		}
	}
	if n := len(m.Tasks("")); n != 4 {
		t.Errorf("%d tasks, want 4", n)
	}
}

// A kill is never taken back: a task that is being killed ends, also when its agent
// is lost meanwhile and comes back (found by TestChaos, seed 82563).
func TestKillGoesOnWhenTheAgentIsLost(t *testing.T) {
	for _, era := range []bool{false, true} {
		m := simulator.New(simulator.Config{Hosts: []string{"h1", "h2"}, TaskKilling: true, TaskEra: era, Manual: true})
		must(t, m.Create(simulator.App{ID: "/a", Instances: 1}))
		m.Settle()
		killed := m.Tasks("/a")[0]
		must(t, m.Kill(killed.ID, false))
		for m.Tasks("/a")[0].State != "TASK_KILLING" {
			m.Step()
		}
		must(t, m.LoseAgent(killed.Host))
		must(t, m.RecoverAgent(killed.Host))
		m.Settle()
		if tasks := m.Tasks("/a"); len(tasks) != 1 || tasks[0].ID == killed.ID {
			t.Errorf("task era %v: there are %v, want another task than %s", era, tasks, killed.ID)
		}
	}
}

// What runs behind a task is there before anybody hears of it, and gone before its end is heard of.
func TestExecutorIsToldFirst(t *testing.T) {
	told := []simulator.Task{{State: "TASK_STAGING"}}
	m := simulator.New(simulator.Config{
		TaskKilling: true, Manual: true,
		Executor: func(task simulator.Task) { told = append(told, task) },
	})
	step := func() {
		for m.Step() {
			for _, task := range m.Tasks("") {
				if last := told[len(told)-1].State; task.State != last {
					t.Errorf("REST shows %s, the executor knows of %s", task.State, last)
				}
			}
		}
	}
	must(t, m.Create(simulator.App{ID: "/one", Instances: 1}))
	step()
	must(t, m.Suspend("/one"))
	step()
	var states []string
	for _, task := range told {
		states = append(states, task.State)
	}
	if want := []string{"TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING", "TASK_KILLED"}; !slices.Equal(states, want) {
		t.Errorf("told %v, want %v", states, want)
	}
	if start := told[1]; len(start.Ports) != 1 || start.Host == "" {
		t.Errorf("what is told cannot be run: %+v", start)
	}
}

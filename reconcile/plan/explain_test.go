package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

// judged is the plan of a model and of what is in Consul, judged for the first time.
func judged(m *desired.Model, actual Actual) Plan {
	registered, keys, _ := Names(m.Translation(), actual, m.Contestants())
	m.PickIncumbents(registered, keys, true)
	m.NoteAnother(false, true)
	p := Make(m, actual, desired.Alone)
	NewGuard(Policy{Purge: true, Limit: 50, Confirm: 5 * time.Minute}).Filter(&p, start, false)
	p.Read = []Source{{What: "Marathon", From: "http://m1:8080", AgeMS: 1234}, {What: "Consul", From: "http://10.0.0.1:8500", Agents: 2, AgeMS: 120}}
	return p
}

// edited is a service as somebody else has changed it.
func edited(s consul.Service) consul.Service {
	s.Port++
	return s
}

// excluding is a model whose options leave an app out.
func excluding(glob string, apps ...marathon.App) *desired.Model {
	tr := testTranslation()
	tr.Shaping.ExcludeApps = desired.Globs{glob}
	m := desired.New(tr)
	m.ApplySnapshot(m.BeginRead(), marathon.Snapshot{Apps: apps}, start, desired.Alone)
	return m
}

// theirs is somebody else's service in the place of ours.
func theirs(s consul.Service) consul.Service {
	s.Tags, s.Meta = []string{"theirs"}, nil
	return s
}

// many are tasks t10 to t29 of /a, as Consul has them.
func many() []consul.Service {
	var services []consul.Service
	for i := range 20 {
		services = append(services, serviceOf(newTask(fmt.Sprintf("t%d", 10+i), "/a")))
	}
	return services
}

var explanations = []struct {
	name   string
	model  *desired.Model
	actual Actual
	asked  string
	// listed is what Marathon has beside that.
	listed []marathon.App
	// inSync and complete are what the exit code tells.
	inSync, complete bool
}{
	{"as it should be", theCluster(), inSync(), "/a", nil, true, true},
	{"one task alone", theCluster(), inSync(), "t2", nil, true, true},
	{"missing, edited, and a label that is gone", theCluster(), Actual{
		Agents: []Agent{agentOn("agent-1.test", edited(serviceOf(newTask("t1", "/a")))), agentOn("agent-2.test")},
		Keys:   []consul.Key{keyOf("a", "role", "db"), keyOf("a", "old", "1")},
	}, "a", nil, false, true},
	{"excluded, and still there", excluding("/a", newApp("/a", newTask("t1", "/a"))), inSync(), "/a", nil, false, true},
	{"excluded, and gone", excluding("/a", newApp("/a", newTask("t1", "/a"))), Actual{}, "/a", nil, true, true},
	{
		"quarantined", knowing(newApp("/a/b", newTask("t1", "/a/b")), newApp("/a-b", newTask("t2", "/a-b"))),
		Actual{Agents: []Agent{agentOn("agent-1.test", serviceOf(newTask("t1", "/a/b")))}},
		"/a-b", nil, false, true,
	},
	{"unfit", knowing(newApp("/a", newTaskOn("t1", "/a", "not a host"))), Actual{}, "t1", nil, true, true},
	{"no port yet", knowing(newApp("/a", marathon.Task{
		ID: "t1", AppID: "/a", Host: "agent-1.test", State: marathon.TaskRunning, Version: "v1",
	})), Actual{Agents: []Agent{agentOn("agent-1.test")}}, "t1", nil, true, true},
	{"conflict", theCluster(), Actual{
		Agents: []Agent{agentOn("agent-1.test", theirs(serviceOf(newTask("t1", "/a")))), inSync().Agents[1]},
		Keys:   []consul.Key{{Service: "a", Label: "role", Value: "web", Flags: 7}},
	}, "/a", nil, false, true},
	{"held back", theCluster(), Actual{Agents: []Agent{agentOn("agent-1.test", many()...), agentOn("agent-2.test")}}, "t10", nil, false, true},
	{"unconfirmed", knowing(newApp("/b")), Actual{Agents: []Agent{agentOn("agent-1.test", serviceOf(newTask("t1", "/a")))}}, "/a", nil, false, false},
	{"unread", theCluster(), Actual{
		Agents:  []Agent{{Address: "agent-1.test:8500", Hosts: []string{"agent-1.test"}, Err: errors.New("connection refused")}, inSync().Agents[1]},
		KeysErr: errors.New("no leader"),
	}, "/a", nil, true, false},
	{"unread, and the catalog shows something of it there", knowing(newApp("/a")), Actual{Agents: []Agent{{
		Address: "agent-1.test:8500", Hosts: []string{"agent-1.test"}, Err: errors.New("connection refused"),
		OnNode: map[string]consul.Service{"t1": serviceOf(newTask("t1", "/a"))},
	}}}, "/a", nil, false, false},
	{"unread, and nothing of it there", theCluster(), Actual{
		Agents: []Agent{{Address: "agent-3.test:8500", Hosts: []string{"agent-3.test"}, Err: errors.New("connection refused")}, inSync().Agents[0], inSync().Agents[1]},
		Keys:   inSync().Keys,
	}, "/a", nil, true, true},
	{"Consul has the node as failed, and Marathon a task there", theCluster(), Actual{
		Agents: []Agent{failed("agent-1.test", serviceOf(newTask("t0", "/a")), serviceOf(newTask("t1", "/a"))), inSync().Agents[1]}, Keys: inSync().Keys,
	}, "/a", nil, true, false},
	{"what has ended on such a node", theCluster(), Actual{
		Agents: []Agent{failed("agent-1.test", serviceOf(newTask("t0", "/a"))), inSync().Agents[1]},
	}, "t0", nil, true, false},
	{"Consul has the node as failed, and Marathon nothing there", knowing(newApp("/a")), Actual{
		Agents: []Agent{failed("agent-1.test", serviceOf(newTask("t1", "/a")))},
	}, "t1", nil, false, false},
	{"unknown definition", knowing(newApp("/a", marathon.Task{
		ID: "t1", AppID: "/a", Host: "agent-1.test", State: marathon.TaskRunning, Ports: []int{1}, Version: "v0",
	})), inSync(), "t1", nil, true, false},
	{
		"a task that does not run yet", knowing(pending()),
		Actual{Agents: []Agent{agentOn("agent-1.test")}},
		"/slow",
		[]marathon.App{pending()},
		true, true,
	},
	{"the task alone", knowing(pending()), Actual{}, "t9", []marathon.App{pending()}, true, true},
	{"one service of two", theCluster(), Actual{Agents: []Agent{
		agentOn("agent-1.test", serviceOf(newTask("t1", "/a")), extraOf("t1")), agentOn("agent-2.test"),
	}}, "t1:admin", nil, false, true},
	{"no task", knowing(newApp("/a")), Actual{Keys: inSync().Keys}, "/a", nil, true, true},
}

// failed is an agent that does not answer, with what the catalog shows on its node, which Consul has
// as failed.
func failed(host string, services ...consul.Service) Agent {
	a := agentOn(host, services...)
	a.Err, a.Failed, a.OnNode = errors.New("connection refused"), true, map[string]consul.Service{}
	for _, s := range services {
		a.OnNode[s.ID] = s
	}
	return a
}

// pending is an app whose only task is about to start.
func pending() marathon.App {
	task := newTask("t9", "/slow")
	task.State = marathon.TaskStaging
	app := newApp("/slow", task)
	app.Labels = nil
	return app
}

// extraOf is a second service of a task, of a port that is none any more.
func extraOf(task string) consul.Service {
	s := serviceOf(newTask(task, "/a"))
	s.ID, s.Name = task+":admin", "backstage"
	return s
}

func TestExplain(t *testing.T) {
	var all bytes.Buffer
	for _, test := range explanations {
		p := judged(test.model, test.actual)
		told, err := Explain(&p, test.model, test.actual, test.listed, test.asked)
		if err != nil || len(told) != 1 {
			t.Fatalf("%s: %v, %d explanations", test.name, err, len(told))
		}
		x := told[0]
		fmt.Fprintf(&all, "== %s\n$ consular explain %s\n", test.name, test.asked)
		if err := x.WriteText(&all, false); err != nil {
			t.Error(err)
		}
		if x.InSync() != test.inSync || x.Complete() != test.complete {
			t.Errorf("%s: in sync %t, complete %t; want %t and %t", test.name, x.InSync(), x.Complete(), test.inSync, test.complete)
		}
	}
	const file = "testdata/explain.golden"
	if *update {
		if err := os.WriteFile(file, all.Bytes(), 0o644); err != nil {
			t.Error(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || all.String() != string(want) {
		t.Errorf("%v; run with -update and look at the difference of %s:\n%s", err, file, all.String())
	}
}

// What is asked for may be written in several ways; what nobody knows is told of what is like it.
func TestExplainFinds(t *testing.T) {
	m := knowing(newApp("/shop/web", newTask("t1", "/shop/web")), newApp("/shop/api"))
	s := serviceOf(newTask("t1", "/shop/web"))
	extra := s
	extra.ID, extra.Name = "t1:admin", "backstage"
	actual := Actual{Agents: []Agent{agentOn("agent-1.test", s, extra)}}
	p := judged(m, actual)
	for asked, want := range map[string]string{
		"/shop/web": "/shop/web", "shop/web": "/shop/web", "/shop/web/": "/shop/web",
		"t1": "/shop/web", "t1:admin": "/shop/web", "shop-web": "/shop/web", "backstage": "/shop/web", "shop-api": "/shop/api",
		"shop-wev":        "explain shop-wev: neither Marathon nor Consul knows it; the nearest: shop-web, /shop/web",
		"quite different": "explain quite different: neither Marathon nor Consul knows it",
		"/":               "explain /: neither Marathon nor Consul knows it",
	} {
		got := ""
		switch told, err := Explain(&p, m, actual, nil, asked); {
		case err != nil:
			got = err.Error()
		case len(told) == 1:
			got = told[0].App
		}
		if got != want {
			t.Errorf("%s: %q, want %q", asked, got, want)
		}
	}
}

// A name that several apps have is told of all of them.
func TestExplainTellsOfAllAppsOfAName(t *testing.T) {
	m := knowing(newApp("/a/b", newTask("t1", "/a/b")), newApp("/a-b", newTask("t2", "/a-b")))
	p := judged(m, Actual{})
	told, err := Explain(&p, m, Actual{}, nil, "a-b")
	if err != nil || len(told) != 1 || told[0].App != "/a-b" { // that is the app's ID without its slash
		t.Fatal(told, err)
	}
	m = knowing(newApp("/a/b/c"), newApp("/a-b/c"))
	if told, err = Explain(&p, m, Actual{}, nil, "a-b-c"); err != nil || len(told) != 2 {
		t.Fatal(told, err)
	}
}

func TestExplainJSON(t *testing.T) {
	m, actual := theCluster(), inSync()
	p := judged(m, actual)
	told, err := Explain(&p, m, actual, nil, "/a")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := told[0].WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["schema"] != float64(1) || got["app"] != "/a" || strings.Contains(out.String(), "null") {
		t.Error(out.String())
	}
	for _, list := range []string{"reasons", "tasks", "keys"} {
		if _, is := got[list].([]any); !is {
			t.Errorf("%s is %v, want a list", list, got[list])
		}
	}
}

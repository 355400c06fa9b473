package plan

import (
	"errors"
	"fmt"
	"testing"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

// allPorts is an app whose three ports are services, with one task that has those ports which
// are given.
func allPorts(ports ...int) marathon.App {
	task := newTask("t1", "/a")
	task.Ports = ports
	app := newApp("/a", task)
	app.Definition.Ports = []marathon.Port{{OnHost: true}, {OnHost: true, Name: "admin"}, {OnHost: true, Name: "debug"}}
	app.Definition.Labels = map[string]string{"consul.ports": "all"}
	return app
}

// services are those of its only task that an explanation tells of, and its reasons.
func services(x Explanation) string {
	var all []string
	for _, s := range x.Tasks[0].Services {
		all = append(all, fmt.Sprint(s.ID, " ", s.State))
	}
	for _, r := range x.Reasons {
		all = append(all, fmt.Sprint(r.Kind, " ", r.Service))
	}
	return fmt.Sprint(all)
}

// A service that cannot be written now is told of with why, and what is in its place: nothing
// of ours, what was registered before and stays, or what nobody knows.
func TestExplainTellsOfServicesThatWait(t *testing.T) {
	there := knowing(allPorts(31001, 31002, 31003)).Want("t1", "").Services
	waits := knowing(allPorts(31001))
	other := newApp("/a-admin", newTask("t2", "/a-admin"))
	silent := agentOn("agent-1.test")
	silent.Err = errors.New("refused")
	for name, test := range map[string]struct {
		model *desired.Model
		agent Agent
		asked string
		want  string
	}{
		"not registered": {waits, agentOn("agent-1.test", there[0]), "t1", "[t1 equal t1:admin missing t1:debug missing unfit t1:admin unfit t1:debug]"},
		"it stays":       {waits, agentOn("agent-1.test", there...), "t1", "[t1 equal t1:admin unknown t1:debug unknown unfit t1:admin unfit t1:debug]"},
		"somebody else's": {
			waits, agentOn("agent-1.test", there[0], theirs(there[1])), "t1",
			"[t1 equal t1:admin missing t1:debug missing unfit t1:admin unfit t1:debug]",
		},
		"its agent is silent":   {waits, silent, "t1", "[t1 unknown t1:admin unknown t1:debug unknown unread  unfit t1:admin unfit t1:debug]"},
		"one of them alone":     {waits, agentOn("agent-1.test", there[0]), "t1:admin", "[t1:admin missing unfit t1:admin]"},
		"its name is another's": {knowing(allPorts(31001, 31002, 31003), other), agentOn("agent-1.test", there[0]), "t1", "[t1 equal t1:debug missing t1:admin missing quarantined a-admin]"},
	} {
		if got := services(explainOne(t, test.model, Actual{Agents: []Agent{test.agent}}, test.asked)); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// Of one service of a task that is told of alone, only its own conflict is.
func TestExplainTellsOfOneServicesConflictAlone(t *testing.T) {
	m := knowing(allPorts(31001, 31002, 31003))
	there := m.Want("t1", "").Services
	actual := Actual{Agents: []Agent{agentOn("agent-1.test", theirs(there[0]), theirs(there[1]), there[2])}}
	for asked, want := range map[string]string{
		"t1":       "[t1 missing t1:admin missing t1:debug equal conflict t1 conflict t1:admin]",
		"t1:admin": "[t1:admin missing conflict t1:admin]",
		"t1:debug": "[t1:debug equal]",
	} {
		if got := services(explainOne(t, m, actual, asked)); got != want {
			t.Errorf("%s: %s, want %s", asked, got, want)
		}
	}
}

// An app that Marathon does not have is told of its keys, which go when its own word is
// there; not of those of another name.
func TestExplainTellsOfTheKeysOfAnAppThatIsNotThere(t *testing.T) {
	m := knowing(newApp("/b"))
	actual := Actual{
		Agents: []Agent{agentOn("agent-1.test", serviceOf(newTask("t1", "/a")))},
		Keys:   []consul.Key{keyOf("a", "role", "web"), keyOf("c", "role", "web"), keyOf("b", "role", "web")},
	}
	var told []string
	for _, r := range explainOne(t, m, actual, "/a").Reasons {
		told = append(told, fmt.Sprint(r.Kind, " ", r.Service, " ", r.Key))
	}
	if got, want := fmt.Sprint(told), "[unconfirmed  consular/a/role unconfirmed t1 ]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// An app of which only keys are left is told of by its ID or its name: that they stay needs
// an explanation.
func TestExplainFindsWhatHasOnlyKeys(t *testing.T) {
	foreign := consul.Key{Service: "foreign", Label: "role", Value: "web", Flags: 7}
	actual := Actual{Keys: []consul.Key{keyOf("old-app", "role", "web"), keyOf("other", "role", "web"), foreign, {Service: "nobody", Label: "role"}}}
	for _, asked := range []string{"old-app", "/old-app", "/old/app"} {
		x := explainOne(t, knowing(newApp("/b")), actual, asked)
		if len(x.Keys) != 1 || kinds(x) != "[held]" || x.Reasons[0].Key != "consular/old-app/role" || x.InSync() {
			t.Errorf("%s: keys %v, reasons %v, in sync %t", asked, x.Keys, x.Reasons, x.InSync())
		}
	}
	m := knowing(newApp("/b"))
	p := judged(m, actual)
	for asked, want := range map[string]string{
		"foreign": "explain foreign: neither Marathon nor Consul knows it",
		"nobody":  "explain nobody: neither Marathon nor Consul knows it",
		"old-ap":  "explain old-ap: neither Marathon nor Consul knows it; the nearest: old-app",
	} {
		if _, err := Explain(&p, m, actual, nil, asked); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", asked, err, want)
		}
	}
}

// What cannot be read on an agent concerns a task if the catalog shows something of it there.
func TestExplainTellsWhichTasksASilentAgentHas(t *testing.T) {
	silent := agentOn("agent-3.test")
	silent.Err, silent.OnNode = errors.New("refused"), map[string]consul.Service{"t1": serviceOf(newTask("t1", "/a"))}
	actual := Actual{Agents: append(inSync().Agents, silent), Keys: inSync().Keys}
	for asked, want := range map[string]string{"/a": "[unread]", "t1": "[unread]", "t2": "[]"} {
		x := explainOne(t, theCluster(), actual, asked)
		if got := kinds(x); got != want || x.Complete() != (want == "[]") {
			t.Errorf("%s: %s, complete %t; want %s", asked, got, x.Complete(), want)
		}
	}
}

// Each app whose checks agents cannot make is told of, with why.
func TestPlanTellsOfEachAppThatIsMirrored(t *testing.T) {
	tr := testTranslation()
	tr.Health = desired.HealthChecks
	m := desired.New(tr)
	command := func(id, task string) marathon.App {
		app := newApp(id, newTask(task, id))
		app.Definition.HealthChecks = []marathon.HealthCheck{{Protocol: marathon.HealthCommand}}
		return app
	}
	apps := []marathon.App{command("/a", "t1"), command("/b", "t2"), newApp("/c", newTask("t3", "/c"))}
	m.ApplySnapshot(m.BeginRead(), marathon.Snapshot{Apps: apps}, start, desired.Alone)
	p := Make(m, Actual{Agents: []Agent{agentOn("agent-1.test")}}, desired.Alone)
	told := map[string]string{}
	for u := range p.MirroredInstead {
		told[u.App] = u.Definition + u.Err
	}
	if len(told) != 2 || told["/a"] == "" || told["/b"] == "" {
		t.Errorf("mirrored are %v", p.MirroredInstead)
	}
}

// One agent is one, and several are counted.
func TestSourcesCountTheirAgents(t *testing.T) {
	for agents, want := range map[int]string{
		0: "Consul read from c1, 0.1 s ago", 1: "Consul read from c1 and 1 agent, 0.1 s ago", 2: "Consul read from c1 and 2 agents, 0.1 s ago",
	} {
		if got := (Source{What: "Consul", From: "c1", Agents: agents, AgeMS: 100}).String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// The first line says in a word whether all is as it should be, and if there is nothing, why.
func TestExplainAnswersInOneLine(t *testing.T) {
	bare := newApp("/a")
	bare.Labels = nil
	there := knowing(allPorts(31001, 31002, 31003)).Want("t1", "").Services
	keys := []consul.Key{keyOf("a", "consul.ports", "all")}
	for want, test := range map[string]struct {
		model  *desired.Model
		actual Actual
	}{
		"/a has no task and no label: nothing of it is to be in Consul": {knowing(bare), Actual{}},
		"/a is not in Consul as it should be: 3 services, 1 equal, 2 missing; 1 key": {
			knowing(allPorts(31001)), Actual{Agents: []Agent{agentOn("agent-1.test", there[0])}, Keys: keys},
		},
		"/a is in Consul as it should be: 3 services; 1 key": {
			knowing(allPorts(31001, 31002, 31003)), Actual{Agents: []Agent{agentOn("agent-1.test", there...)}, Keys: keys},
		},
	} {
		x := explainOne(t, test.model, test.actual, "/a")
		if got := x.answer(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

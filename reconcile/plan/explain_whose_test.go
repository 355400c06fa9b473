package plan

import (
	"errors"
	"fmt"
	"testing"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

// explainOne explains what is asked for alone.
func explainOne(t *testing.T, m *desired.Model, actual Actual, asked string) Explanation {
	t.Helper()
	p := judged(m, actual)
	told, err := Explain(&p, m, actual, nil, asked)
	if err != nil || len(told) != 1 {
		t.Fatalf("%s: %v, %d explanations", asked, err, len(told))
	}
	return told[0]
}

// kinds are those of the reasons that an explanation gives.
func kinds(x Explanation) string {
	var all []desired.Kind
	for _, r := range x.Reasons {
		all = append(all, r.Kind)
	}
	return fmt.Sprint(all)
}

// An app is told what is wrong with itself, not with others; and a task nothing of its app's
// labels.
func TestExplainTellsOfNoOther(t *testing.T) {
	bad := newApp("/b", newTask("t2", "/b"))
	bad.Labels = map[string]string{"role": "web", "a//b": "x"}
	m := knowing(newApp("/a", newTask("t1", "/a")), bad)
	actual := Actual{
		Agents: []Agent{agentOn("agent-1.test", serviceOf(newTask("t1", "/a")), theirs(serviceOf(newTask("t2", "/b"))))},
		Keys:   []consul.Key{keyOf("a", "role", "web"), {Service: "b", Label: "role", Value: "web", Flags: 7}},
	}
	for asked, want := range map[string]string{"/a": "[]", "t1": "[]", "/b": "[unfit conflict conflict]", "t2": "[conflict]"} {
		x := explainOne(t, m, actual, asked)
		if got := kinds(x); got != want || x.InSync() != (want == "[]") {
			t.Errorf("%s: %s, in sync %t; want %s", asked, got, x.InSync(), want)
		}
	}
}

// Who else wants its name is named, and not the app itself.
func TestExplainNamesTheOthersOfAClash(t *testing.T) {
	m := knowing(newApp("/a/b", newTask("t1", "/a/b")), newApp("/a-b", newTask("t2", "/a-b")))
	actual := Actual{Agents: []Agent{agentOn("agent-1.test", serviceOf(newTask("t1", "/a/b")))}}
	if x := explainOne(t, m, actual, "/a-b"); len(x.Reasons) != 1 || x.Reasons[0].By != "/a/b" {
		t.Errorf("%+v", x.Reasons)
	}
}

// Health is told as Marathon has it, and where it has said nothing not at all.
func TestExplainTellsHealth(t *testing.T) {
	for alive, mode := range map[bool]desired.HealthMode{true: desired.HealthMirror, false: desired.HealthMirror} {
		x := explainOne(t, checkedCluster(mode, alive), Actual{}, "t1")
		if healthy := x.Tasks[0].Healthy; healthy == nil || *healthy != alive {
			t.Errorf("alive %t: %v", alive, healthy)
		}
	}
	if x := explainOne(t, theCluster(), inSync(), "t1"); x.Tasks[0].Healthy != nil {
		t.Errorf("without checks: %v", *x.Tasks[0].Healthy)
	}
}

// A service that falls back is told where it is to be: on the main agent, with its host's address.
func TestExplainTellsWhereAServiceFallsBack(t *testing.T) {
	tr := testTranslation()
	tr.Shaping.NodeAddress = true
	m := desired.New(tr)
	m.ApplySnapshot(m.BeginRead(), marathon.Snapshot{Apps: []marathon.App{newApp("/a", newTask("t1", "/a"))}}, start, desired.Alone)
	silent := agentOn("agent-1.test")
	silent.Err, silent.Unreachable, silent.OnNode = errors.New("refused"), true, map[string]consul.Service{}
	main := agentOn("main.test")
	main.Main = true
	for want, agents := range map[string][]Agent{
		"agent-1.test:8500 ":          {agentOn("agent-1.test"), main},
		"main.test:8500 agent-1.test": {silent, main},
		"agent-1.test ":               {main},
	} {
		x := explainOne(t, m, Actual{Agents: agents, NoKeys: true}, "t1")
		if s := x.Tasks[0].Services; len(s) != 1 || s[0].Agent+" "+s[0].Address != want {
			t.Errorf("%+v, want it at %s", s, want)
		}
	}
}

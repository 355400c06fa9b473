package plan

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

// gone is a service of a task of /a that Marathon has not, as another framework registered it.
func gone(framework string) consul.Service {
	s := serviceOf(newTask("gone", "/a"))
	s.Meta[consul.MetaFramework] = framework
	return s
}

// What is still there, and goes at no resync, says why, and what ends that.
func TestExplainTellsWhyThingsStay(t *testing.T) {
	whole := newApp("/a", newTask("t1", "/a"))
	t1, ours := serviceOf(newTask("t1", "/a")), gone("framework-1")
	failed := agentOn("agent-1.test", t1, ours)
	failed.Failed, failed.Err = true, errors.New("refused")
	deleted := knowing(newApp("/a", marathon.Task{
		ID: "t1", AppID: "/a", Host: "agent-1.test", State: marathon.TaskRunning, Ports: []int{31001}, Version: "v0",
	}))
	deleted.ApplyDefinition(desired.Version{App: "/a", Version: "v0"}, marathon.Definition{}, true)
	odd := newTask("t1", "/a")
	odd.State = "TASK_ODD"
	unidentified := desired.New(testTranslation())
	unidentified.ApplySnapshot(unidentified.BeginRead(), marathon.Snapshot{
		Apps: []marathon.App{whole}, Unreadable: []marathon.Unreadable{{Err: errors.New("no ID")}},
	}, start, desired.Alone)
	for name, test := range map[string]struct {
		model *desired.Model
		agent Agent
		keep  bool // --no-purge
		empty bool
		told  []string
	}{
		"kept": {knowing(whole), agentOn("agent-1.test", t1, ours), true, false, []string{
			"/a is not in Consul as it should be: 2 services, 1 equal, 1 left-over",
			"  held: gone: task is not in Marathon, and kept: --no-purge; no time changes this",
			"-> if Marathon is right, run `consular sync --force`, for no time removes it",
		}},
		"an app's that is gone, kept": {knowing(newApp("/b")), agentOn("agent-1.test", ours), true, false, []string{
			"/a is not in Marathon, but still in Consul: 1 service, 1 left-over",
			"  held: gone: task is not in Marathon, and kept: --no-purge",
		}},
		"another framework's": {knowing(whole), agentOn("agent-1.test", t1, gone("framework-2")), false, false, []string{
			"/a is not in Consul as it should be: 2 services, 1 equal, 1 unknown",
			"  held: gone: owned by framework framework-2, which is not Marathon's: left alone; no time changes this",
			"-> if Marathon is right, run `consular sync --force`, for no time removes it",
		}},
		"another framework's, and nothing else": {knowing(newApp("/b")), agentOn("agent-1.test", gone("framework-2")), false, false, []string{
			"/a is not in Marathon, but still in Consul: 1 service, 1 unknown",
		}},
		"on a dead node that has tasks": {knowing(whole), failed, false, false, []string{
			"/a is in Consul, as far as could be read: 2 services, 2 unknown",
			"  unread: the agent agent-1.test:8500 could not be read: refused; Consul has its node as failed, and Marathon tasks on it",
		}},
		"of a version that was deleted": {deleted, agentOn("agent-1.test", t1, extraOf("t1")), false, false, []string{
			"/a is not in Consul as it should be: 2 services, 1 equal, 1 unknown",
			"  unknown-definition: t1:admin: Marathon has deleted the version that the task runs: what is registered stays",
		}},
		"in a state that nobody knows": {knowing(newApp("/a", odd)), agentOn("agent-1.test", t1), false, false, []string{
			"  unread: t1: the task is in a state that nobody knows, TASK_ODD: it stays as it is",
		}},
		"beside an app without an ID": {unidentified, agentOn("agent-1.test", t1, ours), false, false, []string{
			"/a is in Consul, as far as could be read: 2 services, 1 equal, 1 unknown",
			"  unread: of one app that Marathon has not even the ID could be read: no ID",
		}},
		"Marathon is empty": {knowing(), agentOn("agent-1.test", ours), false, true, []string{
			"/a is not in Marathon, but still in Consul: 1 service, 1 left-over",
			"  held: gone: task is not in Marathon, and held back: Marathon told of no app at all; no time confirms this",
			"-> if Marathon is right, run `consular sync --force`, for no time removes it; if it is not, see what is wrong with it",
		}},
	} {
		actual := Actual{Agents: []Agent{test.agent}, NoKeys: true}
		if name == "beside an app without an ID" {
			actual.Unread = []Unread{{What: "app ", Err: "no ID"}}
		}
		p := Make(test.model, actual, desired.Alone)
		NewGuard(Policy{Purge: !test.keep, Limit: 50, Confirm: 5 * time.Minute}).Filter(&p, start, test.empty)
		told, err := Explain(&p, test.model, actual, nil, "/a")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var text bytes.Buffer
		if err := told[0].WriteText(&text, false); err != nil {
			t.Fatal(err)
		}
		for _, line := range test.told {
			if !strings.Contains(text.String(), line) {
				t.Errorf("%s: does not say %q:\n%s", name, line, text.String())
			}
		}
		if test.keep && (!told[0].InSync() || !told[0].Complete()) {
			t.Errorf("%s: --no-purge leaves nothing to do", name)
		}
	}
}

// A service that names another app than its task's is drift of both.
func TestExplainTellsOfATaskUnderAnotherApp(t *testing.T) {
	m := knowing(newApp("/a", newTask("t1", "/a")), newApp("/b"))
	s := serviceOf(newTask("t1", "/b"))
	for _, asked := range []string{"/a", "/b", "t1"} {
		if x := explainOne(t, m, Actual{Agents: []Agent{agentOn("agent-1.test", s)}, NoKeys: true}, asked); x.InSync() {
			t.Errorf("%s is said to be in sync: %s", asked, x.answer())
		}
	}
}

// What a guard without a memory lets go, that of a consular which runs may hold back.
func TestExplainTellsThatTheGuardMayHoldItBack(t *testing.T) {
	lost := newTask("t1", "/a")
	lost.State = marathon.TaskUnreachable
	for want, m := range map[bool]*desired.Model{true: knowing(newApp("/a", lost)), false: knowing(newApp("/a", newTask("t2", "/a")))} {
		actual := Actual{Agents: []Agent{agentOn("agent-1.test")}, NoKeys: true}
		if want {
			actual.Agents[0].Services = []consul.Service{serviceOf(newTask("t1", "/a"))}
		}
		x := explainOne(t, m, actual, "/a")
		if advice := strings.Join(x.advice(), "\n"); x.InSync() || strings.Contains(advice, "may hold something back") != want {
			t.Errorf("a removal: %t: %s", want, advice)
		}
	}
}

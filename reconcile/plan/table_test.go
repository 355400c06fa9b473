package plan

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

// table is a plan as people read it.
func table(t *testing.T, p Plan, colour bool) string {
	t.Helper()
	var out bytes.Buffer
	if err := p.WriteTable(&out, colour); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTableSaysWhatIsLeft(t *testing.T) {
	var keys []string
	for i := range 12 {
		keys = append(keys, fmt.Sprintf("consular/x/%02d", i))
	}
	for name, test := range map[string]struct {
		plan      Plan
		has, lack []string
	}{
		"in sync":          {Plan{Services: 3, Keys: 2}, []string{"3 services and 2 keys are ours: in sync"}, []string{"CHANGE", "could not be read"}},
		"nothing readable": {Plan{Unread: []Unread{{What: "keys", Err: "denied"}}}, []string{"unread", "no drift in what could be read; 1 things could not be read"}, []string{"in sync"}},
		"keys of nobody":   {Plan{Unowned: 12, UnownedKeys: keys}, []string{"12 keys below", keys[0], keys[9], "in sync"}, keys[10:]},
		"another framework": {
			Plan{ForeignFramework: 4, Frameworks: []string{"f-1", "f-2"}},
			[]string{"4 services with this registration ID belong to another Marathon framework (f-1, f-2)", "in sync"},
			nil,
		},
		"skipped": {Plan{Skipped: []string{"h1:8500"}}, []string{"skipped", "h1:8500", "in sync"}, nil},
		"unconfirmed": {
			Plan{Unconfirmed: []Change{{Op: Deregister, Agent: "h1:8500", App: "/a", Task: "t1", ID: "t1", Why: []string{"gone"}}}},
			[]string{"CHANGE", "unconfirmed", "/a", "t1", "its app could not be asked for", "0 to deregister", "1 held back"},
			[]string{"in sync"},
		},
		"held and unconfirmed": {
			Plan{Held: []Change{{Op: Deregister, Task: "t1", HeldWhy: "too many"}}, HeldWhy: []string{"another's", "too many"}, Unconfirmed: []Change{{Op: Deregister, Task: "t2"}}},
			[]string{"held back", "too many", "unconfirmed", "2 held back"},
			[]string{"in sync", "another's"}, // which is why something else is held back
		},
		"a clash": {
			Plan{Clashes: []desired.Clash{{Name: "a-b", Apps: []string{"/a/b", "/a-b"}}}},
			[]string{"clash", "/a/b /a-b", "goes on: -"},
			[]string{"in sync"},
		},
		"a clash with a port": {
			Plan{Clashes: []desired.Clash{{Name: "a-b", Apps: []string{"/a", "/a/b"}, Incumbent: "/a/b", Ports: map[string]string{"/a": "b"}, Remedies: []string{"the label x of /a"}}}},
			[]string{"clash", "/a /a/b", "give it another by the label x of /a; goes on: /a/b"},
			[]string{"in sync"},
		},
		"a clash over keys": {
			Plan{Clashes: []desired.Clash{{Name: "a-b", Apps: []string{"/a/b", "/a-b"}, KeysOnly: true}}},
			[]string{"the keys of several apps are below one name; goes on: -"},
			[]string{"in sync"},
		},
		"labels":   {Plan{Unfit: []Unfit{{App: "/a", Definition: "v1", Err: "consul.ports: no"}}}, []string{"definition of /a: consul.ports: no", "in sync"}, []string{"left out"}},
		"left out": {Plan{LeftOut: []desired.LeftOut{{By: "--apps", Apps: 3}}}, []string{"3 apps are left out by --apps", "in sync"}, nil},
		"hostile":  {Plan{Unfit: []Unfit{{App: "/a\x1b[2J", Task: "t\n1", Err: "no"}}}, []string{`\x1b`, `t\n1`}, []string{"\x1b"}},
	} {
		got := table(t, test.plan, false)
		for _, text := range test.has {
			if !strings.Contains(got, text) {
				t.Errorf("%s: lacks %q:\n%s", name, text, got)
			}
		}
		for _, text := range test.lack {
			if strings.Contains(got, text) {
				t.Errorf("%s: has %q:\n%s", name, text, got)
			}
		}
	}
}

// Whatever is left to do or to decide, alone or beside something else, nothing is in sync
// then.
func TestInSyncIsThatNothingIsLeft(t *testing.T) {
	if p := (Plan{Services: 3, Unread: []Unread{{What: "keys"}}, Unowned: 2}); !p.InSync() {
		t.Error("nothing is left, and it is not in sync")
	}
	for name, left := range map[string]func(*Plan){
		"a change":      func(p *Plan) { p.Changes = append(p.Changes, Change{}) },
		"held back":     func(p *Plan) { p.Held = append(p.Held, Change{}) },
		"not confirmed": func(p *Plan) { p.Unconfirmed = append(p.Unconfirmed, Change{}) },
		"a conflict":    func(p *Plan) { p.Conflicts = append(p.Conflicts, Conflict{}) },
		"a clash":       func(p *Plan) { p.Clashes = append(p.Clashes, desired.Clash{}) },
	} {
		var p Plan
		if left(&p); p.InSync() {
			t.Errorf("%s: in sync", name)
		}
		if p.Changes = append(p.Changes, Change{}); p.InSync() {
			t.Errorf("%s beside a change: in sync", name)
		}
	}
}

func TestTableHasColours(t *testing.T) {
	p := Plan{Changes: []Change{{Op: Register, Task: "t1"}, {Op: Deregister, Task: "t2"}}}
	got := table(t, p, true)
	if strings.Count(got, "\x1b[0m\n") != 2 || !strings.Contains(got, "\x1b[32mregister") || !strings.Contains(got, "\x1b[31mderegister") {
		t.Errorf("%q", got)
	}
	if n := p.Counts(); n[Register] != 1 || n[Deregister] != 1 || n[Update] != 0 {
		t.Errorf("counts %v", n)
	}
}

// What waits sets the pace of resyncs, as far as another one may find it different.
func TestWhatWaits(t *testing.T) {
	for want, p := range map[int]Plan{
		0: {Unread: []Unread{{What: "h1:8500"}, {What: "app /a"}}, Held: []Change{{Grounds: desired.Excluded}}},
		4: {Unread: []Unread{{What: UnreadKeys}, {What: UnreadCatalog}, {What: UnreadVersions}}, Held: []Change{{Grounds: desired.Missing}}},
	} {
		if got := p.Waiting(); got != want {
			t.Errorf("%+v: %d wait, want %d", p, got, want)
		}
	}
}

// stray is an agent that Marathon does not name.
func stray(services ...consul.Service) Agent { return agentOn("stray.test", services...) }

// What needs one agent only, or the keys only, is given out before the rest is known.
func TestWhatNeedsNoMore(t *testing.T) {
	t2 := newTaskOn("t2", "/a", "agent-2.test")
	m := knowing(newApp("/a", newTask("t1", "/a"), t2), newApp("/b"), newApp("/x/y", newTask("t3", "/x/y")), newApp("/x-y", newTask("t4", "/x-y")))
	drifted := serviceOf(newTask("t1", "/a"))
	drifted.Port = 1
	agent := agentOn("agent-1.test", drifted, serviceOf(newTask("t9", "/a")), serviceOf(t2))
	if got := lines(MakeOf(m, agent, desired.Alone)); got != "update agent-1.test:8500 t1: port 1→31001" {
		t.Errorf("of one agent: %s", got)
	}
	if got := lines(MakeOf(m, agentOn("agent-2.test"), desired.Alone)); got != "register agent-2.test:8500 t2: not registered" {
		t.Errorf("of another agent: %s", got)
	}
	keys := []consul.Key{keyOf("a", "old", "x"), keyOf("gone", "role", "web")}
	p := MakeOfKeys(m, keys, desired.Alone)
	if got := lines(p); got != "set  consular/b/role: missing" || len(p.Have["a"]) != 1 {
		t.Errorf("of the keys: %s", got)
	}
}

// While there is no way to a host's agent, and its node does not have the service, it
// belongs on the main agent; and home again when there is.
func TestFallbackAndHome(t *testing.T) {
	m := knowing(newApp("/a", newTask("t1", "/a")))
	away := agentOn("agent-1.test")
	away.Err, away.Unreachable = errors.New("refused"), true
	main := agentOn("main.test")
	main.Main = true
	known := func(a Agent, services map[string]consul.Service) Agent { a.OnNode = services; return a }
	has := map[string]consul.Service{"t1": serviceOf(newTask("t1", "/a"))}
	other := map[string]consul.Service{"t2": serviceOf(newTask("t2", "/a"))}
	silent := known(away, map[string]consul.Service{})
	silent.Unreachable = false
	filled := main
	filled.Services = []consul.Service{has["t1"]}
	old := serviceOf(newTask("t1", "/a"))
	old.Port = 1
	drifted := main
	drifted.Services = []consul.Service{old}
	for name, test := range map[string]struct {
		agents []Agent
		want   string
	}{
		"away, nothing known of its node":   {[]Agent{away, main}, "unread agent-1.test:8500"},
		"away, and its node has nothing":    {[]Agent{known(away, map[string]consul.Service{}), main}, "register main.test:8500 t1: not registered\nunread agent-1.test:8500"},
		"away, and its node has another":    {[]Agent{known(away, other), main}, "register main.test:8500 t1: not registered\nunread agent-1.test:8500"},
		"away, and its node has it":         {[]Agent{known(away, has), main}, "unread agent-1.test:8500"},
		"silent, but there is a way":        {[]Agent{silent, main}, "unread agent-1.test:8500"},
		"silent, drifted at the main one":   {[]Agent{silent, drifted}, "unread agent-1.test:8500"},
		"away, drifted at the main one":     {[]Agent{known(away, map[string]consul.Service{}), drifted}, "update main.test:8500 t1: port 1→31001\nunread agent-1.test:8500"},
		"away, and no main agent":           {[]Agent{known(away, map[string]consul.Service{})}, "unread agent-1.test:8500"},
		"away, registered at the main one":  {[]Agent{known(away, map[string]consul.Service{}), filled}, "unread agent-1.test:8500"},
		"back, registered at the main one":  {[]Agent{agentOn("agent-1.test"), filled}, "register agent-1.test:8500 t1: not registered\nderegister main.test:8500 t1: wrong agent: runs on agent-1.test"},
		"back, registered at both":          {[]Agent{agentOn("agent-1.test", has["t1"]), filled}, "deregister main.test:8500 t1: wrong agent: runs on agent-1.test"},
		"the main one is away, not the own": {[]Agent{agentOn("agent-1.test", has["t1"])}, ""},
	} {
		actual := Actual{Agents: test.agents, Keys: []consul.Key{keyOf("a", "role", "web")}}
		p := Make(m, actual, desired.Alone)
		if got := lines(p); got != test.want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, test.want)
		}
		for _, c := range p.Changes {
			if want := c.Op != Deregister && c.Agent == "main.test:8500"; c.Fallback != want {
				t.Errorf("%s: %s on %s is fallback: %t", name, c.Op, c.Agent, c.Fallback)
			}
		}
	}
}

// An address that is left to Consul's node is the host's own at home; on the main agent it
// is written out, for its node is another one.
func TestFallbackWritesTheHostsAddress(t *testing.T) {
	tr := testTranslation()
	tr.Shaping.NodeAddress = true
	m := desired.New(tr)
	m.ApplySnapshot(m.BeginRead(), marathon.Snapshot{Apps: []marathon.App{newApp("/a", newTask("t1", "/a"))}}, start, desired.Alone)
	silent := agentOn("agent-1.test")
	silent.Err, silent.Unreachable, silent.OnNode = errors.New("refused"), true, map[string]consul.Service{}
	main := agentOn("main.test")
	main.Main = true
	for agent, test := range map[string]struct {
		agents  []Agent
		address string
	}{
		"agent-1.test:8500": {[]Agent{agentOn("agent-1.test"), main}, ""},
		"main.test:8500":    {[]Agent{silent, main}, "agent-1.test"},
	} {
		p := Make(m, Actual{Agents: test.agents, NoKeys: true}, desired.Alone)
		if len(p.Changes) != 1 || p.Changes[0].Agent != agent || p.Changes[0].Definition.Address != test.address {
			t.Errorf("%s: %+v, want the address %q", agent, p.Changes, test.address)
		}
	}
	// While home is not known, nothing is to be written anywhere.
	there := serviceOf(newTask("t1", "/a"))
	there.Address = ""
	if p := Make(m, Actual{Agents: []Agent{agentOn("other.test", there)}, NoKeys: true}, desired.Alone); len(p.Changes) != 0 {
		t.Errorf("home is not known: %+v", p.Changes)
	}
}

// Of a task that is registered, a port that can not be reached yet is named; a service
// whose name clashes is not, for the clash is.
func TestServicesThatWaitAreNamed(t *testing.T) {
	app := newApp("/a", newTask("t1", "/a"))
	app.Definition.Ports = []marathon.Port{{OnHost: true}, {OnHost: true, Name: "admin"}, {OnHost: true, Name: "b"}}
	app.Tasks[0].Ports = []int{31001, 0, 31003}
	tr := testTranslation()
	tr.Shaping.AllPorts = true
	m := desired.New(tr)
	m.ApplySnapshot(m.BeginRead(), marathon.Snapshot{Apps: []marathon.App{app, newApp("/a/b")}}, start, desired.Alone)
	p := Make(m, Actual{Agents: []Agent{agentOn("agent-1.test")}, NoKeys: true}, desired.Alone)
	if got := lines(p); got != "register agent-1.test:8500 t1: not registered" {
		t.Errorf("does %s", got)
	}
	if len(p.Unfit) != 1 || p.Unfit[0].Task != "t1" || !strings.HasPrefix(p.Unfit[0].Err, "t1:admin has no address or port") {
		t.Errorf("left out: %v", p.Unfit)
	}
	if len(p.Clashes) != 1 || p.Clashes[0].Name != "a-b" {
		t.Errorf("clashes: %+v", p.Clashes)
	}
}

// A dead node's services go from the catalog, but while Marathon has a task there it
// lives, whatever Consul says.
func TestServicesOfADeadNode(t *testing.T) {
	gone := newTaskOn("t9", "/a", "dead.test")
	dead := agentOn("dead.test", serviceOf(gone))
	dead.Err, dead.Failed = errors.New("no answer"), true
	m := knowing(newApp("/a"))
	keys := []consul.Key{keyOf("a", "role", "web")}
	p := Make(m, Actual{Agents: []Agent{dead}, Keys: keys}, desired.Alone)
	if len(p.Changes) != 1 || p.Changes[0].Node != "dead.test" || p.Changes[0].Host != "" || p.Services != 1 || len(p.Skipped) != 1 {
		t.Errorf("%+v", p)
	}
	m = knowing(newApp("/a", newTaskOn("t8", "/a", "dead.test")))
	p = Make(m, Actual{Agents: []Agent{dead}, Keys: keys}, desired.Alone)
	if len(p.Changes) != 0 || p.Services != 1 {
		t.Errorf("a task runs there: %+v", p.Changes)
	}
}

// What the catalog lacks, look after look, is registered once more.
func TestUnsyncedServiceIsRegisteredAnew(t *testing.T) {
	actual := inSync()
	actual.Agents[0].Unsynced = []string{"t1"}
	p := Make(theCluster(), actual, desired.Alone)
	if got := lines(p); got != "update agent-1.test:8500 t1: not in the catalog" || !p.Changes[0].Anew {
		t.Errorf("%s", got)
	}
	actual.Agents[0].Services[0].Port = 1
	if p = Make(theCluster(), actual, desired.Alone); len(p.Changes) != 1 || p.Changes[0].Anew {
		t.Errorf("drifted too: %s", lines(p))
	}
}

// The keys of a service that goes belong to the app that it names, which is asked for.
func TestKeysAreTracedToTheAppOfTheirService(t *testing.T) {
	stale := serviceOf(newTask("t9", "/g/gone"))
	actual := Actual{Agents: []Agent{stray(stale)}, Keys: []consul.Key{keyOf("g-gone", "role", "web"), keyOf("other", "role", "web")}}
	p := Make(knowing(newApp("/a")), actual, desired.Alone)
	apps := map[string]string{}
	for _, c := range p.Changes {
		if c.Op == Delete {
			apps[c.Service] = c.App
		}
	}
	if len(apps) != 2 || apps["g-gone"] != "/g/gone" || apps["other"] != "" {
		t.Errorf("keys are of %v", apps)
	}
	if named := p.NamedByServices(); !slices.Equal(named, []string{"/g/gone"}) {
		t.Errorf("services name %v", named)
	}
}

// A service that names no app is of nobody, though another one of its name does; and keys of
// an app that is known keep it, though no service names it.
func TestOnlyKeysOfNobodyAreTraced(t *testing.T) {
	m := knowing(newApp("/seen"))
	m.ApplySnapshot(m.BeginRead(), marathon.Snapshot{}, start, desired.Alone)
	untagged := serviceOf(newTask("t8", "/g/gone"))
	untagged.Tags = untagged.Tags[:1]
	delete(untagged.Meta, consul.MetaApp)
	actual := Actual{
		Agents: []Agent{stray(serviceOf(newTask("t9", "/g/gone")), untagged)},
		Keys:   []consul.Key{keyOf("g-gone", "role", "web"), keyOf("seen", "role", "web")},
	}
	apps := map[string]string{}
	p := Make(m, actual, desired.Alone)
	for _, c := range p.Changes {
		apps[c.subject()] = c.App
	}
	want := map[string]string{"t9": "/g/gone", "t8": "", "consular/g-gone/role": "/g/gone", "consular/seen/role": "/seen"}
	if !maps.Equal(apps, want) {
		t.Errorf("changes are of %v, want %v", apps, want)
	}
}

// Apps that only services name are those of services that a snapshot merely omits, whatever
// is to be done about them.
func TestAppsThatServicesName(t *testing.T) {
	change := func(op Op, app string, grounds desired.Grounds) []Change {
		return []Change{{Op: op, App: app, Grounds: grounds}}
	}
	for name, test := range map[string]struct {
		plan Plan
		want []string
	}{
		"to be done":       {Plan{Changes: change(Deregister, "/a", desired.Missing)}, []string{"/a"}},
		"held back":        {Plan{Held: change(Deregister, "/a", desired.Missing)}, []string{"/a"}},
		"unconfirmed":      {Plan{Unconfirmed: change(Deregister, "/a", desired.Missing)}, []string{"/a"}},
		"named by a key":   {Plan{Changes: change(Delete, "/a", desired.Missing)}, nil},
		"a task's end":     {Plan{Changes: change(Deregister, "/a", desired.Ended)}, nil},
		"names no app":     {Plan{Changes: change(Deregister, "", desired.Missing)}, nil},
		"to be registered": {Plan{Changes: change(Register, "/a", 0)}, nil},
	} {
		if got := test.plan.NamedByServices(); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// A task that runs and cannot be in Consul is said to be left out, once, wherever its
// agent is, and wherever something of it is registered.
func TestUnfitTasksAreNamedOnce(t *testing.T) {
	bad := newTask("t 1\n", "/a")
	unread := agentOn("agent-1.test")
	unread.Err = errors.New("no answer")
	astray := func(host string) Agent {
		s := serviceOf(newTask("t1", "/a"))
		s.ID, s.Meta[consul.MetaTask] = bad.ID, bad.ID
		return agentOn(host, s)
	}
	for name, agents := range map[string][]Agent{
		"listed":                           {agentOn("agent-1.test")},
		"unread":                           {unread},
		"not listed":                       nil,
		"registered":                       {astray("agent-1.test")},
		"registered at home and elsewhere": {astray("agent-1.test"), astray("agent-2.test"), astray("agent-3.test")},
	} {
		p := Make(knowing(newApp("/a", bad)), Actual{Agents: agents}, desired.Alone)
		if len(p.Unfit) != 1 || p.Unfit[0].Task != bad.ID {
			t.Errorf("%s: %v", name, p.Unfit)
		}
	}
	var many []marathon.Task
	for i := range 3*atOnce + 1 {
		many = append(many, newTask(fmt.Sprintf("t%04d", i), "/a"))
	}
	p := Make(knowing(newApp("/a", many...)), Actual{Agents: []Agent{agentOn("agent-1.test")}}, desired.Alone)
	if n := p.Counts()[Register]; n != len(many) {
		t.Errorf("registers %d of %d", n, len(many))
	}
}

package plan

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

var update = flag.Bool("update", false, "write the golden files anew")

// agentOn is a readable agent on a host.
func agentOn(host string, services ...consul.Service) Agent {
	return Agent{
		Address: host + ":8500", Hosts: []string{host},
		Node: consul.Node{ID: "id of " + host, Name: host}, Services: services,
	}
}

// serviceOf is what consular registers for a task of newTask and newApp.
func serviceOf(t marathon.Task) consul.Service {
	w := knowing(newApp(t.AppID, t)).Want(t.ID, "")
	return w.Services[0]
}

func keyOf(name, label, value string) consul.Key {
	return consul.Key{Service: name, Label: label, Value: value, Flags: testTranslation().Owner.Flags(), ModifyIndex: 1}
}

// theCluster is the model of the tables below: /a runs on two agents.
func theCluster() *desired.Model {
	t2 := newTaskOn("t2", "/a", "agent-2.test")
	return knowing(newApp("/a", newTask("t1", "/a"), t2))
}

// inSync is what Consul holds when it is true to theCluster.
func inSync() Actual {
	t2 := newTaskOn("t2", "/a", "agent-2.test")
	return Actual{
		Agents: []Agent{agentOn("agent-1.test", serviceOf(newTask("t1", "/a"))), agentOn("agent-2.test", serviceOf(t2))},
		Keys:   []consul.Key{keyOf("a", "role", "web")},
	}
}

// lines is a plan as its table says it, without the head and the foot.
func lines(p Plan) string {
	var all []string
	for _, c := range p.Changes {
		all = append(all, fmt.Sprint(c.Op, " ", c.Agent, " ", c.subject(), ": ", strings.Join(c.Why, "; ")))
	}
	for _, c := range p.Conflicts {
		all = append(all, fmt.Sprint("conflict ", c.Agent, " ", c.subject(), ": ", c.Why))
	}
	for _, u := range p.Unread {
		all = append(all, fmt.Sprint("unread ", u.What))
	}
	return strings.Join(all, "\n")
}

func (c Conflict) subject() string { return c.ID + c.Key }

func TestPlanFindsDrift(t *testing.T) {
	for name, test := range map[string]struct {
		drift func(*Actual)
		want  string
	}{
		"none":            {func(*Actual) {}, ""},
		"tags reordered":  {func(a *Actual) { slices.Reverse(a.Agents[0].Services[0].Tags) }, ""},
		"service missing": {func(a *Actual) { a.Agents[0].Services = nil }, "register agent-1.test:8500 t1: not registered"},
		"name":            {func(a *Actual) { a.Agents[0].Services[0].Name = "b" }, "update agent-1.test:8500 t1: name b→a"},
		"address":         {func(a *Actual) { a.Agents[0].Services[0].Address = "x" }, "update agent-1.test:8500 t1: address x→agent-1.test"},
		"port":            {func(a *Actual) { a.Agents[0].Services[0].Port = 1 }, "update agent-1.test:8500 t1: port 1→31001"},
		"tag":             {func(a *Actual) { a.Agents[0].Services[0].Tags = append(a.Agents[0].Services[0].Tags, "x") }, "update agent-1.test:8500 t1: tag extra: x"},
		"meta":            {func(a *Actual) { a.Agents[0].Services[0].Meta[consul.MetaVersion] = "v0" }, "update agent-1.test:8500 t1: meta marathon-version v0→v1"},
		"stale": {func(a *Actual) {
			a.Agents[0].Services = append(a.Agents[0].Services, serviceOf(newTask("t9", "/a")))
		}, "deregister agent-1.test:8500 t9: task is not in Marathon"},
		"wrong agent too": {func(a *Actual) {
			a.Agents[1].Services = append(a.Agents[1].Services, serviceOf(newTask("t1", "/a")))
		}, "deregister agent-2.test:8500 t1: wrong agent: runs on agent-1.test"},
		"wrong agent only": {func(a *Actual) {
			a.Agents[1].Services = append(a.Agents[1].Services, a.Agents[0].Services...)
			a.Agents[0].Services = nil
		}, "register agent-1.test:8500 t1: not registered\nderegister agent-2.test:8500 t1: wrong agent: runs on agent-1.test"},
		"wrong agent, home unread": {func(a *Actual) {
			a.Agents[1].Services = append(a.Agents[1].Services, a.Agents[0].Services...)
			a.Agents[0].Err = errors.New("refused")
		}, "unread agent-1.test:8500"},
		"wrong agent, home not known": {func(a *Actual) {
			a.Agents[1].Services = append(a.Agents[1].Services, a.Agents[0].Services...)
			a.Agents = a.Agents[1:]
		}, ""},
		"foreign service in the way": {
			func(a *Actual) { a.Agents[0].Services[0].Tags = nil },
			"conflict agent-1.test:8500 t1: registered by somebody else",
		},
		"wrong agent, foreign at home": {func(a *Actual) {
			a.Agents[1].Services = append(a.Agents[1].Services, serviceOf(newTask("t1", "/a")))
			a.Agents[0].Services[0].Tags = nil
		}, "conflict agent-1.test:8500 t1: registered by somebody else"},
		"other registration ID in the way": {func(a *Actual) {
			a.Agents[0].Services[0].Tags = consul.Owner{RegistrationID: "other"}.Tags("/a")
		}, "conflict agent-1.test:8500 t1: owned by registration ID other"},
		"other framework in the way": {
			func(a *Actual) { a.Agents[0].Services[0].Meta[consul.MetaFramework] = "framework-2" },
			"conflict agent-1.test:8500 t1: owned by framework framework-2",
		},
		"framework not known": {
			func(a *Actual) { delete(a.Agents[0].Services[0].Meta, consul.MetaFramework) },
			"update agent-1.test:8500 t1: meta missing: marathon-framework-id",
		},
		"foreign service, not in the way": {func(a *Actual) {
			a.Agents[0].Services = append(a.Agents[0].Services, consul.Service{ID: "redis", Name: "redis"})
		}, ""},
		"key missing":     {func(a *Actual) { a.Keys = nil }, "set  consular/a/role: missing"},
		"key edited":      {func(a *Actual) { a.Keys[0].Value = "x" }, "set  consular/a/role: value edited"},
		"key extra":       {func(a *Actual) { a.Keys = append(a.Keys, keyOf("a", "x", "")) }, "delete  consular/a/x: label is not on the app"},
		"key of no app":   {func(a *Actual) { a.Keys = append(a.Keys, keyOf("a-2", "role", "")) }, "delete  consular/a-2/role: app is not in Marathon"},
		"key of nobody":   {func(a *Actual) { a.Keys[0].Flags = 0 }, "set  consular/a/role: taken over: nobody's"},
		"nobody's, extra": {func(a *Actual) { a.Keys = append(a.Keys, consul.Key{Service: "a", Label: "x"}) }, ""},
		"key of another":  {func(a *Actual) { a.Keys[0].Flags = 7 }, "conflict  consular/a/role: owned by another cluster (flags 7)"},
		"another's extra": {func(a *Actual) { a.Keys = append(a.Keys, consul.Key{Service: "a", Label: "x", Flags: 7}) }, ""},
		"keys not read":   {func(a *Actual) { a.Keys, a.KeysErr = nil, errors.New("denied") }, "unread keys"},
	} {
		actual := inSync()
		test.drift(&actual)
		p := Make(theCluster(), actual, desired.Alone)
		if got := lines(p); got != test.want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, test.want)
		}
	}
}

// What options leave out goes as excluded: services of an app, a service of a port, keys.
func TestPlanOfWhatIsExcluded(t *testing.T) {
	extra := serviceOf(newTask("t1", "/a"))
	extra.ID, extra.Name = "t1:admin", "a-admin"
	for name, test := range map[string]struct {
		shaping desired.Shaping
		want    string
	}{
		"a port": {desired.Shaping{}, "deregister agent-1.test:8500 t1:admin: not a service of its task"},
		"an app": {
			desired.Shaping{ExcludeApps: desired.Globs{"/a"}},
			"deregister agent-1.test:8500 t1: excluded\nderegister agent-1.test:8500 t1:admin: excluded\nderegister agent-2.test:8500 t2: excluded\ndelete  consular/a/role: excluded",
		},
		"a label":  {desired.Shaping{KVLabels: desired.Globs{"x"}}, "deregister agent-1.test:8500 t1:admin: not a service of its task\ndelete  consular/a/role: excluded"},
		"no label": {desired.Shaping{Labelled: true}, "deregister agent-1.test:8500 t1: excluded\nderegister agent-1.test:8500 t1:admin: excluded\nderegister agent-2.test:8500 t2: excluded\ndelete  consular/a/role: excluded"},
		"all keys": {desired.Shaping{NoKV: true}, "deregister agent-1.test:8500 t1:admin: not a service of its task"},
	} {
		tr := testTranslation()
		tr.Shaping = test.shaping
		m := desired.New(tr)
		m.ApplySnapshot(m.BeginRead(), marathon.Snapshot{Apps: []marathon.App{
			newApp("/a", newTask("t1", "/a"), newTaskOn("t2", "/a", "agent-2.test")),
		}}, start, desired.Alone)
		actual := inSync()
		actual.NoKeys = test.shaping.NoKV
		actual.Agents[0].Services = append(actual.Agents[0].Services, extra)
		p := Make(m, actual, desired.Alone)
		// Lines have the task for a subject, and here the ID tells more.
		var got []string
		for _, c := range p.Changes {
			got = append(got, fmt.Sprint(c.Op, " ", c.Agent, " ", c.ID, c.Key, ": ", strings.Join(c.Why, "; ")))
			if c.Grounds != desired.Excluded {
				t.Errorf("%s: %s goes on the grounds %q", name, c.ID+c.Key, c.Grounds)
			}
		}
		if text := strings.Join(got, "\n"); text != test.want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, text, test.want)
		}
	}
}

// A plan of everything at once, as people and machines read it.
func TestGoldenPlans(t *testing.T) {
	for name, make := range map[string]func() Plan{
		"in-sync": func() Plan { return Make(theCluster(), inSync(), desired.Alone) },
		"drift":   driftingPlan,
		"held": func() Plan {
			p := Plan{another: desired.NoAnother, Services: 12, Keys: 3, Changes: removalsOf(Deregister, desired.Missing, 7)}
			for i := range p.Changes {
				p.Changes[i].Why = []string{"task is not in Marathon"}
			}
			NewGuard(guarded).Filter(&p, start, false)
			return p
		},
	} {
		p := make()
		var table, machine bytes.Buffer
		if err := errors.Join(p.WriteTable(&table, false), p.WriteJSON(&machine)); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt.golden", table.Bytes())
		golden(t, name+".json.golden", machine.Bytes())
	}
}

func driftingPlan() Plan {
	d := theCluster()
	unfit := newApp("/bad", (marathon.Task{State: marathon.TaskRunning, ID: "t5", AppID: "/bad", Host: "no host", Ports: []int{1}, Version: "v1"}))
	unfit.Labels = map[string]string{"a//b": "x"}
	apps := []marathon.App{newApp("/x/y"), newApp("/x-y"), unfit}
	for _, app := range apps {
		d.ApplyApp(d.BeginRead(), app, start)
	}
	actual := inSync()
	actual.Agents[0].Services[0].Port = 4711
	actual.Agents[1].Services[0].Tags = nil
	actual.Agents = append(actual.Agents, Agent{Address: "agent-3.test:8500", Hosts: []string{"agent-3.test"}, Err: errors.New("connection refused")})
	actual.Agents[0].Services = append(actual.Agents[0].Services, serviceOf(newTask("t9", "/gone")))
	actual.Keys = []consul.Key{keyOf("a", "role", "edited"), keyOf("a", "old", "x"), {Service: "a", Label: "theirs"}}
	return Make(d, actual, desired.Alone)
}

func golden(t *testing.T, name string, have []byte) {
	t.Helper()
	path := filepath.Join("testdata", "plans", name)
	if *update {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, have, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s differs (go test -update writes it anew):\n%s\nwant:\n%s", name, have, want)
	}
}

// consulOf is Consul at its smallest: what a plan is carried out on.
type consulOf struct{ actual Actual }

func (c *consulOf) apply(changes []Change) {
	for _, change := range changes {
		switch change.Op {
		case Register, Update:
			c.dropService(change)
			a := c.agent(change.Agent)
			a.Services = append(a.Services, *change.Definition)
		case Deregister:
			c.dropService(change)
		default:
			k := change.Write.Key
			c.actual.Keys = slices.DeleteFunc(c.actual.Keys, func(old consul.Key) bool {
				return old.Service == k.Service && old.Label == k.Label
			})
			if !change.Write.Delete {
				c.actual.Keys = append(c.actual.Keys, k)
			}
		}
	}
}

func (c *consulOf) agent(address string) *Agent {
	i := slices.IndexFunc(c.actual.Agents, func(a Agent) bool { return a.Address == address })
	return &c.actual.Agents[i]
}

func (c *consulOf) dropService(change Change) {
	a := c.agent(change.Agent)
	a.Services = slices.DeleteFunc(a.Services, func(s consul.Service) bool { return s.ID == change.ID })
}

// services is what is registered, with where; ours alone or the others'.
func (c *consulOf) services(ours bool) map[string]consul.Service {
	found := map[string]consul.Service{}
	for _, a := range c.actual.Agents {
		for _, s := range a.Services {
			if _, is := testTranslation().Owns(s); is == ours {
				found[a.Address+" "+s.ID] = s
			}
		}
	}
	return found
}

// foreignKeys are those that are not ours.
func (c *consulOf) foreignKeys() map[string]consul.Key {
	found := map[string]consul.Key{}
	for _, k := range c.actual.Keys {
		if !testTranslation().OwnsKey(k.Flags) {
			found[k.Service+"/"+k.Label] = k
		}
	}
	return found
}

// messUp changes what Consul holds in some way.
func messUp(t *rapid.T, c *consulOf, serial int) {
	a := &c.actual.Agents[rapid.SampledFrom([]int{0, 1}).Draw(t, "agent")]
	label := rapid.SampledFrom([]string{"role", "x", "y"}).Draw(t, "label")
	name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
	switch rapid.SampledFrom([]string{"lose", "edit", "stale", "foreign", "key", "foreign key"}).Draw(t, "mess") {
	case "lose":
		a.Services = nil
	case "edit":
		if len(a.Services) > 0 {
			a.Services[0].Port++
		}
	case "stale":
		a.Services = append(a.Services, serviceOf(newTask(fmt.Sprint("stale", serial), "/a")))
	case "foreign":
		a.Services = append(a.Services, consul.Service{ID: fmt.Sprint("redis", serial), Name: "redis"})
	case "key":
		c.apply([]Change{{Op: Set, Write: &consul.KeyChange{Key: keyOf(name, label, fmt.Sprint(serial))}}})
	case "foreign key":
		k := keyOf(name, fmt.Sprint("theirs", serial), "x")
		k.Flags = 7
		c.actual.Keys = append(c.actual.Keys, k)
	}
}

// Carried out, a plan makes Consul what the model wants, leaves what is foreign
// untouched, and leaves nothing to plan. Planning twice gives the same bytes.
func TestPlanCarriedOutLeavesNothingToPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, c := theCluster(), &consulOf{actual: inSync()}
		for serial := range rapid.SampledFrom([]int{1, 3, 10}).Draw(t, "messes") {
			messUp(t, c, serial)
		}
		foreign, foreignKeys := c.services(false), c.foreignKeys()
		plan, again := Make(m, c.actual, desired.Alone), Make(m, c.actual, desired.Alone)
		if first, second := printed(t, &plan), printed(t, &again); first != second {
			t.Fatalf("planned twice:\n%s\n%s", first, second)
		}
		c.apply(plan.Changes)
		if left := Make(m, c.actual, desired.Alone); !left.InSync() {
			t.Fatalf("left to do after\n%s\nis\n%s", lines(plan), lines(left))
		}
		for at, s := range c.services(true) {
			w := m.Want(s.ID, "")
			if host, _, _ := strings.Cut(at, ":"); host != w.Host {
				t.Fatalf("%s is at %s", s.ID, at)
			}
			if want, is := w.Service(s.ID); !is || want.Diff(s) != nil {
				t.Fatalf("%s is %+v, want %+v", s.ID, s, want)
			}
		}
		if n := len(c.services(true)); n != m.Services() {
			t.Fatalf("%d services of %d tasks", n, m.Services())
		}
		if len(c.services(false)) != len(foreign) || !maps.Equal(c.foreignKeys(), foreignKeys) {
			t.Fatal("something foreign was touched")
		}
	})
}

func printed(t *rapid.T, p *Plan) string {
	var out bytes.Buffer
	if err := errors.Join(p.WriteTable(&out, false), p.WriteJSON(&out)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

package desired

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"consular/consul"
	"consular/marathon"
)

// anyText is what labels and values are made of, good and bad.
var anyText = rapid.OneOf(
	rapid.SampledFrom([]string{
		"", "true", "false", "first", "all", "web", "admin", "0", "1", "web,admin", "1,,2", "a,b", `a\,b`, "tag", "tag:x", "x", "shop-web", "{port:web}", "{port:nope",
		"consular-reg-id=x", "marathon-app-id", strings.Repeat("long", 200),
	}),
	rapid.String(),
)

// anyLabel is the name of a label.
var anyLabel = rapid.OneOf(
	rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"consul.", "consul.port.web.", "consul.port.1.", "consul.port.admin.", "consul.port.", ""}).Draw(t, "of") +
			rapid.SampledFrom([]string{"register", "ports", "name", "tags", "meta.a", "meta.b-c", "meta.", "kv", "health", "consul", "x", "x.y", "marathon-x"}).Draw(t, "what")
	}),
	anyText,
)

func anyLabels(t *rapid.T, what string) map[string]string {
	return rapid.MapOfN(anyLabel, anyText, 0, 12).Draw(t, what)
}

// anyDefinition has up to four ports, in any network.
func anyDefinition(t *rapid.T) marathon.Definition {
	d := marathon.Definition{
		Network: rapid.SampledFrom([]marathon.NetworkMode{marathon.HostNetwork, marathon.BridgeNetwork, marathon.ContainerNetwork}).Draw(t, "network"),
		Labels:  anyLabels(t, "labels"),
	}
	for range rapid.IntRange(0, 4).Draw(t, "ports") {
		d.Ports = append(d.Ports, marathon.Port{
			Name:      rapid.OneOf(rapid.SampledFrom([]string{"", "web", "admin", "0", "a.b", "a:b"}), anyText).Draw(t, "name"),
			Labels:    anyLabels(t, "labels of a port"),
			Container: rapid.SampledFrom([]int{0, 80}).Draw(t, "container"),
			OnHost:    d.Network != marathon.ContainerNetwork || rapid.Bool().Draw(t, "on host"),
		})
	}
	return d
}

func anyShaping(t *rapid.T) Shaping {
	some := func(what string) bool { return rapid.Bool().Draw(t, what) }
	s := Shaping{AllPorts: some("all ports"), Allegro: some("allegro"), Labelled: some("labelled"), NodeAddress: some("node")}
	if some("globs") {
		s.TagLabels, s.MetaLabels = globs("x*,consul*"), globs("**")
	}
	return s
}

// taskOf is a task that runs a definition of an app.
func taskOf(id, app, version string, d marathon.Definition) marathon.Task {
	t := newTask(id, app)
	t.Version, t.Ports, t.Addresses = version, nil, []string{"10.9.0.7"}
	for _, p := range d.Ports {
		if p.OnHost {
			t.Ports = append(t.Ports, 31000+len(t.Ports))
		}
	}
	return t
}

// Whatever labels say: what a task should have follows from the task and from the definition
// that it runs, and from nothing else, however the model came to know of these; each service
// can be registered, has an ID of its own, and says whose it is. What of that is registered
// depends on clashes besides, and on nothing else.
func TestServicesFollowFromTaskAndDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := testTranslation()
		tr.Shaping = anyShaping(t)
		old, now := anyDefinition(t), anyDefinition(t)
		tasks := []marathon.Task{taskOf("old", "/shop", "v1", old), taskOf("new", "/shop", "v2", now)}
		want := map[string][]consul.Service{}
		for i, d := range []marathon.Definition{old, now} {
			sh, r := tr.shape("/shop", d), reach{Task: tasks[i], definition: d}
			for n := range sh.services {
				s, err := tr.service(&sh.services[n], &r)
				if err != nil {
					t.Fatalf("a service that cannot be: %v", err)
				}
				want[tasks[i].ID] = append(want[tasks[i].ID], s)
			}
			checkShape(t, tr, tasks[i], want[tasks[i].ID], sh)
		}
		app := marathon.App{ID: "/shop", Version: "v2", Labels: now.Labels, Definition: now, Tasks: tasks, Instances: 2}
		for name, m := range waysToKnow(tr, app, old) {
			others := rapid.SampledFrom([][]string{nil, {"/other"}, {"/shop/web", "/shop/admin"}}).Draw(t, "others")
			for _, id := range others {
				m.ApplyApp(m.BeginRead(), newApp(id, newTask("task-of"+strings.ReplaceAll(id, "/", "-"), id)), start)
			}
			for _, task := range tasks {
				w := m.Want(task.ID, "")
				have := slices.Clone(w.Services)
				for _, s := range want[task.ID] {
					if waits := slices.ContainsFunc(w.Waits, func(x Waiting) bool { return x.ID == s.ID && x.Err == nil }); waits {
						if len(others) < 2 {
							t.Fatalf("%s: %s waits, and nothing clashes", name, s.ID)
						}
						have = append(have, s)
					}
				}
				byID := func(a, b consul.Service) int { return strings.Compare(a.ID, b.ID) }
				slices.SortFunc(have, byID)
				should := slices.SortedFunc(slices.Values(want[task.ID]), byID)
				if len(have)+len(should) > 0 && !reflect.DeepEqual(have, should) {
					t.Fatalf("%s: %s has\n%+v, want\n%+v", name, task.ID, have, should)
				}
			}
		}
	})
}

// waysToKnow are models that came to know of an app in several ways, of two definitions in
// turn.
func waysToKnow(tr Translation, app marathon.App, old marathon.Definition) map[string]*Model {
	before := marathon.App{ID: app.ID, Version: "v1", Labels: old.Labels, Definition: old, Tasks: app.Tasks[:1], Instances: 1}
	define := func(m *Model, e Effects) {
		for _, v := range e.Definitions {
			m.ApplyDefinition(v, old, false)
		}
	}
	models := map[string]*Model{}
	for _, name := range []string{"a snapshot", "one app after the other", "events"} {
		m := New(tr)
		models[name] = m
		switch name {
		case "a snapshot":
			define(m, m.ApplySnapshot(m.BeginRead(), marathonSnapshot(app), start, Alone))
			define(m, m.ApplySnapshot(m.BeginRead(), marathonSnapshot(app), start, Alone))
		case "one app after the other":
			m.ApplySnapshot(m.BeginRead(), marathonSnapshot(before), start, Alone)
			define(m, m.ApplyApp(m.BeginRead(), app, start))
		default:
			m.ApplySnapshot(m.BeginRead(), marathonSnapshot(before), start, Alone)
			m.ApplyEvent(changed(app.Tasks[1]), start)
			define(m, m.ApplyApp(m.BeginRead(), app, start))
			m.ApplyEvent(changed(app.Tasks[0]), start)
		}
	}
	return models
}

// checkShape checks what must hold of all services of a task.
func checkShape(t *rapid.T, tr Translation, task marathon.Task, services []consul.Service, sh *shape) {
	if sh.leftOut != "" && len(services) > 0 {
		t.Fatalf("left out by %s, and has %v", sh.leftOut, services)
	}
	ids := map[string]bool{}
	for _, s := range services {
		app, ours := tr.Owns(s)
		switch {
		case ids[s.ID]:
			t.Fatalf("two services have the ID %s", s.ID)
		case !ours || app != task.AppID || TaskOf(s) != task.ID || s.Meta[consul.MetaApp] != task.AppID || s.Meta[consul.MetaVersion] != task.Version:
			t.Fatalf("does not say whose it is: %+v", s)
		case s.Check() != nil:
			t.Fatalf("cannot be registered: %v", s.Check())
		case s.ID != task.ID && !strings.HasPrefix(s.ID, task.ID+":"):
			t.Fatalf("%s is no ID of a service of %s", s.ID, task.ID)
		}
		ids[s.ID] = true
		for _, tag := range s.Tags[2:] {
			if tag == "" || consul.MarksOwner(tag) || !utf8.ValidString(tag) {
				t.Fatalf("tag %q", tag)
			}
		}
	}
	for _, problem := range sh.problems {
		if len(problem) > 2000 || strings.ContainsAny(problem, "\n\r\x1b") {
			t.Fatalf("a problem that no log can take: %.100q", problem)
		}
	}
}

// FuzzLabels reads anything as labels of an app and of its ports, in both dialects.
func FuzzLabels(f *testing.F) {
	f.Add("consul.ports", "all", "consul.port.web.meta.a", `b\,c`, "web", true)
	f.Add("consul", "a,b", "x{port:web}", "tag:a", "web", false)
	f.Add("consul.tags", `\,\\\`, "consul.port..name", "x", "", true)
	f.Add("consul.port.0.meta.", "", "consul.name", strings.Repeat("x", 200), "0", false)
	f.Fuzz(func(t *testing.T, key1, value1, key2, value2, port string, ofPort bool) {
		d := marathon.Definition{Labels: map[string]string{"consul": "", key1: value1}, Ports: []marathon.Port{{Name: port, OnHost: true}, {Name: "web", OnHost: true}}}
		if ofPort {
			d.Ports[0].Labels = map[string]string{key2: value2}
		} else {
			d.Labels[key2] = value2
		}
		for _, s := range []Shaping{{}, {Allegro: true, AllPorts: true}, {AllPorts: true, TagLabels: Globs{"**"}, MetaLabels: Globs{"*"}}} {
			got := shapeIt(s, "/shop", d)
			if len(got.services) != len(got.shape.services) {
				t.Fatalf("%+v: %d of %d services can be", s, len(got.services), len(got.shape.services))
			}
			again := shapeIt(s, "/shop", d)
			if got.String() != again.String() || !slices.Equal(got.problems, again.problems) {
				t.Fatal("it is not always the same")
			}
			for i, one := range got.services {
				if slices.ContainsFunc(got.services[:i], func(other consul.Service) bool { return other.ID == one.ID }) {
					t.Fatalf("two have the ID %s", one.ID)
				}
			}
		}
	})
}

// FuzzGlobs splits anything, and what is taken for a pattern can be matched.
func FuzzGlobs(f *testing.F) {
	for _, list := range []string{"a,b", "{a,b},c", `\,`, "[,]", "{", "**/a"} {
		f.Add(list, "a/b")
	}
	f.Fuzz(func(t *testing.T, list, name string) {
		globs, err := ParseGlobs(list)
		if err != nil {
			return
		}
		globs.Match(name)
		_ = globs.CheckApps()
		if parts := splitGlobs(list); strings.Join(parts, ",") != list {
			t.Fatalf("%q becomes %q", list, parts)
		}
	})
}

// hostile are labels that are there to do harm: so many, with values so long.
func hostile(labels, size int) map[string]string {
	all := map[string]string{}
	long := strings.Repeat("x,\x00", size/3)
	for i := range labels {
		switch i % 5 {
		case 0:
			all[fmt.Sprintf("consul.port.%d.name", i)] = long
		case 1:
			all[fmt.Sprintf("consul.meta.%d", i)] = long
		case 2:
			all[fmt.Sprintf("consul.\x1b[2J%d", i)] = long
		case 3:
			all[fmt.Sprintf("%d\n", i)] = long
		default:
			all[fmt.Sprintf("consul.port.web.meta.k%d", i)] = "good"
		}
	}
	all["consul.tags"] = long
	return all
}

// Hostile labels cost no registration, and little to tell of.
func TestHostileLabels(t *testing.T) {
	for _, labels := range []map[string]string{hostile(10_000, 100), hostile(20, 1<<20)} {
		for _, s := range []Shaping{{AllPorts: true}, {Allegro: true}, {TagLabels: Globs{"**"}, MetaLabels: Globs{"**"}}} {
			labels["consul"] = ""
			got := shapeIt(s, "/shop", marathon.Definition{Ports: shopPorts(), Labels: labels})
			if len(got.services) == 0 || got.services[0].ID != "t1" || got.services[0].Check() != nil {
				t.Errorf("%+v: %v", s, got)
			}
			if size := len(strings.Join(got.problems, "\n")); size > 64<<10 || len(got.problems) > maxProblems+1 {
				t.Errorf("%+v: %d problems of %d bytes", s, len(got.problems), size)
			}
		}
	}
}

package desired

import (
	"slices"
	"testing"

	"consular/consul"
	"consular/marathon"
)

func TestServiceNames(t *testing.T) {
	for app, want := range map[string]string{"/a": "a", "/group/my-app": "group-my-app", "/a/b/c": "a-b-c", "a": "a"} {
		if got := testTranslation().ServiceName(app); got != want {
			t.Errorf("%s is called %s, want %s", app, got, want)
		}
	}
	if got := testTranslation().Path(consul.Key{Service: "a-b", Label: "x/y"}); got != "consular/a-b/x/y" {
		t.Errorf("the key is %s", got)
	}
}

// The task of a service is the one that its Meta names, as long as its ID agrees.
func TestTaskOfAService(t *testing.T) {
	for name, test := range map[string]struct{ id, meta, want string }{
		"its first service":       {"t1", "t1", "t1"},
		"another one":             {"t1:admin", "t1", "t1"},
		"two names of one port":   {"t1:80:other", "t1", "t1"},
		"a task with a colon":     {"t:1:admin", "t:1", "t:1"},
		"edited Meta":             {"t1", "t2", "t1"},
		"edited Meta, other port": {"t1:admin", "t2", "t1"},
		"a longer ID":             {"t12", "t1", "t12"},
		"no Meta":                 {"t1:admin", "", "t1"},
		"no Meta, no port":        {"t1", "", "t1"},
		"a colon first":           {":1", "", ""},
	} {
		s := consul.Service{ID: test.id, Meta: map[string]string{consul.MetaTask: test.meta}}
		if got := TaskOf(s); got != test.want {
			t.Errorf("%s: %q of %q, want %q", name, got, test.id, test.want)
		}
	}
}

func TestServiceOfATask(t *testing.T) {
	tr, task := testTranslation(), newTask("t1", "/g/a")
	services := servicesOf(tr, task, newApp("/g/a").Definition)
	meta := map[string]string{
		consul.MetaApp: "/g/a", consul.MetaTask: "t1", consul.MetaVersion: "v1", consul.MetaFramework: "framework-1",
	}
	want := consul.Service{
		ID: "t1", Name: "g-a", Address: "agent-1.test", Port: 31001, Meta: meta,
		Tags: []string{"consular-reg-id=consular", "consular-app-id=/g/a"},
	}
	if len(services) != 1 || services[0].Diff(want) != nil || services[0].ID != "t1" {
		t.Errorf("got %+v", services)
	}
	tr.Framework, tr.Token = "", "accessor"
	delete(meta, consul.MetaFramework)
	meta[consul.MetaToken] = "accessor"
	if drift := servicesOf(tr, task, newApp("/g/a").Definition)[0].Diff(want); drift != nil {
		t.Errorf("without a framework, with a token: %v", drift)
	}
	task.Ports = nil
	if services := servicesOf(tr, task, newApp("/g/a").Definition); len(services) > 0 {
		t.Errorf("without a port: %+v", services)
	}
}

// Whose a service is: by registration ID, an earlier one too, and by framework, if both
// are known.
func TestOwnership(t *testing.T) {
	plain := testTranslation()
	former := plain
	former.Former = &consul.Owner{RegistrationID: "earlier"}
	unknown := plain
	unknown.Framework = ""
	anyone := plain
	anyone.AnyFramework = true
	tags := func(id string) []string { return consul.Owner{RegistrationID: id}.Tags("/a") }
	for name, test := range map[string]struct {
		tr           Translation
		tags         []string
		framework    string
		ours, tagged bool
	}{
		"ours":                           {plain, tags("consular"), "framework-1", true, true},
		"of no framework":                {plain, tags("consular"), "", true, true},
		"of another framework":           {plain, tags("consular"), "framework-2", false, true},
		"of another, ours unknown":       {unknown, tags("consular"), "framework-2", true, true},
		"of another, whoever":            {anyone, tags("consular"), "framework-2", true, true},
		"another's":                      {plain, tags("other"), "framework-1", false, false},
		"another's, whoever":             {anyone, tags("other"), "framework-1", false, false},
		"an earlier ID":                  {former, tags("earlier"), "framework-1", true, true},
		"an earlier ID, which is none":   {plain, tags("earlier"), "framework-1", false, false},
		"ours beside an earlier ID":      {former, tags("consular"), "framework-1", true, true},
		"an earlier ID, other framework": {former, tags("earlier"), "framework-2", false, true},
		"nobody's":                       {plain, nil, "framework-1", false, false},
	} {
		s := consul.Service{ID: "t1", Tags: test.tags, Meta: map[string]string{consul.MetaFramework: test.framework}}
		app, ours := test.tr.Owns(s)
		if ours != test.ours || test.tr.Tagged(s) != test.tagged || ours && app != "/a" {
			t.Errorf("%s: ours %t, tagged %t, app %q", name, ours, test.tr.Tagged(s), app)
		}
	}
	untagged := consul.Service{Tags: tags("consular")[:1], Meta: map[string]string{consul.MetaApp: "/meta"}}
	if app, ours := plain.Owns(untagged); !ours || app != "/meta" {
		t.Errorf("somebody removed the app's tag: %q, %t", app, ours)
	}
	adopts := plain
	adopts.Adopt = true
	ours, earlier := plain.Owner.Flags(), consul.Owner{RegistrationID: "earlier"}.Flags()
	for name, test := range map[string]struct {
		tr   Translation
		owns []uint64
	}{
		"plain": {plain, []uint64{ours}}, "former": {former, []uint64{ours, earlier}}, "adopts": {adopts, []uint64{ours, 0}},
	} {
		for _, flags := range []uint64{0, 7, ours, earlier} {
			if got := test.tr.OwnsKey(flags); got != slices.Contains(test.owns, flags) {
				t.Errorf("%s: flags %d are ours: %t", name, flags, got)
			}
		}
	}
}

func TestLabelsThatCannotBeKeysAreLeftOut(t *testing.T) {
	stored, unfit, _ := testTranslation().Labels("/a", map[string]string{"role": "web", "": "x", "a//b": "y", "ok/too": "z"})
	if len(stored) != 2 || stored["role"] != "web" || stored["ok/too"] != "z" || len(unfit) != 2 {
		t.Errorf("stores %v, leaves out %v", stored, unfit)
	}
}

// What of one task is wanted under an ID, and what of a task cannot be in Consul.
func TestWantOfATask(t *testing.T) {
	bad := newTask("t 1\n", "/a")
	astray := newTask("t2", "/a")
	astray.Host = "no host"
	m := knowing(newApp("/a", newTask("t1", "/a"), bad, astray))
	w := m.Want("t1", "")
	if s, is := w.Service("t1"); !is || s.ID != "t1" || w.Unfit != nil || w.Host != "agent-1.test" || w.App != "/a" || w.Task != "t1" {
		t.Errorf("%+v", w)
	}
	if _, is := w.Service("t2"); is {
		t.Error("wants a service of another task")
	}
	for _, id := range []string{bad.ID, astray.ID} {
		if w := m.Want(id, ""); w.Verdict != Untouched || w.Unfit == nil || len(w.Services) > 0 {
			t.Errorf("%q: %+v", id, w)
		}
	}
	if apps, tasks := m.Count(); apps != 1 || tasks != 3 || m.Services() != 3 {
		t.Errorf("%d apps, %d tasks", apps, tasks)
	}
	m.ApplyEvent(changed(in(marathon.TaskLost, newTask("t1", "/a"))), start)
	m.ApplyEvent(changed(in(marathon.TaskUnreachable, newTask("t1", "/a"))), start)
	if m.Services() != 2 {
		t.Errorf("%d run when one is lost, twice", m.Services())
	}
	m.ApplyEvent(changed(newTask("t1", "/a")), start)
	if m.Services() != 3 {
		t.Errorf("%d run when it is back", m.Services())
	}
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(), start, Alone)
	if apps, tasks := m.Count(); apps != 0 || tasks != 0 || m.Has("a") {
		t.Errorf("%d apps, %d tasks, when the app is missing", apps, tasks)
	}
}

func TestGroundsOfRemovals(t *testing.T) {
	if (Ended | Moved).Has(AppGone) || !(Ended | Moved).Has(Announced) {
		t.Error("Has is wrong")
	}
	for _, test := range []struct {
		allowed, removal Grounds
		ok               bool
	}{
		{Announced, Ended, true},
		{Announced, Ended | Lost, false},
		{Announced | Lost, Ended | Lost, true},
		{0, Missing, false},
		{Announced, 0, true},
	} {
		if got := test.allowed.Allow(test.removal); got != test.ok {
			t.Errorf("%q allow %q: %t", test.allowed, test.removal, got)
		}
	}
	if got := (Ended | AppGone).String(); got != "app is gone, task has ended" {
		t.Errorf("in words: %q", got)
	}
}

// What is known of another Marathon is forgotten by a complete look only.
func TestAnotherMarathonIsForgottenByACompleteLookOnly(t *testing.T) {
	m := knowing()
	for _, step := range []struct {
		found, all bool
		want       Another
	}{
		{false, false, AnotherUnknown},
		{true, false, AnotherSeen},
		{false, false, AnotherSeen},
		{false, true, NoAnother},
		{false, false, NoAnother},
		{true, true, AnotherSeen},
	} {
		if m.NoteAnother(step.found, step.all); m.Another() != step.want {
			t.Errorf("found %t, all %t: %v, want %v", step.found, step.all, m.Another(), step.want)
		}
	}
	m.SetFramework("framework-2")
	m.SetFramework("")
	if m.Framework() != "framework-2" || m.Translation().Framework != "framework-2" {
		t.Errorf("the framework is %q", m.Framework())
	}
	if app, ours := m.Owns(consul.Service{Tags: testTranslation().Owner.Tags("/a")}); !ours || app != "/a" {
		t.Errorf("owned: %q, %t", app, ours)
	}
}

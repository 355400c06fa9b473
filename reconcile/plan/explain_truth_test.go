package plan

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

// randomModel is a model of two apps, of which Marathon may have told or not, with tasks in any state.
func randomModel(t *rapid.T) (*desired.Model, []Unread) {
	tr := testTranslation()
	if rapid.IntRange(0, 4).Draw(t, "excludes") == 0 {
		tr.Shaping.ExcludeApps = desired.Globs{"/b"}
	}
	m := desired.New(tr)
	var s marathon.Snapshot
	n := 0
	for _, id := range []string{"/a", "/b"} {
		switch rapid.SampledFrom([]string{"listed", "listed", "listed", "omitted", "unreadable"}).Draw(t, id) {
		case "omitted":
			continue
		case "unreadable":
			s.Unreadable = append(s.Unreadable, marathon.Unreadable{ID: id, Err: errors.New("no sense")})
			continue
		}
		app := newApp(id)
		app.Instances = rapid.SampledFrom([]int{0, marathon.InstancesNotTold}).Draw(t, "instances")
		for range rapid.IntRange(0, 3).Draw(t, "tasks") {
			n++
			task := newTaskOn(fmt.Sprint("t", n), id, rapid.SampledFrom(randomHosts).Draw(t, "host"))
			task.State = rapid.SampledFrom([]marathon.State{
				marathon.TaskRunning, marathon.TaskRunning, marathon.TaskUnreachable, marathon.TaskStaging, "TASK_ODD",
			}).Draw(t, "state")
			task.Version = rapid.SampledFrom([]string{"v1", "v1", "v0"}).Draw(t, "version")
			app.Tasks = append(app.Tasks, task)
		}
		s.Apps = append(s.Apps, app)
	}
	if rapid.IntRange(0, 9).Draw(t, "unidentified") == 0 {
		s.Unreadable = append(s.Unreadable, marathon.Unreadable{Err: errors.New("no ID")})
	}
	m.ApplySnapshot(m.BeginRead(), s, start, desired.Alone)
	for _, app := range s.Apps {
		if rapid.Bool().Draw(t, "version deleted") {
			m.ApplyDefinition(desired.Version{App: app.ID, Version: "v0"}, marathon.Definition{}, true)
		}
	}
	var unread []Unread
	for _, u := range s.Unreadable {
		unread = append(unread, Unread{What: "app " + u.ID, Err: u.Err.Error()})
	}
	return m, unread
}

var randomHosts = []string{"agent-1.test", "agent-2.test", "agent-3.test"}

// randomActual has services of tasks that are and are not, in and out of their place, whole and edited.
func randomActual(t *rapid.T) Actual {
	var actual Actual
	apps := rapid.SliceOfN(rapid.SampledFrom([]string{"/a", "/b"}), 6, 6).Draw(t, "apps") // of tasks, as Consul has them
	for _, host := range randomHosts[:2] {
		a := agentOn(host)
		for i := range 6 {
			s := serviceOf(newTaskOn(fmt.Sprint("t", i+1), apps[i], host))
			switch rapid.SampledFrom([]string{"none", "none", "there", "there", "edited", "extra", "theirs", "foreign"}).Draw(t, "service") {
			case "none":
				continue
			case "edited":
				s.Port++
			case "extra":
				s.ID += ":admin"
			case "theirs":
				s = theirs(s)
			case "foreign":
				s.Meta[consul.MetaFramework] = "framework-2"
			}
			a.Services = append(a.Services, s)
		}
		switch rapid.SampledFrom([]string{"answers", "answers", "answers", "silent", "failed"}).Draw(t, host) {
		case "silent":
			a.Services, a.Err = nil, errors.New("refused")
		case "failed":
			a.Failed, a.Err, a.OnNode = true, errors.New("refused"), map[string]consul.Service{}
			for _, s := range a.Services {
				a.OnNode[s.ID] = s
			}
		}
		actual.Agents = append(actual.Agents, a)
	}
	for _, name := range []string{"a", "b"} {
		for _, label := range []string{"role", "old"} {
			switch rapid.SampledFrom([]string{"none", "ours", "edited", "nobody's", "theirs"}).Draw(t, label) {
			case "ours":
				actual.Keys = append(actual.Keys, keyOf(name, label, "web"))
			case "edited":
				actual.Keys = append(actual.Keys, keyOf(name, label, "db"))
			case "nobody's":
				actual.Keys = append(actual.Keys, consul.Key{Service: name, Label: label, Value: "web"})
			case "theirs":
				actual.Keys = append(actual.Keys, consul.Key{Service: name, Label: label, Value: "web", Flags: 7})
			}
		}
	}
	return actual
}

// toldThing is a service or a key that an explanation tells of.
type toldThing struct {
	agent, id string
	state     State
}

// things are all that an explanation tells of.
func things(x Explanation) (all []toldThing) {
	for _, task := range x.Tasks {
		for _, s := range task.Services {
			all = append(all, toldThing{s.Agent, s.ID, s.State})
		}
	}
	for _, k := range x.Keys {
		all = append(all, toldThing{"", k.Key, k.State})
	}
	return all
}

// contradiction is what is wrong with an explanation of a plan; "" for nothing.
func contradiction(p *Plan, x Explanation, text string) string {
	wrong := 0
	for _, told := range things(x) {
		if told.state != Equal {
			wrong++
		}
		goes := slices.ContainsFunc(slices.Concat(p.Changes, p.Held, p.Unconfirmed, p.kept), func(c Change) bool {
			return c.Removes() && c.Agent == told.agent && c.ID+c.Key == told.id
		})
		if (told.state == LeftOver) != goes {
			return fmt.Sprintf("%s is %s, and the plan removes it: %t", told.id, told.state, goes)
		}
	}
	answer, _, _ := strings.Cut(text, "\n")
	switch {
	case strings.Contains(answer, "is in Consul as it should be") && wrong+len(x.Reasons) > 0:
		return "it is as it should be, and something is not"
	case wrong > 0 && x.InSync() && len(x.Reasons) == 0:
		return "nobody says why"
	}
	return ""
}

// Whatever both sides hold: an explanation that all is as it should be has nothing else to show,
// and whatever is not as it should be is about to be written, or has a reason. Nothing of ours is
// left out.
func TestExplanationsContradictNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, unread := randomModel(t)
		actual := randomActual(t)
		actual.Unread = unread
		tr := m.Translation()
		registered, keys, all := Names(tr, actual, m.Contestants())
		m.PickIncumbents(registered, keys, all)
		n, _, _ := Foreign(tr, actual)
		m.NoteAnother(n > 0, true)
		p := Make(m, actual, desired.Alone)
		policy := Policy{Purge: rapid.Bool().Draw(t, "purge"), Limit: 50, Confirm: 5 * time.Minute}
		NewGuard(policy).Filter(&p, start, rapid.IntRange(0, 3).Draw(t, "empty") == 0)
		told := map[string][]toldThing{}
		for _, asked := range []string{"/a", "/b", "t1", "t2", "t3", "t1:admin"} {
			all, err := Explain(&p, m, actual, nil, asked)
			if err != nil { // neither side knows it
				continue
			}
			var text bytes.Buffer
			if err := all[0].WriteText(&text, false); err != nil {
				t.Fatal(err)
			}
			if what := contradiction(&p, all[0], text.String()); what != "" {
				t.Fatalf("explain %s: %s:\n%s", asked, what, text.String())
			}
			told[asked] = things(all[0])
		}
		for _, a := range actual.Agents {
			for _, s := range a.Services {
				app, _ := tr.Owns(s)
				shown := slices.ContainsFunc(told[app], func(one toldThing) bool { return one.agent == a.Address && one.id == s.ID })
				if tr.Tagged(s) && !shown {
					t.Fatalf("explain %s does not tell of %s on %s", app, s.ID, a.Address)
				}
			}
		}
	})
}

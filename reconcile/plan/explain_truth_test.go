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
	for _, host := range randomHosts[:2] {
		a := agentOn(host)
		for i := range 6 {
			s := serviceOf(newTaskOn(fmt.Sprint("t", i+1), rapid.SampledFrom([]string{"/a", "/b"}).Draw(t, "app"), host))
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
			a.Failed, a.Err = true, errors.New("refused")
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

// Whatever both sides hold: an explanation that all is as it should be has nothing else to show,
// and whatever is not as it should be is about to be written, or has a reason. Nothing of ours is left out.
func TestExplanationsContradictNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, unread := randomModel(t)
		actual := randomActual(t)
		actual.Unread = unread
		registered, keys, all := Names(m.Translation(), actual, m.Contestants())
		m.PickIncumbents(registered, keys, all)
		n, _, _ := Foreign(m.Translation(), actual)
		m.NoteAnother(n > 0, true)
		p := Make(m, actual, desired.Alone)
		policy := Policy{Purge: rapid.Bool().Draw(t, "purge"), Limit: 50, Confirm: 5 * time.Minute}
		NewGuard(policy).Filter(&p, start, rapid.IntRange(0, 3).Draw(t, "empty") == 0)
		for _, app := range []string{"/a", "/b"} {
			told, err := Explain(&p, m, actual, nil, app)
			if err != nil {
				for _, a := range actual.Agents {
					for _, s := range a.Services {
						if s.Meta[consul.MetaApp] == app && m.Translation().Tagged(s) {
							t.Fatalf("%s: %v, but %s has %s", app, err, a.Address, s.ID)
						}
					}
				}
				continue
			}
			x := told[0]
			var text bytes.Buffer
			if err := x.WriteText(&text, false); err != nil {
				t.Fatal(err)
			}
			states := map[State]int{}
			shown := map[string]bool{}
			for _, task := range x.Tasks {
				for _, s := range task.Services {
					states[s.State]++
					shown[s.Agent+" "+s.ID] = true
				}
			}
			for _, k := range x.Keys {
				states[k.State]++
			}
			wrong := states[Absent] + states[Differs] + states[LeftOver] + states[Unknown]
			first, _, _ := strings.Cut(text.String(), "\n")
			if strings.Contains(first, "as it should be") && !strings.Contains(first, "not in Consul as it should be") && wrong > 0 {
				t.Fatalf("it is as it should be, and is not:\n%s", text.String())
			}
			if wrong > 0 && x.InSync() && len(x.Reasons) == 0 {
				t.Fatalf("nobody says why:\n%s", text.String())
			}
			for _, task := range x.Tasks {
				for _, s := range task.Services {
					removed := slices.ContainsFunc(slices.Concat(p.Changes, p.Held, p.Unconfirmed, p.kept), func(c Change) bool {
						return c.Op == Deregister && c.ID == s.ID && c.Agent == s.Agent
					})
					if (s.State == LeftOver) != removed {
						t.Fatalf("%s on %s is %s, and the plan removes it: %t\n%s", s.ID, s.Agent, s.State, removed, text.String())
					}
				}
			}
			for _, a := range actual.Agents {
				for _, s := range a.Services {
					if of, _ := m.Translation().Owns(s); of == app && m.Translation().Tagged(s) && !shown[a.Address+" "+s.ID] {
						t.Fatalf("%s on %s is not told of:\n%s", s.ID, a.Address, text.String())
					}
				}
			}
		}
	})
}

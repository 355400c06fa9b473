package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
)

// severalAgent is an agent that refuses some services, and dies at others.
type severalAgent struct {
	Checker  // none that it could be asked for
	services map[string]consul.Service
	refuses  []string
	dies     string
	log      []string
}

func (a *severalAgent) Address() string { return "h1:8500" }

func (a *severalAgent) Self(context.Context) (consul.Node, error) {
	return consul.Node{ID: "n1", Name: "n1"}, nil
}

func (a *severalAgent) Services(context.Context) (all []consul.Service, err error) {
	for _, s := range a.services {
		all = append(all, s)
	}
	return all, nil
}

func (a *severalAgent) Register(_ context.Context, s consul.Service) error {
	return a.write("register "+s.ID, s.ID, func() { a.services[s.ID] = s })
}

func (a *severalAgent) Deregister(_ context.Context, id string) error {
	return a.write("deregister "+id, id, func() { delete(a.services, id) })
}

func (a *severalAgent) write(what, id string, do func()) error {
	a.log = append(a.log, what)
	switch {
	case slices.Contains(a.refuses, id):
		return api.StatusError{Code: 403, Body: "Permission denied"}
	case a.dies == id:
		return errors.New("no answer")
	}
	do()
	return nil
}

// A task with three services is one job: registered in order, what drifted or is missing
// is one write, what is none of its services any more goes, and all go with its end. One
// that is refused keeps no other back.
func TestThreeServicesOfATaskAreOneJob(t *testing.T) {
	tr := desired.Translation{Owner: consul.Owner{RegistrationID: "consular"}}
	service := func(id string, port int) consul.Service {
		return consul.Service{
			ID: id, Name: "web", Port: port, Tags: tr.Owner.Tags("/web"),
			Meta: map[string]string{consul.MetaApp: "/web", consul.MetaTask: "t1"},
		}
	}
	three := []consul.Service{service("t1", 1), service("t1:admin", 2), service("t1:2", 3)}
	runs := desired.Want{Verdict: desired.Present, App: "/web", Task: "t1", Host: "h1", Services: three}
	for name, test := range map[string]struct {
		want    desired.Want
		has     []consul.Service
		refuses []string
		dies    string
		allowed desired.Grounds
		ids     []string
		state   marathon.State
		log     []string
		fails   bool
	}{
		"none is there":  {want: runs, log: []string{"register t1", "register t1:admin", "register t1:2"}},
		"all are there":  {want: runs, has: three},
		"one is missing": {want: runs, has: three[:2], log: []string{"register t1:2"}},
		"one has drifted": {
			want: runs, has: []consul.Service{three[0], service("t1:admin", 99), three[2]},
			log: []string{"register t1:admin"},
		},
		"one is none of it any more": {
			want: runs, has: append([]consul.Service{service("t1:old", 4)}, three...), allowed: desired.Excluded,
			log: []string{"deregister t1:old"},
		},
		"one is none of it, which an event does not judge": {
			want: runs, has: append([]consul.Service{service("t1:old", 4)}, three...), allowed: desired.Announced,
		},
		"one is refused": {
			want: runs, refuses: []string{"t1"}, fails: true,
			log: []string{"register t1", "register t1:admin", "register t1:2"},
		},
		"the agent dies": {want: runs, dies: "t1:admin", fails: true, log: []string{"register t1", "register t1:admin"}},
		"it has ended": {
			want: desired.Want{App: "/web", Task: "t1", Grounds: desired.Ended}, has: three, allowed: desired.Announced,
			state: marathon.TaskKilled, log: []string{"deregister t1", "deregister t1:2", "deregister t1:admin"},
		},
		"it has ended, and nothing of it is remembered": {
			want: desired.Want{App: "/web", Task: "t1", Grounds: desired.Ended}, allowed: desired.Announced, ids: []string{"t1", "t1:admin", "t1:2"},
			state: marathon.TaskKilled, refuses: []string{"t1"}, fails: true, log: []string{"deregister t1", "deregister t1:2", "deregister t1:admin"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			agent := &severalAgent{services: map[string]consul.Service{}, refuses: test.refuses, dies: test.dies}
			for _, s := range slices.Concat(test.has, []consul.Service{{ID: "redis:1", Name: "redis"}}) {
				agent.services[s.ID] = s
			}
			r := New(Config{Translation: tr, Policy: plan.Policy{Purge: true, Limit: 50}}, nil, Consul{Agent: func(string) (Agent, error) { return agent, nil }})
			r.live.Store(true)
			w, err := r.fleet.worker("h1")
			if err != nil {
				t.Fatal(err)
			}
			w.want = func(string, string) desired.Want { return test.want }
			_, err = w.execute(t.Context(), job{key: "t1", app: "/web", ids: test.ids, allowed: test.allowed, cause: cause{state: test.state}})
			if (err != nil) != test.fails {
				t.Errorf("error %v", err)
			}
			if test.state != "" {
				slices.Sort(agent.log) // in no order that matters
			}
			if !slices.Equal(agent.log, test.log) {
				t.Errorf("wrote %v, want %v", agent.log, test.log)
			}
		})
	}
}

// While others wait, tasks that show up get their first services before any gets its
// second; what a resync has asked for is over when all of it is done.
func TestFirstServicesOfAllTasksComeFirst(t *testing.T) {
	tr := desired.Translation{Owner: consul.Owner{RegistrationID: "consular"}}
	service := func(task, id string) consul.Service {
		return consul.Service{ID: id, Name: "web", Tags: tr.Owner.Tags("/web"), Meta: map[string]string{consul.MetaTask: task}}
	}
	for name, test := range map[string]struct {
		tasks    []string
		refuses  []string
		log      []string
		finished outcome
	}{
		"three tasks": {
			tasks:    []string{"a", "b", "c"},
			log:      []string{"a", "b", "c", "a:x", "a:y", "b:x", "b:y", "c:x", "c:y"},
			finished: outcome{Registered: 9},
		},
		"one alone": {tasks: []string{"a"}, log: []string{"a", "a:x", "a:y"}, finished: outcome{Registered: 3}},
		"one is refused": {
			tasks: []string{"a", "b"}, refuses: []string{"a"},
			log: []string{"a", "a:x", "a:y", "b", "b:x", "b:y"}, finished: outcome{Registered: 5, Failed: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			agent := &severalAgent{services: map[string]consul.Service{}, refuses: test.refuses}
			r := New(Config{Translation: tr, Policy: plan.Policy{Purge: true, Limit: 50}}, nil, Consul{Agent: func(string) (Agent, error) { return agent, nil }})
			r.live.Store(true)
			w, err := r.fleet.worker("h1")
			if err != nil {
				t.Fatal(err)
			}
			w.want = func(task, _ string) desired.Want {
				return desired.Want{
					Verdict: desired.Present, App: "/web", Task: task, Host: "h1",
					Services: []consul.Service{service(task, task), service(task, task+":x"), service(task, task+":y")},
				}
			}
			finished := false
			asked := newTally(func(sum outcome) {
				finished = true
				sum.contact = unasked
				if sum != test.finished {
					t.Errorf("finished with %+v, want %+v", sum, test.finished)
				}
			})
			for _, task := range test.tasks {
				asked.expect()
				w.queue.put(job{key: task, app: "/web", tally: asked, cause: cause{name: "resync"}})
			}
			asked.done(outcome{})
			b := breaker{pauses: newBackoff(maxBackoff), jobs: map[string]bool{}}
			for j, ok := w.queue.take(); ok; j, ok = w.queue.take() {
				if finished {
					t.Error("finished while jobs of it wait")
				}
				done, err := w.execute(t.Context(), j)
				w.judge(&b, j, done, err)
			}
			var log []string
			for _, line := range agent.log {
				log = append(log, strings.TrimPrefix(line, "register "))
			}
			if !finished || !slices.Equal(log, test.log) {
				t.Errorf("finished %t; registered %v, want %v", finished, log, test.log)
			}
		})
	}
}

// The end of a task is sent for all the services that it had, though we know of none.
func TestEndIsSentForAllServices(t *testing.T) {
	agent := &severalAgent{services: map[string]consul.Service{}}
	r := New(Config{Policy: plan.Policy{Purge: true, Limit: 50}}, nil, Consul{Agent: func(string) (Agent, error) { return agent, nil }})
	w, err := r.fleet.worker("h1")
	if err != nil {
		t.Fatal(err)
	}
	w.want = func(task, app string) desired.Want { return desired.Want{App: app, Task: task, Grounds: desired.Ended} }
	ended := job{key: "t1", app: "/web", ids: []string{"t1", "t1:admin"}, allowed: desired.Announced, cause: cause{state: marathon.TaskKilled}}
	if _, err := w.execute(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	if want := []string{"deregister t1", "deregister t1:admin"}; !slices.Equal(agent.log, want) {
		t.Errorf("wrote %v, want %v", agent.log, want)
	}
	if merged := merge(ended, job{key: "t1", app: "/web"}); !slices.Equal(merged.ids, ended.ids) {
		t.Errorf("forgets the services: %v", merged.ids)
	}
}

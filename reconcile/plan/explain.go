package plan

import (
	"maps"
	"slices"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

// Explain tells of what somebody asks for: an app's ID with or without its first slash, a
// task's or a service's ID, or a service's name, which several apps may have. p is the plan
// that was made of the model and of actual, judged, and listed what Marathon told: the model
// knows nothing of tasks that do not run yet, or of apps that are left out. The error says that
// neither side knows what is asked for, and names what has a similar name.
func Explain(p *Plan, m *desired.Model, actual Actual, listed []marathon.App, asked string) ([]Explanation, error) {
	e := explainer{
		comparison: newComparison(m, actual, desired.Alone), judged: p,
		all: slices.Concat(p.Changes, p.Held, p.Unconfirmed, p.kept), listed: map[string]marathon.Task{},
	}
	for i := range listed {
		for _, t := range listed[i].Tasks {
			t.AppID = listed[i].ID
			e.listed[t.ID] = t
		}
	}
	apps, task, err := e.find(asked)
	if err != nil {
		return nil, err
	}
	service := ""
	if task != "" && asked != task {
		service = asked
	}
	told := make([]Explanation, len(apps))
	for i, app := range apps {
		told[i] = e.tell(app, task, service)
	}
	return told, nil
}

// explainer explains a plan.
type explainer struct {
	*comparison
	judged *Plan
	// all are the plan's changes, whether they may be done or not.
	all []Change
	// listed are the tasks that Marathon's answer had, by ID.
	listed map[string]marathon.Task
}

// tell tells of an app; if a task, or one of its services, is named, of that alone.
func (e *explainer) tell(app, only, service string) Explanation {
	x := Explanation{
		Schema: 1, App: app, task: only, service: service, Reasons: []desired.Reason{}, Tasks: []TaskStory{}, Keys: []KeyStory{}, Read: e.judged.Read,
	}
	x.leftOut, x.listed = e.model.Lists(app)
	for _, task := range e.tasksOf(app) {
		if only == "" || task == only {
			x.Tasks = append(x.Tasks, e.task(&x, app, task))
		}
	}
	if only == "" {
		e.keys(&x)
	}
	e.reasons(&x, only)
	if service != "" {
		x.narrow(service)
	}
	return x
}

// tasksOf returns the tasks of an app that either side knows, in order.
func (e *explainer) tasksOf(app string) []string {
	tasks := map[string]bool{}
	for _, task := range e.model.TasksOf(app) {
		tasks[task] = true
	}
	for id, t := range e.listed {
		if t.AppID == app {
			tasks[id] = true
		}
	}
	e.registered(func(_ *Agent, s consul.Service, of string) {
		if of == app {
			tasks[desired.TaskOf(s)] = true
		}
	})
	return slices.Sorted(maps.Keys(tasks))
}

// registered calls do with each service that carries our registration ID, and the app that it
// is of.
func (e *explainer) registered(do func(a *Agent, s consul.Service, app string)) {
	for i := range e.actual.Agents {
		a := &e.actual.Agents[i]
		if a.Err != nil && !a.Failed {
			continue
		}
		for _, s := range a.Services {
			if app, _ := e.tr.Owns(s); e.tr.Tagged(s) {
				do(a, s, app)
			}
		}
	}
}

// task tells of one task: what it should have, and then what else there is of it.
func (e *explainer) task(x *Explanation, app, id string) TaskStory {
	w := e.model.Want(id, app)
	story := TaskStory{ID: id, Host: w.Host, Services: []ServiceStory{}}
	if t, known := e.taskOf(id); known {
		story.State, story.Host = string(t.State), t.Host
	}
	if status := w.Health.Status; status != "" {
		healthy := status == consul.Passing
		story.Healthy = &healthy
	}
	w, home := e.atHome(w)
	for _, s := range w.Services {
		story.Services = append(story.Services, e.wanted(home, w, s))
	}
	for _, s := range w.Waits {
		story.Services = append(story.Services, e.waits(home, w, s.ID))
	}
	own := home
	if own == nil { // which cannot be asked, but the catalog may show what is there
		own = e.agents[w.Host]
	}
	e.registered(func(a *Agent, s consul.Service, _ string) {
		if desired.TaskOf(s) != id || a == own && w.Belongs(s.ID) {
			return
		}
		left := storyOn(a, s, LeftOver)
		if !e.goes(a, s) {
			left.State = Unknown
			e.reasonsOfLeft(x, w, s)
		}
		story.Services = append(story.Services, left)
	})
	e.reasonsOfTask(x, w, home)
	return story
}

// goes reports whether the plan removes a service, be it that something holds it back.
func (e *explainer) goes(a *Agent, s consul.Service) bool {
	return slices.ContainsFunc(e.all, func(c Change) bool { return c.Op == Deregister && c.ID == s.ID && c.Agent == a.Address })
}

func storyOn(a *Agent, s consul.Service, state State) ServiceStory {
	return ServiceStory{ID: s.ID, Name: s.Name, Agent: a.Address, Address: s.Address, Port: s.Port, State: state}
}

// wanted tells of a service that should be there.
func (e *explainer) wanted(home *Agent, w desired.Want, s consul.Service) ServiceStory {
	if home == nil {
		return ServiceStory{ID: s.ID, Name: s.Name, Agent: e.addressOf(w.Host), Address: s.Address, Port: s.Port, State: Unknown}
	}
	told := storyOn(home, s, Equal)
	have := find(home.Services, s.ID)
	if have == nil || !e.ours(*have) {
		told.State = Absent
		return told
	}
	for _, c := range e.all {
		if c.ID == s.ID && c.Agent == home.Address && c.Op != Deregister {
			told.State = Differs
			told.Why = append(told.Why, c.Why...)
		}
	}
	return told
}

// waits tells of a service that cannot be written now.
func (e *explainer) waits(home *Agent, w desired.Want, id string) ServiceStory {
	told := ServiceStory{ID: id, Agent: e.addressOf(w.Host), State: Absent}
	if home == nil {
		told.State = Unknown
	} else if have := find(home.Services, id); have != nil && e.ours(*have) {
		told = storyOn(home, *have, Unknown)
	}
	return told
}

// addressOf is what the agent on a host is called.
func (e *explainer) addressOf(host string) string {
	if a := e.agents[host]; a != nil {
		return a.Address
	}
	return host
}

// keys tells of an app's keys: its labels', and what else is below its name.
func (e *explainer) keys(x *Explanation) {
	name := e.tr.ServiceName(x.App)
	w := e.model.WantKeys(name)
	if e.actual.NoKeys || w.App != "" && w.App != x.App {
		return // there are to be none, or they are another app's
	}
	have := map[string]consul.Key{}
	for _, k := range e.actual.Keys {
		if k.Service == name {
			have[k.Label] = k
		}
	}
	for _, label := range slices.Sorted(maps.Keys(w.Labels)) {
		k, there := have[label]
		delete(have, label)
		told := KeyStory{Key: e.tr.Path(consul.Key{Service: name, Label: label}), State: Equal}
		switch {
		case e.actual.KeysErr != nil:
			told.State = Unknown
		case !there || !e.tr.OwnsKey(k.Flags):
			told.State = Absent
		default:
			if told.Why = keyDrift(e.tr.Owner, k, w.Labels[label]); told.Why != nil {
				told.State = Differs
			}
		}
		x.Keys = append(x.Keys, told)
	}
	for _, label := range slices.Sorted(maps.Keys(have)) {
		if k := have[label]; k.Flags != 0 && e.tr.OwnsKey(k.Flags) {
			state := LeftOver
			if w.Verdict == desired.Untouched {
				state = Unknown
			}
			x.Keys = append(x.Keys, KeyStory{Key: e.tr.Path(k), State: state})
		}
	}
}

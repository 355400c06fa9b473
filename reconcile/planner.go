package reconcile

import (
	"cmp"
	"slices"

	"consular/consul"
)

// planner builds one plan.
type planner struct {
	*Plan
	desired *Desired
	actual  Actual
	// agents are all by Marathon's name for their host, and main is the main
	// agent; nil where it is not looked at.
	agents map[string]*AgentState
	main   *AgentState
	// compared are the tasks whose services are at home already.
	compared map[string]bool
}

// Plan compares the model with all that is: the same input, the same plan, for
// run, sync and plan. All that it changes in the model are the incumbents of clashes.
func (d *Desired) Plan(actual Actual) Plan {
	p := planner{
		Plan:    &Plan{},
		desired: d, actual: actual,
		agents:   map[string]*AgentState{},
		compared: map[string]bool{},
	}
	p.index()
	p.services()
	p.unregistered()
	p.keys()
	p.traceKeys()
	p.Clashes = d.Clashes()
	slices.SortFunc(p.Changes, compareChanges)
	slices.SortFunc(p.Conflicts, func(a, b Conflict) int {
		return cmp.Or(cmp.Compare(a.Agent, b.Agent), cmp.Compare(a.Task, b.Task), cmp.Compare(a.Key, b.Key))
	})
	return *p.Plan
}

func compareChanges(a, b Change) int {
	return cmp.Or(
		cmp.Compare(opOrder[a.Op], opOrder[b.Op]),
		cmp.Compare(a.Agent, b.Agent),
		cmp.Compare(a.App, b.App),
		cmp.Compare(a.Task, b.Task),
		cmp.Compare(a.Key, b.Key),
	)
}

// index finds out which agent is where, what is registered there, and who holds
// the names that clash.
func (p *planner) index() {
	registered := map[string]bool{}
	p.Unread = slices.Clone(p.actual.Unread)
	if err := p.actual.CatalogErr; err != nil {
		p.catalogUnread = true
		p.Unread = append(p.Unread, Unread{What: unreadCatalog, Err: err.Error()})
	}
	for i := range p.actual.Agents {
		a := &p.actual.Agents[i]
		for _, host := range a.Hosts {
			p.agents[host] = a
		}
		switch {
		case a.Failed:
			p.Skipped = append(p.Skipped, a.Address)
		case a.Err != nil:
			p.Unread = append(p.Unread, Unread{What: a.Address, Err: a.Err.Error()})
			for _, s := range a.OnNode {
				p.seeFramework(s)
			}
			continue
		case a.Main:
			p.main = a
		}
		for _, s := range a.Services {
			if app, ours := p.ours(s); ours {
				registered[app] = true
			}
		}
	}
	if !p.actual.Partial {
		p.desired.PickIncumbents(registered)
	}
}

// ours reports whether we own a service: by registration ID and framework.
func (p *planner) ours(s consul.Service) (app string, ours bool) {
	return p.desired.tr.owns(s)
}

// home returns the agent that a task's service belongs to: that of its host, or
// the main agent while there is no way to that one and its node does not have
// the service. It is nil while home cannot be read, or is not known.
func (p *planner) home(w Want, task string) *AgentState {
	a := p.agents[w.Host]
	switch {
	case a == nil:
		return nil
	case a.Err == nil && !a.Failed:
		return a
	case a.Unreachable && p.main != nil && p.desired.tr.Fallback && a.OnNode != nil && !a.shows(task):
		return p.main
	}
	return nil
}

// services compares every service that is there with what should be.
func (p *planner) services() {
	for i := range p.actual.Agents {
		a := &p.actual.Agents[i]
		if a.Err != nil && !a.Failed {
			continue
		}
		// While Marathon has a task there, the host lives, whatever Consul says.
		inUse := a.Failed && len(p.desired.TasksOn(a.Hosts...)) > 0
		for _, s := range a.Services {
			app, ours := p.ours(s)
			if !ours {
				p.foreign(a, s)
				continue
			}
			p.Services++
			if inUse {
				continue
			}
			p.service(a, s, p.desired.Look(s.ID, app))
		}
	}
}

// foreign notes a service that is not ours, and whether it is in our way.
func (p *planner) foreign(a *AgentState, s consul.Service) {
	why := "registered by somebody else"
	if id, tagged := consul.RegistrationIDOf(s.Tags); tagged {
		why = "owned by registration ID " + id
	}
	if p.seeFramework(s) {
		why = "owned by framework " + s.Meta[consul.MetaFramework]
	}
	w := p.desired.Look(s.ID, "")
	if w.Verdict == Present && p.home(w, s.ID) == a {
		p.Conflicts = append(p.Conflicts, Conflict{Agent: a.Address, Service: s.Name, Task: s.ID, Why: why})
	}
}

// seeFramework notes, and reports, that a service with our registration ID is
// another Marathon's.
func (p *planner) seeFramework(s consul.Service) bool {
	id, tagged := consul.RegistrationIDOf(s.Tags)
	_, ours := p.ours(s)
	another := tagged && !ours && id == p.desired.tr.Owner.RegistrationID
	p.otherFramework = p.otherFramework || another
	return another
}

// shows reports whether the catalog shows a service on a silent agent's node.
func (a *AgentState) shows(id string) bool {
	_, there := a.OnNode[id]
	return there
}

// service compares one service of ours with what should be.
func (p *planner) service(a *AgentState, s consul.Service, w Want) {
	c := Change{Agent: a.Address, App: w.App, Task: s.ID, Service: s.Name}
	if a.Failed {
		c.node = a.Node.Name
	} else {
		c.host = a.host()
	}
	switch w.Verdict {
	case Untouched:
	case Absent:
		p.Changes = append(p.Changes, c.deregister(w))
	case Present:
		home := p.home(w, s.ID)
		switch {
		case home == nil:
			// Home cannot be reached, or it is not known which agent it is.
		case home != a && p.occupied(home, s.ID):
			// It cannot be registered at home, where its ID is somebody else's.
		case home != a:
			p.Changes = append(p.Changes, c.deregister(w))
		default:
			p.compared[s.ID] = true
			if drift := w.Service.Diff(s); len(drift) > 0 && !w.Keep {
				c.fallback = home != p.agents[w.Host]
				c.Op, c.register, c.Service, c.Why = Update, w.Service, w.Service.Name, drift
				p.Changes = append(p.Changes, c)
			}
		}
	}
}

// occupied reports whether a service on an agent has this ID and is not ours.
func (p *planner) occupied(a *AgentState, id string) bool {
	return slices.ContainsFunc(a.Services, func(s consul.Service) bool {
		_, ours := p.ours(s)
		return s.ID == id && !ours
	})
}

func (c Change) deregister(w Want) Change {
	grounds, why := w.removal()
	c.Op, c.removal, c.Why, c.gone = Deregister, grounds, []string{why}, w.Gone
	return c
}

// unregistered registers what is not where it belongs.
func (p *planner) unregistered() {
	foreign := map[string]bool{}
	for _, c := range p.Conflicts {
		foreign[c.Agent+" "+c.Task] = true
	}
	var tasks []string
	for task := range p.desired.tasks {
		if !p.compared[task] {
			tasks = append(tasks, task)
		}
	}
	slices.Sort(tasks)
	p.Changes = slices.Grow(p.Changes, len(tasks))
	for _, task := range tasks {
		w := p.desired.Look(task, "")
		if w.Unfit != nil {
			p.Unfit = append(p.Unfit, Unfit{App: w.App, Task: task, Err: w.Unfit.Error()})
		}
		home := p.home(w, task)
		if w.Verdict != Present || home == nil || foreign[home.Address+" "+task] {
			continue
		}
		p.Changes = append(p.Changes, Change{
			Op: Register, Agent: home.Address, App: w.App, Task: task, Service: w.Service.Name,
			Why: []string{"not registered"}, host: home.host(), register: w.Service,
			fallback: home != p.agents[w.Host],
		})
	}
}

// host is the name by which the agent's worker goes. A dead node may have none.
func (a *AgentState) host() string { return a.Hosts[0] }

// writesOnly is what of a plan needs no guard: services that are registered
// or updated, and the labels of names that lose none, for labels that come and go
// together are seen together.
func (p Plan) writesOnly() Plan {
	loses := map[string]bool{}
	for _, c := range slices.Concat(p.Changes, p.Held) {
		loses[c.Service] = loses[c.Service] || c.Op == Delete
	}
	p.Changes = slices.DeleteFunc(slices.Clone(p.Changes), func(c Change) bool {
		return c.removal != NoRemoval || c.Op == Set && loses[c.Service]
	})
	return p
}

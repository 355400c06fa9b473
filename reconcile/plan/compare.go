package plan

import (
	"cmp"
	"maps"
	"slices"

	"consular/consul"
	"consular/reconcile/desired"
)

// comparison builds one plan.
type comparison struct {
	*Plan
	model  *desired.Model
	actual Actual
	// agents are all by Marathon's name for their host, and main is the main agent; nil
	// where it is not listed.
	agents map[string]*Agent
	main   *Agent
	// seen are the tasks that were compared on the agent that is their home.
	seen map[string]bool
}

// Make compares the model with all that is. The same input gives the same plan, for
// run, sync and plan. Names that clash must have got their incumbents before (see
// Holders).
func Make(m *desired.Model, actual Actual) Plan {
	p := comparison{
		Plan:  &Plan{},
		model: m, actual: actual,
		agents: map[string]*Agent{},
		seen:   map[string]bool{},
	}
	p.index()
	for i := range actual.Agents {
		p.agent(&actual.Agents[i])
	}
	p.unseen()
	p.keys()
	p.traceKeys()
	p.Clashes = m.Clashes()
	p.sort()
	return *p.Plan
}

func (p *Plan) sort() {
	slices.SortFunc(p.Changes, compareChanges)
	slices.SortFunc(p.Conflicts, func(a, b Conflict) int {
		return cmp.Or(cmp.Compare(a.Agent, b.Agent), cmp.Compare(a.Task, b.Task), cmp.Compare(a.Key, b.Key))
	})
	slices.SortStableFunc(p.Unfit, func(a, b Unfit) int {
		if (a.Task == "") != (b.Task == "") { // tasks before labels, which are in order
			return cmp.Compare(b.Task, a.Task)
		}
		return cmp.Compare(a.Task, b.Task)
	})
}

func compareChanges(a, b Change) int {
	return cmp.Or(
		cmp.Compare(opOrder[a.Op], opOrder[b.Op]),
		cmp.Compare(a.Agent, b.Agent),
		cmp.Compare(a.App, b.App),
		cmp.Compare(a.Task, b.Task),
		cmp.Compare(a.ID, b.ID),
		cmp.Compare(a.Key, b.Key),
	)
}

// Holders returns the apps that have services of ours registered: of those whose
// names clash, they are the incumbents.
func Holders(m *desired.Model, actual Actual) map[string]bool {
	holders := map[string]bool{}
	for i := range actual.Agents {
		a := &actual.Agents[i]
		if a.Err != nil && !a.Failed {
			continue
		}
		for _, s := range a.Services {
			if app, ours := m.Owns(s); ours {
				holders[app] = true
			}
		}
	}
	return holders
}

// index finds out which agent is where, and which could not be read.
func (p *comparison) index() {
	p.Unread = slices.Clone(p.actual.Unread)
	if err := p.actual.CatalogErr; err != nil {
		p.catalogUnread = true
		p.Unread = append(p.Unread, Unread{What: UnreadCatalog, Err: err.Error()})
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
		case a.Main:
			p.main = a
		}
	}
}

// home returns the agent that a task's services belong to: that of its host, or the
// main agent while there is no way to that one and its node does not have them. It is
// nil while home cannot be read, or is not known.
func (p *comparison) home(w desired.Want) *Agent {
	a := p.agents[w.Host]
	switch {
	case a == nil:
		return nil
	case a.Err == nil && !a.Failed:
		return a
	case a.Unreachable && p.main != nil && a.OnNode != nil && !a.shows(w.Task):
		return p.main
	}
	return nil
}

// agent compares all services on one agent, and all that should be there.
func (p *comparison) agent(a *Agent) {
	if a.Err != nil && !a.Failed {
		return
	}
	here := map[string][]consul.Service{}
	for _, s := range a.Services {
		if _, ours := p.model.Owns(s); ours {
			p.Services++
		}
		p.seeFramework(s)
		task := desired.TaskOf(s)
		here[task] = append(here[task], s)
	}
	running := p.model.TasksOn(a.Hosts...)
	if a.Failed && len(running) > 0 {
		return // while Marathon has a task there, the host lives, whatever Consul says
	}
	for _, task := range running {
		if here[task] == nil {
			p.task(a, task, nil)
		}
	}
	for _, task := range slices.Sorted(maps.Keys(here)) {
		p.task(a, task, here[task])
	}
	if a == p.main {
		p.fallBack()
	}
}

// fallBack compares on the main agent the tasks of hosts whose agents there is no way
// to, as far as they have no service there.
func (p *comparison) fallBack() {
	here := map[string]bool{}
	for _, s := range p.main.Services {
		here[desired.TaskOf(s)] = true
	}
	for i := range p.actual.Agents {
		a := &p.actual.Agents[i]
		if !a.Unreachable || a == p.main {
			continue
		}
		for _, task := range p.model.TasksOn(a.Hosts...) {
			if !here[task] {
				p.task(p.main, task, nil)
			}
		}
	}
}

// task compares one task's services on one agent.
func (p *comparison) task(a *Agent, task string, here []consul.Service) {
	app := ""
	for _, s := range here {
		if tagged, ours := p.model.Owns(s); ours && app == "" {
			app = tagged
		}
	}
	w := p.model.Want(task, app)
	home := p.home(w)
	if home == a {
		p.see(w)
	}
	ours := func(s consul.Service) bool { _, is := p.model.Owns(s); return is }
	standing := func(id string) Standing {
		switch home {
		case a:
			return Home
		case nil:
			return HomeUnknown
		}
		s := find(home.Services, id)
		switch {
		case s == nil:
			return HomeLacks
		case !ours(*s):
			return HomeUnknown // its ID is somebody else's there
		default:
			return HomeHas
		}
	}
	for _, d := range Decide(w, here, ours, standing) {
		if d.Conflict {
			p.Conflicts = append(p.Conflicts, Conflict{Agent: a.Address, Service: d.Service.Name, Task: d.Service.ID, Why: p.whose(d.Service)})
			continue
		}
		c := Change{
			Op: d.Op, Agent: a.Address, App: w.App, Task: task, ID: d.Service.ID, Service: d.Service.Name, Why: d.Why,
			Grounds: d.Grounds,
		}
		if d.Op != Deregister {
			c.Definition, c.Fallback = d.Service, home != p.agents[w.Host]
		}
		if a.Failed {
			c.Node = a.Node.Name
		} else {
			c.Host = a.host()
		}
		p.Changes = append(p.Changes, c)
	}
}

// see notes that a task was compared at home, and why it has no service there.
func (p *comparison) see(w desired.Want) {
	p.seen[w.Task] = true
	if w.Unfit != nil {
		p.Unfit = append(p.Unfit, Unfit{App: w.App, Task: w.Task, Err: w.Unfit.Error()})
	}
}

// unseen says of the tasks that have no home why they have no service either.
func (p *comparison) unseen() {
	for _, task := range p.model.Tasks() {
		if !p.seen[task] {
			p.see(p.model.Want(task, ""))
		}
	}
}

// whose says who owns a service that is not ours.
func (p *comparison) whose(s consul.Service) string {
	if p.anothers(s) {
		return "owned by framework " + s.Meta[consul.MetaFramework]
	}
	if id, tagged := consul.RegistrationIDOf(s.Tags); tagged {
		return "owned by registration ID " + id
	}
	return "registered by somebody else"
}

// seeFramework notes whether a service is another Marathon's.
func (p *comparison) seeFramework(s consul.Service) {
	p.otherFramework = p.otherFramework || p.anothers(s)
}

// anothers reports whether a service with our registration ID is another Marathon's.
func (p *comparison) anothers(s consul.Service) bool {
	id, tagged := consul.RegistrationIDOf(s.Tags)
	_, ours := p.model.Owns(s)
	return tagged && !ours && id == p.model.Translation().Owner.RegistrationID
}

// shows reports whether the catalog shows any service of a task on a silent agent's
// node.
func (a *Agent) shows(task string) bool {
	for _, s := range a.OnNode {
		if desired.TaskOf(s) == task {
			return true
		}
	}
	return false
}

// host is the name by which the agent's worker goes. A dead node may have none.
func (a *Agent) host() string { return a.Hosts[0] }

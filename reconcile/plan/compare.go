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
	locked desired.Locked
	tr     desired.Translation
	actual Actual
	// agents are all by Marathon's name for their host, and main is the main agent; nil
	// where it is not listed.
	agents map[string]*Agent
	main   *Agent
	// seen are the tasks that were compared on the agent that is their home.
	seen map[string]bool
}

// Make compares the model with all that is. The same input gives the same plan, for
// run, sync and plan. Before it, names that clash get their incumbents (see Holders), and
// the model is told of another Marathon (see Foreign). The model is locked piece by piece:
// what changes in between is brought in line by the event that changed it.
func Make(m *desired.Model, actual Actual, locked desired.Locked) Plan {
	p := newComparison(m, actual, locked)
	for i := range actual.Agents {
		p.agent(&actual.Agents[i])
	}
	p.unseen()
	p.keys()
	p.traceKeys()
	locked(func() {
		p.Clashes, p.another, p.LeftOut, p.mirrored = m.Clashes(), m.Another(), m.LeftOut(), m.MirroredServices()
		p.trouble(m.Troubles())
	})
	p.sort()
	return *p.Plan
}

// MakeOf compares the model with one agent alone: what is to be registered and updated
// there, but for names that clash, needs to know no other.
func MakeOf(m *desired.Model, agent Agent, locked desired.Locked) Plan {
	p := newComparison(m, Actual{Agents: []Agent{agent}}, locked)
	p.agent(&p.actual.Agents[0])
	writes := Plan{Changes: slices.DeleteFunc(p.Changes, func(c Change) bool { return c.Grounds != 0 })}
	writes.sort()
	return writes
}

// MakeOfKeys compares the model with the keys alone: what is to be set of names that
// neither clash nor lose a key. Labels that come and go together are seen together.
func MakeOfKeys(m *desired.Model, keys []consul.Key, locked desired.Locked) Plan {
	p := newComparison(m, Actual{Keys: keys}, locked)
	p.keys()
	waits := map[string]bool{}
	for _, c := range p.Changes {
		waits[c.Service] = waits[c.Service] || c.Op == Delete
	}
	locked(func() {
		for _, c := range m.Clashes() {
			waits[c.Name] = true
		}
	})
	p.Changes = slices.DeleteFunc(p.Changes, func(c Change) bool { return waits[c.Service] })
	return Plan{Changes: p.Changes, Have: p.Have}
}

func newComparison(m *desired.Model, actual Actual, locked desired.Locked) *comparison {
	p := &comparison{
		Plan:  &Plan{},
		model: m, locked: locked, actual: actual,
		agents: map[string]*Agent{},
		seen:   map[string]bool{},
	}
	locked(func() { p.tr = m.Translation() })
	p.index()
	p.Framework, p.adopts = p.tr.Framework, p.tr.Adopt
	p.ForeignFramework, p.Frameworks, _ = Foreign(p.tr, actual)
	return p
}

// atOnce is how many tasks or names are compared before others get at the model.
const atOnce = 100

// piecewise calls do for each of the tasks or names, some of them at a time.
func (p *comparison) piecewise(all []string, do func(one string)) {
	for piece := range slices.Chunk(all, atOnce) {
		p.locked(func() {
			for _, one := range piece {
				do(one)
			}
		})
	}
}

func (p *Plan) sort() {
	slices.SortFunc(p.Changes, compareChanges)
	slices.SortFunc(p.Conflicts, func(a, b Conflict) int {
		return cmp.Or(cmp.Compare(a.Agent, b.Agent), cmp.Compare(a.Task, b.Task), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Key, b.Key))
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
		case a.Main:
			p.main = a
		}
	}
}

// agent compares all services on one agent, and all that should be there.
func (p *comparison) agent(a *Agent) {
	if a.Err != nil && !a.Failed {
		return
	}
	here := map[string][]consul.Service{}
	for _, s := range a.Services {
		if p.ours(s) {
			p.Services++
		}
		task := desired.TaskOf(s)
		here[task] = append(here[task], s)
	}
	tasks := slices.Sorted(maps.Keys(here))
	var running []string
	p.locked(func() { running = p.model.TasksOn(a.Hosts...) })
	if a.Failed && len(running) > 0 {
		return // while Marathon has a task there, the host lives, whatever Consul says
	}
	if a == p.main {
		running = append(running, p.strandedTasks()...)
	}
	for _, task := range running {
		if here[task] == nil {
			tasks = append(tasks, task)
		}
	}
	p.piecewise(tasks, func(task string) { p.task(a, task, here[task]) })
}

// task compares one task's services on one agent.
func (p *comparison) task(a *Agent, task string, here []consul.Service) {
	app := ""
	for _, s := range here {
		if tagged, ours := p.tr.Owns(s); ours && app == "" {
			app = tagged
		}
	}
	w := p.model.Want(task, app)
	w.Anew = a.Unsynced
	w, home := p.atHome(w)
	if home == a {
		p.see(w)
	}
	for _, d := range Decide(w, here, p.ours, p.standing(a, home)) {
		if d.Conflict {
			p.Conflicts = append(p.Conflicts, Conflict{
				Agent: a.Address, Service: d.Service.Name, Task: task, ID: d.Service.ID, Port: w.PortName(d.Service.ID), Why: p.whose(d.Service),
			})
			continue
		}
		c := Change{
			Op: d.Op, Agent: a.Address, App: w.App, Task: task, ID: d.Service.ID, Port: w.PortName(d.Service.ID), Service: d.Service.Name,
			Why: d.Why, Grounds: d.Grounds, Anew: d.Anew,
		}
		if c.Recovers = d.Recovers(); c.turns() {
			c.Turn = Turn{Task: task, Services: len(w.Services), Window: w.Health.Window}
		}
		if d.Op == Register || d.Op == Update {
			s := d.Service
			c.Definition, c.Fallback = &s, home != p.agents[w.Host]
		}
		if a.Failed {
			c.Node = a.Node.Name
		} else {
			c.Host = a.host()
		}
		p.change(c)
	}
}

// change adds changes. A plan may have very many: its room is doubled, where append would add a
// quarter and copy all of them that more often.
func (p *Plan) change(more ...Change) {
	if len(p.Changes)+len(more) > cap(p.Changes) {
		p.Changes = slices.Grow(p.Changes, max(len(p.Changes), len(more)))
	}
	p.Changes = append(p.Changes, more...)
}

func (p *comparison) ours(s consul.Service) bool {
	_, ours := p.tr.Owns(s)
	return ours
}

// see notes that a task was compared at home, and why it has no service there.
func (p *comparison) see(w desired.Want) {
	p.seen[w.Task] = true
	if err := w.Health.Mirrored; err != nil {
		if p.MirroredInstead == nil {
			p.MirroredInstead = map[Unfit]bool{}
		}
		p.MirroredInstead[Unfit{App: w.App, Definition: w.Health.Definition, Err: err.Error()}] = true
	}
	if w.Unfit != nil {
		p.Unfit = append(p.Unfit, Unfit{App: w.App, Task: w.Task, Err: w.Unfit.Error()})
	}
	for _, waits := range w.Waits {
		if waits.Err != nil {
			p.Unfit = append(p.Unfit, Unfit{App: w.App, Task: w.Task, Err: waits.ID + " " + waits.Err.Error()})
		}
	}
}

// trouble takes in what is wrong with the labels of definitions.
func (p *comparison) trouble(troubles []desired.Trouble) {
	for _, t := range troubles {
		for _, problem := range t.Problems {
			p.Unfit = append(p.Unfit, Unfit{App: t.App, Definition: t.Definition, Err: problem})
		}
	}
}

// unseen says of the tasks that have no home why they have no service either.
func (p *comparison) unseen() {
	var hosts []string
	p.locked(func() { hosts = p.model.Hosts() })
	for _, host := range hosts {
		var tasks []string
		p.locked(func() { tasks = p.model.TasksOn(host) })
		tasks = slices.DeleteFunc(tasks, func(task string) bool { return p.seen[task] })
		p.piecewise(tasks, func(task string) { p.see(p.model.Want(task, "")) })
	}
}

// whose says who owns a service that is not ours.
func (p *comparison) whose(s consul.Service) string {
	if p.tr.Tagged(s) {
		return "owned by framework " + s.Meta[consul.MetaFramework]
	}
	if id, tagged := consul.RegistrationIDOf(s.Tags); tagged {
		return "owned by registration ID " + id
	}
	return "registered by somebody else"
}

package reconcile

import (
	"cmp"
	"slices"

	"consular/consul"
)

// Actual is what Consul holds, as far as it could be read.
type Actual struct {
	Agents []AgentState
	// Keys are all below the prefix, whoever owns them.
	Keys []consul.Key
	// KeysErr says why Keys could not be read completely: then no key changes.
	KeysErr error
	// Partial is set while not all agents have been asked: names that clash are
	// not settled by what some of them have.
	Partial bool
	// CatalogErr says why dead nodes, and those that Marathon does not name,
	// could not be looked for.
	CatalogErr error
	// Unread is what of Marathon could not be read.
	Unread []Unread
}

// AgentState is one agent with all of its services, whoever owns them.
type AgentState struct {
	// Address is where it was asked: "10.0.0.1:8500".
	Address string
	// Hosts are Marathon's names for it.
	Hosts    []string
	Node     consul.Node
	Services []consul.Service
	// Err says why it could not be read: then it is left out.
	Err error
	// Failed is set when Consul itself has given the node up; Services are the
	// catalog's then, and are removed there.
	Failed bool
	// Unreachable is set when there is no way to the agent, and OnNode are the
	// services that the catalog shows on its node all the same.
	Unreachable bool
	OnNode      map[string]bool
	// Main is set on the main agent.
	Main bool
}

// Op is what a change does.
type Op string

// The operations, in the order in which a worker does them: what is new is there
// before what it replaces is gone.
const (
	Register   Op = "register"
	Update     Op = "update"
	Set        Op = "set"
	Deregister Op = "deregister"
	Delete     Op = "delete"
)

var opOrder = map[Op]int{Register: 0, Update: 1, Set: 2, Deregister: 3, Delete: 4}

// Removal says on what grounds something is removed. The policy judges by it.
type Removal int

const (
	// NoRemoval is a write.
	NoRemoval Removal = iota
	// Announced removals rest on an event or on the app's own answer.
	Announced
	// Moved services are registered at home already, or are about to be.
	Moved
	// LabelGone keys belong to an app that is there and has no such label.
	LabelGone
	// Away tasks were lost with their agent, and may come back.
	Away
	// Missing things are merely not in the snapshot: their app is asked for
	// first.
	Missing
)

// Change is one write that would remove drift.
type Change struct {
	Op Op `json:"op"`
	// Agent is the address of the agent; empty for a key.
	Agent string `json:"agent,omitempty"`
	App   string `json:"app,omitempty"`
	Task  string `json:"task,omitempty"`
	// Service is the Consul name.
	Service string `json:"service"`
	Key     string `json:"key,omitempty"`
	// Why says what has drifted, or why something goes.
	Why []string `json:"why"`

	host     string   // the worker's; none for keys, and for the catalog
	node     string   // in the catalog, when its agent is dead
	fallback bool     // registered on the main agent
	suspects []string // apps to ask for before a key goes
	removal  Removal
	register consul.Service
	write    consul.KeyChange
}

// id names what a change is about, so that two looks can be compared.
func (c Change) id() string { return string(c.Op) + " " + c.Agent + " " + c.Task + " " + c.Key }

// Conflict is a foreign thing in our way: left alone.
type Conflict struct {
	Agent   string `json:"agent,omitempty"`
	Service string `json:"service"`
	Task    string `json:"task,omitempty"`
	Key     string `json:"key,omitempty"`
	Why     string `json:"why"`
}

// Unread is a part of either side that could not be read and was left out.
type Unread struct {
	// What is an agent's address, "keys", "catalog", "versions" or "app" and its ID.
	What string `json:"what"`
	Err  string `json:"error"`
}

// Plan is the drift and what would remove it.
type Plan struct {
	// Changes are to be done.
	Changes []Change `json:"changes"`
	// Held are removals that the policy holds back, and HeldWhy its reasons.
	Held    []Change `json:"held"`
	HeldWhy []string `json:"held_why"`
	// Unconfirmed are removals that wait for their app's own answer.
	Unconfirmed []Change   `json:"unconfirmed"`
	Conflicts   []Conflict `json:"conflicts"`
	Clashes     []Clash    `json:"clashes"`
	Unread      []Unread   `json:"unread"`
	// Skipped are agents whose nodes Consul itself has as failed.
	Skipped []string `json:"skipped"`
	// Unfit says what of Marathon cannot be in Consul, and is left out.
	Unfit []string `json:"unfit"`
	// Unowned counts keys below the prefix that nobody owns and no app wants.
	Unowned int `json:"unowned_keys"`
	// Services and Keys count what we own in Consul now.
	Services int `json:"services"`
	Keys     int `json:"keys"`

	// otherFramework is set when services of our registration ID belong to
	// another Marathon.
	otherFramework bool
	// have are the keys that were read, by service name: whoever writes them
	// need not read them again.
	have map[string]keyList
	// confirmable is set when time confirms what is held back.
	confirmable bool
}

// InSync reports whether nothing is left to do or to decide.
func (p *Plan) InSync() bool {
	return len(p.Changes)+len(p.Held)+len(p.Unconfirmed)+len(p.Conflicts)+len(p.Clashes) == 0
}

// waiting counts what another look soon may find different: what is held back or
// could not be confirmed, and what of Consul has no worker of its own that
// notices when it answers again.
func (p *Plan) waiting() int {
	n := len(p.Held)
	for _, c := range p.Unconfirmed {
		if c.App != "" || len(c.suspects) > 0 {
			n++
		}
	}
	for _, u := range p.Unread {
		if slices.Contains([]string{unreadKeys, unreadCatalog, unreadVersions}, u.What) {
			n++
		}
	}
	return n
}

// What Unread.What calls things that have no worker of their own.
const (
	unreadKeys     = "keys"
	unreadCatalog  = "catalog"
	unreadVersions = "versions"
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
	// settled are the tasks whose services are at home, and compared.
	settled map[string]bool
}

// Plan compares the model with all that is: pure, and the same for run, sync
// and plan.
func (d *Desired) Plan(actual Actual) Plan {
	p := planner{
		Plan:    &Plan{},
		desired: d, actual: actual,
		agents:  map[string]*AgentState{},
		settled: map[string]bool{},
	}
	p.index()
	p.services()
	p.missing()
	p.keys()
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
		p.desired.Settle(registered)
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
	case a.Unreachable && p.main != nil && p.desired.tr.Fallback && a.OnNode != nil && !a.OnNode[task]:
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
		if id == p.desired.tr.Owner.RegistrationID {
			p.otherFramework = true
			why = "owned by framework " + s.Meta[consul.MetaFramework]
		}
	}
	w := p.desired.Look(s.ID, "")
	if w.Verdict == Present && p.home(w, s.ID) == a {
		p.Conflicts = append(p.Conflicts, Conflict{Agent: a.Address, Service: s.Name, Task: s.ID, Why: why})
	}
}

// service compares one service of ours with what should be.
func (p *planner) service(a *AgentState, s consul.Service, w Want) {
	c := Change{Agent: a.Address, App: w.App, Task: s.ID, Service: s.Name, host: a.host()}
	if a.Failed {
		c.host, c.node = "", a.Node.Name
	}
	switch w.Verdict {
	case Held:
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
			p.settled[s.ID] = true
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
	c.Op, c.removal, c.Why = Deregister, grounds, []string{why}
	return c
}

// missing registers what is not where it belongs.
func (p *planner) missing() {
	foreign := map[string]bool{}
	for _, c := range p.Conflicts {
		foreign[c.Agent+" "+c.Task] = true
	}
	for _, task := range p.desired.Tasks() {
		if p.settled[task] {
			continue
		}
		w := p.desired.Look(task, "")
		if w.Unfit != nil {
			p.Unfit = append(p.Unfit, "task "+task+" of "+w.App+": "+w.Unfit.Error())
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

// host is the name by which the agent's worker goes.
func (a *AgentState) host() string { return a.Hosts[0] }

// writesOnly leaves of a plan what needs no guard: services that are registered
// or updated, and the labels of names that lose none, for labels that come and go
// together are seen together.
func (p *Plan) writesOnly() {
	loses := map[string]bool{}
	for _, c := range p.Changes {
		loses[c.Service] = loses[c.Service] || c.Op == Delete
	}
	p.Changes = slices.DeleteFunc(p.Changes, func(c Change) bool {
		return c.removal != NoRemoval || c.Op == Set && loses[c.Service]
	})
}

// Counts returns how many changes there are of each operation.
func (p *Plan) Counts() map[Op]int {
	n := map[Op]int{}
	for _, c := range p.Changes {
		n[c.Op]++
	}
	return n
}

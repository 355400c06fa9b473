package plan

import (
	"fmt"
	"slices"

	"consular/consul"
	"consular/reconcile/desired"
)

// Actual is what Consul holds, as far as it could be read.
type Actual struct {
	Agents []Agent
	// Keys are all below the prefix, whoever owns them.
	Keys []consul.Key
	// KeysErr says why Keys could not be read completely: then no key changes. NoKeys is that
	// they are not to be read.
	KeysErr error
	NoKeys  bool
	// Everywhere is set when the nodes that Marathon does not name were listed too.
	Everywhere bool
	// CatalogErr says why dead nodes, and those that Marathon does not name,
	// could not be looked for.
	CatalogErr error
	// Unread is what of Marathon could not be read.
	Unread []Unread
}

// Agent is one agent with all of its services, whoever owns them.
type Agent struct {
	// Address is where it was asked: "10.0.0.1:8500"; or the name of a node
	// whose address another agent has.
	Address string
	// Hosts are Marathon's names for it; none for such a node.
	Hosts    []string
	Node     consul.Node
	Services []consul.Service
	// Err says why it could not be read: then it is left out.
	Err error
	// Failed is set when Consul itself has given the node up; Services are the
	// catalog's then, and are removed there.
	Failed bool
	// Unreachable is set when there is no way to the agent. OnNode are the
	// services with our registration ID that the catalog shows on a silent
	// agent's node all the same, by ID; nil while that is not known.
	Unreachable bool
	OnNode      map[string]consul.Service
	// Unsynced are the IDs of services that the agent has and the catalog, look after look,
	// has not: the agent may not sync them with the token that they were registered with.
	Unsynced []string
	// Main is set on the main agent.
	Main bool
}

// Op is what a change does.
type Op string

// The operations, in the order in which a worker does them: what is new is there
// before what it replaces is gone.
const (
	Register        Op = "register"
	Update          Op = "update"
	RegisterCheck   Op = "register-check"
	UpdateCheck     Op = "update-check"
	Set             Op = "set"
	Deregister      Op = "deregister"
	DeregisterCheck Op = "deregister-check"
	Delete          Op = "delete"
)

var opOrder = map[Op]int{
	Register: 0, Update: 1, RegisterCheck: 2, UpdateCheck: 3, Set: 4, Deregister: 5, DeregisterCheck: 6, Delete: 7,
}

// Change is one write that would remove drift.
type Change struct {
	Op Op `json:"op"`
	// Agent is the address of the agent; empty for a key.
	Agent string `json:"agent,omitempty"`
	App   string `json:"app,omitempty"`
	Task  string `json:"task,omitempty"`
	// Service is the Consul name, ID the service's, and Port the name, or else the index, of
	// the port that it is of; "" when only its place in the declaration tells.
	Service string `json:"service"`
	ID      string `json:"id,omitempty"`
	Port    string `json:"port,omitempty"`
	Key     string `json:"key,omitempty"`
	// Why says what has drifted, or why something goes.
	Why []string `json:"why"`

	// Host is the one whose worker writes; none for keys, and for the catalog.
	Host string `json:"-"`
	// Node is set when the agent is dead: then its service goes from the catalog.
	Node string `json:"-"`
	// Anew is set for what has not drifted, and is registered once more.
	Anew bool `json:"-"`
	// Fallback is set for what is registered on the main agent instead of its own.
	Fallback bool `json:"-"`
	// Grounds say why something may be removed, or turn critical; none for a write.
	Grounds desired.Grounds `json:"-"`
	// HeldWhy says why the policy holds it back, and Confirmable is set when time confirms it.
	HeldWhy     string `json:"-"`
	Confirmable bool   `json:"-"`
	// Recovers is set when a check becomes passing, and Turn when one becomes critical
	// because Marathon calls the task unhealthy.
	Recovers bool `json:"-"`
	Turn     Turn `json:"-"`
	// Definition is what is registered of a service, and Write what is written of a key; nil
	// for other changes.
	Definition *consul.Service   `json:"-"`
	Write      *consul.KeyChange `json:"-"`
}

// Conflict is a foreign thing in our way: left alone.
type Conflict struct {
	Agent   string `json:"agent,omitempty"`
	Service string `json:"service"`
	Task    string `json:"task,omitempty"`
	ID      string `json:"id,omitempty"`
	Port    string `json:"port,omitempty"`
	Key     string `json:"key,omitempty"`
	Why     string `json:"why"`
}

// Unread is a part of either side that could not be read and was left out.
type Unread struct {
	// What is an agent's address, "keys", "catalog", "versions" or "app" and its ID.
	What string `json:"what"`
	Err  string `json:"error"`
}

// Source is where one side was read from.
type Source struct {
	// What is Marathon or Consul, and From its URL; of Consul it is the main agent's, and Agents
	// are how many were listed.
	What   string `json:"what"`
	From   string `json:"from"`
	Agents int    `json:"agents,omitempty"`
	// AgeMS is how old the oldest of its answers was in the end, in milliseconds.
	AgeMS int64 `json:"age_ms"`
}

// String says it to people.
func (s Source) String() string {
	agents := ""
	switch {
	case s.Agents == 1:
		agents = " and 1 agent"
	case s.Agents > 1:
		agents = fmt.Sprintf(" and %d agents", s.Agents)
	}
	return fmt.Sprintf("%s read from %s%s, %.1f s ago", s.What, orDash(shown(s.From)), agents, float64(s.AgeMS)/1000)
}

// Unfit is what of Marathon is not in Consul as it stands there: a task, or a service of it,
// or else a label of an app that cannot be a key, or what is wrong with a Definition of it.
type Unfit struct{ App, Task, Definition, Err string }

// MarshalText implements encoding.TextMarshaler.
func (u Unfit) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// String is what the log and people are told.
func (u Unfit) String() string {
	switch {
	case u.Task != "":
		return "left out: task " + shown(u.Task) + " of " + shown(u.App) + ": " + u.Err
	case u.Definition != "":
		return "definition of " + shown(u.App) + ": " + u.Err
	default:
		return "left out: label of " + shown(u.App) + ": " + u.Err
	}
}

// Plan is the drift and what would remove it.
type Plan struct {
	// Changes are to be done.
	Changes []Change `json:"changes"`
	// Held are removals that the policy holds back, and HeldWhy its reasons.
	Held    []Change `json:"held"`
	HeldWhy []string `json:"held_why"`
	// Unconfirmed are removals that wait for their app's own answer.
	Unconfirmed []Change        `json:"unconfirmed"`
	Conflicts   []Conflict      `json:"conflicts"`
	Clashes     []desired.Clash `json:"clashes"`
	Unread      []Unread        `json:"unread"`
	// Skipped are agents whose nodes Consul itself has as failed.
	Skipped []string `json:"skipped"`
	// Unfit says what of Marathon is not in Consul as it stands there.
	Unfit []Unfit `json:"unfit"`
	// LeftOut counts the apps that options and labels leave out.
	LeftOut []desired.LeftOut `json:"left_out"`
	// Unowned counts keys below the prefix that nobody owns and no app wants, and
	// UnownedKeys names them, in order.
	Unowned     int      `json:"unowned_keys"`
	UnownedKeys []string `json:"unowned"`
	// ForeignFramework counts services with our registration ID that another Marathon
	// framework has registered, and Frameworks names those frameworks, in order.
	ForeignFramework int      `json:"foreign_framework"`
	Frameworks       []string `json:"-"`
	// Framework is Marathon's own.
	Framework string `json:"-"`
	// Read says where all of this was read from.
	Read []Source `json:"read,omitempty"`
	// Services and Keys count what we own in Consul now.
	Services int `json:"services"`
	Keys     int `json:"keys"`

	// adopts is set when every key below the prefix that nobody owns is taken as ours.
	adopts bool
	// MirroredInstead says of which definitions the checks are not made by Consul's agents although
	// they should be, and why: then Marathon's verdict is mirrored.
	MirroredInstead map[Unfit]bool `json:"-"`
	// mirrored counts the services with a check that says what Marathon does.
	mirrored int
	// another is what is known of another Marathon with our registration ID.
	another desired.Another
	// catalogUnread is set when nobody could look for such services elsewhere.
	catalogUnread bool
	// Have are the keys that were read, by service name: whoever writes them need not
	// read them again.
	Have map[string][]consul.Key `json:"-"`
	// kept are removals that Policy.Purge does not allow: they are neither drift nor held back.
	kept []Change
	// confirmable is set when time confirms what is held back.
	confirmable bool
}

// InSync reports whether nothing is left to do or to decide.
func (p *Plan) InSync() bool {
	return len(p.Changes)+len(p.Held)+len(p.Unconfirmed)+len(p.Conflicts)+len(p.Clashes) == 0
}

// Waiting counts what another resync soon may find different: what is held back, but for
// what an option excludes and for keys that another Marathon's services hold, and what of
// Consul has no worker of its own that notices when it answers again.
func (p *Plan) Waiting() int {
	n := 0
	for _, c := range p.Held {
		if !c.Grounds.Has(desired.Excluded) && !p.anothersSeen(c) {
			n++
		}
	}
	for _, u := range p.Unread {
		if slices.Contains([]string{UnreadKeys, UnreadCatalog, UnreadVersions}, u.What) {
			n++
		}
	}
	return n
}

// What Unread.What calls things that have no worker of their own.
const (
	UnreadKeys     = "keys"
	UnreadCatalog  = "catalog"
	UnreadVersions = "versions"
)

// Counts returns how many changes there are of each operation.
func (p *Plan) Counts() map[Op]int {
	n := map[Op]int{}
	for _, c := range p.Changes {
		n[c.Op]++
	}
	return n
}

package plan

import (
	"slices"
	"strings"

	"consular/reconcile/desired"
)

// Explanation says of one app, or of one of its tasks, what is in Consul of it, and why
// something is not, or still is.
type Explanation struct {
	Schema int    `json:"schema"`
	App    string `json:"app"`
	// Reasons are the rules that something of it meets.
	Reasons []desired.Reason `json:"reasons"`
	Tasks   []TaskStory      `json:"tasks"`
	Keys    []KeyStory       `json:"keys"`
	// Read says where all of this was read from.
	Read []Source `json:"read,omitempty"`

	// task is the one that it is about, "" when it is about all of the app, and service the one
	// of the task's.
	task, service string
	// listed is set when Marathon has the app, and leftOut is what leaves it out.
	listed  bool
	leftOut string
	// drift and unread are what InSync and Complete report. confirmable is set when time confirms
	// something that is held back, and guarded when the guard judges something that is not.
	drift, unread, confirmable, guarded bool
}

// State is how a thing in Consul compares with what it should be.
type State string

// The states.
const (
	// Equal things are there as they should be.
	Equal State = "equal"
	// Absent things should be there.
	Absent State = "missing"
	// Differs is said of what is there otherwise than it should be.
	Differs State = "differs"
	// Unknown is said of what could not be read, and of what a rule leaves as it is.
	Unknown State = "unknown"
	// LeftOver things are there, and should not be.
	LeftOver State = "left-over"
)

// TaskStory is one task of an app.
type TaskStory struct {
	ID   string `json:"id"`
	Host string `json:"host"`
	// State is Marathon's word; "" for a task that Marathon has not.
	State string `json:"state"`
	// Healthy is Marathon's verdict; nil while it has not given one, or is not asked for it.
	Healthy  *bool          `json:"healthy,omitempty"`
	Services []ServiceStory `json:"services"`
}

// ServiceStory is one service of a task.
type ServiceStory struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Agent is the address of the agent that it is on, or should be.
	Agent   string `json:"agent"`
	Address string `json:"address"`
	Port    int    `json:"port"`
	State   State  `json:"state"`
	// Why says what differs.
	Why []string `json:"why,omitempty"`
}

// KeyStory is one key of an app.
type KeyStory struct {
	Key   string   `json:"key"`
	State State    `json:"state"`
	Why   []string `json:"why,omitempty"`
}

// InSync reports whether a plan has nothing to do for it or to decide.
func (x *Explanation) InSync() bool { return !x.drift }

// Complete reports whether all of it could be read and confirmed.
func (x *Explanation) Complete() bool { return !x.unread }

// tells reports whether it tells of a task.
func (x *Explanation) tells(task string) bool {
	return slices.ContainsFunc(x.Tasks, func(t TaskStory) bool { return t.ID == task })
}

// leaves reports whether something of it is left as it is.
func (x *Explanation) leaves() bool {
	unknown := func(k KeyStory) bool { return k.State == Unknown }
	return slices.ContainsFunc(x.Keys, unknown) || slices.ContainsFunc(x.Tasks, func(t TaskStory) bool {
		return slices.ContainsFunc(t.Services, func(s ServiceStory) bool { return s.State == Unknown })
	})
}

// narrow leaves out what is of another service of the task.
func (x *Explanation) narrow(service string) {
	for i := range x.Tasks {
		x.Tasks[i].Services = slices.DeleteFunc(x.Tasks[i].Services, func(s ServiceStory) bool { return s.ID != service })
	}
	x.Reasons = slices.DeleteFunc(x.Reasons, func(r desired.Reason) bool {
		return strings.HasPrefix(r.Service, x.task+":") && r.Service != service
	})
}

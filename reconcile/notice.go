package reconcile

import (
	"strings"
	"time"

	"github.com/rs/zerolog"

	"consular/marathon"
	"consular/reconcile/plan"
)

// Notice is one thing that the operator is told. The log writes it as one line, whose
// fields are documented in README; whoever else listens (figures) is handed the same.
// Fields that are zero are left out. What only listeners are to hear has the level
// zerolog.Disabled.
type Notice struct {
	Level   zerolog.Level
	Message string

	// App, Task and Service are what it is about, and Agent which of Consul's failure
	// domains: an agent's address, "kv" or "catalog". ID is the service's, and PortName what
	// the port that it is of is called. Node is a dead agent's node, Port the service's. Key and Deleted are the labels that were set and deleted, What is
	// what could not be read, GoesOn the app that keeps a name.
	App, Task, Service, ID, PortName, Agent, Node, What, GoesOn string
	// Version is the app's. Framework is Marathon's own, and Others those of the Foreign
	// services that carry our registration ID.
	Version, Framework, Others string
	Foreign                    int
	Port                       int
	Key, Deleted               []string
	// Cause is why it was done: an event's type, "resync", …; Event that type when an
	// event was merely heard, State the task's state by that event, and At Marathon's own time
	// of it.
	Cause, Event string
	State        marathon.State
	At           time.Time
	// Status is what a check says now, and Before what it said.
	Status, Before string
	// Drift says what had drifted, and Why why something goes or is held back.
	Drift []string
	Why   string
	Err   error
	// Attempt counts tries or failures in a row, Held removals, Ports and Keys what the message
	// speaks of, Waiting the jobs in the queue.
	Attempt, Held, Ports, Keys, Waiting int
	// Took is how long a write took, Silent how long a failure domain did not answer.
	Took, Silent time.Duration

	// Op is set when Consul was written, by one request or one name's transaction, and Write
	// when it was asked to be, whatever came of it.
	Op    plan.Op
	Write *Write
	// Resync is set when a resync is over: "clean"; "incomplete" when it left something;
	// "failed" when Marathon could not be read. Then there is no Summary.
	Resync  string
	Summary *Summary
}

// Write is a request to Consul that changes something: for keys, one name's transaction.
type Write struct {
	// Kind is "register", "deregister", "check", "keys" or "catalog", and Outcome "done", "refused" when
	// Consul answered that it will not (Refused), or "failed".
	Kind, Outcome string
	// SinceEvent is how long ago the event was heard that caused it, when it was over; 0 if
	// none did.
	SinceEvent time.Duration
}

// otherID is the service's ID where it is not the task's.
func (n Notice) otherID() string {
	if n.ID == n.Task {
		return ""
	}
	return n.ID
}

// log writes a notice as one line.
func (n Notice) log(log zerolog.Logger) {
	if n.Level < log.GetLevel() {
		return
	}
	line := log.WithLevel(n.Level)
	n.texts(line)
	n.numbers(line)
	if n.Summary != nil {
		n.Summary.fields(line)
	}
	if !n.At.IsZero() {
		line.Int64("lag_ms", time.Since(n.At).Milliseconds())
	}
	if n.Took > 0 {
		line.Dur("took_ms", n.Took)
	}
	if n.Silent > 0 {
		line.Dur("silent_ms", n.Silent)
	}
	line.Err(n.Err).Msg(n.Message)
}

func (n Notice) texts(line *zerolog.Event) {
	for _, f := range []struct{ name, value string }{
		{"agent", n.Agent},
		{"node", n.Node},
		{"what", n.What},
		{"app", n.App},
		{"task", n.Task},
		{"service", n.Service},
		{"id", n.otherID()},
		{"port_name", n.PortName},
		{"version", n.Version},
		{"framework", n.Framework},
		{"others", n.Others},
		{"goes_on", n.GoesOn},
		{"key", strings.Join(n.Key, ", ")},
		{"deleted", strings.Join(n.Deleted, ", ")},
		{"event", n.Event},
		{"cause", n.Cause},
		{"state", string(n.State)},
		{"status", n.Status},
		{"before", n.Before},
		{"why", n.Why},
	} {
		if f.value != "" {
			line.Str(f.name, f.value)
		}
	}
	if len(n.Drift) > 0 {
		line.Strs("why", n.Drift)
	}
}

func (n Notice) numbers(line *zerolog.Event) {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"port", n.Port},
		{"ports", n.Ports},
		{"keys", n.Keys},
		{"foreign_framework", n.Foreign},
		{"held_back", n.Held},
		{"waiting", n.Waiting},
		{"attempt", n.Attempt},
	} {
		if f.value != 0 {
			line.Int(f.name, f.value)
		}
	}
}

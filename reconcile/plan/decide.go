package plan

import (
	"fmt"
	"slices"
	"time"

	"consular/consul"
	"consular/reconcile/desired"
)

// Standing says how an agent stands to one service of a task: whether it belongs
// there, and if not, what is known of the agent where it does.
type Standing int

const (
	// Home is the agent that the service belongs on.
	Home Standing = iota
	// HomeHas says that it belongs on another agent, where it is registered.
	HomeHas
	// HomeLacks says that it belongs on another agent, where it is not registered yet.
	HomeLacks
	// HomeUnknown says that it belongs elsewhere, and that it is not known on which
	// agent, or that it cannot be registered there.
	HomeUnknown
)

// Decision is what is to become of one service on one agent. Services that stay as
// they are have none.
type Decision struct {
	// Op is Register, Update, Deregister, or one of those for checks; none for a Conflict.
	Op Op
	// Service is what is written, or what goes.
	Service consul.Service
	// Check is what is written of a check of Service's, or what goes, and Before what
	// our checks on the service have said.
	Check  consul.Check
	Before consul.Status
	// Why says what has drifted, or on what Grounds it goes.
	Why     []string
	Grounds desired.Grounds
	// HomeFirst is set when it may only go once it is registered where it belongs.
	HomeFirst bool
	// Anew is set when the service has not drifted, and is registered once more.
	Anew bool
	// Conflict is set when somebody else's service has the ID.
	Conflict bool
}

// Decide says what is to become of a task's services on one agent: here are those
// that are registered there now, whoever owns them, ours tells whose a service is, and
// standing how the agent stands to the service with an ID. It is the only place
// that decides this: plans are made of its decisions, and workers carry them out.
func Decide(w desired.Want, here []consul.Service, ours func(consul.Service) bool, standing func(id string) Standing) []Decision {
	switch w.Verdict {
	case desired.Untouched:
		return nil
	case desired.Absent:
		return removals(w.Grounds, w.Grounds.String(), here, ours)
	}
	var decisions []Decision
	registered, wanted := finder(here), finder(w.Services)
	for _, s := range w.Services {
		have, at := registered(s.ID), standing(s.ID)
		if d, some := decideWanted(w, s, have, ours, at); some {
			decisions = append(decisions, d)
		}
		if have != nil && at == Home && ours(*have) && !w.VersionGone {
			decisions = appendChecks(decisions, w, s, have)
		}
	}
	for i := range here {
		if w.VersionGone { // what it should have had nobody knows any more
			break
		}
		if wanted(here[i].ID) == nil && !w.LeavesAlone(here[i].ID) && standing(here[i].ID) != HomeUnknown {
			decisions = append(decisions, removals(desired.Excluded, "not a service of its task", here[i:i+1], ours)...)
		}
	}
	return decisions
}

// killWait is for how long a task that is being killed may stay registered. Most have three
// seconds to end (Mesos' executor_shutdown_grace_period and Marathon's taskKillGracePeriod); what
// reads from Consul, and what is in flight, needs the most of them.
const killWait = time.Second

// WaitsUntil returns until when the services of a task that is being killed may stay registered,
// or zero if they are to go now. starting says that another task of its app, of which was heard
// earlier, is about to be registered: the one serves until it is killed, and an app of one
// task would have nobody for a moment if it went first. What has ended waits for nobody.
func WaitsUntil(w desired.Want, starting bool, now time.Time) time.Time {
	until := w.Killing.Add(killWait)
	if w.Killing.IsZero() || !starting || !now.Before(until) {
		return time.Time{}
	}
	return until
}

// decideWanted decides about a service that should be there, somewhere.
func decideWanted(w desired.Want, s consul.Service, have *consul.Service, ours func(consul.Service) bool, at Standing) (d Decision, some bool) {
	switch {
	case at != Home && (have == nil || at == HomeUnknown || !ours(*have)):
		return Decision{}, false
	case at != Home:
		return Decision{
			Op: Deregister, Service: *have, Grounds: desired.Moved, HomeFirst: at == HomeLacks,
			Why: []string{fmt.Sprintf("%s: runs on %s", desired.Moved, w.Host)},
		}, true
	case have == nil:
		return Decision{Op: Register, Service: withStatus(w.Health, s), Why: []string{"not registered"}}, true
	case !ours(*have):
		return Decision{Service: *have, Conflict: true}, true
	case w.VersionGone:
		return Decision{}, false
	}
	drift := s.Diff(*have)
	anew := len(drift) == 0 && slices.Contains(w.Anew, s.ID)
	if anew {
		drift = []string{"not in the catalog"}
	}
	return Decision{Op: Update, Service: s, Why: drift, Anew: anew}, len(drift) > 0
}

// removals removes what is ours of these services.
func removals(grounds desired.Grounds, why string, services []consul.Service, ours func(consul.Service) bool) []Decision {
	var decisions []Decision
	for _, s := range services {
		if ours(s) {
			decisions = append(decisions, Decision{Op: Deregister, Service: s, Grounds: grounds, Why: []string{why}})
		}
	}
	return decisions
}

// finder finds services by their IDs: nil when there is none. A task may have thousands.
func finder(services []consul.Service) func(id string) *consul.Service {
	if len(services) < 10 {
		return func(id string) *consul.Service { return find(services, id) }
	}
	byID := make(map[string]*consul.Service, len(services))
	for i := range services {
		byID[services[i].ID] = &services[i]
	}
	return func(id string) *consul.Service { return byID[id] }
}

// find returns the service with an ID; nil when there is none.
func find(services []consul.Service, id string) *consul.Service {
	for i := range services {
		if services[i].ID == id {
			return &services[i]
		}
	}
	return nil
}

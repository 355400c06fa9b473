package desired

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"consular/consul"
	"consular/marathon"
)

// Health is what the checks on a task's services should say.
type Health struct {
	// Mode is HealthNone, or "", where there are to be no checks.
	Mode HealthMode
	// Status is Marathon's verdict, and Output the text beside it; "" when it has not
	// given one.
	Status consul.Status
	Output string
	// Starting is set while a task without a verdict may be starting, Unready while a
	// deployment waits for its readiness checks.
	Starting, Unready bool
	// Turned is set when it has become critical since we know of the task, other than by its
	// start, and a check is to say so.
	Turned bool
	// Window is the time in which each of the task's checks is made once.
	Window time.Duration
	// Mirrored says why the task's checks are not made by Consul's agents although they
	// should be, and nil otherwise; Definition is which one says so, as Trouble has it.
	Mirrored   error
	Definition string
}

// What people read beside a status. That of a task which starts is read by us too: after
// a restart it tells why a check is critical.
const (
	healthyText = "healthy, says Marathon"
	silentText  = "Marathon has not said anything about its health for as long as its checks may take"
	startText   = "starting: "
	waitText    = startText + "Marathon has not called it healthy yet"
	unreadyText = startText + "its readiness checks have not said that it is ready"
)

// Says returns what a check is to say, when our checks on its service say have: Marathon's
// verdict, and while there is none what they say already.
func (h Health) Says(have []consul.Check) (status consul.Status, output string) {
	before, text := sum(have)
	critical := before == "" || before == consul.Critical
	switch {
	case h.Unready && critical:
		return consul.Critical, unreadyText
	case h.Status != "":
		return h.Status, h.Output
	case before == "" && h.Starting:
		return consul.Critical, waitText
	case before == "", critical && !h.Starting && strings.Contains(text, startText):
		return consul.Passing, silentText
	default:
		return before, text
	}
}

// Checked reports whether a task's services are to have checks.
func (w *Want) Checked() bool {
	return w.Verdict == Present && w.Health.Mode != "" && w.Health.Mode != HealthNone
}

// Sick reports whether Marathon calls the task unhealthy, and no rule for tasks that start
// goes before that.
func (h Health) Sick() bool {
	return h.Mode != "" && h.Mode != HealthNone && h.Status == consul.Critical
}

// Initial returns what a check begins with that its agent makes: what our checks on the
// service say already, or else what we would say.
func (h Health) Initial(have []consul.Check) consul.Status {
	status, _ := sum(have)
	if status == "" {
		status, _ = h.Says(nil)
	}
	return status
}

// Sum returns the worst status of checks; "" for none.
func Sum(checks []consul.Check) consul.Status {
	status, _ := sum(checks)
	return status
}

// sum returns the worst status of checks, and its text; "" for no checks.
func sum(checks []consul.Check) (status consul.Status, output string) {
	worse := []consul.Status{"", consul.Passing, consul.Warning, consul.Critical}
	for _, c := range checks {
		if slices.Index(worse, c.Status) > slices.Index(worse, status) {
			status, output = c.Status, cmp.Or(c.Wrote, c.Output) // agents do not keep every text
		}
	}
	return status, output
}

// wantHealth adds what the checks on a task's services should be.
func (m *Model) wantHealth(w *Want, t *taskEntry, d marathon.Definition, mode HealthMode) {
	h := t.health
	if w.Health.Mode = mode; h == nil || mode == HealthNone {
		w.Health.Mode = HealthNone
		return
	}
	w.Health.Status, w.Health.Output = h.status, h.output
	w.Health.Starting, w.Health.Unready, w.Health.Window = h.status == "" && !h.old, h.unready, probeWindow(d)
	var checks []consul.Check
	if mode == HealthChecks {
		checks, w.Health.Mirrored = probes(t.task, d)
		w.Health.Definition = cmp.Or(d.LastConfigChangeAt, t.task.Version)
	}
	if checks == nil {
		w.Health.Mode, w.Health.Turned = HealthMirror, h.turned
	}
	for i := range w.Services {
		w.Services[i].Checks = checksOn(w.Services[i].ID, checks)
	}
}

// mirrorNotes say what a check is whose status we set.
const mirrorNotes = "Marathon's verdict on the task, as consular hears it"

// checksOn returns the checks on one service: those that its agent makes, or else the one
// that mirrors Marathon's verdict.
func checksOn(service string, probes []consul.Check) []consul.Check {
	if probes == nil {
		return []consul.Check{{ID: consul.CheckID(service), Name: "Marathon", Notes: mirrorNotes}}
	}
	checks := make([]consul.Check, len(probes))
	for i, c := range probes {
		c.ID = consul.NumberedCheckID(service, i)
		checks[i] = c
	}
	return checks
}

// failureText says which check of a task has failed and how. It says nothing that moves
// with each probe.
func failureText(d marathon.Definition, results []marathon.HealthCheckResult, i int) string {
	what := "health check"
	if len(results) == len(d.HealthChecks) { // those without a result are left out
		what = describe(d.HealthChecks[i])
	}
	cause := results[i].LastFailureCause
	if cause == "" {
		cause = "no cause told"
	}
	last := "it has not succeeded yet"
	if at := results[i].LastSuccess; !at.IsZero() {
		last = "it last succeeded at " + at.Format(time.RFC3339)
	}
	return fmt.Sprintf("Marathon's %s fails: %s; %s", what, cause, last)
}

// describe names a health check.
func describe(c marathon.HealthCheck) string {
	return strings.TrimSpace(fmt.Sprintf("%s check %s", c.Protocol, c.Path))
}

// failedText is what is known when an event tells of a failure.
func failedText(at time.Time) string {
	return "a health check of Marathon's has failed at " + at.Format(time.RFC3339)
}

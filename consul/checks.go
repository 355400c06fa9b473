package consul

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// Status is what a check says, in Consul's own words.
type Status string

// The statuses of a check.
const (
	Passing  Status = "passing"
	Warning  Status = "warning"
	Critical Status = "critical"
)

// Check is one of our checks on a service. It is either one that nobody but we changes
// (HTTP and TCP are ""), or one that the agent makes by itself.
// Source: GET /v1/agent/checks, PUT /v1/agent/check/register.
type Check struct {
	// ID is the service's ID with ":marathon" behind it, or that with "-" and a number.
	ID string
	// Name is what people read.
	Name   string
	Status Status
	// Output is the text beside the status. As listed it may be another than the one
	// that was written: agents cut it, mark it, or throw it away.
	Output string
	// Wrote is the Output that we wrote last; "" where that is not known. A listing does
	// not tell.
	Wrote string
	// Fleeting is set when its status was registered, and has not been updated: an agent's
	// restart loses it. A listing does not tell.
	Fleeting bool
	// Notes say what the check is. An agent tells no more of what it probes, so that
	// they are what a definition is known by.
	Notes string
	// HTTP is the URL, or TCP the address, that the agent probes. A listing has neither.
	HTTP, TCP string
	// Interval and Timeout are those of its probes, and Failures how many have to fail
	// in a row. A listing has none of them.
	Interval, Timeout time.Duration
	Failures          int
}

// forever is the TTL of a check that nobody but we changes: ten years.
const forever = 10 * 365 * 24 * time.Hour

// maxOutput is how much text a status has, in bytes: what agents keep by default
// (check_output_max_size).
const maxOutput = 4096

// CheckID returns the ID of our check on a service that we ourselves keep.
func CheckID(service string) string { return service + checkSuffix }

// NumberedCheckID returns the ID of the nth of our checks that an agent makes.
func NumberedCheckID(service string, n int) string {
	return fmt.Sprintf("%s%s-%d", service, checkSuffix, n)
}

const checkSuffix = ":marathon"

// IsOurCheck reports whether the ID of a check on a service is one of those that we give.
func IsOurCheck(service, id string) bool {
	rest, is := strings.CutPrefix(id, CheckID(service))
	if !is || rest == "" {
		return is
	}
	digits, is := strings.CutPrefix(rest, "-")
	return is && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// Checks returns our checks on all services of the agent, by the services' IDs, each
// in the order of their own. Whose the services are is not told. The answer is shared, and
// must not be changed. Source: GET /v1/agent/checks, which needs service:read, and
// node:read for the agent's own checks.
func (a *Agent) Checks(ctx context.Context) (map[string][]Check, error) {
	checks, err := a.checks.ask(ctx, a)
	if err != nil {
		return nil, a.failed("list checks", err, "service:read and node:read")
	}
	return checks, nil
}

func decodeChecks(body []byte) (map[string][]Check, error) {
	var answer map[string]*struct {
		CheckID, Name, ServiceID, Status, Output, Notes string
	}
	if err := decode(body, &answer); err != nil {
		return nil, err
	}
	checks := map[string][]Check{}
	for _, c := range answer {
		if c == nil || !IsOurCheck(c.ServiceID, c.CheckID) || c.ServiceID == "" {
			continue
		}
		checks[c.ServiceID] = append(checks[c.ServiceID], Check{
			ID: c.CheckID, Name: c.Name, Status: Status(c.Status), Output: c.Output, Notes: c.Notes,
		})
	}
	for _, of := range checks {
		slices.SortFunc(of, func(a, b Check) int { return cmp.Compare(a.ID, b.ID) })
	}
	return checks, nil
}

// RegisterCheck adds a check to a service, or replaces the one of the same ID, whose
// status stays. Source: PUT /v1/agent/check/register, which needs service:write for
// the service's name.
func (a *Agent) RegisterCheck(ctx context.Context, service string, c Check) error {
	d := *c.definition()
	d.CheckID = "" // which is called ID here
	err := a.client.Agent().CheckRegisterOpts(&api.AgentCheckRegistration{
		ID: c.ID, Name: c.Name, Notes: c.Notes, ServiceID: service, AgentServiceCheck: d,
	}, query(ctx))
	if err != nil {
		return a.failed("register check "+printable(c.ID), err, "service:write")
	}
	return nil
}

// UpdateCheck sets the status of a check that the agent does not make itself. Of what
// an agent knows of such a check, it is all that outlives its restart. The error is Unknown
// if there is no such check.
// Source: PUT /v1/agent/check/update/{id}, which needs service:write for the service's name.
func (a *Agent) UpdateCheck(ctx context.Context, id string, status Status, output string) error {
	err := a.client.Agent().UpdateTTLOpts(id, clipped(output, maxOutput), string(status), query(ctx))
	if err != nil {
		return a.failed("update check "+printable(id), err, "service:write")
	}
	return nil
}

// DeregisterCheck removes a check. One that is not there is no error.
// Source: PUT /v1/agent/check/deregister/{id}, which needs service:write for the service's name.
func (a *Agent) DeregisterCheck(ctx context.Context, id string) error {
	err := unfit(checkRemoval(id))
	if err == nil {
		err = a.client.Agent().CheckDeregisterOpts(id, query(ctx))
	}
	if err != nil && !Unknown(err) {
		return a.failed("deregister check "+printable(id), err, "service:write")
	}
	return nil
}

// Kept reports whether it is we who set its status, and not the agent.
func (c Check) Kept() bool { return c.HTTP == "" && c.TCP == "" }

// definition is what an agent is told of a check.
func (c Check) definition() *api.AgentServiceCheck {
	d := &api.AgentServiceCheck{
		CheckID: c.ID, Name: c.Name, Notes: c.Notes, Status: string(c.Status),
	}
	if c.Kept() {
		d.TTL = forever.String()
		return d
	}
	d.HTTP, d.TCP, d.FailuresBeforeCritical = c.HTTP, c.TCP, c.Failures
	d.Interval, d.Timeout = c.Interval.String(), c.Timeout.String()
	d.TLSSkipVerify = strings.HasPrefix(c.HTTP, "https:") // Marathon verifies nothing
	return d
}

// registered are the checks of a service's registration.
func registered(checks []Check) api.AgentServiceChecks {
	var definitions api.AgentServiceChecks
	for _, c := range checks {
		definitions = append(definitions, c.definition())
	}
	return definitions
}

// clipped cuts a text that is longer than most bytes at a character.
func clipped(text string, most int) string {
	if len(text) <= most {
		return strings.ToValidUTF8(text, "")
	}
	return strings.ToValidUTF8(text[:most], "")
}

package simulator_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// live is where the recordings of a running Marathon 1.11.26 are.
const live = "../../testdata/live"

// recorded reads the events of one recorded stream; what a cut stream ends
// with is left out.
func recorded(t *testing.T, scene string) []heard {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(live, scene+".crlf.sse"))
	if err != nil {
		t.Fatal(err)
	}
	var all []heard
	for block := range strings.SplitSeq(string(raw), "\r\n\r\n") {
		name, data, ok := strings.Cut(strings.TrimSpace(block), "\r\ndata: ")
		if !ok {
			continue
		}
		h := heard{name: strings.TrimPrefix(name, "event: "), raw: data}
		if err := json.Unmarshal([]byte(data), &h.data); err != nil {
			t.Fatalf("%s: %v", scene, err)
		}
		all = append(all, h)
	}
	return all
}

// account is what a stream tells, publisher by publisher: within one the order
// counts, between two it does not. IDs and versions are replaced by what they
// refer to, so that two accounts of one course of events are equal.
type account struct {
	// instances has one line per instance, sorted, as instances are alike.
	instances []string
	// deployments has one line per plan, in order of their first events.
	deployments []string
	groups      []string
	requests    []string
	// health has one line per instance: what each kind of event told, in order.
	health []string
	// others are the remaining events, sorted: each has its own publisher.
	others []string
}

// accountant holds what is known while an account is made.
type accountant struct {
	plans     []string          // IDs, in order
	versions  map[string]string // version to "plan 1" and so on
	attempts  map[string]int    // instance to the first incarnation seen
	instances map[string]string
	steps     map[string]string
	health    map[string]map[string]string // by instance and kind of event
	account   account
}

func accountOf(events []heard) account {
	a := accountant{
		versions: map[string]string{}, attempts: map[string]int{},
		instances: map[string]string{}, steps: map[string]string{}, health: map[string]map[string]string{},
	}
	// A refused change's group event may come before its plan's.
	for _, h := range events {
		a.meetPlan(h)
	}
	for _, h := range events {
		a.add(h)
	}
	a.account.instances = slices.Sorted(maps.Values(a.instances))
	for _, told := range a.health {
		a.account.health = append(a.account.health, compactly(told))
	}
	slices.Sort(a.account.health)
	for _, id := range a.plans {
		a.account.deployments = append(a.account.deployments, a.steps[id])
	}
	slices.Sort(a.account.others)
	return a.account
}

func (a *accountant) meetPlan(h heard) {
	plan, ok := h.data["plan"].(map[string]any)
	if !ok {
		return
	}
	id, version := plan["id"].(string), plan["version"].(string)
	if !slices.Contains(a.plans, id) {
		a.plans = append(a.plans, id)
		a.versions[version] = fmt.Sprintf("plan %d", len(a.plans))
		for _, step := range plan["steps"].([]any) {
			a.steps[id] += actions(step) + " "
		}
	}
}

func (a *accountant) add(h heard) {
	d := h.data
	switch h.name {
	case "event_stream_attached", "event_stream_detached":
	case "status_update_event":
		instance, attempt := a.splitTask(d["taskId"].(string))
		a.instances[instance] += fmt.Sprintf("; %s %s of %s, %d ports, %d addresses, %q",
			attempt, d["taskStatus"], a.versions[d["version"].(string)],
			len(d["ports"].([]any)), len(d["ipAddresses"].([]any)), withoutHost(d))
	case "instance_changed_event":
		a.instances[d["instanceId"].(string)] += fmt.Sprintf("; %s of %s %s, placed %t",
			d["condition"], d["runSpecId"], a.versions[d["runSpecVersion"].(string)], d["host"] != nil)
	case "health_status_changed_event":
		a.tellHealth(d["instanceId"], h.name, d["alive"])
	case "instance_health_changed_event":
		a.tellHealth(d["instanceId"], h.name, d["healthy"])
	case "failed_health_check_event":
		a.tellHealth(d["taskId"], h.name, d["healthCheck"].(map[string]any)["protocol"])
	case "unhealthy_instance_kill_event":
		_, container := a.splitTask(d["taskId"].(string))
		a.tellHealth(d["instanceId"], h.name, container+d["reason"].(string))
	case "unknown_instance_terminated_event":
		a.instances[d["instanceId"].(string)] += "; unknown instance " + d["condition"].(string)
	case "deployment_info", "deployment_step_success", "deployment_success", "deployment_failed":
		id := d["plan"].(map[string]any)["id"].(string)
		a.steps[id] += fmt.Sprintf("; %s %s %v", h.name, actions(d["currentStep"]), d["reason"])
	case "group_change_success", "group_change_failed":
		a.account.groups = append(a.account.groups,
			fmt.Sprintf("%s %s %s %v", h.name, d["groupId"], a.versions[d["version"].(string)], d["reason"]))
	case "api_post_event":
		definition := d["appDefinition"].(map[string]any)
		a.account.requests = append(a.account.requests, fmt.Sprintf("%s %v instances, labels %v, %s", d["uri"],
			definition["instances"], compactly(definition["labels"]), a.versions[definition["version"].(string)]))
	default:
		a.account.others = append(a.account.others, fmt.Sprintf("%s %v %v", h.name, d["appId"], d["uri"]))
	}
}

func (a *accountant) tellHealth(instance any, event string, what any) {
	id := instance.(string)
	if a.health[id] == nil {
		a.health[id] = map[string]string{}
	}
	a.health[id][event] += fmt.Sprint(what, "; ")
}

// splitTask returns a task's instance, and its container with the incarnation
// counted from the first one seen: an instance may be old when a scene begins.
func (a *accountant) splitTask(taskID string) (instance, container string) {
	parts := strings.Split(taskID, ".")
	instance = parts[0] + "." + parts[1]
	attempt, _ := strconv.Atoi(parts[3])
	if a.attempts[instance] == 0 {
		a.attempts[instance] = attempt
	}
	return instance, fmt.Sprintf("%s+%d", parts[2], attempt-a.attempts[instance])
}

func withoutHost(d map[string]any) string {
	return strings.ReplaceAll(d["message"].(string), d["host"].(string), "HOST")
}

// actions are those of a plan's step, sorted: Marathon has no order in a step.
func actions(step any) string {
	if step == nil {
		return ""
	}
	var sorted []string
	for _, a := range step.(map[string]any)["actions"].([]any) {
		sorted = append(sorted, compactly(a))
	}
	slices.Sort(sorted)
	return strings.Join(sorted, "+")
}

func compactly(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// diff compares two accounts and names the first difference of each part.
func (got account) diff(want account) []string {
	var differences []string
	for _, part := range []struct {
		name      string
		got, want []string
	}{
		{"instances", got.instances, want.instances},
		{"deployments", got.deployments, want.deployments},
		{"groups", got.groups, want.groups},
		{"requests", got.requests, want.requests},
		{"health", got.health, want.health},
		{"others", got.others, want.others},
	} {
		if !slices.Equal(part.got, part.want) {
			differences = append(differences, fmt.Sprintf("%s:\n got  %s\n want %s", part.name,
				strings.Join(part.got, "\n      "), strings.Join(part.want, "\n      ")))
		}
	}
	return differences
}

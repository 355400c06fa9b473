package plan

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"consular/marathon"
	"consular/reconcile/desired"
)

// WriteJSON prints an explanation for machines: one object, its lists never null.
func (x *Explanation) WriteJSON(w io.Writer) error {
	return writeJSON(w, x)
}

// WriteText prints an explanation for people: the answer, the evidence, and what to do.
func (x *Explanation) WriteText(w io.Writer, colour bool) error {
	var text bytes.Buffer
	answer := x.answer()
	if colour {
		code := "\x1b[1;31m"
		if x.InSync() && x.Complete() {
			code = "\x1b[1;32m"
		}
		answer = code + answer + "\x1b[0m"
	}
	fmt.Fprintln(&text, answer)
	for _, line := range x.grouped() {
		fmt.Fprintln(&text, "  "+line)
	}
	text.WriteString(x.evidence(colour))
	for _, s := range x.Read {
		fmt.Fprintln(&text, s.String())
	}
	for _, line := range x.advice() {
		fmt.Fprintln(&text, "-> "+line)
	}
	_, err := w.Write(text.Bytes())
	return err
}

// grouped says each reason once, with what it is about.
func (x *Explanation) grouped() []string {
	type said struct{ kind, text string }
	about := map[said][]string{}
	var order []said
	for _, r := range x.Reasons {
		s := said{string(r.Kind), shown(r.Text)}
		if about[s] == nil {
			order = append(order, s)
			about[s] = []string{}
		}
		if what := r.Service + r.Key; what != "" {
			about[s] = append(about[s], shown(what))
		}
	}
	lines := make([]string, len(order))
	for i, s := range order {
		lines[i] = s.kind + ": " + s.text
		switch what := about[s]; len(what) {
		case 0:
		case 1:
			lines[i] = s.kind + ": " + what[0] + ": " + s.text
		default:
			lines[i] = fmt.Sprintf("%s: %d of the things below: %s", s.kind, len(what), s.text)
		}
	}
	return lines
}

// answer says it in one line.
func (x *Explanation) answer() string {
	subject := shown(x.App)
	switch {
	case x.service != "":
		subject = "service " + shown(x.service) + " of " + subject
	case x.task != "":
		subject = "task " + shown(x.task) + " of " + subject
	}
	services, keys := map[State]int{}, map[State]int{}
	for _, t := range x.Tasks {
		for _, s := range t.Services {
			services[s.State]++
		}
	}
	for _, k := range x.Keys {
		keys[k.State]++
	}
	there := strings.Join(append(counted(services, "service"), counted(keys, "key")...), "; ")
	if there != "" {
		there = ": " + there
	}
	state := " is in Consul as it should be"
	switch {
	case !x.listed && there == "":
		state = " is neither in Marathon nor in Consul"
	case !x.listed && (x.drift || !x.unread):
		state = " is not in Marathon, but still in Consul"
	case x.leftOut != "" && there == "":
		state = " is not in Consul, for it is left out by " + shown(x.leftOut)
	case x.leftOut != "":
		state = " is left out by " + shown(x.leftOut) + ", but still in Consul"
	case x.unread && !x.drift && services[LeftOver]+keys[LeftOver] == 0:
		state = " is in Consul, as far as could be read"
	case x.drift || services[Unknown]+services[Absent]+services[LeftOver]+keys[Unknown]+keys[LeftOver] > 0:
		state = " is not in Consul as it should be"
	case there == "" && len(x.Tasks) > 0 && !x.runs():
		if state = " is not in Consul, for none of its tasks runs"; x.task != "" {
			state = " is not in Consul, for it does not run"
		}
	case len(x.Tasks) == 0 && there == "":
		state = " has no task and no label: nothing of it is to be in Consul"
	case len(x.Tasks) == 0:
		state = " has no task: only its labels are to be in Consul"
	case services[Equal] == 0 && keys[Equal] == 0:
		state = " has nothing in Consul"
	}
	return subject + state + there
}

// runs reports whether any of the tasks does.
func (x *Explanation) runs() bool {
	return slices.ContainsFunc(x.Tasks, func(t TaskStory) bool { return marathon.State(t.State).Phase() == marathon.Running })
}

// states are in the order in which they are told.
var states = []State{Equal, Absent, Differs, Unknown, LeftOver}

// counted says how many things are in which state.
func counted(n map[State]int, thing string) []string {
	var parts []string
	all := 0
	for _, state := range states {
		if n[state] > 0 {
			all += n[state]
			parts = append(parts, fmt.Sprintf("%d %s", n[state], state))
		}
	}
	switch {
	case all == 0:
		return nil
	case all > 1:
		thing += "s"
	}
	if n[Equal] == all {
		return []string{fmt.Sprintf("%d %s", all, thing)}
	}
	return []string{fmt.Sprintf("%d %s, %s", all, thing, strings.Join(parts, ", "))}
}

// evidence is a table of tasks and services, and one of keys.
func (x *Explanation) evidence(colour bool) string {
	var services, keys [][]string
	for _, t := range x.Tasks {
		for _, s := range t.Services {
			services = append(services, []string{
				string(s.State), s.Name, s.Agent, s.place(), x.taskState(t), t.health(), s.ID, strings.Join(s.Why, ", "),
			})
		}
		if len(t.Services) == 0 {
			services = append(services, []string{"no service", "", t.Host, "", x.taskState(t), t.health(), t.ID, ""})
		}
	}
	for _, k := range x.Keys {
		keys = append(keys, []string{string(k.State), k.Key, strings.Join(k.Why, ", ")})
	}
	return tableOf([]string{"STATE", "SERVICE", "AGENT", "ADDRESS", "TASK IS", "HEALTH", "ID", "WHY"}, services, colour) +
		tableOf([]string{"STATE", "KEY", "WHY"}, keys, colour)
}

// tableOf is a table, if there are any rows. The last column is left out where no row has it.
func tableOf(head []string, rows [][]string, colour bool) string {
	if len(rows) == 0 {
		return ""
	}
	last := len(head) - 1
	if !slices.ContainsFunc(rows, func(row []string) bool { return row[last] != "" }) {
		head = head[:last]
	}
	all := [][]string{head}
	for _, row := range rows {
		cells := slices.Clone(row[:len(head)])
		for i := range cells {
			cells[i] = orDash(shown(cells[i]))
		}
		all = append(all, cells)
	}
	return aligned(all, colour)
}

// place is where a service can be reached; "" while nothing says so.
func (s *ServiceStory) place() string {
	address := s.Address
	if strings.Contains(address, ":") {
		address = "[" + address + "]"
	}
	if s.Port == 0 {
		return address
	}
	return fmt.Sprintf("%s:%d", address, s.Port)
}

// taskState is what a task is in Marathon; "" for one of an app that nobody looks at.
func (x *Explanation) taskState(t TaskStory) string {
	if t.State == "" && x.leftOut == "" {
		return "not in Marathon"
	}
	return t.State
}

func (t *TaskStory) health() string {
	switch {
	case t.Healthy == nil:
		return ""
	case *t.Healthy:
		return "healthy"
	}
	return "unhealthy"
}

// advice says what to do, each thing once.
func (x *Explanation) advice() []string {
	var lines []string
	told := map[desired.Kind]bool{}
	for _, r := range x.Reasons {
		line := remedies[r.Kind]
		switch {
		case r.Kind != desired.KindHeld || x.confirmable:
		case x.leftOut != "":
			line = "`consular sync --force` removes what is still there; no time does"
		default:
			line = "if Marathon is right, run `consular sync --force`, for no time removes it; if it is not, see what is wrong with it"
		}
		if !told[r.Kind] && line != "" {
			told[r.Kind] = true
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 && x.drift {
		line := "a running consular writes what differs at its next resync; `consular sync` does so at once"
		if x.guarded {
			line += ". Its guard may hold something back, for it remembers what went before: see its log"
		}
		lines = append(lines, line)
	}
	return lines
}

// remedies say what ends a reason, where somebody can.
var remedies = map[desired.Kind]string{
	desired.KindExcluded:          "to have it in Consul, change that option or label",
	desired.KindQuarantined:       "give one of the apps, or the service of its port, another name (README, \"Shaping services\")",
	desired.KindUnread:            "see that what could not be read is up and may be read; until then nothing of it changes",
	desired.KindUnknownDefinition: "Marathon does not tell of the version; a restart of the app gives its tasks one that is known",
	desired.KindUnfit:             "change the app's definition or its labels",
	desired.KindConflict:          "remove what is in its place, or give it another ID or key; ours is written at the next resync",
	desired.KindHeld:              "if Marathon is right, wait, or run `consular sync --force`; if it is not, see what is wrong with it",
	desired.KindUnconfirmed:       "see why Marathon does not answer for this app; its log and `consular run`'s say more",
}

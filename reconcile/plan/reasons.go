package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

// reasons adds what the plan and the model say of an app as a whole.
func (e *explainer) reasons(x *Explanation, only string) {
	if x.leftOut != "" {
		x.add(desired.Reason{Kind: desired.KindExcluded, Text: "left out by " + x.leftOut, By: x.leftOut})
	}
	e.reasonsOfClashes(x)
	e.reasonsOfPlan(x, only)
	for i := range e.actual.Agents {
		if a := &e.actual.Agents[i]; a.Err != nil && e.stays(a) && e.showsOf(a, x, only) {
			x.unreadable(a.Address, unreadAgent(a))
		}
	}
	for _, u := range e.judged.Unread {
		switch {
		case u.What == UnreadKeys && only == "":
			x.unreadable(UnreadKeys, "the keys could not be read: "+u.Err)
		case u.What == "app "+x.App:
			x.unreadable("", "its definition, as Marathon has it, could not be read: "+u.Err)
		case u.What == "app " && x.leaves():
			x.unreadable("", "of one app that Marathon has not even the ID could be read: "+u.Err)
		}
	}
	slices.SortStableFunc(x.Reasons, func(a, b desired.Reason) int {
		return cmp.Or(cmp.Compare(kindOrder[a.Kind], kindOrder[b.Kind]), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Key, b.Key))
	})
	x.Reasons = slices.Compact(x.Reasons)
}

// showsOf reports whether the catalog shows something of an app, or of one task of it, on the
// node of an agent that does not answer.
func (e *explainer) showsOf(a *Agent, x *Explanation, only string) bool {
	for _, s := range a.OnNode {
		if of, ours := e.tr.Owns(s); ours && (only == "" && of == x.App || x.tells(desired.TaskOf(s))) {
			return true
		}
	}
	return false
}

// kindOrder has what concerns all of an app first.
var kindOrder = map[desired.Kind]int{
	desired.KindExcluded: 0, desired.KindQuarantined: 1, desired.KindUnread: 2, desired.KindUnknownDefinition: 3,
	desired.KindUnfit: 4, desired.KindConflict: 5, desired.KindHeld: 6, desired.KindUnconfirmed: 7,
}

func (x *Explanation) add(r desired.Reason) { x.Reasons = append(x.Reasons, r) }

// unreadable notes that something of it could not be read.
func (x *Explanation) unreadable(by, text string) {
	x.unread = true
	x.add(desired.Reason{Kind: desired.KindUnread, Text: text, By: by})
}

// reasonsOfTask adds what the model says of one task, and where its agent could not be read.
func (e *explainer) reasonsOfTask(x *Explanation, w desired.Want, home *Agent) {
	switch w.Kept {
	case desired.KindExcluded:
		by := cmp.Or(x.leftOut, "a label of the definition that the task runs")
		x.add(desired.Reason{Kind: w.Kept, Text: "left out by " + by, By: by})
	case desired.KindUnknownDefinition:
		x.unread = true
		x.add(desired.Reason{Kind: w.Kept, Service: w.Task, Text: "Marathon does not say what the version is like that it runs: it stays as it is"})
	}
	if w.Unfit != nil {
		x.add(desired.Reason{Kind: desired.KindUnfit, Service: w.Task, Text: w.Unfit.Error()})
	}
	for _, s := range w.Waits {
		if s.Err != nil {
			x.add(desired.Reason{Kind: desired.KindUnfit, Service: s.ID, Text: s.Err.Error()})
		}
	}
	switch a := e.agents[w.Host]; {
	case home != nil:
	case a == nil && w.Verdict == desired.Present:
		x.unreadable(w.Host, "the agent on "+w.Host+" was not asked: the task has just started there")
	case a != nil && a.Err != nil:
		x.unreadable(a.Address, unreadAgent(a))
	}
}

// stays reports whether what is on an agent that could not be read stays there: what Consul has as
// failed is removed from the catalog, unless Marathon has tasks there.
func (e *explainer) stays(a *Agent) bool {
	return !a.Failed || len(e.model.TasksOn(a.Hosts...)) > 0
}

// unreadAgent says why an agent could not be read.
func unreadAgent(a *Agent) string {
	text := "the agent " + a.Address + " could not be read: " + a.Err.Error()
	if a.Failed {
		text += "; Consul has its node as failed, and Marathon tasks on it"
	}
	return text
}

// reasonsOfLeft adds why a service that is none of its task's there stays.
func (e *explainer) reasonsOfLeft(x *Explanation, w desired.Want, s consul.Service) {
	task, known := e.taskOf(w.Task)
	switch {
	case !e.ours(s):
		x.add(desired.Reason{Kind: desired.KindHeld, Service: s.ID, Text: e.whose(s) + ", which is not Marathon's: left alone; no time changes this", By: e.whose(s)})
	case known && task.State.Phase() == marathon.Unrecognised:
		x.add(desired.Reason{Kind: desired.KindUnread, Service: s.ID, Text: "the task is in a state that nobody knows, " + string(task.State) + ": it stays as it is"})
	case w.VersionGone:
		x.add(desired.Reason{Kind: desired.KindUnknownDefinition, Service: s.ID, Text: "Marathon has deleted the version that the task runs: what is registered stays"})
	}
}

// reasonsOfClashes adds who else wants its names, where the others go on.
func (e *explainer) reasonsOfClashes(x *Explanation) {
	for _, c := range e.model.ClashesOf(x.App) {
		x.drift = true
		if c.Incumbent == x.App {
			continue
		}
		others := slices.DeleteFunc(slices.Clone(c.Apps), func(app string) bool { return app == x.App })
		text := ClashWhy(c) + ", and the one that had it before goes on: " + c.Incumbent
		if c.Incumbent == "" {
			text = ClashWhy(c) + ", and it is not known which had it before: all stay as they are"
		}
		x.add(desired.Reason{Kind: desired.KindQuarantined, Service: c.Name, Text: text, By: strings.Join(others, " ")})
	}
}

// reasonsOfPlan adds what the plan does not do, and notes what it does.
func (e *explainer) reasonsOfPlan(x *Explanation, only string) {
	name := e.tr.ServiceName(x.App)
	tells := func(task, id string) bool { return x.tells(task) && (x.service == "" || id == x.service) }
	concerns := func(c Change) bool {
		return tells(c.Task, c.ID) || only == "" && (c.App == x.App || c.App == "" && c.Key != "" && c.Service == name)
	}
	for _, c := range e.judged.Changes {
		if concerns(c) {
			x.drift, x.guarded = true, x.guarded || c.Grounds.Has(desired.Unannounced|desired.Unhealthy)
		}
	}
	for _, c := range e.judged.Held {
		if concerns(c) {
			x.drift, x.confirmable = true, x.confirmable || c.Confirmable
			x.add(desired.Reason{Kind: desired.KindHeld, Service: c.ID, Key: c.Key, Text: e.heldText(c)})
		}
	}
	for _, c := range e.judged.kept {
		if concerns(c) {
			x.add(desired.Reason{Kind: desired.KindHeld, Service: c.ID, Key: c.Key, Text: strings.Join(c.Why, ", ") + ", and " + keptWhy + "; no time changes this"})
		}
	}
	for _, c := range e.judged.Unconfirmed {
		if concerns(c) {
			x.drift, x.unread = true, true
			x.add(desired.Reason{
				Kind: desired.KindUnconfirmed, Service: c.ID, Key: c.Key,
				Text: strings.Join(c.Why, ", ") + ", and its app could not be asked for by itself",
			})
		}
	}
	for _, c := range e.judged.Conflicts {
		if tells(c.Task, c.ID) || only == "" && c.Key != "" && c.Service == name {
			x.drift = true
			x.add(desired.Reason{Kind: desired.KindConflict, Service: c.ID, Key: c.Key, Text: "somebody else's is in its place: " + c.Why, By: c.Why})
		}
	}
	for _, u := range e.judged.Unfit {
		if u.App == x.App && u.Task == "" && only == "" {
			x.add(desired.Reason{Kind: desired.KindUnfit, Text: u.Err})
		}
	}
}

// heldText says why a removal is held back, and what ends that.
func (e *explainer) heldText(c Change) string {
	text := fmt.Sprintf("%s, and held back: %s", strings.Join(c.Why, ", "), c.HeldWhy)
	if c.Confirmable {
		return text + "; a running consular lets it go --purge-confirm after it first saw it"
	}
	return text + "; no time confirms this"
}

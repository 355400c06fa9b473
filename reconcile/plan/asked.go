package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/xrash/smetrics"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

// What somebody asks for, found on either side.

// find finds what somebody asks for: apps, or one task of an app.
func (e *explainer) find(asked string) (apps []string, task string, err error) {
	known := map[string]bool{}
	for _, app := range e.model.AppIDs() {
		known[app] = true
	}
	named, names := map[string]bool{}, map[string]bool{}
	owner := map[string]string{}
	e.registered(func(_ *Agent, s consul.Service, app string) {
		known[app], names[s.Name] = true, true
		owner[desired.TaskOf(s)] = app
		if s.Name == asked {
			named[app] = true
		}
	})
	id := "/" + strings.Trim(asked, "/")
	if known[id] {
		return []string{id}, "", nil
	}
	for _, id := range []string{asked, beforeColon(asked)} { // a task's, or a service's
		if t, is := e.taskOf(id); is {
			return []string{t.AppID}, id, nil
		}
		if app, is := owner[id]; is {
			return []string{app}, id, nil
		}
	}
	for _, app := range e.model.Called(asked) {
		named[app] = true
	}
	if len(named) > 0 {
		return slices.Sorted(maps.Keys(named)), "", nil
	}
	withKeys := e.namesOfKeys()
	if withKeys[e.tr.ServiceName(id)] { // keys are all that is left of it
		return []string{id}, "", nil
	}
	maps.Copy(names, withKeys)
	candidates := slices.Concat(slices.Collect(maps.Keys(known)), slices.Collect(maps.Keys(names)))
	return nil, "", fmt.Errorf("explain %s: neither Marathon nor Consul knows it%s", shown(asked), nearest(asked, candidates))
}

// namesOfKeys are the names that have keys of ours.
func (e *explainer) namesOfKeys() map[string]bool {
	names := map[string]bool{}
	for _, k := range e.actual.Keys {
		if k.Flags != 0 && e.tr.OwnsKey(k.Flags) {
			names[k.Service] = true
		}
	}
	return names
}

// taskOf returns a task as Marathon has it, be it that the model need not know of it.
func (e *explainer) taskOf(id string) (t marathon.Task, known bool) {
	if t, known = e.model.Task(id); !known {
		t, known = e.listed[id]
	}
	return t, known
}

func beforeColon(id string) string {
	task, _, _ := strings.Cut(id, ":")
	return task
}

// nearby is how many names are given in place of one that nobody knows, and similar how alike
// they have to be (Jaro and Winkler's measure, 1 for the same).
const (
	nearby  = 3
	similar = 0.75
)

// nearest names what has a similar name; "" for nothing.
func nearest(asked string, names []string) string {
	type candidate struct {
		name string
		like float64
	}
	bare := strings.Trim(asked, "/")
	var like []candidate
	for _, name := range names {
		if c := (candidate{name, smetrics.JaroWinkler(bare, strings.Trim(name, "/"), 0.7, 4)}); c.like >= similar {
			like = append(like, c)
		}
	}
	slices.SortFunc(like, func(a, b candidate) int { return cmp.Or(cmp.Compare(b.like, a.like), cmp.Compare(a.name, b.name)) })
	like = slices.Compact(like)
	var shownNames []string
	for _, c := range like[:min(nearby, len(like))] {
		shownNames = append(shownNames, shown(c.name))
	}
	if len(shownNames) == 0 {
		return ""
	}
	return "; the nearest: " + strings.Join(shownNames, ", ")
}

package simulator

import (
	"maps"
	"slices"
)

// plan is a deployment plan, in its light form since 1.8. In the heavy one
// Original and Target hold all apps, before and after.
type plan struct {
	ID       string     `json:"id"`
	Original *rootGroup `json:"original,omitempty"`
	Target   *rootGroup `json:"target,omitempty"`
	Steps    []planStep `json:"steps"`
	Version  string     `json:"version"`
}

type planStep struct {
	Actions []action `json:"actions"`
}

// action names an app or a pod.
type action struct {
	Action string `json:"action"`
	App    string `json:"app,omitempty"`
	Pod    string `json:"pod,omitempty"`
}

func (a action) id() string { return a.App + a.Pod }

// The actions on apps; those on pods end in Pod.
const (
	startApplication   = "StartApplication"
	stopApplication    = "StopApplication"
	scaleApplication   = "ScaleApplication"
	restartApplication = "RestartApplication"
)

func (s *runSpec) action(kind string) action {
	if s.isPod() {
		return action{Action: kind[:len(kind)-len("Application")] + "Pod", Pod: s.ID}
	}
	return action{Action: kind, App: s.ID}
}

// kind is the action's name as it is for apps.
func (a action) kind() string {
	if a.Pod != "" {
		return a.Action[:len(a.Action)-len("Pod")] + "Application"
	}
	return a.Action
}

// steps plans the way from the definitions before to those after; nil means
// that there is none. First what is no longer wanted is stopped, then what is
// new is started with no instances, then each class of dependencies is scaled
// or replaced.
func steps(before, after map[string]*runSpec, restart bool) []planStep {
	var stop, start []action
	scale := map[string]action{}
	for _, id := range slices.Sorted(maps.Keys(after)) {
		old, wanted := before[id], after[id]
		switch {
		case wanted == nil && old != nil:
			stop = append(stop, old.action(stopApplication))
		case wanted == nil:
		case old == nil:
			start = append(start, wanted.action(startApplication))
			scale[id] = wanted.action(scaleApplication)
		case !restart && old.sameConfig(wanted) && old.Instances == wanted.Instances:
		case !restart && old.sameConfig(wanted), wanted.Instances == 0:
			scale[id] = wanted.action(scaleApplication)
		default:
			scale[id] = wanted.action(restartApplication)
		}
	}
	classes := [][]action{stop, start}
	for _, ids := range byDependency(slices.Sorted(maps.Keys(scale)), after) {
		var class []action
		for _, id := range ids {
			class = append(class, scale[id])
		}
		classes = append(classes, class)
	}
	planned := []planStep{}
	for _, actions := range classes {
		if len(actions) > 0 {
			planned = append(planned, planStep{Actions: actions})
		}
	}
	return planned
}

package simulator

import (
	"path"
	"reflect"
	"slices"
	"strings"
)

// appContainer is the container name in the task IDs of apps.
const appContainer = "_app"

// runSpec is what Marathon calls an app or pod together: a versioned
// definition that instances run. It is immutable once deployed.
type runSpec struct {
	App
	// containers are a pod's; nil for an app.
	containers []PodContainer

	version, lastScalingAt, lastConfigChangeAt string
}

func (s *runSpec) isPod() bool { return s.containers != nil }

// tasks returns what one instance consists of: its containers, which for an
// app is one named _app.
func (s *runSpec) tasks() []PodContainer {
	if s.isPod() {
		return s.containers
	}
	return []PodContainer{{Name: appContainer, Ports: s.Ports}}
}

// group returns the ID of the group that the spec is in.
func (s *runSpec) group() string { return path.Dir(s.ID) }

// safePath is the ID as it is written in instance and task IDs.
func safePath(id string) string {
	return strings.ReplaceAll(strings.TrimPrefix(id, "/"), "/", "_")
}

// sameConfig reports whether tasks of s and other run the same definition:
// they differ in nothing but the number of instances.
func (s *runSpec) sameConfig(other *runSpec) bool {
	a, b := s.App, other.App
	a.Instances, b.Instances = 0, 0
	return reflect.DeepEqual(a, b) && reflect.DeepEqual(s.containers, other.containers)
}

// stamped gives s the version of a change, and the times of the last scaling
// and configuration change that follow from what was there before.
func (s *runSpec) stamped(version string, before *runSpec) *runSpec {
	s.version, s.lastScalingAt, s.lastConfigChangeAt = version, version, version
	if before != nil && s.sameConfig(before) {
		s.lastConfigChangeAt = before.lastConfigChangeAt
	}
	return s
}

// keepServicePorts gives ports that name no service port the one they had.
func (s *runSpec) keepServicePorts(before *runSpec) {
	for i := range min(len(s.Ports), len(before.Ports)) {
		if s.Ports[i].Service == 0 {
			s.Ports[i].Service = before.Ports[i].Service
		}
	}
}

// withServicePorts returns s with the ports that Marathon assigns: it does so
// when the definition becomes visible, so an api_post_event still shows 0.
func (s *runSpec) withServicePorts(assign func() int) *runSpec {
	assigned := *s
	assigned.App = s.App.clone()
	for i := range assigned.Ports {
		if assigned.Ports[i].Service == 0 {
			assigned.Ports[i].Service = assign()
		}
	}
	return &assigned
}

// byDependency groups IDs into classes that are deployed one after the other:
// an app comes in a later class than what it depends on.
func byDependency(ids []string, specs map[string]*runSpec) [][]string {
	var classes [][]string
	for _, id := range ids {
		depth := dependencyDepth(id, specs, nil)
		for len(classes) <= depth {
			classes = append(classes, nil)
		}
		classes[depth] = append(classes[depth], id)
	}
	return slices.DeleteFunc(classes, func(c []string) bool { return len(c) == 0 })
}

func dependencyDepth(id string, specs map[string]*runSpec, seen []string) int {
	spec := specs[id]
	if spec == nil || slices.Contains(seen, id) {
		return 0
	}
	depth := 0
	for _, dependency := range spec.Dependencies {
		if specs[dependency] != nil {
			depth = max(depth, 1+dependencyDepth(dependency, specs, append(seen, id)))
		}
	}
	return depth
}

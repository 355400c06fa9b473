package desired

import (
	"fmt"
	"slices"

	"consular/marathon"
)

// contradicts says where the model says one thing in two ways.
func (m *Model) contradicts() (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for name, n := range m.names {
		if len(n.services.claimants)+len(n.keys.claimants)+len(n.keyless) == 0 {
			say("%s is nobody's", name)
		}
		for _, app := range n.services.apps() {
			if a := m.apps[app]; a == nil || !slices.Contains(a.claims, name) {
				say("%s wants services called %s and does not know", app, name)
			}
		}
		for _, app := range append(n.keys.apps(), n.keyless...) {
			_, out := m.leftOut[app]
			if a := m.apps[app]; a == nil && !out || a != nil && a.name != name {
				say("%s has to do with keys of %s and does not know", app, name)
			}
		}
		for what, c := range map[string]contest{"services": n.services, "keys": n.keys} {
			if c.incumbent != "" && (!c.contested() || !c.has(c.incumbent)) {
				say("%s of %s have the incumbent %s of %v", what, name, c.incumbent, c.apps())
			}
		}
	}
	running := [3]int{}
	for id, t := range m.tasks {
		a := m.apps[t.task.AppID]
		if a == nil {
			say("task %s is of no app", id)
			continue
		}
		if _, is := a.tasks[id]; !is {
			say("task %s is not its app's", id)
		}
		if _, ended := m.ended[id]; ended {
			say("task %s runs and has ended", id)
		}
		if _, on := m.onHost[t.task.Host][id]; on == t.out {
			say("task %s is out %v and on its host %v", id, t.out, on)
		}
		if t.counted {
			running[0]++
			running[1] += int(t.services)
			if t.health != nil && t.health.mirrored {
				running[2] += int(t.services)
			}
		}
	}
	if have := [3]int{m.running.tasks, m.running.services, m.running.mirrored}; have != running {
		say("counted %v, there are %v", have, running)
	}
	for id, a := range m.apps {
		for task := range a.tasks {
			if m.tasks[task] == nil {
				say("%s has a task %s that is not there", id, task)
			}
		}
		for _, name := range a.claims {
			if n := m.names[name]; n == nil || !n.services.has(id) {
				say("%s does not have its claim to %s", id, name)
			}
		}
	}
	for instance, id := range m.instances {
		if t := m.tasks[id]; t == nil || t.health == nil || marathon.InstanceID(id) != instance {
			say("instance %s is not of %s", instance, id)
		}
	}
	return lines
}

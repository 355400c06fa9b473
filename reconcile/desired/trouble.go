package desired

import (
	"cmp"

	"consular/marathon"
)

// Trouble is what is wrong with the labels of one definition of an app.
type Trouble struct {
	App string
	// Definition names it: scaling makes no other one.
	Definition string
	// Problems are its labels' and its ports', in words.
	Problems []string
}

// Troubles returns what is wrong with the labels of definitions that tasks run or are to run,
// in order.
func (m *Model) Troubles() []Trouble {
	var all []Trouble
	for _, app := range sortedKeys(m.troubled) {
		all = append(all, m.TroublesOf(app)...)
	}
	return all
}

// TroublesOf returns those of one app.
func (m *Model) TroublesOf(app string) []Trouble {
	a := m.apps[app]
	if a == nil || a.shape == nil {
		return nil
	}
	var all []Trouble
	add := func(d marathon.Definition, version string, sh *shape) {
		if len(sh.problems) > 0 {
			all = append(all, Trouble{App: app, Definition: cmp.Or(d.LastConfigChangeAt, version), Problems: sh.problems})
		}
	}
	add(a.app.Definition, a.app.Version, a.shape)
	seen := map[*shape]bool{a.shape: true}
	for _, task := range sortedKeys(a.tasks) {
		t := m.tasks[task].task
		if sh, d := m.shapeOf(t); sh != nil && !seen[sh] {
			seen[sh] = true
			add(d, t.Version, sh)
		}
	}
	return all
}

// noteTrouble notes whether an app has a definition whose labels have problems.
func (m *Model) noteTrouble(a *appEntry) {
	delete(m.troubled, a.app.ID)
	some := a.shape != nil && len(a.shape.problems) > 0
	if a.shape != nil && len(m.definitions) > 0 && !some {
		for task := range a.tasks {
			sh, _ := m.shapeOf(m.tasks[task].task)
			some = some || sh != nil && len(sh.problems) > 0
		}
	}
	if some {
		m.troubled[a.app.ID] = struct{}{}
	}
}

// Omitted returns how many declared ports of an app are no services, though no label of it
// says so.
func (m *Model) Omitted(app string) int {
	if a := m.apps[app]; a != nil && a.shape != nil {
		return a.shape.omitted
	}
	return 0
}

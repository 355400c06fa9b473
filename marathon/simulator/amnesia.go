package simulator

import (
	"fmt"
	"slices"
)

// ForgetTasks lets Marathon forget the instances of some apps, of all when none
// is given, as one whose state was lost or restored from an old backup: REST shows
// the apps with the instances that they should have, and no task. The tasks run
// on, and no event tells of it. ScaleCheck launches others. Back makes one of the
// forgotten known by its agent, which kills it as unknown.
func (m *Marathon) ForgetTasks(appIDs ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(appIDs) == 0 {
		appIDs = m.ids()
	}
	for _, id := range appIDs {
		if m.root[id] == nil {
			return fmt.Errorf("forget tasks of app %s: %w", id, ErrNotFound)
		}
		for _, i := range m.instances[id] {
			m.agenda.abandon(&i.script)
			for _, t := range i.tasks {
				m.expunged[t.id] = i
			}
		}
		m.forgotten[id] = append(m.forgotten[id], m.instances[id]...)
		delete(m.instances, id)
	}
	return nil
}

// RecallTasks brings back what ForgetTasks took away and what has not ended since.
func (m *Marathon) RecallTasks() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range sortedKeys(m.forgotten) {
		back := slices.DeleteFunc(m.forgotten[id], func(i *instance) bool {
			return len(i.tasks) == 0 || m.expunged[i.tasks[0].id] != i
		})
		for _, i := range back {
			for _, t := range i.tasks {
				delete(m.expunged, t.id)
			}
		}
		m.instances[id] = append(back, m.instances[id]...)
	}
	clear(m.forgotten)
}

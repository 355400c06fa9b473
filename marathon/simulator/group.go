package simulator

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Group creates or changes all apps of a group in one deployment, as PUT
// /v2/groups/{id}. No request event names them, only the plan does.
func (m *Marathon) Group(id string, apps ...App) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := map[string]*runSpec{}
	for _, app := range apps {
		if !strings.HasPrefix(app.ID, id+"/") {
			return fmt.Errorf("group %s: app %s is not in it", id, app.ID)
		}
		after[app.ID] = &runSpec{App: app.normalized()}
	}
	_, err := m.deployed(change{group: path.Dir(id), after: after})
	return err
}

// DestroyGroup stops everything in a group, as DELETE /v2/groups/{id}.
func (m *Marathon) DestroyGroup(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := map[string]*runSpec{}
	for _, member := range m.ids() {
		if strings.HasPrefix(member, id+"/") {
			after[member] = nil
		}
	}
	if len(after) == 0 {
		return fmt.Errorf("destroy group %s: %w", id, ErrNotFound)
	}
	_, err := m.deployed(change{group: path.Dir(id), after: after, force: true})
	return err
}

// Bulk creates or changes several apps at once, as PUT /v2/apps. An app that
// names no ports has none here.
func (m *Marathon) Bulk(apps ...App) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.bulk(apps, false)
	return err
}

func (m *Marathon) bulk(apps []App, force bool) (*deployment, error) {
	after := map[string]*runSpec{}
	for _, app := range apps {
		if app.Ports == nil {
			app.Ports = []Port{}
		}
		after[app.ID] = &runSpec{App: app.normalized()}
	}
	return m.deployed(change{group: "/", after: after, force: force})
}

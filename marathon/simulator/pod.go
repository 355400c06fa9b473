package simulator

import (
	"fmt"
	"slices"
)

// Pod is a pod definition: containers that share an instance. Pods have events
// of their own, and their instances and containers those of apps; GET /v2/apps
// and /v2/tasks know nothing of them.
type Pod struct {
	ID         string
	Instances  int
	Labels     map[string]string
	Containers []PodContainer
}

// PodContainer is one container of a pod; Ports are its endpoints.
type PodContainer struct {
	Name  string
	Ports []Port
}

// CreatePod deploys a new pod, as POST /v2/pods.
func (m *Marathon) CreatePod(p Pod) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.root[p.ID] != nil {
		return fmt.Errorf("create pod %s: %w", p.ID, ErrExists)
	}
	return m.deployPod(p.ID, p.runSpec(), "pod_created_event", "/v2/pods")
}

// UpdatePod replaces a pod's definition and, unless only the number of
// instances differs, its instances, as PUT /v2/pods/{id}.
func (m *Marathon) UpdatePod(p Pod) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.checkPod(p.ID); err != nil {
		return fmt.Errorf("update %w", err)
	}
	return m.deployPod(p.ID, p.runSpec(), "pod_updated_event", "/v2/pods"+p.ID)
}

// DeletePod stops a pod for good, as DELETE /v2/pods/{id}.
func (m *Marathon) DeletePod(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.checkPod(id); err != nil {
		return fmt.Errorf("delete %w", err)
	}
	return m.deployPod(id, nil, "pod_deleted_event", "/v2/pods"+id)
}

func (m *Marathon) deployPod(id string, spec *runSpec, eventType, uri string) error {
	if m.config.TaskEra {
		return fmt.Errorf("deploy pod %s: there are no pods before 1.4", id)
	}
	_, err := m.deployed(change{
		group: (&runSpec{App: App{ID: id}}).group(),
		after: map[string]*runSpec{id: spec},
		posted: func() event {
			return podChange{ClientIP: clientIP, URI: uri, stamp: stamped(eventType)}
		},
	})
	return err
}

// checkPod reports whether there is such a pod.
func (m *Marathon) checkPod(id string) error {
	if spec := m.root[id]; spec == nil || !spec.isPod() {
		return fmt.Errorf("pod %s: %w", id, ErrNotFound)
	}
	return nil
}

func (p Pod) runSpec() *runSpec {
	app := App{ID: p.ID, Instances: p.Instances, Labels: p.Labels, Ports: []Port{}}
	containers := slices.Clone(p.Containers)
	for i := range containers {
		containers[i].Ports = slices.Clone(containers[i].Ports)
		for n, port := range containers[i].Ports {
			containers[i].Ports[n] = port.normalized(Host)
		}
	}
	return &runSpec{App: app.normalized(), containers: containers}
}

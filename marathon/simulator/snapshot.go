package simulator

import (
	"slices"
	"time"
)

// Task is a task as REST would list it at this moment.
type Task struct {
	ID, AppID, InstanceID string
	Host                  string
	// State is TASK_STAGING and so on; a final one where a dead task waits to
	// be launched again.
	State     string
	Addresses []string
	Ports     []int
	// Version is that of the definition the task runs; "" for a dead task.
	Version string
	// Healthy is Marathon's verdict, by what has been reported since the task was
	// launched. A task without checks is healthy while it runs.
	Healthy bool
}

// Apps returns the apps that REST shows at this moment, sorted by ID, with
// assigned service ports and without pods.
func (m *Marathon) Apps() []App {
	m.mu.Lock()
	defer m.mu.Unlock()
	var apps []App
	for _, id := range m.ids() {
		if spec := m.root[id]; !spec.isPod() {
			apps = append(apps, spec.App.clone())
		}
	}
	return apps
}

// Tasks returns the tasks of an app that REST lists at this moment, oldest
// instance first; for "" those of all apps. Like REST it has no tasks of an app
// that is being destroyed, and none of pods.
func (m *Marathon) Tasks(appID string) []Task {
	m.mu.Lock()
	defer m.mu.Unlock()
	var tasks []Task
	for _, id := range m.ids() {
		if m.root[id].isPod() || appID != "" && appID != id {
			continue
		}
		for _, i := range m.instances[id] {
			for _, t := range i.tasks {
				tasks = append(tasks, i.snapshot(t))
			}
		}
	}
	return tasks
}

func (i *instance) snapshot(t *task) Task {
	info := i.info(t)
	seen := Task{
		ID: t.id, AppID: i.spec.ID, InstanceID: i.id, Host: i.host.name,
		State: info.State, Ports: slices.Clone(info.Ports), Version: info.Version, Healthy: i.healthy(),
	}
	for _, address := range info.IPAddresses {
		seen.Addresses = append(seen.Addresses, address.IPAddress)
	}
	return seen
}

// Deployment is a deployment under way, as GET /v2/deployments tells it.
type Deployment struct {
	ID, Version string
	// IDs are those of the apps and pods in its plan, sorted.
	IDs []string
}

// Deployments returns the deployments under way, oldest first.
func (m *Marathon) Deployments() []Deployment {
	m.mu.Lock()
	defer m.mu.Unlock()
	var running []Deployment
	for _, d := range m.deployments {
		running = append(running, Deployment{ID: d.plan.ID, Version: d.plan.Version, IDs: sortedKeys(d.after)})
	}
	return running
}

// appInfo is an app with its tasks and without its last failure, which only
// GET /v2/apps/{id} tells.
func (m *Marathon) appInfo(spec *runSpec) appInfo {
	tasks := m.taskInfos(spec.ID)
	well, ill := m.healthCounts(spec.ID)
	info := appInfo{TasksHealthy: well, TasksUnhealthy: ill, definition: m.definition(spec), Deployments: []deploymentRef{}, Tasks: &tasks}
	for _, t := range tasks {
		switch t.State {
		case "TASK_STAGING", "TASK_STARTING":
			info.TasksStaged++
		case "TASK_RUNNING":
			info.TasksRunning++
		}
	}
	for _, d := range m.deployments {
		if _, touched := d.after[spec.ID]; touched {
			info.Deployments = append(info.Deployments, deploymentRef{d.plan.ID})
		}
	}
	return info
}

// taskInfos are an app's tasks; instances that wait for an offer have none.
func (m *Marathon) taskInfos(id string) []taskInfo {
	infos := []taskInfo{}
	for _, i := range m.instances[id] {
		for _, t := range i.tasks {
			info := i.info(t)
			info.HealthCheckResults = m.healthResults(i, t)
			if m.oldest() {
				info.oldest()
			}
			infos = append(infos, info)
		}
	}
	return infos
}

// info is a task as REST lists it. A dead one has lost its ports, times and
// version, and keeps its host and addresses.
func (i *instance) info(t *task) taskInfo {
	info := taskInfo{
		AppID: i.spec.ID, Host: i.host.name, ID: t.id,
		IPAddresses: t.addresses(), Ports: []int{}, ServicePorts: []int{}, SlaveID: i.host.agentID,
		State: t.state, LocalVolumes: []struct{}{}, Role: "*",
	}
	if t.state == "TASK_GONE_BY_OPERATOR" {
		info.State = "TASK_GONE"
	}
	if final(t.state) {
		return info
	}
	info.Ports, info.Version = t.ports, i.spec.version
	info.StagedAt, info.StartedAt = timeOrNone(t.staged), timeOrNone(t.started)
	return info
}

func timeOrNone(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return timestamp(t)
}

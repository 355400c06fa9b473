package simulator

import (
	"cmp"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
)

// The task era, as Marathon 1.3.6 was recorded (testdata/sse) and its source
// says. What differs for a subscriber:
//
//	tasks     have IDs of their own, app.uuid; one that dies is gone, another
//	          is launched; TASK_STAGING is told, TASK_STARTING is not; what is
//	          lost is TASK_LOST, stays listed and is replaced
//	events    no instance_changed_event; no ipAddresses while none is known;
//	          plans hold all apps twice; event_type does not filter
//	streams   a full queue drops events without a sign; a standby proxies
//	apps      as before 1.5: container.docker.network and ipAddress, no networks
//	pods      are not there yet

// The oldest, as Marathon 0.11 was (testdata/rest): what the task era has, and
//
//	apps      ports, a list of service ports, and no portDefinitions: no names and
//	          no labels on a host network; no versionInfo
//	tasks     have no state and no addresses
//	events    no addresses; of the states TASK_RUNNING, once, and final ones only
//
// That is Config.Version 0.x in the task era.
func (m *Marathon) oldest() bool {
	return m.config.TaskEra && strings.HasPrefix(m.config.Version, "0.")
}

// untold reports whether a status is none that the oldest Marathon tells.
func (m *Marathon) untold(t *task) bool {
	return m.oldest() && t.state != "TASK_RUNNING" && t.state != "TASK_LOST" && !final(t.state)
}

// oldest leaves out what the oldest Marathon does not say of a task.
func (i *taskInfo) oldest() {
	i.State, i.IPAddresses, i.ServicePorts, i.SlaveID, i.LocalVolumes, i.Role = "", nil, nil, "", nil, ""
}

// taskID makes the ID of an instance's next task: the one that it had, for tasks
// with persistent volumes before 1.4.7.
func (m *Marathon) taskID(i *instance, container string) string {
	if !m.config.TaskEra {
		return fmt.Sprintf("%s.%s.%d", i.id, container, i.attempt)
	}
	if i.taskID != "" && i.spec.Resident {
		return i.taskID
	}
	m.lastInstance++
	i.taskID = fmt.Sprintf("%s.%08x-9149-11e6-aae4-3a4b79075094", safePath(i.spec.ID), m.lastInstance)
	return i.taskID
}

// forgetDead takes a dead task out of the answers, as the task era does at once.
func (m *Marathon) forgetDead(i *instance) {
	if m.config.TaskEra && len(i.tasks) > 0 && !i.alive() {
		i.tasks = nil
	}
}

// lose makes an instance's task TASK_LOST, and launches another unless it waits
// for the lost one's volumes.
func (m *Marathon) lose(i *instance) {
	condition := "UnreachableInactive"
	if i.spec.Resident {
		condition = "Unreachable"
	}
	m.giveUp(i, "TASK_LOST", condition)
}

func (m *Marathon) publishUnknownTask(i *instance) {
	m.publish(unknownTaskTerminated{
		TaskID: i.tasks[0].id, RunSpecID: i.spec.ID, Status: "TASK_KILLED",
		stamp: stamped("unknown_task_terminated_event"),
	})
}

// eventAddresses are a task's addresses in an event: nil, and left out, in the
// task era while there are none.
func (m *Marathon) eventAddresses(t *task) []ipAddress {
	addresses := t.addresses()
	if m.config.TaskEra && (len(addresses) == 0 || m.oldest()) {
		return nil
	}
	return addresses
}

// noLeaderStatus is what a standby answers when no leader does.
func (m *Marathon) noLeaderStatus() int {
	if m.config.TaskEra {
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}

// rootGroup is a group with all that is below it, as heavy plans show it.
type rootGroup struct {
	ID           string       `json:"id"`
	Apps         []definition `json:"apps"`
	Groups       []*rootGroup `json:"groups"`
	Dependencies []string     `json:"dependencies"`
	Version      string       `json:"version"`
}

// rootGroups are the root group before a change and after it.
func (m *Marathon) rootGroups(after map[string]*runSpec) (original, target *rootGroup) {
	original, target = m.newGroup("/"), m.newGroup("/")
	for _, id := range m.ids() {
		original.add(m, m.root[id])
		if _, changed := after[id]; !changed {
			target.add(m, m.root[id])
		}
	}
	for _, id := range sortedKeys(after) {
		if after[id] != nil {
			target.add(m, after[id])
		}
	}
	return original, target
}

func (m *Marathon) newGroup(id string) *rootGroup {
	return &rootGroup{
		ID: id, Apps: []definition{}, Groups: []*rootGroup{}, Dependencies: []string{}, Version: m.rootVersion,
	}
}

// add puts an app into the group of its ID, and makes what groups are missing.
func (g *rootGroup) add(m *Marathon, spec *runSpec) {
	rest := strings.TrimPrefix(strings.TrimPrefix(spec.ID, g.ID), "/")
	name, _, deeper := strings.Cut(rest, "/")
	if !deeper {
		g.Apps = append(g.Apps, m.definition(spec))
		return
	}
	id := path.Join(g.ID, name)
	n := slices.IndexFunc(g.Groups, func(sub *rootGroup) bool { return sub.ID == id })
	if n < 0 {
		n = len(g.Groups)
		g.Groups = append(g.Groups, m.newGroup(id))
	}
	g.Groups[n].add(m, spec)
}

// definition is an app as this Marathon writes it.
func (m *Marathon) definition(spec *runSpec) definition {
	d := spec.definition()
	if m.config.TaskEra {
		d.old(spec.App)
	}
	if m.oldest() {
		d.oldest(spec.App)
	}
	return d
}

// dockerNetwork is container.docker, which said how an app is reached before 1.5.
type dockerNetwork struct {
	Image        string        `json:"image"`
	Network      string        `json:"network"`
	PortMappings []portMapping `json:"portMappings"`
}

// ipPerTask says of an app that each of its tasks has an address of its own.
type ipPerTask struct {
	NetworkName string     `json:"networkName"`
	Discovery   *discovery `json:"discovery,omitempty"`
}

type discovery struct {
	Ports []discoveryPort `json:"ports"`
}

type discoveryPort struct {
	Number   int               `json:"number"`
	Name     string            `json:"name"`
	Protocol string            `json:"protocol"`
	Labels   map[string]string `json:"labels"`
}

// old writes networks, ports and checks as before 1.5.
func (d *definition) old(app App) {
	d.Networks, d.Role = nil, ""
	for n := range d.HealthChecks {
		d.HealthChecks[n].IPProtocol, d.HealthChecks[n].DelaySeconds = "", 0
	}
	switch {
	case app.Network == Host:
		return
	case app.Discovery:
		d.Container, d.IPAddress = nil, &ipPerTask{NetworkName: app.NetworkName, Discovery: &discovery{Ports: each(app.Ports, Port.discovered)}}
		return
	}
	docker := &dockerNetwork{Image: "busybox", Network: "BRIDGE", PortMappings: d.Container.PortMappings}
	if app.Network == Container {
		docker.Network, d.IPAddress = "USER", &ipPerTask{NetworkName: cmp.Or(app.NetworkName, "dcos")}
	}
	d.Container = &container{Type: "DOCKER", Volumes: []struct{}{}, Docker: docker}
}

func (p Port) discovered() discoveryPort {
	return discoveryPort{Number: p.Container, Name: p.Name, Protocol: p.Protocol, Labels: p.Labels}
}

// oldest writes an app as before 1.0.
func (d *definition) oldest(app App) {
	d.VersionInfo = nil
	d.Ports, d.PortDefinitions = &[]int{}, nil
	for _, p := range app.Ports {
		*d.Ports = append(*d.Ports, p.Service)
	}
}

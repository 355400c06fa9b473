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

// taskID makes the ID of an instance's next task.
func (m *Marathon) taskID(i *instance, container string) string {
	if !m.config.TaskEra {
		return fmt.Sprintf("%s.%s.%d", i.id, container, i.attempt)
	}
	m.lastInstance++
	return fmt.Sprintf("%s.%08x-9149-11e6-aae4-3a4b79075094", safePath(i.spec.ID), m.lastInstance)
}

// forgetDead takes a dead task out of the answers, as the task era does at once.
func (m *Marathon) forgetDead(i *instance) {
	if m.config.TaskEra && len(i.tasks) > 0 && !i.alive() {
		i.tasks = nil
	}
}

// lose makes an instance's task TASK_LOST, and launches another.
func (m *Marathon) lose(i *instance) { m.giveUp(i, "TASK_LOST", "UnreachableInactive") }

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
	if m.config.TaskEra && len(addresses) == 0 {
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
	return d
}

// dockerNetwork is container.docker, which said how an app is reached before 1.5.
type dockerNetwork struct {
	Image        string        `json:"image"`
	Network      string        `json:"network"`
	PortMappings []portMapping `json:"portMappings"`
}

type ipPerTask struct {
	NetworkName string `json:"networkName"`
}

// old writes networks and ports as before 1.5.
func (d *definition) old(app App) {
	d.Networks, d.Role = nil, ""
	if app.Network == Host {
		return
	}
	docker := &dockerNetwork{Image: "busybox", Network: "BRIDGE", PortMappings: d.Container.PortMappings}
	if app.Network == Container {
		docker.Network, d.IPAddress = "USER", &ipPerTask{NetworkName: cmp.Or(app.NetworkName, "dcos")}
	}
	d.Container = &container{Type: "DOCKER", Volumes: []struct{}{}, Docker: docker}
}

package marathon

import (
	"cmp"
	"fmt"
	"strings"
)

// appJSON is an app in every form that Marathon 0.7 to 1.11 writes: what a
// version does not know is absent or null. Slices tell absent (nil) from [].
type appJSON struct {
	ID          string            `json:"id"`
	Version     string            `json:"version"`
	VersionInfo versionInfoJSON   `json:"versionInfo"`
	Instances   int               `json:"instances"`
	Labels      map[string]string `json:"labels"`
	Tasks       []taskJSON        `json:"tasks"`

	Container containerJSON `json:"container"`
	// Networks is Marathon's from 1.5 on, IPAddress and Container.Docker.Network before.
	Networks        []networkJSON        `json:"networks"`
	IPAddress       *ipAddressJSON       `json:"ipAddress"`
	PortDefinitions []portDefinitionJSON `json:"portDefinitions"`
	// Ports are service ports, one for each declaration: all there was before 1.0.
	Ports []int `json:"ports"`
}

type versionInfoJSON struct {
	LastScalingAt      string `json:"lastScalingAt"`
	LastConfigChangeAt string `json:"lastConfigChangeAt"`
}

type containerJSON struct {
	PortMappings []portMappingJSON `json:"portMappings"`
	// Docker has the network and the mappings before 1.5.
	Docker struct {
		Network      string            `json:"network"`
		PortMappings []portMappingJSON `json:"portMappings"`
	} `json:"docker"`
}

type portMappingJSON struct {
	Name          string `json:"name"`
	ContainerPort int    `json:"containerPort"`
	// HostPort nil means none on a container network and 0 (any) on a bridge.
	HostPort *int `json:"hostPort"`
}

type networkJSON struct {
	Mode string `json:"mode"`
}

// ipAddressJSON is ip-per-task, before 1.5.
type ipAddressJSON struct {
	Discovery struct {
		Ports []struct {
			Name   string `json:"name"`
			Number int    `json:"number"`
		} `json:"ports"`
	} `json:"discovery"`
}

type portDefinitionJSON struct {
	Name string `json:"name"`
}

type taskJSON struct {
	ID   string `json:"id"`
	Host string `json:"host"`
	// State is absent before 1.3.
	State       State         `json:"state"`
	StartedAt   string        `json:"startedAt"`
	IPAddresses []addressJSON `json:"ipAddresses"`
	Ports       []int         `json:"ports"`
	Version     string        `json:"version"`
}

// app returns what a means, or the first field that makes no sense.
func (a *appJSON) app() (App, error) {
	if err := checkID(a.ID); err != nil {
		return App{}, err
	}
	definition, err := a.definition()
	if err != nil {
		return App{}, err
	}
	app := App{
		ID:                 a.ID,
		Version:            a.Version,
		LastScalingAt:      a.VersionInfo.LastScalingAt,
		LastConfigChangeAt: a.VersionInfo.LastConfigChangeAt,
		Instances:          a.Instances,
		Labels:             a.Labels,
		Definition:         definition,
	}
	if a.Tasks == nil {
		// Every answer that we ask for has it. To take its absence for "no tasks"
		// would be to take all of them for gone.
		return App{}, missing("tasks")
	}
	for _, t := range a.Tasks {
		task, err := t.task(a.ID)
		if err != nil {
			return App{}, err
		}
		app.Tasks = append(app.Tasks, task)
	}
	return app, nil
}

// task returns what t means as one of the app that lists it.
func (t *taskJSON) task(appID string) (Task, error) {
	if t.ID == "" {
		return Task{}, missing("tasks.id")
	}
	if err := checkPorts("tasks.ports", t.Ports); err != nil {
		return Task{}, fmt.Errorf("task %s: %w", t.ID, err)
	}
	return Task{
		ID:        t.ID,
		AppID:     appID,
		Host:      t.Host,
		State:     cmp.Or(t.State, t.impliedState()),
		Addresses: addressesOf(t.IPAddresses),
		Ports:     t.Ports,
		Version:   t.Version,
	}, nil
}

// impliedState is the state of a task that has none, as those of Marathon
// before 1.3, which listed nothing but staged and running tasks.
func (t *taskJSON) impliedState() State {
	if t.StartedAt != "" {
		return TaskRunning
	}
	return TaskStaging
}

// definition finds the declared ports: where they stand depends on the network
// and on Marathon's version.
func (a *appJSON) definition() (Definition, error) {
	d := Definition{Network: a.network()}
	mappings := a.mappings()
	switch {
	case a.unconnected():
	case d.Network == HostNetwork:
		d.Ports = a.hostPorts()
	case d.Network == ContainerNetwork && len(mappings) == 0:
		d.Ports = a.discoveryPorts()
	case mappings == nil:
		// A bridge of Marathon before 1.5 without mappings allocates what ports asks for.
		d.Ports = a.hostPorts()
	default:
		d.Ports = mappedPorts(d.Network, mappings)
	}
	for _, p := range d.Ports {
		if err := checkPort("containerPort", p.Container); err != nil {
			return Definition{}, err
		}
	}
	return d, nil
}

func (a *appJSON) network() NetworkMode {
	if len(a.Networks) > 0 {
		// All networks of an app have one mode, unless there is only one.
		return networkMode(a.Networks[0].Mode)
	}
	switch docker := a.dockerNetwork(); {
	case docker == "BRIDGE":
		return BridgeNetwork
	case docker == "USER", docker == "" && a.IPAddress != nil:
		return ContainerNetwork
	default:
		return HostNetwork
	}
}

// networkMode reads the mode of a network as Marathon writes it from 1.5 on.
// Without one, a network with a name is a container network.
func networkMode(mode string) NetworkMode {
	switch mode {
	case "host":
		return HostNetwork
	case "container/bridge":
		return BridgeNetwork
	default:
		return ContainerNetwork
	}
}

func (a *appJSON) dockerNetwork() string { return strings.ToUpper(a.Container.Docker.Network) }

// unconnected reports whether the app's containers have no network at all, so
// that the ports which Marathon allocates lead nowhere.
func (a *appJSON) unconnected() bool {
	return len(a.Networks) == 0 && a.dockerNetwork() == "NONE"
}

func (a *appJSON) mappings() []portMappingJSON {
	if a.Container.PortMappings != nil {
		return a.Container.PortMappings
	}
	return a.Container.Docker.PortMappings
}

// hostPorts are the declarations of an app that uses its host's ports.
func (a *appJSON) hostPorts() []Port {
	var ports []Port
	for _, p := range a.PortDefinitions {
		ports = append(ports, Port{Name: p.Name, OnHost: true})
	}
	if a.PortDefinitions != nil {
		return ports
	}
	for range a.Ports {
		ports = append(ports, Port{OnHost: true})
	}
	return ports
}

// discoveryPorts are the declarations of ip-per-task.
func (a *appJSON) discoveryPorts() []Port {
	if a.IPAddress == nil {
		return nil
	}
	var ports []Port
	for _, p := range a.IPAddress.Discovery.Ports {
		ports = append(ports, Port{Name: p.Name, Container: p.Number})
	}
	return ports
}

func mappedPorts(network NetworkMode, mappings []portMappingJSON) []Port {
	var ports []Port
	for _, m := range mappings {
		ports = append(ports, Port{
			Name:      m.Name,
			Container: m.ContainerPort,
			OnHost:    network == BridgeNetwork || m.HostPort != nil,
		})
	}
	return ports
}

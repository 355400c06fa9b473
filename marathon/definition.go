package marathon

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

type containerJSON struct {
	PortMappings []portMappingJSON `json:"portMappings"`
	// Docker has the network and the mappings before 1.5.
	Docker struct {
		Network      string            `json:"network"`
		PortMappings []portMappingJSON `json:"portMappings"`
	} `json:"docker"`
}

type portMappingJSON struct {
	Name          string                      `json:"name"`
	Protocol      optional[string]            `json:"protocol"`
	Labels        optional[map[string]string] `json:"labels"`
	ContainerPort int                         `json:"containerPort"`
	// HostPort nil means none on a container network and 0 (any) on a bridge.
	HostPort *int `json:"hostPort"`
	// NetworkNames are absent for a port that is on all networks.
	NetworkNames optional[[]string] `json:"networkNames"`
}

type networkJSON struct {
	Mode string           `json:"mode"`
	Name optional[string] `json:"name"`
}

// ipAddressJSON is ip-per-task, before 1.5.
type ipAddressJSON struct {
	Discovery struct {
		Ports []struct {
			Name     string                      `json:"name"`
			Protocol optional[string]            `json:"protocol"`
			Labels   optional[map[string]string] `json:"labels"`
			Number   int                         `json:"number"`
		} `json:"ports"`
	} `json:"discovery"`
}

type portDefinitionJSON struct {
	Name     string                      `json:"name"`
	Protocol optional[string]            `json:"protocol"`
	Labels   optional[map[string]string] `json:"labels"`
}

// definitionReader makes one Definition.
type definitionReader struct {
	Definition
	// wrong is the first port within the container that cannot be one.
	wrong error
	one   *texts
}

// definition returns what a says of its tasks' services. Where the declared
// ports stand depends on the network and on Marathon's version.
func (a *appJSON) definition(one *texts) (Definition, error) {
	r := definitionReader{one: one}
	r.Network = a.network()
	r.LastConfigChangeAt = one.text(a.VersionInfo.LastConfigChangeAt)
	if len(a.Labels) > 0 {
		r.Labels = a.Labels
	}
	r.healthChecks(a.HealthChecks)
	r.readinessChecks(a.ReadinessChecks)
	mappings := a.mappings()
	switch {
	case a.unconnected():
	case r.Network == HostNetwork:
		r.hostPorts(a)
	case r.Network == ContainerNetwork && len(mappings) == 0:
		r.discoveryPorts(a.IPAddress)
	case mappings == nil:
		// A bridge of Marathon before 1.5 without mappings allocates what ports asks for.
		r.hostPorts(a)
	default:
		r.mappedPorts(mappings, a.Networks)
	}
	if r.wrong != nil {
		return Definition{}, r.wrong
	}
	return r.Definition, nil
}

// hostPorts reads the declarations of an app that uses its host's ports.
func (r *definitionReader) hostPorts(a *appJSON) {
	for _, p := range a.PortDefinitions {
		r.declare(Port{Name: p.Name, OnHost: true}, p.Protocol, p.Labels)
	}
	if a.PortDefinitions != nil {
		return
	}
	for range a.Ports {
		r.declare(Port{OnHost: true}, optional[string]{}, optional[map[string]string]{})
	}
}

// discoveryPorts reads the declarations of ip-per-task.
func (r *definitionReader) discoveryPorts(address *ipAddressJSON) {
	if address == nil {
		return
	}
	for _, p := range address.Discovery.Ports {
		r.declare(Port{Name: p.Name, Container: r.container("number", p.Number)}, p.Protocol, p.Labels)
	}
}

func (r *definitionReader) mappedPorts(mappings []portMappingJSON, networks []networkJSON) {
	places := map[string]int{}
	for i, n := range slices.Backward(networks) {
		places[n.Name.understood()] = i // of two with one name the first counts
	}
	for i, m := range mappings {
		p := Port{Name: m.Name, Container: r.container("containerPort", m.ContainerPort), OnHost: r.Network == BridgeNetwork || m.HostPort != nil}
		r.leaveOut(m.NetworkNames.wrong, "port %d: field networkNames", i)
		if names := m.NetworkNames.understood(); len(names) > 0 && len(networks) > 1 {
			at := len(networks)
			for _, name := range names {
				if place, known := places[name]; known {
					at = min(at, place)
				}
			}
			switch {
			case at == len(networks):
				r.leaveOut(errors.New("no such network"), "port %d: field networkNames", i)
			case at > 0:
				p.Network, p.Networks = at, len(networks)
			}
		}
		r.declare(p, m.Protocol, m.Labels)
	}
}

// container returns a port within the container, and notes the first that cannot be one.
func (r *definitionReader) container(field string, port int) int {
	if err := checkPort(field, port); err != nil && r.wrong == nil {
		r.wrong = fmt.Errorf("port %d: %w", len(r.Ports), err)
	}
	return port
}

// declare adds a declared port. Its protocol and labels are no reason not to
// reach it.
func (r *definitionReader) declare(p Port, protocol optional[string], labels optional[map[string]string]) {
	index := len(r.Ports)
	r.leaveOut(protocol.wrong, "port %d: field protocol", index)
	r.leaveOut(labels.wrong, "port %d: field labels", index)
	p.Name = r.one.text(p.Name)
	p.Protocol = r.one.text(cmp.Or(protocol.understood(), "tcp"))
	p.Labels = r.one.texts(labels.understood())
	r.Ports = append(r.Ports, p)
}

// leaveOut notes that a field was not understood, if there is an error.
func (r *definitionReader) leaveOut(wrong error, what string, args ...any) {
	if wrong != nil {
		wrong = fmt.Errorf("%w; left out", wrong)
	}
	r.Problems = withProblem(r.Problems, wrong, what, args...)
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

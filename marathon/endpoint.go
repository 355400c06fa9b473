package marathon

import (
	"fmt"
	"slices"
	"strings"
)

// Endpoint is where a task can be reached.
type Endpoint struct {
	// Address is a host name or an IP address, as Marathon has it.
	Address string
	// Port is 0 for a task without ports.
	Port int
}

// Reach says whether a declared port of a task can be reached.
type Reach int

const (
	// NotYet is a port of which something is not known yet, or not any more: no host
	// port is allocated, or the task has no address on its container network.
	NotYet Reach = iota
	// Reachable ports have an Endpoint.
	Reachable
	// Unreachable ports are random ports within the container (containerPort 0 without
	// a hostPort on a container network): only the task itself ever knows them.
	Unreachable
)

// PortEndpoint is where one declared port of a task can be reached.
type PortEndpoint struct {
	// Endpoint is zero unless Reach is Reachable.
	Endpoint
	Reach Reach
}

// Endpoint returns the address and port that reach the first declared port of a
// task which runs d, as Endpoints does. It is false while that is not known, and
// where nobody can know it.
func (d Definition) Endpoint(t Task) (Endpoint, bool) {
	first := d.portless(t)
	if len(d.Ports) > 0 {
		first = d.Ports[0].endpoint(t, 0)
	}
	return first.Endpoint, first.Reach == Reachable
}

// Endpoints returns where each declared port of a task which runs d is reached,
// in the order of d.Ports. For a definition without ports that is one endpoint
// without a port.
//
// An allocated host port is the way in wherever there is one, container networks
// included, as it is for Marathon itself (NetworkInfo.scala). The task's n-th
// port belongs to the n-th declaration that has a host port, and nothing else
// says so: of a task that has more or fewer than its definition declares, only
// the first can be told.
func (d Definition) Endpoints(t Task) []PortEndpoint {
	if len(d.Ports) == 0 {
		return []PortEndpoint{d.portless(t)}
	}
	told := d.allocated() == len(t.Ports)
	endpoints := make([]PortEndpoint, len(d.Ports))
	next := 0
	for i, p := range d.Ports {
		if told || i == 0 || !p.OnHost {
			endpoints[i] = p.endpoint(t, next)
		}
		if p.OnHost {
			next++
		}
	}
	return endpoints
}

// allocated returns how many host ports a task that runs d has.
func (d Definition) allocated() int {
	n := 0
	for _, p := range d.Ports {
		if p.OnHost {
			n++
		}
	}
	return n
}

// endpoint returns where p is reached, which has the task's n-th port if it has one.
func (p Port) endpoint(t Task, n int) PortEndpoint {
	switch {
	case p.OnHost && (t.Host == "" || len(t.Ports) <= n || t.Ports[n] == 0):
		return PortEndpoint{}
	case p.OnHost:
		return PortEndpoint{Endpoint{Address: t.Host, Port: t.Ports[n]}, Reachable}
	case p.Container == 0:
		return PortEndpoint{Reach: Unreachable}
	case len(t.Addresses) == 0:
		return PortEndpoint{}
	default:
		address, _ := p.address(t)
		return PortEndpoint{Endpoint{Address: address, Port: p.Container}, Reachable}
	}
}

// address returns which of a task's addresses is that of p. Nothing names the network of
// an address; but where there are as many as networks, all of one family, they are taken
// to be in the order of these. told is false where there are not, and it is the first.
func (p Port) address(t Task) (address string, told bool) {
	if p.Network == 0 {
		return t.Addresses[0], true
	}
	isV6 := func(address string) bool { return strings.Contains(address, ":") }
	mixed := slices.ContainsFunc(t.Addresses, func(a string) bool { return isV6(a) != isV6(t.Addresses[0]) })
	if mixed || len(t.Addresses) != p.Networks {
		return t.Addresses[0], false
	}
	return t.Addresses[p.Network], true
}

// untold says of which port's network the tasks that run d do not tell the address, nil
// if there is none. What one such port is not told, no other is.
func (d Definition) untold(tasks []Task, runs func(version string) bool) error {
	i := slices.IndexFunc(d.Ports, func(p Port) bool { return !p.OnHost && p.Network > 0 })
	if i < 0 {
		return nil
	}
	for _, t := range tasks {
		if len(t.Addresses) == 0 || !runs(t.Version) {
			continue
		}
		if _, told := d.Ports[i].address(t); !told {
			return fmt.Errorf("port %d: which of the %d addresses of a task is that of its network is not told, for there are %d networks: the first is taken", i, len(t.Addresses), d.Ports[i].Networks)
		}
	}
	return nil
}

func (d Definition) portless(t Task) PortEndpoint {
	address := t.Host
	if d.Network == ContainerNetwork {
		address = ""
		if len(t.Addresses) > 0 {
			address = t.Addresses[0]
		}
	}
	if address == "" {
		return PortEndpoint{}
	}
	return PortEndpoint{Endpoint{Address: address}, Reachable}
}

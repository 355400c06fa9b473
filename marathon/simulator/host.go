package simulator

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
)

// The range from which host ports are offered. Mesos offers 31000 to 32000 by
// default; a simulated host takes more tasks than that.
const (
	firstHostPort = 31000
	lastHostPort  = 60999
)

// host is one machine with a Mesos agent.
type host struct {
	name    string
	agentID string
	address string
	number  int // from 1
	lost    bool
	ports   map[int]bool
	// addresses counts the container addresses handed out so far.
	addresses int
}

// newHost makes the n-th host, from 1. A host named by its address has that
// address, any other one 127.0.1.n.
func newHost(name string, n int, frameworkID string) *host {
	address := name
	if _, err := netip.ParseAddr(name); err != nil {
		address = fmt.Sprintf("127.0.1.%d", n)
	}
	agentID := fmt.Sprintf("%s-S%d", frameworkID[:max(0, len(frameworkID)-len("-0000"))], n-1)
	return &host{name: name, agentID: agentID, address: address, number: n, ports: map[int]bool{}}
}

// takePorts allocates the ports asked for, in that order: those that are 0 next
// to each other, or none at all when the host has no such row left.
func (h *host) takePorts(asked []int, random *rand.Rand) []int {
	fixed := slices.DeleteFunc(slices.Clone(asked), func(port int) bool { return port == 0 })
	for _, port := range fixed {
		h.ports[port] = true
	}
	row := h.takeRow(len(asked)-len(fixed), random)
	ports := []int{}
	for _, port := range asked {
		switch {
		case port != 0:
		case len(row) == 0:
			h.freePorts(fixed)
			return []int{}
		default:
			port, row = row[0], row[1:]
		}
		ports = append(ports, port)
	}
	return ports
}

// offers reports whether the host ports that an app fixes are free.
func (h *host) offers(spec *runSpec) bool {
	return !slices.ContainsFunc(spec.Ports, func(p Port) bool {
		return h.ports[p.HostPort] || spec.RequirePorts && h.ports[p.Service]
	})
}

// takeRow allocates n free ports next to each other, or none.
func (h *host) takeRow(n int, random *rand.Rand) []int {
	ports := []int{}
	if n == 0 {
		return ports
	}
	span := lastHostPort - firstHostPort + 1 - n
	start := random.IntN(span + 1)
	for offset := range span + 1 {
		first := firstHostPort + (start+offset)%(span+1)
		if h.free(first, n) {
			for port := first; port < first+n; port++ {
				h.ports[port] = true
				ports = append(ports, port)
			}
			return ports
		}
	}
	return ports
}

func (h *host) free(first, n int) bool {
	for port := first; port < first+n; port++ {
		if h.ports[port] {
			return false
		}
	}
	return true
}

func (h *host) freePorts(ports []int) {
	for _, port := range ports {
		delete(h.ports, port)
	}
}

// takeAddress returns an address for a task on this host: the host's own, or a
// new one behind a bridge or on a container network.
func (h *host) takeAddress(mode Network) string {
	if mode == Host {
		return h.address
	}
	n := h.addresses
	h.addresses++
	return fmt.Sprintf("127.%d.%d.%d", 9+n/250, h.number, 3+n%250)
}

package simulator

import (
	"maps"
	"slices"
	"time"
)

// Network is an app's network mode, in Marathon's own words.
type Network string

// The network modes since Marathon 1.5.
const (
	Host      Network = "host"
	Bridge    Network = "container/bridge"
	Container Network = "container"
)

// App is an app definition, cut down to what decides how its tasks are
// deployed and reached. The zero value of each field is Marathon's default.
type App struct {
	// ID is absolute: "/group/my-app".
	ID        string
	Instances int
	Cmd       string
	Labels    map[string]string
	// Network is Host when empty.
	Network Network
	// NetworkName names the network of mode Container; "dcos" when empty.
	NetworkName string
	// Ports are the declared ports. On a host network nil becomes one port
	// named "default", as Marathon does; empty but not nil means no ports.
	Ports []Port
	// CPUs is 0.1 when zero. More than HostCPUs fits no host: the instances
	// stay Scheduled and their deployment hangs.
	CPUs float64
	// Upgrade bounds a rolling replacement; nil is {1, 1}.
	Upgrade *Upgrade
	// RequirePorts makes the service ports of a Host network the host's own.
	RequirePorts bool
	// Discovery declares the ports of a Container network in ipAddress.discovery, as
	// ip-per-task did before 1.5: for the task era.
	Discovery bool
	// Resident tasks have persistent volumes: they wait for a lost agent for ever, and,
	// in the task era, are launched again under the ID that they had.
	Resident bool
	// InactiveAfter and ExpungeAfter are the unreachable strategy, in whole
	// seconds on the wire. Both zero: an unreachable instance is expunged and
	// replaced at once.
	InactiveAfter, ExpungeAfter time.Duration
	// HealthChecks and ReadinessChecks are made by what Probes in Config says, and
	// answered as Behave, Break, Mend and Ready say.
	HealthChecks    []HealthCheck
	ReadinessChecks []ReadinessCheck
	// Dependencies are apps that must be scaled first, within one deployment.
	Dependencies []string
}

// Port is one declared port: a port definition or a port mapping.
type Port struct {
	Name string
	// Protocol is "tcp" when empty.
	Protocol string
	// Container is the containerPort of a mapping; 0 is the host port.
	Container int
	// OnHost asks for a host port on a Container network. On the others every
	// declaration has one.
	OnHost bool
	// HostPort is the host port to have, on a Bridge or Container network; 0 is any.
	HostPort int
	// Service is the service port; 0 lets Marathon assign one from 10000 on.
	Service int
	Labels  map[string]string
}

// Upgrade is an upgradeStrategy: fractions of the wanted instances.
type Upgrade struct {
	MinimumHealthCapacity float64 `json:"minimumHealthCapacity"`
	MaximumOverCapacity   float64 `json:"maximumOverCapacity"`
}

// HostCPUs is what a host has to offer.
const HostCPUs = 8

// clone returns a copy that shares nothing with a.
func (a App) clone() App {
	a.Labels = maps.Clone(a.Labels)
	a.Ports = slices.Clone(a.Ports)
	for i := range a.Ports {
		a.Ports[i].Labels = maps.Clone(a.Ports[i].Labels)
	}
	a.HealthChecks = slices.Clone(a.HealthChecks)
	a.ReadinessChecks = slices.Clone(a.ReadinessChecks)
	a.Dependencies = slices.Clone(a.Dependencies)
	if a.Upgrade != nil {
		upgrade := *a.Upgrade
		a.Upgrade = &upgrade
	}
	return a
}

// normalized fills in the defaults that Marathon shows in its answers.
func (a App) normalized() App {
	a = a.clone()
	if a.Network == "" {
		a.Network = Host
	}
	if a.Network == Container && a.NetworkName == "" {
		a.NetworkName = "dcos"
	}
	if a.Network == Host && a.Ports == nil {
		a.Ports = []Port{{Name: "default"}}
	}
	for i := range a.Ports {
		a.Ports[i] = a.Ports[i].normalized(a.Network)
	}
	a.normalizedChecks()
	if a.Cmd == "" {
		a.Cmd = "sleep 1000"
	}
	if a.CPUs == 0 {
		a.CPUs = 0.1
	}
	if a.Labels == nil {
		a.Labels = map[string]string{}
	}
	if a.Upgrade == nil {
		a.Upgrade = &Upgrade{MinimumHealthCapacity: 1, MaximumOverCapacity: 1}
	}
	return a
}

func (p Port) normalized(network Network) Port {
	if p.Protocol == "" {
		p.Protocol = "tcp"
	}
	p.OnHost = p.OnHost || network != Container
	if len(p.Labels) == 0 {
		p.Labels = nil // REST writes none as {}, and reads that back
	}
	return p
}

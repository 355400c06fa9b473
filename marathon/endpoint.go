package marathon

// Endpoint is where a task can be reached.
type Endpoint struct {
	// Address is a host name or an IP address, as Marathon has it.
	Address string
	// Port is 0 for a task without ports.
	Port int
}

// Endpoint returns the address and port that reach the first declared port of a
// task which runs d. It is false while that is not known:
//
//   - a host port is declared and none is allocated yet,
//   - the task's network is a container network and it has no address yet,
//   - the port within the container is random (containerPort 0 without a
//     hostPort): only the task itself ever knows it.
//
// An allocated host port is the way in wherever there is one, container
// networks included, as it is for Marathon itself (NetworkInfo.scala).
func (d Definition) Endpoint(t Task) (Endpoint, bool) {
	if len(d.Ports) == 0 {
		return d.portless(t)
	}
	first := d.Ports[0]
	if first.OnHost {
		return onHost(t)
	}
	if len(t.Addresses) == 0 || first.Container == 0 {
		return Endpoint{}, false
	}
	return Endpoint{Address: t.Addresses[0], Port: first.Container}, true
}

// onHost uses the first allocated port. It belongs to the first declaration that
// has a host port, which is the first of all here.
func onHost(t Task) (Endpoint, bool) {
	if t.Host == "" || len(t.Ports) == 0 || t.Ports[0] == 0 {
		return Endpoint{}, false
	}
	return Endpoint{Address: t.Host, Port: t.Ports[0]}, true
}

func (d Definition) portless(t Task) (Endpoint, bool) {
	if d.Network != ContainerNetwork {
		return Endpoint{Address: t.Host}, t.Host != ""
	}
	if len(t.Addresses) == 0 {
		return Endpoint{}, false
	}
	return Endpoint{Address: t.Addresses[0]}, true
}

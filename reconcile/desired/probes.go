package desired

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"consular/consul"
	"consular/marathon"
)

// probes returns the checks of a task as Consul's agents can make them, without IDs, or
// why one of them cannot be.
func probes(t marathon.Task, d marathon.Definition) ([]consul.Check, error) {
	if len(d.HealthChecks) == 0 {
		return nil, errors.New("there is no health check to be made")
	}
	endpoints := d.Endpoints(t)
	checks := make([]consul.Check, 0, len(d.HealthChecks))
	for i, c := range d.HealthChecks {
		check, err := probe(c, t, d, endpoints)
		if err != nil {
			return nil, fmt.Errorf("health check %d: %w", i, err)
		}
		checks = append(checks, check)
	}
	return checks, nil
}

// probe translates one check.
func probe(c marathon.HealthCheck, t marathon.Task, d marathon.Definition, endpoints []marathon.PortEndpoint) (consul.Check, error) {
	if c.IPv6 {
		return consul.Check{}, errors.New("it is made by IPv6")
	}
	at, err := probed(c, t, d, endpoints)
	if err != nil {
		return consul.Check{}, err
	}
	check := consul.Check{Interval: max(c.Interval, time.Second), Timeout: max(c.Timeout, time.Second), Failures: c.MaxConsecutiveFailures}
	address := fmt.Sprintf("%s:%d", bracketed(at.Address), at.Port)
	switch c.Protocol {
	case marathon.HealthHTTP, marathon.HealthMesosHTTP:
		check.HTTP = probeURL("http", address, c.Path)
	case marathon.HealthHTTPS, marathon.HealthMesosHTTPS:
		check.HTTP = probeURL("https", address, c.Path)
	case marathon.HealthTCP, marathon.HealthMesosTCP:
		check.TCP = address
	default:
		return consul.Check{}, fmt.Errorf("protocol %.40q is none that Consul knows", c.Protocol)
	}
	what := "connect to " + address
	if check.HTTP != "" {
		what = "GET " + check.HTTP
	}
	check.Name = "Marathon's " + describe(c)
	check.Notes = fmt.Sprintf("%s every %v, timeout %v, critical after %d failures", what, check.Interval, check.Timeout, max(1, check.Failures))
	return check, nil
}

// probed returns where a check goes.
func probed(c marathon.HealthCheck, t marathon.Task, d marathon.Definition, endpoints []marathon.PortEndpoint) (marathon.Endpoint, error) {
	index := c.PortIndex
	switch within := c.ByMesos() && d.Network == marathon.BridgeNetwork; {
	case c.Port != 0 && !within:
		at, known := marathon.Definition{Network: d.Network}.Endpoint(t)
		if !known {
			return marathon.Endpoint{}, errors.New("the task's address is not known")
		}
		at.Port = c.Port
		return at, nil
	case c.Port != 0: // Mesos probes from within the container
		index = slices.IndexFunc(d.Ports, func(p marathon.Port) bool { return p.Container == c.Port })
		if index < 0 {
			return marathon.Endpoint{}, fmt.Errorf("port %d of the container is not mapped", c.Port)
		}
	}
	if index < 0 || index >= len(endpoints) {
		return marathon.Endpoint{}, fmt.Errorf("there is no port %d", index)
	}
	at := endpoints[index]
	if at.Reach != marathon.Reachable || at.Port == 0 {
		return marathon.Endpoint{}, fmt.Errorf("port %d cannot be reached", index)
	}
	return at.Endpoint, nil
}

// probeURL makes a URL of a path as Marathon takes it: with a query, and perhaps without
// its slash.
func probeURL(scheme, address, path string) string {
	return scheme + "://" + address + "/" + strings.TrimPrefix(path, "/")
}

// bracketed is a host as it stands before a port.
func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

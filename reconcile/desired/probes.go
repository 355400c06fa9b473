package desired

import (
	"errors"
	"fmt"
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
		check, err := probe(c, endpoints)
		if err != nil {
			return nil, fmt.Errorf("health check %d: %w", i, err)
		}
		checks = append(checks, check)
	}
	return checks, nil
}

// probe translates one check.
func probe(c marathon.HealthCheck, endpoints []marathon.PortEndpoint) (consul.Check, error) {
	if c.IPv6 {
		return consul.Check{}, errors.New("it is made by IPv6")
	}
	at, err := probed(c, endpoints)
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
func probed(c marathon.HealthCheck, endpoints []marathon.PortEndpoint) (marathon.Endpoint, error) {
	if c.Port != 0 {
		if endpoints[0].Reach != marathon.Reachable {
			return marathon.Endpoint{}, errors.New("the task's address is not known")
		}
		return marathon.Endpoint{Address: endpoints[0].Address, Port: c.Port}, nil
	}
	if c.PortIndex < 0 || c.PortIndex >= len(endpoints) {
		return marathon.Endpoint{}, fmt.Errorf("there is no port %d", c.PortIndex)
	}
	at := endpoints[c.PortIndex]
	if at.Reach != marathon.Reachable || at.Port == 0 {
		return marathon.Endpoint{}, fmt.Errorf("port %d cannot be reached", c.PortIndex)
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

package desired

import (
	"strings"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
)

// What Consul's agents are told to probe, and what they cannot.
func TestProbes(t *testing.T) {
	host := marathon.Definition{Ports: []marathon.Port{{OnHost: true}, {OnHost: true, Name: "admin"}}}
	onHost := marathon.Task{Host: "10.0.0.1", Ports: []int{31001, 31002}}
	bridge := host
	bridge.Network = marathon.BridgeNetwork
	container := marathon.Definition{Network: marathon.ContainerNetwork, Ports: []marathon.Port{{Container: 8080}, {Container: 9090, OnHost: true}, {}}}
	bridge.Ports = []marathon.Port{{OnHost: true, Container: 8080}, {OnHost: true, Container: 9090}}
	mapped := marathon.Definition{Network: marathon.ContainerNetwork, Ports: []marathon.Port{{Container: 8080, OnHost: true}}}
	own := marathon.Task{Host: "10.0.0.1", Addresses: []string{"fd00::5"}, Ports: []int{31001}}
	for name, test := range map[string]struct {
		definition marathon.Definition
		task       marathon.Task
		check      marathon.HealthCheck
		http, tcp  string
		fails      bool
	}{
		"host":                       {definition: host, task: onHost, check: marathon.HealthCheck{Protocol: marathon.HealthHTTP, Path: "/health?deep=1"}, http: "http://10.0.0.1:31001/health?deep=1"},
		"no slash, by Mesos":         {definition: host, task: onHost, check: marathon.HealthCheck{Protocol: marathon.HealthMesosHTTPS, Path: "x", PortIndex: 1}, http: "https://10.0.0.1:31002/x"},
		"bridge":                     {definition: bridge, task: onHost, check: marathon.HealthCheck{Protocol: marathon.HealthTCP, PortIndex: 1}, tcp: "10.0.0.1:31002"},
		"container network":          {definition: container, task: own, check: marathon.HealthCheck{Protocol: marathon.HealthMesosTCP}, tcp: "[fd00::5]:8080"},
		"its port on the host":       {definition: container, task: own, check: marathon.HealthCheck{Protocol: marathon.HealthTCP, PortIndex: 1}, tcp: "10.0.0.1:31001"},
		"a port by its number":       {definition: container, task: own, check: marathon.HealthCheck{Protocol: marathon.HealthHTTP, Port: 80}, http: "http://[fd00::5]:80/"},
		"its own, mapped or not":     {definition: mapped, task: own, check: marathon.HealthCheck{Protocol: marathon.HealthHTTP, Port: 8080}, http: "http://[fd00::5]:8080/"},
		"within, mapped to a host's": {definition: bridge, task: onHost, check: marathon.HealthCheck{Protocol: marathon.HealthMesosHTTP, Port: 9090}, http: "http://10.0.0.1:31002/"},
		"within, the first one":      {definition: bridge, task: onHost, check: marathon.HealthCheck{Protocol: marathon.HealthMesosTCP, Port: 8080}, tcp: "10.0.0.1:31001"},
		"within, and not mapped":     {definition: bridge, task: onHost, check: marathon.HealthCheck{Protocol: marathon.HealthMesosTCP, Port: 7070}, fails: true},
		"on the host, by Marathon":   {definition: bridge, task: onHost, check: marathon.HealthCheck{Protocol: marathon.HealthTCP, Port: 9090}, tcp: "10.0.0.1:9090"},
		"a port that nobody knows":   {definition: container, task: own, check: marathon.HealthCheck{Protocol: marathon.HealthTCP, PortIndex: 2}, fails: true},
		"no such port":               {definition: host, task: onHost, check: marathon.HealthCheck{Protocol: marathon.HealthTCP, PortIndex: 2}, fails: true},
		"a negative port":            {definition: host, task: onHost, check: marathon.HealthCheck{Protocol: marathon.HealthTCP, PortIndex: -1}, fails: true},
		"a task without ports":       {task: onHost, check: marathon.HealthCheck{Protocol: marathon.HealthHTTP}, fails: true},
		"a command":                  {definition: host, task: onHost, check: marathon.HealthCheck{Protocol: marathon.HealthCommand}, fails: true},
		"IPv6":                       {definition: host, task: onHost, check: marathon.HealthCheck{Protocol: marathon.HealthMesosTCP, IPv6: true}, fails: true},
		"what was not understood":    {definition: host, task: onHost, fails: true},
		"an unknown protocol":        {definition: host, task: onHost, check: marathon.HealthCheck{Protocol: "GRPC"}, fails: true},
		"a task without an address":  {definition: container, task: onHost, check: marathon.HealthCheck{Protocol: marathon.HealthTCP, Port: 80}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			test.definition.HealthChecks = []marathon.HealthCheck{test.check}
			checks, err := probes(test.task, test.definition)
			if (err != nil) != test.fails {
				t.Fatalf("%+v, %v", checks, err)
			}
			if err == nil && (checks[0].HTTP != test.http || checks[0].TCP != test.tcp || checks[0].Interval < time.Second) {
				t.Errorf("%+v", checks[0])
			}
			goal := "connect to " + test.tcp
			if test.http != "" {
				goal = "GET " + test.http
			}
			if err == nil && !strings.HasPrefix(checks[0].Notes, goal+" every ") {
				t.Errorf("its notes are %q, and it goes to %q", checks[0].Notes, goal)
			}
		})
	}
}

// A task of which one check cannot be made is mirrored as a whole.
func TestWhatAgentsCannotCheckIsMirrored(t *testing.T) {
	tr := testTranslation()
	tr.Health = HealthChecks
	m := New(tr)
	app := newApp("/a", newTask("t1", "/a"))
	app.Definition.HealthChecks = []marathon.HealthCheck{{Protocol: marathon.HealthTCP}, {Protocol: marathon.HealthCommand}}
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(app), start, Alone)
	w := m.Want("t1", "")
	if checks := w.Services[0].Checks; len(checks) != 1 || checks[0].ID != consul.CheckID("t1") || w.Health.Mirrored == nil {
		t.Errorf("%+v, %v", checks, w.Health.Mirrored)
	}
	app.Definition.HealthChecks = app.Definition.HealthChecks[:1]
	m.ApplyApp(m.BeginRead(), app, start)
	w = m.Want("t1", "")
	if checks := w.Services[0].Checks; len(checks) != 1 || checks[0].TCP == "" || checks[0].ID != consul.NumberedCheckID("t1", 0) || w.Health.Mirrored != nil {
		t.Errorf("%+v, %v", checks, w.Health.Mirrored)
	}
}

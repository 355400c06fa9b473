package simulator

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// HealthCheck is one health check of an app. Durations are whole seconds on the
// wire.
type HealthCheck struct {
	// Protocol is "HTTP" when empty. What begins with MESOS_, and COMMAND, is probed by
	// Mesos, the rest by Marathon.
	Protocol string
	// Path is that of HTTP checks, Command that of COMMAND.
	Path, Command string
	// PortIndex is the declared port to probe, Port a fixed one instead when not 0.
	PortIndex, Port int
	// GracePeriod is how long a task that was never healthy may fail; zero is not at all.
	GracePeriod time.Duration
	// Interval is 60 s when zero, Timeout 20 s, Delay 15 s.
	Interval, Timeout, Delay time.Duration
	// MaxConsecutiveFailures is how many are borne; the next one kills. Zero is any number.
	MaxConsecutiveFailures int
	// IPProtocol is "IPv4" when empty.
	IPProtocol string
}

// ReadinessCheck is one readiness check of an app, asked for while it is deployed.
type ReadinessCheck struct {
	// Name is "readinessCheck" when empty, Path "/", PortName "http-api".
	Name, Path, PortName string
	// Interval is 30 s when zero, Timeout 10 s.
	Interval, Timeout time.Duration
	// Preserve shows the last response in the results.
	Preserve bool
}

func (c HealthCheck) normalized() HealthCheck {
	c.Protocol = cmp.Or(c.Protocol, "HTTP")
	c.Interval = cmp.Or(c.Interval, time.Minute)
	c.Timeout = cmp.Or(c.Timeout, 20*time.Second)
	c.Delay = cmp.Or(c.Delay, 15*time.Second)
	c.IPProtocol = cmp.Or(c.IPProtocol, "IPv4")
	return c
}

// byMesos reports whether Mesos probes on the task's host, and not Marathon.
func (c HealthCheck) byMesos() bool {
	return c.Protocol == "COMMAND" || strings.HasPrefix(c.Protocol, "MESOS_")
}

func (c ReadinessCheck) normalized() ReadinessCheck {
	c.Name = cmp.Or(c.Name, "readinessCheck")
	c.Path = cmp.Or(c.Path, "/")
	c.PortName = cmp.Or(c.PortName, "http-api")
	c.Interval = cmp.Or(c.Interval, 30*time.Second)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	return c
}

// normalizedChecks fills in defaults. Marathon keeps equal health checks once.
func (a *App) normalizedChecks() {
	var once []HealthCheck
	for _, c := range a.HealthChecks {
		if c = c.normalized(); !slices.Contains(once, c) {
			once = append(once, c)
		}
	}
	a.HealthChecks = once
	for i, c := range a.ReadinessChecks {
		a.ReadinessChecks[i] = c.normalized()
	}
}

// healthCheck is a health check as REST and events write it.
type healthCheck struct {
	Command                *command `json:"command,omitempty"`
	GracePeriodSeconds     int      `json:"gracePeriodSeconds"`
	IgnoreHTTP1xx          *bool    `json:"ignoreHttp1xx,omitempty"`
	IntervalSeconds        int      `json:"intervalSeconds"`
	MaxConsecutiveFailures int      `json:"maxConsecutiveFailures"`
	Path                   string   `json:"path,omitempty"`
	PortIndex              *int     `json:"portIndex,omitempty"`
	Port                   int      `json:"port,omitempty"`
	Protocol               string   `json:"protocol"`
	IPProtocol             string   `json:"ipProtocol,omitempty"`
	TimeoutSeconds         int      `json:"timeoutSeconds"`
	DelaySeconds           int      `json:"delaySeconds,omitempty"`
}

type command struct {
	Value string `json:"value"`
}

func (c HealthCheck) wire() healthCheck {
	w := healthCheck{
		GracePeriodSeconds: seconds(c.GracePeriod), IntervalSeconds: seconds(c.Interval),
		MaxConsecutiveFailures: c.MaxConsecutiveFailures, Path: c.Path, Port: c.Port,
		Protocol: c.Protocol, IPProtocol: c.IPProtocol, TimeoutSeconds: seconds(c.Timeout), DelaySeconds: seconds(c.Delay),
	}
	switch {
	case c.Protocol == "COMMAND":
		w.Command = &command{c.Command}
	case c.Port == 0:
		w.PortIndex = &c.PortIndex
	}
	if c.Protocol == "HTTP" || c.Protocol == "HTTPS" {
		w.IgnoreHTTP1xx = new(bool)
	}
	return w
}

func (w healthCheck) check() HealthCheck {
	c := HealthCheck{
		Protocol: w.Protocol, Path: w.Path, Port: w.Port, GracePeriod: duration(w.GracePeriodSeconds),
		Interval: duration(w.IntervalSeconds), Timeout: duration(w.TimeoutSeconds), Delay: duration(w.DelaySeconds),
		MaxConsecutiveFailures: w.MaxConsecutiveFailures, IPProtocol: w.IPProtocol,
	}
	if w.Command != nil {
		c.Command = w.Command.Value
	}
	if w.PortIndex != nil {
		c.PortIndex = *w.PortIndex
	}
	return c
}

type readinessCheck struct {
	Name                    string `json:"name"`
	Protocol                string `json:"protocol"`
	Path                    string `json:"path"`
	PortName                string `json:"portName"`
	IntervalSeconds         int    `json:"intervalSeconds"`
	TimeoutSeconds          int    `json:"timeoutSeconds"`
	HTTPStatusCodesForReady []int  `json:"httpStatusCodesForReady"`
	PreserveLastResponse    bool   `json:"preserveLastResponse"`
}

func (c ReadinessCheck) wire() readinessCheck {
	return readinessCheck{
		Name: c.Name, Protocol: "HTTP", Path: c.Path, PortName: c.PortName,
		IntervalSeconds: seconds(c.Interval), TimeoutSeconds: seconds(c.Timeout),
		HTTPStatusCodesForReady: []int{200}, PreserveLastResponse: c.Preserve,
	}
}

func (w readinessCheck) check() ReadinessCheck {
	return ReadinessCheck{
		Name: w.Name, Path: w.Path, PortName: w.PortName, Interval: duration(w.IntervalSeconds),
		Timeout: duration(w.TimeoutSeconds), Preserve: w.PreserveLastResponse,
	}
}

func seconds(d time.Duration) int     { return int(d / time.Second) }
func duration(secs int) time.Duration { return time.Duration(secs) * time.Second }

func each[A, B any](list []A, f func(A) B) []B {
	var out []B
	for _, a := range list {
		out = append(out, f(a))
	}
	return out
}

package marathon

import "time"

// HealthProtocol is how a health check probes, in Marathon's own words.
type HealthProtocol string

// The protocols that Marathon 0.11 to 1.11 knows. The first three are probed by
// Marathon itself, the others by Mesos on the task's host. COMMAND checks were
// probed by Marathon's executor before 1.4.
const (
	HealthHTTP       HealthProtocol = "HTTP"
	HealthHTTPS      HealthProtocol = "HTTPS"
	HealthTCP        HealthProtocol = "TCP"
	HealthCommand    HealthProtocol = "COMMAND"
	HealthMesosHTTP  HealthProtocol = "MESOS_HTTP"
	HealthMesosHTTPS HealthProtocol = "MESOS_HTTPS"
	HealthMesosTCP   HealthProtocol = "MESOS_TCP"
)

// HealthCheck is one element of an app definition's healthChecks.
type HealthCheck struct {
	// Protocol is one of those above, or another that a Marathon may know. It is ""
	// for a check that was not understood: its result counts as any other's, and
	// nothing else of it is known.
	Protocol HealthProtocol
	// Path is that of HTTP checks, as it is given: it may be "" or lack its slash.
	Path string
	// Port is probed where it is not 0, and otherwise the declared port (Definition.Ports)
	// with the index PortIndex, which may not exist.
	Port, PortIndex int
	// GracePeriod is how long after its start a task that was never healthy may fail.
	GracePeriod       time.Duration
	Interval, Timeout time.Duration
	// Delay is before the first probe of a check that Mesos makes.
	Delay time.Duration
	// MaxConsecutiveFailures is how many failures are borne; the next one kills the
	// task. 0 is any number.
	MaxConsecutiveFailures int
	// IPv6 says that Mesos probes by IPv6 (ipProtocol).
	IPv6 bool
}

// ByMesos reports whether Mesos makes the check, from within the task's own network.
func (c HealthCheck) ByMesos() bool {
	switch c.Protocol {
	case HealthMesosHTTP, HealthMesosHTTPS, HealthMesosTCP:
		return true
	}
	return false
}

// HealthCheckResult is one element of a task's healthCheckResults. They stand in
// the order of the checks of the version that the task runs, those left out that
// have not reported. An instance's results outlive its task: they are this
// task's own only if one of the times is later than its StagedAt. One without
// times is a failure within the grace period.
type HealthCheckResult struct {
	// Alive is Marathon's verdict on the check: one failure ends it, one success
	// brings it back.
	Alive               bool
	ConsecutiveFailures int
	// LastSuccess and LastFailure are zero where there was none, or where their text
	// is no time. A Marathon that has failed over puts the time of that there.
	LastSuccess, LastFailure time.Time
	// LastFailureCause is Marathon's text about the last failure, up to 4096 bytes of
	// it. It stays when the check succeeds again, and is "" for checks by Mesos.
	LastFailureCause string
}

// ReadinessCheck is one element of an app definition's readinessChecks: of
// those, which Marathon asks while it deploys, nothing but what tells their
// results apart and when to look for new ones.
type ReadinessCheck struct {
	// Name is that of the results.
	Name     string
	Interval time.Duration
}

// ReadinessCheckResult is one element of an app's readinessCheckResults. A task
// has none until its first answer or time-out, and all of them are gone when the
// deployment ends, or when Marathon fails over in the middle of it.
type ReadinessCheckResult struct {
	// Name is that of the check, TaskID that of a task.
	Name, TaskID string
	Ready        bool
}

package marathon

import (
	"math"
	"time"
)

// InstancesNotTold stands for the instances of an app whose answer does not say
// how many there should be, so that no list of tasks ever passes for a complete one.
const InstancesNotTold = math.MaxInt

// App is one Marathon app: its definition as it is now, and its tasks.
// Source: GET /v2/apps?embed=apps.tasks and GET /v2/apps/{id}.
type App struct {
	// ID is absolute: "/group/my-app".
	ID string
	// Version is the time of the last change of any kind, scaling included.
	// Versions are names, never compared for order: a rollback takes them back.
	Version string
	// LastScalingAt and LastConfigChangeAt are Marathon's versionInfo; "" where
	// Marathon does not tell (0.11).
	LastScalingAt, LastConfigChangeAt string
	// Instances is how many tasks the app should have. An answer that lists fewer in
	// service has not told what became of the others. Marathon's own counts are not
	// read: tasksHealthy counts what is being killed or is unreachable, and tasks of
	// which only some checks have reported.
	Instances int
	// Labels are those of the app as it is now, whatever its tasks run: the same map
	// as Definition.Labels.
	Labels map[string]string
	// Definition is what tasks of Version run.
	Definition Definition
	// Tasks are all that Marathon lists, in any state.
	Tasks []Task
	// Deployments are the IDs of the deployments under way that change the app. nil
	// means that the answer does not tell, which those to embed=apps.tasks and about
	// one app do.
	Deployments []string
	// ReadinessCheckResults are those of the app's tasks in those deployments. nil
	// means that the answer does not tell: only one to embed=apps.readiness or
	// embed=app.readiness does.
	ReadinessCheckResults []ReadinessCheckResult
	// Problems are fields of the answer that were not understood and are left out, in
	// words that name task or field and reason; nil for none. Those of the definition
	// are in Definition.Problems.
	Problems []string
}

// Runs reports whether a task of the given version runs the app's own
// definition, so that its address and port follow from it. Scaling changes an
// app's version and leaves its tasks' alone. There is no range here: after a
// rollback the versions in between belong to other definitions.
func (a *App) Runs(version string) bool {
	return version == a.Version || version == a.LastScalingAt || version == a.LastConfigChangeAt
}

// Task is one running copy of an app, as REST or a status update tells it.
type Task struct {
	ID    string
	AppID string
	// Host is the Mesos agent's host name or address, as the agent registered.
	Host  string
	State State
	// Addresses are the task's own addresses, in Mesos' order. Empty until a
	// status brought one, and always in TASK_UNREACHABLE and TASK_LOST.
	Addresses []string
	// Ports are the allocated host ports, in the order of those declarations
	// that have a host port.
	Ports []int
	// Version is that of the definition the task runs, not of the app as it is.
	Version string
	// StagedAt is when the task was launched, StartedAt when it first ran, by
	// Marathon's clock. Zero where not known: in events, and for a task that has ended.
	StagedAt, StartedAt time.Time
	// HealthCheckResults are what has been reported by checks that Marathon knows of;
	// nil for none. Events have none.
	HealthCheckResults []HealthCheckResult
}

// NetworkMode is how an app's tasks are connected.
type NetworkMode int

const (
	// HostNetwork tasks use their host's address and ports.
	HostNetwork NetworkMode = iota
	// BridgeNetwork tasks are reached by ports of the host (Docker bridge, mesos-bridge).
	BridgeNetwork
	// ContainerNetwork tasks have addresses of their own (Docker USER, CNI,
	// and Marathon's ip-per-task before 1.5).
	ContainerNetwork
)

// Definition is what one version of an app says of its tasks' services. It is
// the same for every form in which a version of Marathon writes it, and never
// changes: what is in it may be shared (see Share).
type Definition struct {
	Network NetworkMode
	// Ports are the declarations, in order; a port's index is its place here. Empty
	// means no ports.
	Ports []Port
	// Labels are those of this version of the app. In App.Definition they are App.Labels.
	Labels map[string]string
	// HealthChecks are those whose results a task that runs this definition may have,
	// in the order of its results. Marathon keeps equal ones once.
	HealthChecks    []HealthCheck
	ReadinessChecks []ReadinessCheck
	// LastConfigChangeAt names the configuration: versions that differ by scaling alone
	// have one in common. "" where Marathon does not tell (0.11).
	LastConfigChangeAt string
	// Problems are fields that were not understood and are left out, and what Marathon does
	// not tell of a port, in words that name field, reason and what is taken instead; nil for
	// none. They keep no task from being reached.
	Problems []string
}

// Port is one declared port: an element of portDefinitions, of portMappings
// (container.portMappings from 1.5 on, container.docker.portMappings before), of
// ipAddress.discovery.ports, or, before 1.0, of ports.
type Port struct {
	// Name is unique within the app, and "" for many.
	Name string
	// Protocol is "tcp", "udp" or "udp,tcp", which is one port.
	Protocol string
	// Labels are the port's own; nil for none, and before 1.0 there are none.
	Labels map[string]string
	// Container is the port within the container (containerPort, or a discovery
	// port's number); 0 is the same as the allocated host port.
	Container int
	// Network is the place among the app's container networks of the one that the port is
	// bound to (networkNames), and Networks is how many these are. Both are 0 for a port that
	// is on the first.
	Network, Networks int
	// OnHost reports whether a host port is allocated: always on host and bridge
	// networks, on container networks only where hostPort is given.
	OnHost bool
}

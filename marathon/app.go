package marathon

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
	// Instances is how many tasks the app should have.
	Instances int
	// Labels are those of the app as it is now, whatever its tasks run.
	Labels map[string]string
	// Definition says how tasks of Version are reached.
	Definition Definition
	// Tasks are all that Marathon lists, in any state.
	Tasks []Task
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

// Definition is what an app definition says about reaching its tasks.
// It is the same for every form in which a version of Marathon writes it.
type Definition struct {
	Network NetworkMode
	// Ports are the declarations, in order. Empty means no ports.
	Ports []Port
}

// Port is one declared port.
type Port struct {
	Name string
	// Container is the port within the container (containerPort, or a discovery
	// port's number); 0 is the same as the allocated host port.
	Container int
	// OnHost reports whether a host port is allocated: always on host and bridge
	// networks, on container networks only where hostPort is given.
	OnHost bool
}

package marathon

import "time"

// Event is one of the types below: a closed set.
type Event interface {
	// About returns what every event carries.
	About() Meta
}

// Meta is common to all events.
type Meta struct {
	// Type is Marathon's eventType, such as "status_update_event".
	Type string
	// Time is Marathon's own timestamp, to the millisecond; zero when absent.
	// It orders nothing: 7 % of the timestamps of a live 1.11 ran backwards.
	Time time.Time
}

// About returns m itself.
func (m Meta) About() Meta { return m }

// TaskChanged is status_update_event: a task of an app or pod has a new state.
type TaskChanged struct {
	Meta
	Task Task
}

// DeploymentPlanned is deployment_info: a plan's step starts. It comes before
// REST shows the change; Version is what the group_change_success that says
// "REST shows it now" will carry, and which names no app.
type DeploymentPlanned struct {
	Meta
	Version string
	// Apps are the IDs of all apps in the plan, sorted, each once, and Pods those
	// of all pods.
	Apps, Pods []string
	// Stopped are those of Apps that the plan stops for good (StopApplication).
	Stopped []string
}

// DeploymentEnded is deployment_success or deployment_failed. It may come
// before the group_change_success of its version when nothing had to be
// started or stopped; such a plan had no deployment_info.
type DeploymentEnded struct {
	Meta
	Version string
	// Apps, Pods and Stopped are those of DeploymentPlanned.
	Apps, Pods []string
	Stopped    []string
	Failed     bool
}

// GroupChanged is group_change_success: REST shows the change of Version now.
type GroupChanged struct {
	Meta
	Version string
}

// AppTerminated is app_terminated_event: an app or pod is gone. It may come
// before the last of its tasks' final status.
type AppTerminated struct {
	Meta
	AppID string
}

// Attached is event_stream_attached: some client's subscription, perhaps ours,
// exists now.
type Attached struct {
	Meta
	RemoteAddress string
}

// HealthStatusChanged is health_status_changed_event: the verdict on one of an
// app's tasks' checks has changed. Which check is not told, nor that one fails
// that has never succeeded. It comes for checks by Marathon and by Mesos, never
// for pods.
type HealthStatusChanged struct {
	Meta
	AppID string
	// TaskID is what Marathon up to 1.3 names, InstanceID what it names from 1.4 on (see
	// InstanceID); the other one is "". An instance outlives its task.
	TaskID, InstanceID string
	// Version is that of the check's definition.
	Version string
	Alive   bool
}

// InstanceHealthChanged is instance_health_changed_event, of Marathon from 1.4
// on: the verdict on an instance, by all its checks. With checks by Mesos it comes
// twice, and where both kinds meet the two may contradict each other: it is a
// hint to read the app.
type InstanceHealthChanged struct {
	Meta
	// AppID is that of an app or pod (runSpecId).
	AppID, InstanceID string
	Version           string
	Health            Health
}

// Health is Marathon's verdict on an instance.
type Health int

const (
	// HealthUnknown is null: not all checks have reported, or the instance is killed.
	HealthUnknown Health = iota
	// Healthy is true: all checks have reported, and the last verdict on each is good.
	Healthy
	// Unhealthy is false: the last verdict on one of them is bad, or a failure within
	// the grace period.
	Unhealthy
)

// Ignored is any event that is not used, known to us or not.
type Ignored struct {
	Meta
}

package marathon

// State is a Mesos task state, verbatim, as status_update_event's taskStatus
// and a REST task's state give it.
type State string

// The states that Mesos 0.21 to 1.11 knows.
const (
	TaskStaging        State = "TASK_STAGING"
	TaskStarting       State = "TASK_STARTING"
	TaskCreated        State = "TASK_CREATED"
	TaskRunning        State = "TASK_RUNNING"
	TaskKilling        State = "TASK_KILLING"
	TaskFinished       State = "TASK_FINISHED"
	TaskFailed         State = "TASK_FAILED"
	TaskKilled         State = "TASK_KILLED"
	TaskError          State = "TASK_ERROR"
	TaskGone           State = "TASK_GONE"
	TaskGoneByOperator State = "TASK_GONE_BY_OPERATOR"
	TaskDropped        State = "TASK_DROPPED"
	TaskLost           State = "TASK_LOST"
	TaskUnreachable    State = "TASK_UNREACHABLE"
	TaskUnknown        State = "TASK_UNKNOWN"
)

// Phase is what a state means for a service.
type Phase int

const (
	// Unrecognised states are none of the above: logged, and otherwise ignored.
	Unrecognised Phase = iota
	// Pending tasks do not run yet: there is nothing to register.
	Pending
	// Running tasks are registered.
	Running
	// Away tasks may come back: deregistered, not remembered as ended.
	Away
	// Ended tasks never run again. A task being killed has ended: a kill is
	// never taken back, and deregistering at once is what drains it.
	Ended
)

// Phase returns what the state means.
func (s State) Phase() Phase {
	switch s {
	case TaskStaging, TaskStarting, TaskCreated:
		return Pending
	case TaskRunning:
		return Running
	case TaskLost, TaskUnreachable, TaskUnknown:
		return Away
	case TaskKilling, TaskFinished, TaskFailed, TaskKilled, TaskError,
		TaskGone, TaskGoneByOperator, TaskDropped:
		return Ended
	default:
		return Unrecognised
	}
}

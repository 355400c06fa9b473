package simulator

import "encoding/json"

// What REST and api_post_event write of apps and tasks, in the field order of
// the recordings of 1.11. Floats are written without ".0", which a JSON parser
// does not see.

type definition struct {
	ID                    string            `json:"id"`
	BackoffFactor         float64           `json:"backoffFactor"`
	BackoffSeconds        int               `json:"backoffSeconds"`
	Cmd                   string            `json:"cmd"`
	Container             *container        `json:"container,omitempty"`
	CPUs                  float64           `json:"cpus"`
	Dependencies          []string          `json:"dependencies,omitempty"`
	Disk                  float64           `json:"disk"`
	Executor              string            `json:"executor"`
	HealthChecks          []healthCheck     `json:"healthChecks,omitempty"`
	Instances             int               `json:"instances"`
	Labels                map[string]string `json:"labels"`
	MaxLaunchDelaySeconds int               `json:"maxLaunchDelaySeconds"`
	Mem                   float64           `json:"mem"`
	GPUs                  int               `json:"gpus"`
	Networks              []network         `json:"networks,omitempty"`
	IPAddress             *ipPerTask        `json:"ipAddress,omitempty"`
	PortDefinitions       *[]portDefinition `json:"portDefinitions,omitempty"`
	Ports                 *[]int            `json:"ports,omitempty"`
	Residency             *residency        `json:"residency,omitempty"`
	ReadinessChecks       []readinessCheck  `json:"readinessChecks,omitempty"`
	RequirePorts          bool              `json:"requirePorts"`
	UpgradeStrategy       *Upgrade          `json:"upgradeStrategy"`
	Version               string            `json:"version"`
	VersionInfo           *versionInfo      `json:"versionInfo,omitempty"`
	KillSelection         string            `json:"killSelection"`
	UnreachableStrategy   *unreachable      `json:"unreachableStrategy"`
	Role                  string            `json:"role,omitempty"`
}

type container struct {
	Type         string        `json:"type"`
	Volumes      []struct{}    `json:"volumes"`
	PortMappings []portMapping `json:"portMappings,omitempty"`
	// Docker is where PortMappings are before 1.5.
	Docker *dockerNetwork `json:"docker,omitempty"`
}

type network struct {
	Name string  `json:"name,omitempty"`
	Mode Network `json:"mode"`
}

type portDefinition struct {
	Port     int               `json:"port"`
	Labels   map[string]string `json:"labels,omitempty"`
	Name     string            `json:"name,omitempty"`
	Protocol string            `json:"protocol"`
}

// residency is what an app with persistent volumes has, up to 1.11.
type residency struct {
	RelaunchEscalationTimeoutSeconds int    `json:"relaunchEscalationTimeoutSeconds"`
	TaskLostBehavior                 string `json:"taskLostBehavior"`
}

// portMapping writes hostPort when there is one; 0 is any.
type portMapping struct {
	ContainerPort int               `json:"containerPort"`
	HostPort      *int              `json:"hostPort,omitempty"`
	Labels        map[string]string `json:"labels"`
	Name          string            `json:"name,omitempty"`
	Protocol      string            `json:"protocol"`
	ServicePort   int               `json:"servicePort"`
}

type versionInfo struct {
	LastScalingAt      string `json:"lastScalingAt"`
	LastConfigChangeAt string `json:"lastConfigChangeAt"`
}

type unreachable struct {
	InactiveAfterSeconds int `json:"inactiveAfterSeconds"`
	ExpungeAfterSeconds  int `json:"expungeAfterSeconds"`
	// disabled writes that word instead.
	disabled bool
}

// MarshalJSON writes the strategy, or that there is none.
func (u *unreachable) MarshalJSON() ([]byte, error) {
	if u.disabled {
		return json.Marshal("disabled")
	}
	type plain unreachable
	return json.Marshal((*plain)(u))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (u *unreachable) UnmarshalJSON(data []byte) error {
	*u = unreachable{disabled: string(data) == `"disabled"`}
	if u.disabled {
		return nil
	}
	type plain unreachable
	return json.Unmarshal(data, (*plain)(u))
}

// appInfo is an app as /v2/apps shows it. Tasks is nil, and left out, where
// they were not asked for.
type appInfo struct {
	definition
	TasksStaged    int             `json:"tasksStaged"`
	TasksRunning   int             `json:"tasksRunning"`
	TasksHealthy   int             `json:"tasksHealthy"`
	TasksUnhealthy int             `json:"tasksUnhealthy"`
	Deployments    []deploymentRef `json:"deployments"`
	// ReadinessCheckResults are nil, and left out, where they were not asked for.
	ReadinessCheckResults []readinessResult `json:"readinessCheckResults,omitzero"`
	Tasks                 *[]taskInfo       `json:"tasks,omitempty"`
	LastTaskFailure       *taskFailure      `json:"lastTaskFailure,omitempty"`
}

type deploymentRef struct {
	ID string `json:"id"`
}

type taskInfo struct {
	AppID string `json:"appId"`
	// HealthCheckResults are a list of healthCheckResult, or of oldHealthCheckResult.
	HealthCheckResults any         `json:"healthCheckResults,omitempty"`
	Host               string      `json:"host"`
	ID                 string      `json:"id"`
	IPAddresses        []ipAddress `json:"ipAddresses,omitzero"`
	Ports              []int       `json:"ports"`
	ServicePorts       []int       `json:"servicePorts,omitzero"`
	SlaveID            string      `json:"slaveId,omitempty"`
	State              string      `json:"state,omitempty"`
	StagedAt           string      `json:"stagedAt,omitempty"`
	StartedAt          string      `json:"startedAt,omitempty"`
	Version            string      `json:"version,omitempty"`
	LocalVolumes       []struct{}  `json:"localVolumes,omitzero"`
	Role               string      `json:"role,omitempty"`
}

// healthCheckResult names its instance as a debugger would.
type healthCheckResult struct {
	Alive               bool    `json:"alive"`
	ConsecutiveFailures int     `json:"consecutiveFailures"`
	FirstSuccess        string  `json:"firstSuccess,omitempty"`
	InstanceID          string  `json:"instanceId"`
	LastSuccess         string  `json:"lastSuccess,omitempty"`
	LastFailure         string  `json:"lastFailure,omitempty"`
	LastFailureCause    *string `json:"lastFailureCause,omitempty"`
}

// oldHealthCheckResult is one of the task era: null instead of nothing.
type oldHealthCheckResult struct {
	Alive               bool    `json:"alive"`
	ConsecutiveFailures int     `json:"consecutiveFailures"`
	FirstSuccess        *string `json:"firstSuccess"`
	LastFailure         *string `json:"lastFailure"`
	LastSuccess         *string `json:"lastSuccess"`
	LastFailureCause    *string `json:"lastFailureCause"`
	TaskID              string  `json:"taskId"`
}

type ipAddress struct {
	IPAddress string `json:"ipAddress"`
	Protocol  string `json:"protocol"`
}

type taskFailure struct {
	AppID     string `json:"appId"`
	Host      string `json:"host"`
	Message   string `json:"message"`
	State     string `json:"state"`
	TaskID    string `json:"taskId"`
	Timestamp string `json:"timestamp"`
	Version   string `json:"version"`
	SlaveID   string `json:"slaveId"`
}

// definition is the app as Marathon writes it. An app that was only asked for
// has no versionInfo yet.
func (s *runSpec) definition() definition {
	d := definition{
		ID: s.ID, BackoffFactor: 1.15, BackoffSeconds: 1, Cmd: s.Cmd, CPUs: s.CPUs,
		Dependencies: s.Dependencies, Instances: s.Instances, Labels: s.Labels,
		HealthChecks: each(s.HealthChecks, HealthCheck.wire), ReadinessChecks: each(s.ReadinessChecks, ReadinessCheck.wire),
		MaxLaunchDelaySeconds: 300, Mem: 16, Networks: []network{{Name: s.NetworkName, Mode: s.Network}},
		UpgradeStrategy: s.Upgrade, Version: s.version, KillSelection: "YOUNGEST_FIRST", Role: "*",
		RequirePorts: s.RequirePorts, UnreachableStrategy: &unreachable{
			InactiveAfterSeconds: int(s.InactiveAfter.Seconds()),
			ExpungeAfterSeconds:  int(s.ExpungeAfter.Seconds()),
		},
	}
	if s.Resident {
		d.Residency = &residency{RelaunchEscalationTimeoutSeconds: 3600, TaskLostBehavior: "WAIT_FOREVER"}
		d.UnreachableStrategy.disabled = true
	}
	if s.lastConfigChangeAt != "" {
		d.VersionInfo = &versionInfo{s.lastScalingAt, s.lastConfigChangeAt}
	}
	if s.Network == Host {
		d.PortDefinitions = portDefinitions(s.Ports)
	} else {
		d.Container = &container{Type: "MESOS", Volumes: []struct{}{}, PortMappings: portMappings(s.Ports)}
	}
	return d
}

func portDefinitions(ports []Port) *[]portDefinition {
	declared := make([]portDefinition, len(ports))
	for i, p := range ports {
		declared[i] = portDefinition{Port: p.Service, Labels: p.Labels, Name: p.Name, Protocol: p.Protocol}
	}
	return &declared
}

func portMappings(ports []Port) []portMapping {
	mappings := make([]portMapping, len(ports))
	for i, p := range ports {
		labels := p.Labels
		if labels == nil {
			labels = map[string]string{}
		}
		mappings[i] = portMapping{
			ContainerPort: p.Container, Labels: labels, Name: p.Name,
			Protocol: p.Protocol, ServicePort: p.Service,
		}
		if p.OnHost {
			mappings[i].HostPort = &p.HostPort
		}
	}
	return mappings
}

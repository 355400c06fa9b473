package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Event payloads of Marathon 1.11. Field order is that of the recordings.

type statusUpdate struct {
	SlaveID     string      `json:"slaveId"`
	TaskID      string      `json:"taskId"`
	TaskStatus  string      `json:"taskStatus"`
	Message     string      `json:"message"`
	AppID       string      `json:"appId"`
	Host        string      `json:"host"`
	IPAddresses []ipAddress `json:"ipAddresses,omitzero"`
	Ports       []int       `json:"ports"`
	Version     string      `json:"version"`
	stamp
}

// instanceChanged puts the timestamp before the type, unlike the others.
type instanceChanged struct {
	InstanceID     string  `json:"instanceId"`
	Condition      string  `json:"condition"`
	RunSpecID      string  `json:"runSpecId"`
	AgentID        *string `json:"agentId"`
	Host           *string `json:"host"`
	RunSpecVersion string  `json:"runSpecVersion"`
	lateStamp
}

type unknownInstanceTerminated struct {
	InstanceID string `json:"instanceId"`
	RunSpecID  string `json:"runSpecId"`
	Condition  string `json:"condition"`
	lateStamp
}

// unknownTaskTerminated is 1.3's word for it.
type unknownTaskTerminated struct {
	TaskID    string `json:"taskId"`
	RunSpecID string `json:"runSpecId"`
	Status    string `json:"status"`
	stamp
}

// deploymentStep is deployment_info and deployment_step_success.
type deploymentStep struct {
	Plan        plan     `json:"plan"`
	CurrentStep planStep `json:"currentStep"`
	stamp
}

// deploymentEnd is deployment_success and deployment_failed.
type deploymentEnd struct {
	ID     string `json:"id"`
	Plan   plan   `json:"plan"`
	Reason string `json:"reason,omitempty"`
	stamp
}

// groupChange is group_change_success and group_change_failed.
type groupChange struct {
	GroupID string `json:"groupId"`
	Version string `json:"version"`
	Reason  string `json:"reason,omitempty"`
	stamp
}

type apiPost struct {
	ClientIP      string     `json:"clientIp"`
	URI           string     `json:"uri"`
	AppDefinition definition `json:"appDefinition"`
	stamp
}

// podChange is pod_created_event, pod_updated_event and pod_deleted_event.
type podChange struct {
	ClientIP string `json:"clientIp"`
	URI      string `json:"uri"`
	stamp
}

type appTerminated struct {
	AppID string `json:"appId"`
	stamp
}

// healthStatus names a task in the task era, and an instance later.
type healthStatus struct {
	AppID      string `json:"appId"`
	TaskID     string `json:"taskId,omitempty"`
	InstanceID string `json:"instanceId,omitempty"`
	Version    string `json:"version"`
	Alive      bool   `json:"alive"`
	stamp
}

type instanceHealth struct {
	InstanceID     string `json:"instanceId"`
	RunSpecID      string `json:"runSpecId"`
	Healthy        *bool  `json:"healthy"`
	RunSpecVersion string `json:"runSpecVersion"`
	lateStamp
}

// failedHealthCheck has an instance's ID in TaskID from 1.5 on.
type failedHealthCheck struct {
	AppID string `json:"appId"`
	stamp
	HealthCheck healthCheck `json:"healthCheck"`
	TaskID      string      `json:"taskId"`
}

// unhealthyKill is unhealthy_instance_kill_event, and unhealthy_task_kill_event
// in the task era.
type unhealthyKill struct {
	AppID      string `json:"appId"`
	TaskID     string `json:"taskId"`
	InstanceID string `json:"instanceId,omitempty"`
	Version    string `json:"version"`
	Reason     string `json:"reason"`
	Host       string `json:"host"`
	SlaveID    string `json:"slaveId"`
	stamp
}

type addHealthCheck struct {
	AppID string `json:"appId"`
	stamp
	HealthCheck healthCheck `json:"healthCheck"`
	Version     string      `json:"version"`
}

type removeHealthCheck struct {
	AppID string `json:"appId"`
	stamp
}

// streamChange is event_stream_attached and event_stream_detached.
type streamChange struct {
	RemoteAddress string `json:"remoteAddress"`
	stamp
}

// stamp ends every event.
type stamp struct {
	EventType string `json:"eventType"`
	Timestamp string `json:"timestamp"`
}

type lateStamp struct {
	Timestamp string `json:"timestamp"`
	EventType string `json:"eventType"`
}

func stamped(eventType string) stamp {
	return stamp{EventType: eventType, Timestamp: timestamp(time.Now())}
}

func lateStamped(eventType string) lateStamp {
	return lateStamp{EventType: eventType, Timestamp: timestamp(time.Now())}
}

func (s stamp) name() string     { return s.EventType }
func (s lateStamp) name() string { return s.EventType }

// event is a payload that knows its eventType.
type event interface{ name() string }

// timestamp writes a time as Marathon does: UTC, always three digits, and Z.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// frame writes an event with Marathon's exact framing: CRLF everywhere, one
// space after the colon, one data line.
func frame(e event) []byte {
	return fmt.Appendf(nil, "event: %s\r\ndata: %s\r\n\r\n", e.name(), compact(e))
}

// unescape undoes what encoding/json escapes and Marathon does not. A pair of
// backslashes is matched first, so that an escaped backslash stays one.
var unescape = strings.NewReplacer(`\\`, `\\`, `\u2028`, "\u2028", `\u2029`, "\u2029")

// compact is JSON as Marathon writes it: in one line, non-ASCII characters as
// they are. It panics on what cannot be JSON: that is a bug of this package.
func compact(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return []byte(unescape.Replace(strings.TrimSuffix(b.String(), "\n")))
}

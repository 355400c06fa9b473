package marathon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// The events that are used. Source: mesosphere.marathon.core.event.Events.
const (
	statusUpdate      = "status_update_event"
	deploymentInfo    = "deployment_info"
	deploymentSuccess = "deployment_success"
	deploymentFailed  = "deployment_failed"
	groupChanged      = "group_change_success"
	appTerminated     = "app_terminated_event"
	streamAttached    = "event_stream_attached"

	healthStatusChanged   = "health_status_changed_event"
	instanceHealthChanged = "instance_health_changed_event"
)

// EventTypes returns the types to ask GET /v2/events for, with event_type: those
// that Decode makes more of than Ignored, but for HealthEventTypes. Marathon
// before 1.3.7 sends all types whatever it was asked for.
func EventTypes() []string {
	return []string{
		statusUpdate, deploymentInfo, deploymentSuccess, deploymentFailed,
		groupChanged, appTerminated, streamAttached,
	}
}

// HealthEventTypes returns the types that tell of health, to be asked for where
// that is wanted: an app whose checks flap sends many.
func HealthEventTypes() []string { return []string{healthStatusChanged, instanceHealthChanged} }

// Decode reads one event of GET /v2/events, of any version of Marathon. name is
// the text of its "event:" line, data that of its "data:" line. Without a name
// (Marathon before 0.11) the type is the eventType within data; a name that is
// there counts, whatever eventType says.
//
// An event whose type is not used is Ignored, whatever its fields hold. An event
// that is not JSON in UTF-8, or lacks or distorts a field that is used, is an error
// that names type and field. A timestamp in an unknown form is not: it becomes zero.
func Decode(name string, data []byte) (Event, error) {
	if name == "" {
		var err error
		if name, err = eventType(data); err != nil {
			return nil, fmt.Errorf("decode event without a name: %w", plain(err))
		}
	}
	event, err := decodeAs(name, data)
	if _, ignored := event.(Ignored); err == nil && !ignored && !utf8.Valid(data) {
		err = notText
	}
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", name, plain(err))
	}
	return event, nil
}

// eventType reads the type from the JSON.
func eventType(data []byte) (string, error) {
	var event struct {
		Type string `json:"eventType"`
	}
	if err := json.Unmarshal(data, &event); err != nil {
		return "", err
	}
	if event.Type == "" {
		return "", missing("eventType")
	}
	return event.Type, nil
}

func decodeAs(name string, data []byte) (Event, error) {
	switch name {
	case statusUpdate:
		return decodeTaskChanged(data)
	case deploymentInfo:
		return decodeDeploymentPlanned(data)
	case deploymentSuccess, deploymentFailed:
		return decodeDeploymentEnded(name, data)
	case groupChanged:
		return decodeGroupChanged(data)
	case appTerminated:
		return decodeAppTerminated(data)
	case streamAttached:
		return decodeAttached(data)
	case healthStatusChanged:
		return decodeHealthStatusChanged(data)
	case instanceHealthChanged:
		return decodeInstanceHealthChanged(data)
	default:
		return decodeIgnored(name, data)
	}
}

func decodeTaskChanged(data []byte) (Event, error) {
	// A struct as flat and small as this is what makes 100,000 of these per second possible.
	var event struct {
		Timestamp   instant       `json:"timestamp"`
		TaskID      string        `json:"taskId"`
		AppID       string        `json:"appId"`
		TaskStatus  State         `json:"taskStatus"`
		Host        string        `json:"host"`
		IPAddresses []addressJSON `json:"ipAddresses"`
		Ports       []int         `json:"ports"`
		Version     string        `json:"version"`
	}
	if err := json.Unmarshal(data, &event); err != nil {
		return nil, err
	}
	switch {
	case event.TaskID == "":
		return nil, missing("taskId")
	case event.AppID == "":
		return nil, missing("appId")
	case event.TaskStatus == "":
		return nil, missing("taskStatus")
	}
	if err := checkPorts(event.Ports); err != nil {
		return nil, err
	}
	return TaskChanged{Meta: meta(statusUpdate, event.Timestamp), Task: Task{
		ID:        event.TaskID,
		AppID:     event.AppID,
		Host:      event.Host,
		State:     event.TaskStatus,
		Addresses: addressesOf(event.IPAddresses),
		Ports:     event.Ports,
		Version:   event.Version,
	}}, nil
}

// planJSON is a deployment plan in either form. The heavy one (the default
// before 1.7) also has the whole cluster twice, as "original" and "target";
// having no field for them makes the decoder skip them without an allocation.
type planJSON struct {
	Version string    `json:"version"`
	Steps   stepsJSON `json:"steps"`
}

// stepsJSON is what the actions of all steps are about. They are read one by one: an
// empty one is three bytes in an event, and thirty times that as a struct.
type stepsJSON struct{ apps, stopped, pods []string }

// actionJSON is one action of a step.
type actionJSON struct {
	Action string `json:"action"`
	// Type is what Action was called before 1.1.2.
	Type string `json:"type"`
	// App is absent when the action is about a pod, and Pod otherwise.
	App string `json:"app"`
	Pod string `json:"pod"`
}

// UnmarshalJSON reads the steps.
func (s *stepsJSON) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	steps := newScanner(bytes.NewReader(data))
	action := newPick[actionJSON](steps)
	err := steps.array(func() error {
		return steps.object(func(name []byte) error {
			if string(name) != "actions" {
				return steps.value()
			}
			return steps.array(func() error {
				if err := action.read(action.member); err != nil {
					return err
				}
				return s.add(action)
			})
		})
	})
	if err != nil {
		return fmt.Errorf("field plan.steps: %w", err)
	}
	return nil
}

func (s *stepsJSON) add(read *pick) error {
	var action actionJSON
	if err := read.decode(&action); err != nil {
		return err
	}
	if action.Pod != "" {
		s.pods = append(s.pods, action.Pod)
	}
	if action.App == "" {
		return nil
	}
	s.apps = append(s.apps, action.App)
	if action.Action == "StopApplication" || action.Type == "StopApplication" {
		s.stopped = append(s.stopped, action.App)
	}
	return nil
}

// unique returns IDs sorted and without duplicates.
func unique(ids []string) []string {
	slices.Sort(ids)
	return slices.Compact(ids)
}

func decodeDeploymentPlanned(data []byte) (Event, error) {
	timestamp, plan, err := decodeDeployment(data)
	if err != nil {
		return nil, err
	}
	return DeploymentPlanned{
		Meta: meta(deploymentInfo, timestamp), Version: plan.Version,
		Apps: unique(plan.Steps.apps), Pods: unique(plan.Steps.pods), Stopped: unique(plan.Steps.stopped),
	}, nil
}

func decodeDeploymentEnded(name string, data []byte) (Event, error) {
	timestamp, plan, err := decodeDeployment(data)
	if err != nil {
		return nil, err
	}
	return DeploymentEnded{
		Meta: meta(name, timestamp), Version: plan.Version, Failed: name == deploymentFailed,
		Apps: unique(plan.Steps.apps), Pods: unique(plan.Steps.pods), Stopped: unique(plan.Steps.stopped),
	}, nil
}

// decodeDeployment reads what all deployment events have in common. Those of
// Marathon 0.9 had no plan: it is empty then.
func decodeDeployment(data []byte) (timestamp instant, plan planJSON, err error) {
	var event struct {
		Timestamp instant  `json:"timestamp"`
		Plan      planJSON `json:"plan"`
	}
	err = json.Unmarshal(data, &event)
	return event.Timestamp, event.Plan, err
}

func decodeGroupChanged(data []byte) (Event, error) {
	var event struct {
		Timestamp instant `json:"timestamp"`
		Version   string  `json:"version"`
	}
	if err := json.Unmarshal(data, &event); err != nil {
		return nil, err
	}
	if event.Version == "" {
		return nil, missing("version")
	}
	return GroupChanged{Meta: meta(groupChanged, event.Timestamp), Version: event.Version}, nil
}

func decodeAppTerminated(data []byte) (Event, error) {
	var event struct {
		Timestamp instant `json:"timestamp"`
		AppID     string  `json:"appId"`
	}
	if err := json.Unmarshal(data, &event); err != nil {
		return nil, err
	}
	if event.AppID == "" {
		return nil, missing("appId")
	}
	return AppTerminated{Meta: meta(appTerminated, event.Timestamp), AppID: event.AppID}, nil
}

func decodeAttached(data []byte) (Event, error) {
	var event struct {
		Timestamp     instant `json:"timestamp"`
		RemoteAddress string  `json:"remoteAddress"`
	}
	if err := json.Unmarshal(data, &event); err != nil {
		return nil, err
	}
	return Attached{Meta: meta(streamAttached, event.Timestamp), RemoteAddress: event.RemoteAddress}, nil
}

// decodeIgnored accepts any JSON: an event that nobody uses is never a gap.
func decodeIgnored(name string, data []byte) (Event, error) {
	var event struct {
		Timestamp instant `json:"timestamp"`
	}
	err := json.Unmarshal(data, &event)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !ok {
		return nil, err
	}
	return Ignored{meta(name, event.Timestamp)}, nil
}

// meta is what all events have. A time in an unknown form is none: it is shown, and orders
// nothing, so that it is no reason to lose the event.
func meta(name string, timestamp instant) Meta { return Meta{Type: name, Time: timestamp.Time} }

package marathon

import "encoding/json"

func decodeHealthStatusChanged(data []byte) (Event, error) {
	var event struct {
		Timestamp  instant `json:"timestamp"`
		AppID      string  `json:"appId"`
		TaskID     string  `json:"taskId"`
		InstanceID string  `json:"instanceId"`
		Version    string  `json:"version"`
		Alive      *bool   `json:"alive"`
	}
	if err := json.Unmarshal(data, &event); err != nil {
		return nil, err
	}
	switch {
	case event.AppID == "":
		return nil, missing("appId")
	case event.TaskID == "" && event.InstanceID == "":
		return nil, missing("instanceId")
	case event.Alive == nil:
		return nil, missing("alive")
	}
	return HealthStatusChanged{
		Meta: meta(healthStatusChanged, event.Timestamp), AppID: event.AppID, TaskID: event.TaskID,
		InstanceID: event.InstanceID, Version: event.Version, Alive: *event.Alive,
	}, nil
}

func decodeInstanceHealthChanged(data []byte) (Event, error) {
	var event struct {
		Timestamp  instant `json:"timestamp"`
		InstanceID string  `json:"instanceId"`
		RunSpecID  string  `json:"runSpecId"`
		Version    string  `json:"runSpecVersion"`
		// Healthy nil is null.
		Healthy *bool `json:"healthy"`
	}
	if err := json.Unmarshal(data, &event); err != nil {
		return nil, err
	}
	switch {
	case event.RunSpecID == "":
		return nil, missing("runSpecId")
	case event.InstanceID == "":
		return nil, missing("instanceId")
	}
	return InstanceHealthChanged{
		Meta: meta(instanceHealthChanged, event.Timestamp), AppID: event.RunSpecID,
		InstanceID: event.InstanceID, Version: event.Version, Health: healthOfInstance(event.Healthy),
	}, nil
}

func healthOfInstance(healthy *bool) Health {
	switch {
	case healthy == nil:
		return HealthUnknown
	case *healthy:
		return Healthy
	default:
		return Unhealthy
	}
}

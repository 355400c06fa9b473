package plan

import (
	"time"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

// What the tests of plans share: a model that has been told of a few apps.

// start is when all tests begin.
var start = time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)

// testTranslation is that of a cluster whose labels are stored as they are.
func testTranslation() desired.Translation {
	return desired.Translation{
		Owner:     consul.Owner{RegistrationID: "consular"},
		Framework: "framework-1",
		Encode:    func(value string) string { return value },
		Prefix:    "consular",
	}
}

// newApp is an app of version "v1" with one port on its host.
func newApp(id string, tasks ...marathon.Task) marathon.App {
	return marathon.App{
		ID: id, Version: "v1", Instances: marathon.InstancesNotTold,
		Labels:     map[string]string{"role": "web"},
		Definition: marathon.Definition{Ports: []marathon.Port{{OnHost: true}}},
		Tasks:      tasks,
	}
}

// newTask is a task of version "v1" that runs on agent-1.test.
func newTask(id, app string) marathon.Task { return newTaskOn(id, app, "agent-1.test") }

func newTaskOn(id, app, host string) marathon.Task {
	return marathon.Task{
		ID: id, AppID: app, Host: host, State: marathon.TaskRunning, Ports: []int{31001}, Version: "v1",
	}
}

// knowing returns a model that has had its first snapshot.
func knowing(apps ...marathon.App) *desired.Model {
	m := desired.New(testTranslation())
	m.ApplySnapshot(m.BeginRead(), marathon.Snapshot{Apps: apps}, start, desired.Alone)
	return m
}

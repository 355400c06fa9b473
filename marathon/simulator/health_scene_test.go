package simulator_test

import (
	"strings"
	"time"

	"consular/marathon/simulator"
)

// checked is an app of one instance with these health checks.
func checked(id string, checks ...simulator.HealthCheck) simulator.App {
	return simulator.App{ID: id, Instances: 1, Ports: []simulator.Port{{Name: "http"}, {Name: "admin"}}, HealthChecks: checks}
}

// onePort is checked with one port.
func onePort(id string, checks ...simulator.HealthCheck) simulator.App {
	app := checked(id, checks...)
	app.Ports = app.Ports[:1]
	return app
}

// probed is a check of some protocol.
func probed(protocol string, most int) simulator.HealthCheck {
	c := simulator.HealthCheck{
		Protocol: protocol, GracePeriod: 60 * time.Second, Interval: 2 * time.Second, Timeout: time.Second, MaxConsecutiveFailures: most,
	}
	switch protocol {
	case "COMMAND":
		c.Command = "true"
	case "HTTP", "MESOS_HTTP":
		c.Path = "/h"
	}
	return c
}

// onlooker is an actor who compares what REST shows with what was recorded.
type onlooker struct {
	actor
	// look reads the app of a recorded answer.
	look func(file string)
}

type healthScene struct {
	name   string
	during func(onlooker)
}

// fail makes checks of a task fail, and has it probed.
func (a onlooker) fail(task string, checks ...int) {
	a.ok(a.Break(task, checks...))
	a.Probe(task)
}

func (a onlooker) succeed(task string, checks ...int) {
	a.ok(a.Mend(task, checks...))
	a.Probe(task)
}

func healthScenes() []healthScene {
	byMesos := func(protocol string) func(onlooker) {
		return func(a onlooker) {
			id := "/health/mesos-http"
			if protocol == "COMMAND" {
				id = "/health/command"
			}
			app := checked(id, probed(protocol, 2))
			at := func(moment string) { a.look(strings.ReplaceAll(id[1:], "/", "-") + "-app-" + moment) }
			a.ok(a.Create(app))
			at("no-result")
			a.fail(a.first(id)) // within the grace period
			at("unhealthy-first")
			a.succeed(a.first(id))
			at("healthy")
			a.fail(a.first(id))
			at("unhealthy")
			a.succeed(a.first(id))
			a.fail(a.first(id))
			a.Probe() // the second failure in a row: Mesos kills
			at("relaunched")
			a.Probe()
			at("relaunched-healthy")
			a.ok(a.Crash(a.first(id)))
			at("crash-relaunched")
			a.ok(a.Destroy(id))
		}
	}
	return []healthScene{
		{"health-http", healthHTTP},
		{"health-mesos-http", byMesos("MESOS_HTTP")},
		{"health-command", byMesos("COMMAND")},
		{"health-two", healthTwo},
		{"health-tcp", healthTCP},
		{"health-mixed", func(a onlooker) {
			a.ok(a.Create(checked("/health/mixed", probed("MESOS_HTTP", 2), probed("HTTP", 2))))
			task := a.first("/health/mixed")
			a.ok(a.ProbeCheck(task, 1))
			a.look("health-mixed-app-marathon-only")
			a.Probe()
			a.look("health-mixed-app-healthy")
			a.fail(task, 0)
			a.look("health-mixed-app-mesos-unhealthy")
			a.ok(a.Break(task, 1))
			a.ok(a.ProbeCheck(task, 1))
			a.look("health-mixed-app-both-unhealthy")
			a.ok(a.Destroy("/health/mixed"))
		}},
		{"health-conflict", func(a onlooker) {
			a.ok(a.Create(checked("/health/conflict", probed("MESOS_HTTP", 0), probed("HTTP", 0))))
			task := a.first("/health/conflict")
			a.ok(a.ProbeCheck(task, 1))
			a.ok(a.Break(task, 1))
			a.ok(a.ProbeCheck(task, 1))
			a.ok(a.ProbeCheck(task, 0))
			a.look("health-conflict-app-mesos-healthy-http-failed")
			a.ok(a.Destroy("/health/conflict"))
		}},
		{"health-two-mesos", func(a onlooker) {
			a.ok(a.Create(checked("/health/two-mesos", probed("MESOS_HTTP", 2), probed("COMMAND", 2))))
			a.Probe()
			a.look("health-two-mesos-app")
			a.ok(a.Destroy("/health/two-mesos"))
			a.ok(a.Create(checked("/health/same-twice", probed("HTTP", 2), probed("HTTP", 2))))
			a.Probe()
			a.look("health-same-twice-app")
			a.ok(a.Destroy("/health/same-twice"))
		}},
		{"health-upgrade", healthUpgrade},
		{"health-scale", healthScale},
		{"readiness", readiness},
		{"readiness-and-health", func(a onlooker) {
			app := onePort("/ready/both", probed("HTTP", 0))
			app.ReadinessChecks = []simulator.ReadinessCheck{{Path: "/r"}}
			a.ok(a.Create(app))
			a.ok(a.Ready(a.first(app.ID), false))
			a.Probe()
			a.look("readiness-and-health-app-healthy-not-ready")
			a.ok(a.Ready(a.first(app.ID), true))
			a.Probe()
			a.look("readiness-and-health-app-done")
			a.ok(a.Destroy(app.ID))
		}},
	}
}

func healthHTTP(a onlooker) {
	app := checked("/health/http", probed("HTTP", 2))
	app.Instances = 2
	app.HealthChecks[0].GracePeriod = 8 * time.Second
	a.ok(a.Create(app))
	a.look("health-http-app-no-result")
	first, second := a.Tasks(app.ID)[0].ID, a.Tasks(app.ID)[1].ID
	a.fail(first)
	a.fail(second)
	a.look("health-http-app-in-grace")
	a.succeed(first)
	a.succeed(second)
	a.look("health-http-app-healthy")
	a.fail(first)
	a.look("health-http-app-failed-once")
	a.succeed(first)
	a.look("health-http-app-recovered")
	a.fail(second)
	a.Probe(second)
	a.look("health-http-app-failed-twice")
	a.Probe(second) // more than it may: Marathon kills
	a.look("health-http-app-relaunched-running")
	second = a.Tasks(app.ID)[1].ID
	a.Probe(second)
	a.look("health-http-app-relaunched-healthy")
	a.ok(a.Kill(first, false))
	a.look("health-http-app-kill-relaunched")
	a.Probe(a.first(app.ID)) // the successor was healthy before any probe, and no event comes
	a.look("health-http-app-kill-relaunched-probed")
	a.ok(a.Crash(second))
	a.look("health-http-app-crash-relaunched")
	a.fail(a.Tasks(app.ID)[1].ID)
	a.look("health-http-app-crash-relaunched-probed")
	a.ok(a.Destroy(app.ID))
}

func healthTwo(a onlooker) {
	app := checked("/health/two", probed("HTTP", 2), probed("HTTP", 2))
	app.HealthChecks[1].Path, app.HealthChecks[1].PortIndex = "/b", 1
	a.ok(a.Create(app))
	a.look("health-two-app-no-result")
	task := a.first(app.ID)
	a.ok(a.ProbeCheck(task, 0))
	a.look("health-two-app-one-of-two-results")
	a.ok(a.Break(task, 1))
	a.ok(a.ProbeCheck(task, 1))
	a.look("health-two-app-one-good-one-in-grace")
	a.succeed(task, 1)
	a.look("health-two-app-healthy")
	a.fail(task, 1)
	a.look("health-two-app-second-failed")
	a.ok(a.Break(task, 0))
	a.ok(a.ProbeCheck(task, 0))
	a.look("health-two-app-both-failed")
	a.ok(a.Mend(task, 1))
	a.ok(a.ProbeCheck(task, 1))
	a.ok(a.ProbeCheck(task, 0))
	a.look("health-two-app-second-recovered")
	a.ok(a.ProbeCheck(task, 0))
	a.look("health-two-app-relaunched")
	a.ok(a.Destroy(app.ID))
}

func healthTCP(a onlooker) {
	app := checked("/health/tcp", probed("TCP", 0))
	app.HealthChecks[0].GracePeriod, app.HealthChecks[0].PortIndex = 3*time.Second, 1
	a.ok(a.Create(app))
	task := a.first(app.ID)
	a.fail(task)
	a.look("health-tcp-app-in-grace")
	time.Sleep(4 * time.Second)
	a.Probe()
	a.look("health-tcp-app-never-healthy")
	a.succeed(task)
	a.look("health-tcp-app-healthy")
	a.fail(task)
	a.Probe()
	a.look("health-tcp-app-failed")
	a.ok(a.Destroy(app.ID))
}

func healthUpgrade(a onlooker) {
	app := onePort("/health/upgrade", probed("HTTP", 1))
	app.Instances, app.Upgrade = 2, &simulator.Upgrade{MinimumHealthCapacity: 1, MaximumOverCapacity: 0.5}
	a.ok(a.Create(app))
	a.Probe()
	a.look("health-upgrade-app-before")
	a.ok(a.Update(app.ID, func(app *simulator.App) {
		app.Labels = map[string]string{"v": "2"}
		app.HealthChecks = []simulator.HealthCheck{probed("HTTP", 1), probed("TCP", 1)}
	}))
	a.look("health-upgrade-app-first-new-running")
	youngest := func() string { return a.Tasks(app.ID)[len(a.Tasks(app.ID))-1].ID }
	a.fail(youngest())
	a.look("health-upgrade-app-first-new-in-grace")
	a.succeed(youngest())
	a.look("health-upgrade-app-second-new-running")
	a.Probe()
	a.look("health-upgrade-app-upgraded")
	a.ok(a.Destroy(app.ID))
}

func healthScale(a onlooker) {
	app := onePort("/health/scale", probed("HTTP", 1))
	a.ok(a.Create(app))
	a.Probe()
	a.look("health-scale-app-before")
	a.ok(a.Scale(app.ID, 2))
	a.look("health-scale-app-new-running")
	a.Probe()
	a.look("health-scale-app-scaled")
	old := a.first(app.ID)
	a.fail(old)
	a.Probe(old)
	a.look("health-scale-app-old-killed-relaunched")
	a.Probe()
	a.look("health-scale-app-old-relaunched-healthy")
	a.ok(a.Scale(app.ID, 1))
	a.look("health-scale-app-scaled-down")
	a.ok(a.Destroy(app.ID))
}

func readiness(a onlooker) {
	app := simulator.App{
		ID: "/ready/web", Instances: 2, Ports: []simulator.Port{{Name: "http"}},
		Upgrade:         &simulator.Upgrade{MinimumHealthCapacity: 0.5, MaximumOverCapacity: 0.5},
		ReadinessChecks: []simulator.ReadinessCheck{{Name: "ready", Path: "/ready", PortName: "http", Preserve: true}},
	}
	a.ok(a.Create(app))
	a.look("readiness-apps-embed-nothing-listens")
	for _, task := range a.Tasks(app.ID) {
		a.ok(a.Ready(task.ID, false))
	}
	a.Probe()
	a.look("readiness-apps-embed-first-answers-503")
	a.ok(a.Ready(a.first(app.ID), true))
	a.Probe()
	a.look("readiness-apps-embed-first-ready")
	a.ok(a.Ready(a.Tasks(app.ID)[1].ID, true))
	a.Probe()
	a.look("readiness-apps-embed-done")
	a.ok(a.Relabel(app.ID, map[string]string{"v": "2"}))
	for len(a.Deployments()) > 0 {
		a.Probe()
	}
	a.look("readiness-apps-embed-upgraded")
	a.ok(a.Crash(a.first(app.ID)))
	a.look("readiness-apps-embed-relaunched")
	a.ok(a.Destroy(app.ID))
}

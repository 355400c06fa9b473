// Package simulator is a Marathon that runs in process: it answers REST, sends
// events, deploys, fails and recovers as a real 1.11.26 was recorded doing
// (testdata/live). Nothing runs but the bookkeeping: its tasks have hosts,
// addresses and ports, and no processes, unless an executor such as Servers runs something.
//
// It serves tests, benchmarks and the demo. A test creates it, gives its
// Handler to a server, and calls operations:
//
//	m := simulator.New(simulator.Config{Hosts: []string{"127.0.0.2"}})
//	server := httptest.NewServer(m.Handler())
//	m.Create(simulator.App{ID: "/shop/web", Instances: 2, Ports: []simulator.Port{{Name: "http"}}})
//
// # Time
//
// With no Pace every operation runs to its end before the call returns, so a
// test needs no sleeps. With a Pace, operations return at once and Run carries
// them out in time. With Manual, Step and Settle carry them out, so that a test
// can look between two events.
//
// # Health
//
// Tasks answer all checks well unless Behave, Break, Mend, Ready or CutOff say
// otherwise. Who asks them is Probe, once and at once, or, with Config.Probes, Run at
// the checks' intervals. What follows is Marathon's: results that outlive tasks, the
// events of both kinds of checks, kills, deployments that wait, a Failover (which
// an election is as well) that forgets.
//
// # Order
//
// What is going to happen is an agenda of scripts, one script per publisher: an
// instance, a deployment, the group change, a request's own event. Steps of one
// script keep their order; between scripts the order is round robin, or with
// Shuffle random, as on a real Marathon whose actors run concurrently. What
// depends on another publisher says so with a condition.
//
// # Layout
//
// agenda.go is the motor. operation.go, outage.go, amnesia.go, probe.go, group.go and
// pod.go are what a caller can make happen, deployment.go, plan.go, capacity.go, launch.go,
// instance.go, health.go, readiness.go and failover.go how it happens, event.go, wire.go,
// result.go and snapshot.go what it looks like. marathon.go has the state, app.go, check.go,
// runspec.go and host.go what is in it. rest.go, write.go and stream.go serve it over HTTP,
// fault.go breaks that on demand, master.go makes several masters of one state, era.go says
// what 1.3 and 0.11 do otherwise, server.go runs tasks, story.go and cast.go tell the demo's
// story.
package simulator

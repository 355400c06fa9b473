package reconcile_test

import (
	"slices"
	"testing"
	"time"

	"consular/marathon"
	"consular/reconcile/desired"
)

// Checks that cannot be made, or say nothing that can be understood.

// What is wrong with checks never costs a registration, and is said once.
func TestBadChecks(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(app *marathon.App)
		// checks is what a service has in the mode checks: "marathon" is the mirrored one.
		checks string
	}{
		"results without times":        {func(app *marathon.App) { app.Tasks[0].HealthCheckResults[0].LastSuccess = time.Time{} }, "t1:marathon-0"},
		"an unknown protocol":          {func(app *marathon.App) { app.Definition.HealthChecks[0].Protocol = "GRPC" }, "t1:marathon"},
		"a port that there is none of": {func(app *marathon.App) { app.Definition.HealthChecks[0].PortIndex = 7 }, "t1:marathon"},
		"a task without ports":         {func(app *marathon.App) { app.Definition.Ports, app.Tasks[0].Ports = nil, nil }, "t1:marathon"},
		"more results than checks": {func(app *marathon.App) {
			app.Tasks[0].HealthCheckResults = slices.Repeat(app.Tasks[0].HealthCheckResults, 3)
		}, "t1:marathon-0"},
		"an interval and time-out of 0": {func(app *marathon.App) {
			app.Definition.HealthChecks[0].Interval, app.Definition.HealthChecks[0].Timeout = 0, 0
		}, "t1:marathon-0"},
	} {
		for _, mode := range []desired.HealthMode{desired.HealthMirror, desired.HealthChecks} {
			t.Run(name+" "+string(mode), func(t *testing.T) {
				inFakeCluster(t, func(x *fakeCluster) {
					x.config.Translation.Health, x.config.SyncInterval = mode, time.Minute
					app := checkedApp("t1")
					app.Definition.Ports, app.Tasks[0].Ports = []marathon.Port{{OnHost: true}}, []int{31001}
					test.spoil(&app)
					x.marathon.apps = []marathon.App{app}
					x.connect()
					time.Sleep(10 * time.Minute)
					x.wants(h1, "t1")
					want := "t1:marathon"
					if mode == desired.HealthChecks {
						want = test.checks
					}
					for _, c := range x.agents[h1].checksOn("t1") {
						if c.ID != want || c.Status != "passing" || c.Interval == 0 && !c.Kept() {
							t.Errorf("has %+v, want %s, passing", c, want)
						}
					}
					if n := x.log.count(`"level":"warn"`); n > 1 || n == 0 && want != "t1:marathon" && test.checks == "t1:marathon" {
						t.Errorf("warned %d times:\n%s", n, x.log)
					}
				}, h1)
			})
		}
	}
}

// That checks are mirrored instead is said once for each definition of an app: another one may
// have been meant to mend it. Scaling makes no other one.
func TestMirroredInsteadIsSaidOfEachDefinition(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.Translation.Health, x.config.SyncInterval = desired.HealthChecks, time.Minute
		said := 0
		for _, now := range []struct {
			version, definition, protocol string
			says                          int
		}{
			{"v1", "v1", "COMMAND", 1}, {"v2", "v1", "COMMAND", 0}, {"v3", "v3", "COMMAND", 1}, {"v4", "v4", "TCP", 0}, {"v5", "v5", "COMMAND", 1},
		} {
			app := checkedApp("t1")
			app.Definition.Ports, app.Tasks[0].Ports = []marathon.Port{{OnHost: true}}, []int{31001}
			app.Definition.HealthChecks[0].Protocol = marathon.HealthProtocol(now.protocol)
			app.Version, app.Tasks[0].Version = now.version, now.version
			app.LastConfigChangeAt, app.Definition.LastConfigChangeAt = now.definition, now.definition
			x.marathon.set(func(m *fakeMarathon) { m.apps = []marathon.App{app} })
			if x.Reconciler == nil {
				x.connect()
			}
			time.Sleep(5 * time.Minute)
			all := x.log.count("mirrored instead")
			if all-said != now.says {
				x.Errorf("%s of %s, %s: said %d times, want %d", now.version, now.definition, now.protocol, all-said, now.says)
			}
			said = all
		}
	}, h1)
}

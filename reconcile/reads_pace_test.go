package reconcile_test

import (
	"fmt"
	"testing"
	"time"

	"consular/marathon"
)

// How often Marathon is looked at, and what is said each time.

// Something held back, or a stream that is down, is a reason to look more often, and
// never less.
func TestSyncIntervalIsKeptWhateverElseIsPaced(t *testing.T) {
	for name, act := range map[string]func(*fakeCluster){
		"in sync": func(*fakeCluster) {},
		"held back": func(x *fakeCluster) {
			x.marathon.set(func(m *fakeMarathon) { m.apps = m.apps[:1] })
		},
		"the stream is down": func(x *fakeCluster) { x.Disconnected("closed") },
		"Marathon is down": func(x *fakeCluster) {
			x.marathon.set(func(m *fakeMarathon) { m.silent = true })
			x.Disconnected("closed")
		},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				x.config.SyncInterval, x.config.PollInterval = 5*time.Second, time.Minute
				x.config.Policy.Confirm = 24 * time.Hour
				for i := range 20 {
					x.marathon.apps = append(x.marathon.apps, appOn(h1, fmt.Sprint("/a-", i), fmt.Sprint("a.", i)))
				}
				x.connect()
				before := x.marathon.count()
				act(x)
				time.Sleep(10 * time.Minute)
				if n := x.marathon.count() - before; n < 105 || n > 140 {
					x.Errorf("%d snapshots in ten minutes, want one in five seconds", n)
				}
			}, h1)
		})
	}
}

// However many apps have several ports, that is said once of each.
func TestSeveralPortsAreToldOnceOfManyApps(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = 5 * time.Minute
		const apps = 10_100
		for i := range apps {
			app := marathon.App{ID: fmt.Sprint("/a-", i), Version: "v1"}
			app.Definition.Ports = []marathon.Port{{OnHost: true}, {OnHost: true}}
			x.marathon.apps = append(x.marathon.apps, app)
		}
		x.connect()
		time.Sleep(time.Hour)
		x.says("several ports", "", apps)
	})
}

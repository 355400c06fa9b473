package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"consular/marathon"
)

// What Marathon does not tell of an app's networks shows when it has tasks, and is said once
// then: at whatever resync, and beside all else that is wrong with the app.
func TestNetworkThatIsNotToldIsSaidOnce(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		say := func(addresses string) {
			snapshot, err := marathon.ReadSnapshot(strings.NewReader(fmt.Sprintf(`{"apps":[{"id":"/a","version":"v1","labels":{"consul.ports":"7"},
				"networks":[{"mode":"container","name":"one"},{"mode":"container","name":"two"}],
				"container":{"portMappings":[{"containerPort":80,"networkNames":["two"],"labels":5}]},
				"tasks":[{"id":"a.1","host":%q,"state":"TASK_RUNNING","version":"v1","ipAddresses":[%s]}]}]}`, h1, addresses)))
			if err != nil {
				t.Fatal(err)
			}
			x.marathon.set(func(m *fakeMarathon) { m.apps = snapshot.Apps })
		}
		x.config.SyncInterval = time.Minute
		say("")
		x.connect()
		says := func(words string, want int) {
			t.Helper()
			if n := x.log.count(words); n != want {
				t.Errorf("%q is said %d times, want %d", words, n, want)
			}
		}
		const untold = "port 0: which of the 1 addresses of a task is that of its network is not told, for there are 2 networks: the first is taken"
		says("port 0: field labels: unexpected number; left out", 1)
		says(untold, 0)
		x.wants(h1)
		say(`{"ipAddress":"9.0.0.1"}`)
		time.Sleep(30 * time.Minute)
		says("port 0: field labels: unexpected number; left out", 1)
		says(untold, 1)
		says("not told", 1)
		x.wants(h1, "a.1")
	}, h1)
}

// What was not understood of a task's health, or of a deployment, is said once per version of
// the app, and the task is registered all the same.
func TestWhatIsNotUnderstoodIsSaidOnce(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		say := func(version string) {
			snapshot, err := marathon.ReadSnapshot(strings.NewReader(fmt.Sprintf(`{"apps":[{"id":"/a","version":%q,"deployments":7,
				"tasks":[{"id":"a.1","host":%q,"ports":[31000],"state":"TASK_RUNNING","version":%q,"healthCheckResults":[{"alive":"yes"}]}]}]}`, version, h1, version)))
			if err != nil {
				t.Fatal(err)
			}
			x.marathon.set(func(m *fakeMarathon) { m.apps = snapshot.Apps })
		}
		x.config.SyncInterval = time.Minute
		say("v1")
		x.connect()
		const problems = "task a.1: field healthCheckResults: field alive: unexpected string; field deployments: unexpected number"
		time.Sleep(30 * time.Minute)
		if n := x.log.count(problems); n != 1 {
			t.Errorf("it is said %d times, want once", n)
		}
		say("v2")
		time.Sleep(30 * time.Minute)
		if n := x.log.count(problems); n != 2 {
			t.Errorf("it is said %d times of two versions, want twice", n)
		}
		x.wants(h1, "a.1")
	}, h1)
}

package reconcile_test

import (
	"fmt"
	"testing"
	"time"

	"consular/marathon"
)

// Labels that are held back stay, whatever names their app.

// labelled makes Marathon tell that each of six apps has these labels.
func (m *fakeMarathon) labelled(labels ...string) {
	m.set(func(m *fakeMarathon) {
		m.apps = nil
		for i := range 6 {
			app := appOn(h1, fmt.Sprint("/", i), fmt.Sprint(i, ".1"))
			app.Labels = map[string]string{}
			for _, label := range labels {
				app.Labels[label] = "web"
			}
			m.apps = append(m.apps, app)
		}
	})
}

// wantsLabels fails the test unless the first of the apps has so many keys.
func (x *fakeCluster) wantsLabels(n int) {
	x.Helper()
	x.kv.mu.Lock()
	defer x.kv.mu.Unlock()
	have := 0
	for at := range x.kv.keys {
		if at[0] == "0" {
			have++
		}
	}
	if have != n {
		x.Errorf("the app has %d keys, want %d", have, n)
	}
}

// holdsLabels begins with apps of which a snapshot has two of three labels no more: 12 of 18 keys are
// held back.
func (x *fakeCluster) holdsLabels() {
	x.Helper()
	x.marathon.labelled("a", "b", "c")
	x.connect()
	x.marathon.labelled("a")
	x.Missed("oversize")
	time.Sleep(2 * time.Second)
	x.wantsLabels(3)
}

// A task that starts has the labels of its app brought up to date: not those that are held
// back, until time has confirmed that they go.
func TestHoldOfKeysIsNotTalkedAway(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.holdsLabels()
		x.tells(taskOn(h1, "/0", "0.2"))
		time.Sleep(time.Second)
		x.wantsLabels(3)
		x.Event(marathon.DeploymentEnded{Version: "v2", Apps: []string{"/0"}})
		time.Sleep(time.Minute)
		x.wantsLabels(3)
		time.Sleep(x.config.Policy.Confirm)
		x.wantsLabels(1)
	}, h1)
}

// Of one app some labels may go, and some not yet.
func TestHoldOfKeysIsOfEachKey(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.holdsLabels()
		x.marathon.labelled("a", "b", "c")
		x.marathon.set(func(m *fakeMarathon) { m.apps[0].Labels = map[string]string{"b": "web"} })
		time.Sleep(20 * time.Second) // c has been held back, and a may go
		x.wantsLabels(2)
		if x.kv.value("0", "c") == "" {
			t.Error("what was held back went with another label")
		}
		time.Sleep(x.config.Policy.Confirm)
		x.wantsLabels(1)
	}, h1)
}

// That the app is gone is announced: its labels go at once, held back or not.
func TestHoldOfKeysEndsWithTheApp(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.holdsLabels()
		x.marathon.set(func(m *fakeMarathon) { m.apps = m.apps[1:] })
		x.Event(marathon.DeploymentEnded{Version: "v2", Apps: []string{"/0"}})
		time.Sleep(time.Second)
		x.wantsLabels(0)
	}, h1)
}

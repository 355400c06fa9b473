package reconcile_test

import (
	"testing"
	"time"

	"consular/marathon"
)

// After an outage longer than --purge-confirm the stream is back before REST is:
// what waits for an agent is registered when a snapshot has it, not sooner.
func TestOnlyASnapshotEndsALongSilence(t *testing.T) {
	for name, lives := range map[string]bool{"its task lives": true, "its task is dead": false} {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				x.agents[h1].gone = true
				x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1"), appOn(h2, "/b", "b.1")}
				x.connect()
				x.marathon.set(func(m *fakeMarathon) { m.silent = true })
				x.Disconnected("closed")
				time.Sleep(x.config.Policy.Confirm + time.Minute)
				x.Connected()
				x.agents[h1].set(func(a *fakeAgent) { a.gone = false })
				time.Sleep(time.Minute)
				x.wants(h1)
				x.marathon.set(func(m *fakeMarathon) {
					m.silent = false
					if !lives {
						m.apps[0] = appOn(h1, "/a")
					}
				})
				time.Sleep(20 * time.Second)
				if lives {
					x.wants(h1, "a.1")
				} else {
					x.wants(h1)
				}
				x.wants(h2, "b.1")
			}, h1, h2)
		})
	}
}

// A short silence is none: the stream is back, and what waits is registered
// although REST is not.
func TestShortSilenceKeepsNobodyWaiting(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.agents[h1].gone = true
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.connect()
		x.marathon.set(func(m *fakeMarathon) { m.silent = true })
		x.Disconnected("closed")
		time.Sleep(time.Minute)
		x.Connected()
		x.agents[h1].set(func(a *fakeAgent) { a.gone = false })
		time.Sleep(time.Minute)
		x.wants(h1, "a.1")
	}, h1)
}

// --purge-confirm 0 is about removals: everything is registered all the same.
func TestNoConfirmationStillRegisters(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.Policy.Confirm = 0
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		_, sum, err := x.consular().Sync(x.Context())
		if err != nil || !sum.Clean() || sum.Registered != 1 {
			x.Errorf("%v: %s", err, sum.String())
		}
		x.wants(h1, "a.1")
	}, h1)
}

package reconcile_test

import (
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
)

// A service that Consul refuses costs one write a minute: no listing for it, and
// nobody waits behind it. When it may be written, it is.
func TestRefusedServiceIsTriedOnceAMinute(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		agent := x.agents[h1]
		agent.refuses = []string{"b.1"}
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1"), appOn(h1, "/b", "b.1"), appOn(h1, "/c", "c.1")}
		x.connect()
		time.Sleep(30 * time.Second)
		x.wants(h1, "a.1", "c.1")
		if lists, writes := agent.asked("b.1"); lists != 1 || writes != 1 {
			x.Errorf("in half a minute, %d listings and %d writes of what is refused, want one of each", lists, writes)
		}
		x.tells(taskOn(h1, "/a", "a.2"))
		time.Sleep(time.Second)
		x.wants(h1, "a.1", "a.2", "c.1")
		if lists, _ := agent.asked(""); lists != 1 {
			x.Errorf("%d listings, after an event for another task", lists)
		}
		x.marathon.set(func(m *fakeMarathon) { m.apps[0] = appOn(h1, "/a", "a.1", "a.2") })
		time.Sleep(10 * time.Minute)
		if lists, writes := agent.asked("b.1"); writes < 9 || writes > 12 || lists > 12 {
			x.Errorf("in ten minutes, %d writes of what is refused and %d listings, want one a minute", writes, lists)
		}
		if n := x.marathon.count(); n > 1 {
			x.Errorf("%d snapshots, and no cause for any but the first", n)
		}
		agent.set(func(a *fakeAgent) { a.refuses = nil })
		time.Sleep(61 * time.Second)
		x.wants(h1, "a.1", "a.2", "b.1", "c.1")
	}, h1)
}

// A service on the wrong agent stays there while its own refuses it, and that
// does not make a resync follow the other.
func TestHomeThatRefusesMakesNoResyncs(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.agents[h1].refuses = []string{"a.1"}
		x.agents[h2].services["a.1"] = consul.Service{ID: "a.1", Name: "a", Tags: clusterOwner.Tags("/a")}
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1"), appOn(h2, "/b", "b.1")}
		x.connect()
		time.Sleep(5 * time.Minute)
		x.wants(h1)
		x.wants(h2, "a.1", "b.1")
		if n := x.marathon.count(); n > 7 { // one follows the first, which has written something
			x.Errorf("%d snapshots in five minutes, want one a minute", n)
		}
		x.agents[h1].set(func(a *fakeAgent) { a.refuses = nil })
		time.Sleep(65 * time.Second)
		x.wants(h1, "a.1")
		x.wants(h2, "b.1")
	}, h1, h2)
}

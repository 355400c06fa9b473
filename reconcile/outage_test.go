package reconcile_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
)

// aTown has so many apps of one task each on h1: "/a0" with "a0.1", …
func (x *fakeCluster) has(apps int) {
	for i := range apps {
		x.marathon.apps = append(x.marathon.apps, appOn(h1, fmt.Sprintf("/a%d", i), fmt.Sprintf("a%d.1", i)))
	}
}

// However long Marathon told of no app at all: that confirms nothing, not even at
// the first look at which it has one again.
func TestEmptySnapshotsConfirmNothingLater(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.has(20)
		x.connect()
		x.marathon.set(func(m *fakeMarathon) { m.apps = nil })
		x.Missed("oversize")
		time.Sleep(20 * time.Minute)
		x.marathon.set(func(m *fakeMarathon) { m.apps = []marathon.App{appOn(h1, "/new", "new.1")} })
		time.Sleep(time.Minute)
		if n := len(x.agents[h1].tasks()); n != 21 {
			t.Errorf("%d services a minute later, want the 20 held back and the new one", n)
		}
		time.Sleep(5 * time.Minute)
		x.wants(h1, "new.1") // these looks have confirmed it
	}, h1)
}

// strange registers a service of our registration ID for another framework.
func (x *fakeCluster) strange(host, id string) {
	x.agents[host].services[id+".1"] = consul.Service{
		ID: id + ".1", Name: id, Tags: clusterOwner.Tags("/" + id), Meta: map[string]string{consul.MetaFramework: "another"},
	}
}

// Two Marathons were given one registration ID. The other's keys look like ours,
// and stay whether its agents answer, or the catalog does, or not.
func TestAnotherFrameworksKeysStay(t *testing.T) {
	for name, c := range map[string]struct{ before, after func(*fakeCluster) }{
		"its agent falls silent": {func(*fakeCluster) {}, func(x *fakeCluster) {
			x.agents[h2].set(func(a *fakeAgent) { a.gone = true })
		}},
		"its agent was silent before": {func(x *fakeCluster) { x.agents[h2].gone = true }, func(*fakeCluster) {}},
		"the catalog cannot be read":  {func(x *fakeCluster) { x.catalog.broken = errors.New("no leader") }, func(*fakeCluster) {}},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				x.strange(h2, "z")
				x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
				x.hasKeys("z")
				x.config.SyncInterval = time.Minute
				c.before(x)
				x.connect()
				time.Sleep(20 * time.Minute)
				x.wantsKeys("a", "z")
				c.after(x)
				time.Sleep(20 * time.Minute)
				x.wantsKeys("a", "z")
			}, h1, h2)
		})
	}
}

// A sync that writes for longer than what Marathon said may be trusted asks again,
// and ends when all is done.
func TestLongSyncAsksMarathonAgain(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		var tasks []string
		for i := range 400 {
			tasks = append(tasks, fmt.Sprintf("a.%03d", i))
		}
		x.marathon.apps = []marathon.App{appOn(h1, "/a", tasks...)}
		x.agents[h1].slow = time.Second
		x.config.Patience = 10 * time.Second
		_, sum, err := x.consular().Sync(x.Context())
		if n := len(x.agents[h1].tasks()); err != nil || !sum.Clean() || sum.Registered != 400 || n != 400 {
			t.Errorf("%v, clean %t, %d there: %s", err, sum.Clean(), n, sum.String())
		}
	}, h1)
}

// What is new is registered before Marathon is asked, app by app, what is gone.
func TestConfirmingDelaysNoWrites(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.has(200)
		x.connect()
		x.Disconnected("closed")
		time.Sleep(time.Second)
		x.marathon.set(func(m *fakeMarathon) {
			m.apps = append([]marathon.App{appOn(h1, "/new", "new.1")}, m.apps[90:]...)
			m.appTakes = 15 * time.Second
		})
		x.Connected()
		time.Sleep(time.Second)
		if _, times := x.agents[h1].asked("new.1"); times != 1 {
			t.Errorf("the new task was registered %d times within a second", times)
		}
		time.Sleep(10 * time.Minute)
		if n := len(x.agents[h1].tasks()); n != 111 {
			t.Errorf("%d services in the end, want 111", n)
		}
		if _, times := x.agents[h1].asked("new.1"); times != 1 {
			t.Errorf("the new task was registered %d times", times)
		}
	}, h1)
}

// What events have announced while an agent was away goes when it is back, even if
// that took longer than ended tasks are remembered.
func TestAnnouncedDuringALongOutage(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = 5 * time.Minute
		x.has(20)
		x.connect()
		x.agents[h1].set(func(a *fakeAgent) { a.gone = true })
		x.marathon.set(func(m *fakeMarathon) { m.apps = m.apps[15:] })
		for i := range 15 {
			app := fmt.Sprintf("/a%d", i)
			ended := taskOn(h1, app, fmt.Sprintf("a%d.1", i))
			ended.State = marathon.TaskKilled
			x.tells(ended)
			x.Event(marathon.AppTerminated{AppID: app})
		}
		time.Sleep(40 * time.Minute)
		x.agents[h1].set(func(a *fakeAgent) { a.gone = false })
		time.Sleep(90 * time.Second)
		x.wants(h1, "a15.1", "a16.1", "a17.1", "a18.1", "a19.1")
	}, h1)
}

// A host that Consul's serf has as failed, and whose agent answers all the same, is
// written to through its agent: the catalog would be overruled by it.
func TestFailedNodeWhoseAgentAnswers(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.catalog.failed = map[string]bool{h2: true}
		x.agents[h2].services["z.1"] = consul.Service{ID: "z.1", Name: "z", Tags: clusterOwner.Tags("/z")}
		_, sum, err := x.consular().Sync(x.Context())
		if err != nil || sum.Deregistered != 1 || len(x.catalog.deregs) > 0 {
			t.Errorf("%v, %s, from the catalog %v", err, sum.String(), x.catalog.deregs)
		}
		x.wants(h2)
	}, h1, h2)
}

// A service that two dead nodes show is removed from both.
func TestOneServiceOnTwoDeadNodes(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.catalog.failed = map[string]bool{h2: true, h3: true}
		for _, host := range []string{h2, h3} {
			x.agents[host].services["z.1"] = consul.Service{ID: "z.1", Name: "z", Tags: clusterOwner.Tags("/z")}
			x.agents[host].gone = true
		}
		_, sum, err := x.consular().Sync(x.Context())
		if err != nil || sum.Deregistered != 2 || len(x.catalog.deregs) != 2 {
			t.Errorf("%v, %s, from the catalog %v", err, sum.String(), x.catalog.deregs)
		}
	}, h1, h2, h3)
}

// A service's tag names the app of its name's keys, however many dashes it has.
func TestServiceNamesTheAppOfItsKeys(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		const app = "/prod/eu-west-1/team-a/my-service"
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1"), appOn(h1, app, "p.1")}
		_, _, err := x.consular().Sync(x.Context())
		must(t, err)
		x.marathon.apps = x.marathon.apps[:1] // destroyed while nobody listens
		_, sum, err := x.consular().Sync(x.Context())
		if err != nil || !sum.Clean() {
			t.Errorf("%v: %s", err, sum.String())
		}
		x.wants(h1, "a.1")
		x.wantsKeys("a")
	}, h1)
}

// A task of a quarantined app that ended is deregistered however long its agent was
// away: what it left is no part of the clash.
func TestQuarantinedTaskThatEndedLongAgo(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = 5 * time.Minute
		x.marathon.apps = []marathon.App{appOn(h1, "/a-b", "i.1"), appOn(h2, "/a/b", "n.1")}
		for host, app := range map[string]string{h1: "/a-b", h2: "/a/b"} {
			id := x.marathon.apps[0].Tasks[0].ID
			if host == h2 {
				id = x.marathon.apps[1].Tasks[0].ID
			}
			x.agents[host].services[id] = consul.Service{ID: id, Name: "a-b", Tags: clusterOwner.Tags(app)}
		}
		x.connect()
		x.agents[h2].set(func(a *fakeAgent) { a.gone = true })
		ended := taskOn(h2, "/a/b", "n.1")
		ended.State = marathon.TaskKilled
		x.marathon.set(func(m *fakeMarathon) { m.apps[1].Tasks = nil })
		x.tells(ended)
		time.Sleep(40 * time.Minute)
		x.agents[h2].set(func(a *fakeAgent) { a.gone = false })
		time.Sleep(90 * time.Second)
		x.wants(h1, "i.1")
		x.wants(h2)
	}, h1, h2)
}

// An event that ends a task may not know the task's host.
func TestEndedOnAnUnknownHost(t *testing.T) {
	for _, state := range []marathon.State{marathon.TaskKilled, marathon.TaskUnreachable} {
		for _, host := range []string{"", "unknown", h2} {
			inFakeCluster(t, func(x *fakeCluster) {
				x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
				x.connect()
				ended := taskOn(host, "/a", "a.1")
				ended.State = state
				x.tells(ended)
				time.Sleep(time.Second)
				x.wants(h1)
			}, h1, h2)
		}
	}
}

// What was written before Marathon was asked app by app, and is another thing by
// then, is written again: nobody else would for a long time.
func TestAnswersThatOvertakeTheSnapshot(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.has(2)
		x.connect()
		x.Disconnected("closed")
		time.Sleep(time.Second)
		x.marathon.set(func(m *fakeMarathon) {
			// /a0 has another task and another label, and has lost a0.1, which no event has
			// told: so it is asked for by itself. By then it is yet another one.
			m.apps[0] = appOn(h1, "/a0", "a0.2")
			m.apps[0].Labels = map[string]string{"role": "second"}
			m.hook = func() {
				go func() {
					time.Sleep(time.Millisecond)
					x.marathon.set(func(m *fakeMarathon) {
						m.apps[0] = appOn(h1, "/a0", "a0.3")
						m.apps[0].Labels = map[string]string{"role": "third"}
					})
				}()
				m.hook = nil
			}
			m.appTakes = 10 * time.Millisecond
		})
		x.Connected()
		time.Sleep(10 * time.Second)
		x.wants(h1, "a0.3", "a1.1")
		if role := x.kv.value("a0", "role"); role != "third" {
			t.Errorf("role is %q", role)
		}
	}, h1)
}

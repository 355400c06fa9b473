package reconcile_test

import (
	"slices"
	"testing"
	"time"

	"consular/marathon"
)

// A task that is being killed still serves: it stays registered until the one that takes its
// place is, whose agent may take longer, but not for long.

// killing is a task of /one that is being killed.
func killing(host, id string) marathon.Task {
	task := taskOn(host, "/one", id)
	task.State = marathon.TaskKilling
	return task
}

// replacing has a cluster whose app has its only task on h1, and the next one on h2, whose
// agent takes so long for each request.
func replacing(t *testing.T, slow time.Duration, then func(*fakeCluster)) {
	t.Helper()
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/one", "old"), appOn(h2, "/other", "other")}
		x.connect()
		x.agents[h2].set(func(a *fakeAgent) { a.slow = slow })
		x.tells(taskOn(h2, "/one", "new"))
		then(x)
	}, h1, h2)
}

func TestDeregistrationAwaitsReplacement(t *testing.T) {
	replacing(t, 300*time.Millisecond, func(x *fakeCluster) {
		x.tells(killing(h1, "old"))
		time.Sleep(295 * time.Millisecond)
		x.wants(h1, "old")
		x.wants(h2, "other")
		time.Sleep(10 * time.Millisecond)
		x.wants(h1)
		x.wants(h2, "new", "other")
	})
}

func TestDeregistrationAwaitsReplacementForASecond(t *testing.T) {
	replacing(t, 3*time.Second, func(x *fakeCluster) {
		x.tells(killing(h1, "old"))
		time.Sleep(995 * time.Millisecond)
		x.wants(h1, "old")
		time.Sleep(10 * time.Millisecond)
		x.wants(h1)
		x.wants(h2, "other")
	})
}

// What has ended serves nobody any more, and what is being killed replaces nothing.
func TestEndedTaskAwaitsNothing(t *testing.T) {
	for name, tells := range map[string]func(*fakeCluster){
		"has ended":                       func(x *fakeCluster) { x.tells(ended("/one", "old")) },
		"has ended, and is told too late": func(x *fakeCluster) { x.tells(ended("/one", "old")); x.tells(killing(h1, "old")) },
		"was being killed, and has ended": func(x *fakeCluster) { x.tells(killing(h1, "old")); x.tells(ended("/one", "old")) },
		"ends while it waits": func(x *fakeCluster) {
			x.tells(killing(h1, "old"))
			time.Sleep(10 * time.Millisecond)
			x.wants(h1, "old")
			x.tells(ended("/one", "old"))
		},
		"the other is killed, too": func(x *fakeCluster) {
			x.agents[h2].set(func(a *fakeAgent) { a.slow = 0 })
			x.tells(killing(h1, "old"))
			x.tells(killing(h2, "new"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			replacing(t, 500*time.Millisecond, func(x *fakeCluster) {
				tells(x)
				time.Sleep(5 * time.Millisecond)
				x.wants(h1)
			})
		})
	}
}

// What waits is of the same app, and what is waited for was heard of earlier.
func TestDeregistrationAwaitsOnlyWhatReplaces(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/one", "old"), appOn(h2, "/other", "other")}
		x.connect()
		x.agents[h2].set(func(a *fakeAgent) { a.slow = 500 * time.Millisecond })
		x.tells(taskOn(h2, "/other", "other.2"))
		time.Sleep(time.Millisecond)
		x.tells(killing(h1, "old"))
		time.Sleep(time.Nanosecond)
		x.tells(taskOn(h2, "/one", "new"))
		time.Sleep(5 * time.Millisecond)
		x.wants(h1)
	}, h1, h2)
}

// An agent that is left alone registers nothing soon.
func TestDeregistrationDoesNotAwaitSilentAgent(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/one", "old", "old.2"), appOn(h2, "/other", "other")}
		x.connect()
		x.agents[h2].set(func(a *fakeAgent) { a.gone = true })
		x.tells(taskOn(h2, "/one", "new"))
		x.tells(killing(h1, "old"))
		time.Sleep(10 * time.Millisecond)
		x.wants(h1, "old.2") // nobody waits any more
		x.tells(taskOn(h2, "/one", "new.2"))
		x.tells(killing(h1, "old.2"))
		time.Sleep(10 * time.Millisecond)
		x.wants(h1)
	}, h1, h2)
}

// A resync that finds both keeps to it, too.
func TestResyncRegistersReplacementFirst(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/one", "old"), appOn(h2, "/other", "other")}
		x.connect()
		x.marathon.set(func(m *fakeMarathon) {
			m.apps[0].Tasks = []marathon.Task{killing(h1, "old"), taskOn(h2, "/one", "new")}
		})
		x.agents[h2].set(func(a *fakeAgent) { a.slow = 200 * time.Millisecond })
		x.Missed("oversize")
		for range 2000 {
			time.Sleep(time.Millisecond)
			if !slices.Contains(x.agents[h1].tasks(), "old") && !slices.Contains(x.agents[h2].tasks(), "new") {
				x.Fatal("neither is registered")
			}
		}
		x.wants(h1)
		x.wants(h2, "new", "other")
	}, h1, h2)
}

// A replacement that is registered serves nobody while its check is critical.
func TestDeregistrationAwaitsThePassingCheck(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		mirror(x)
		app := checkedApp("old", "new")
		app.Tasks[1].Host, app.Tasks[1].HealthCheckResults[0].Alive = h2, false
		app.Tasks[1].HealthCheckResults[0].LastSuccess = time.Time{}
		x.marathon.apps = []marathon.App{app, appOn(h2, "/other", "other")}
		x.connect()
		x.agents[h2].set(func(a *fakeAgent) { a.slow = 300 * time.Millisecond })
		x.Event(marathon.HealthStatusChanged{
			Meta: marathon.Meta{Type: "health_status_changed_event", Time: time.Now()}, AppID: "/web", TaskID: "new", Version: "v1", Alive: true,
		})
		old := taskOn(h1, "/web", "old")
		old.State = marathon.TaskKilling
		x.tells(old)
		time.Sleep(295 * time.Millisecond)
		x.wants(h1, "old")
		time.Sleep(400 * time.Millisecond)
		x.wants(h1)
	}, h1, h2)
}

// A task has been replaced when all of its services are registered.
func TestDeregistrationAwaitsAllServicesOfTheReplacement(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		one, other := checkedPorts("old"), appOn(h2, "/other", "o1", "o2")
		one.ID, one.Definition.HealthChecks, one.Tasks[0].AppID = "/one", nil, "/one"
		x.marathon.apps = []marathon.App{one, other}
		x.connect()
		x.agents[h2].set(func(a *fakeAgent) { a.slow = 200 * time.Millisecond })
		fresh := taskOn(h2, "/one", "new")
		fresh.Ports = []int{31101, 31102}
		x.tells(fresh)
		x.tells(taskOn(h2, "/other", "o3")) // goes before the second service of the other
		x.tells(killing(h1, "old"))
		time.Sleep(500 * time.Millisecond)
		x.wants(h2, "new", "o1", "o2", "o3")
		x.wants(h1, "old", "old:admin")
		time.Sleep(200 * time.Millisecond)
		x.wants(h2, "new", "new:admin", "o1", "o2", "o3")
		x.wants(h1)
	}, h1, h2)
}

package reconcile_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile"
)

// A job that fails by itself waits by itself, and delays no other.

// ended is a task of h1 that was killed.
func ended(app, id string) marathon.Task {
	task := taskOn(h1, app, id)
	task.State = marathon.TaskKilled
	return task
}

// startsInTime has a task of h1 start each minute for an hour, and wants each of them
// registered, and the one before deregistered, in this time.
func (x *fakeCluster) startsInTime(most time.Duration, always ...string) {
	x.Helper()
	for i := range 60 {
		id := fmt.Sprint("new.", i)
		x.marathon.set(func(m *fakeMarathon) { m.apps[1] = appOn(h1, "/new", id) })
		x.tells(taskOn(h1, "/new", id))
		if i > 0 {
			x.tells(ended("/new", fmt.Sprint("new.", i-1)))
		}
		time.Sleep(most)
		want := append(slices.Clone(always), id)
		slices.Sort(want)
		if have := x.agents[h1].tasks(); !slices.Equal(have, want) {
			x.Fatalf("after %d minutes %q has %v, want %v", i, h1, have, want)
		}
		time.Sleep(time.Minute - most)
	}
}

func TestDeregistrationThatFailsDelaysNoOther(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = 5 * time.Minute
		x.marathon.apps = []marathon.App{appOn(h1, "/bad", "bad.1"), appOn(h1, "/new")}
		x.connect()
		x.agents[h1].set(func(a *fakeAgent) { a.fails = []string{"bad.1"} })
		x.marathon.set(func(m *fakeMarathon) { m.apps[0] = appOn(h1, "/bad") })
		x.tells(ended("/bad", "bad.1"))
		before := x.marathon.count()
		x.startsInTime(50*time.Millisecond, "bad.1")
		if n := x.marathon.count() - before; n > 15 {
			x.Errorf("%d snapshots in an hour, want those of --sync-interval", n)
		}
		x.says("works again", "", 0)
		x.agents[h1].set(func(a *fakeAgent) { a.fails = nil })
		time.Sleep(31 * time.Second)
		x.wants(h1, "new.59")
	}, h1)
}

func TestRegistrationThatFailsLeavesItsAgentListed(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = 5 * time.Minute
		x.agents[h1].fails = []string{"bad.1"}
		x.marathon.apps = []marathon.App{appOn(h1, "/bad", "bad.1"), appOn(h1, "/new"), appOn(h1, "/a", "a.1")}
		x.connect()
		x.startsInTime(50*time.Millisecond, "a.1")
		// Each look has seen the agent, and has tried once more.
		resyncs := x.log.count(`"cause":"sync interval"`)
		x.says(`"failed":1,`, `"cause":"sync interval"`, resyncs)
		x.says(`"unread":0,`, `"cause":"sync interval"`, resyncs)
		if _, tries := x.agents[h1].asked("bad.1"); tries < 100 || tries > 250 {
			x.Errorf("%d tries of what fails in an hour, want one in half a minute, and those of resyncs", tries)
		}
		x.agents[h1].set(func(a *fakeAgent) { delete(a.services, "a.1") })
		time.Sleep(6 * time.Minute)
		x.wants(h1, "a.1", "new.59")
	}, h1)
}

// The first failure of a job is told, then every tenth, and then its end, each with
// what it is about.
func TestJobThatFailsIsToldOf(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.agents[h1].fails = []string{"bad.1"}
		x.marathon.apps = []marathon.App{appOn(h1, "/bad", "bad.1")}
		x.connect()
		time.Sleep(10 * time.Minute)
		_, tries := x.agents[h1].asked("bad.1")
		about := fmt.Sprintf(`"agent":"%s:8500","app":"/bad","task":"bad.1"`, h1)
		x.says(about, "tried again by itself", 1+tries/10)
		x.says(about, "done, after failures", 0)
		x.agents[h1].set(func(a *fakeAgent) { a.fails = nil })
		time.Sleep(time.Minute)
		x.says(about, "done, after failures", 1)
		x.says(about, `"message":"registered"`, 1)
		x.says("left alone for a while", "", 0)
	}, h1)
}

// What an event says anew is not put off because of what has failed before.
func TestEndOfTaskThatFailsIsNotPutOff(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/bad", "bad.1")}
		x.connect()
		x.agents[h1].set(func(a *fakeAgent) {
			a.fails = []string{"bad.1"}
			a.services["bad.1"] = consul.Service{ID: "bad.1", Name: "other", Tags: clusterOwner.Tags("/bad")}
		})
		x.Missed("oversize")
		time.Sleep(5 * time.Minute) // its update has failed often, and waits long
		x.agents[h1].set(func(a *fakeAgent) { a.fails = nil })
		x.tells(ended("/bad", "bad.1"))
		time.Sleep(50 * time.Millisecond)
		x.wants(h1)
	}, h1)
}

// doesAndFails is an agent that does what it is told about one task, and says that it could not.
type doesAndFails struct {
	*fakeAgent
	task string
}

func (a doesAndFails) Register(ctx context.Context, s consul.Service) error {
	err := a.fakeAgent.Register(ctx, s)
	if s.ID == a.task {
		return fmt.Errorf("register: %w", api.StatusError{Code: 500, Body: "internal error"})
	}
	return err
}

// A write that failed may have happened: before the task is tried again its agent is
// listed, once, and no other task waits for that.
func TestFailedWriteThatHappenedIsSeen(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/bad", "bad.1"), appOn(h1, "/a", "a.1", "a.2", "a.3")}
		agent := x.agents[h1]
		x.replace = map[string]reconcile.Agent{h1: doesAndFails{agent, "bad.1"}}
		x.connect()
		x.wants(h1, "a.1", "a.2", "a.3", "bad.1")
		if lists, tries := agent.asked("bad.1"); lists != 2 || tries != 1 {
			x.Errorf("%d listings and %d writes, want that of the resync, and one more after the write", lists, tries)
		}
	}, h1)
}

// failingLabels answers writes of one name with an error 500.
type failingLabels struct {
	reconcile.Labels
	name  string
	tries atomic.Int64
}

func (l *failingLabels) Apply(ctx context.Context, name string, changes []consul.KeyChange) error {
	if name == l.name {
		l.tries.Add(1)
		return fmt.Errorf("apply labels of %s: %w", name, api.StatusError{Code: 500, Body: "internal error"})
	}
	return l.Labels.Apply(ctx, name, changes)
}

func TestKeysThatFailDelayNoOthers(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = 5 * time.Minute
		labels := &failingLabels{Labels: x.labels, name: "bad"}
		x.labels = labels
		x.marathon.apps = []marathon.App{appOn(h1, "/bad"), appOn(h1, "/a")}
		x.connect()
		for i := range 60 {
			role := fmt.Sprint("role ", i)
			x.marathon.set(func(m *fakeMarathon) { m.apps[1].Labels = map[string]string{"role": role} })
			x.ends("/a")
			time.Sleep(50 * time.Millisecond)
			if have := x.kv.value("a", "role"); have != role {
				x.Fatalf("after %d minutes the label is %q, want %q", i, have, role)
			}
			time.Sleep(time.Minute)
		}
		tries := int(labels.tries.Load())
		if tries < 100 || tries > 250 {
			x.Errorf("%d tries of what fails in an hour", tries)
		}
		x.says(`"agent":"kv","app":"/bad","service":"bad"`, "tried again by itself", 1+tries/10)
		x.says("cannot be read", "", 0)
	}, h1)
}

// blackWrite is an agent that never answers the deregistration of one task.
type blackWrite struct {
	*fakeAgent
	task string
}

func (a blackWrite) Deregister(ctx context.Context, id string) error {
	if id == a.task {
		time.Sleep(15 * time.Second)
		return context.DeadlineExceeded
	}
	return a.fakeAgent.Deregister(ctx, id)
}

// An agent that does not answer about one task, but all else that it is asked, does its
// other jobs most of the time.
func TestJobWithoutAnswerStarvesNoOther(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/bad", "bad.1"), appOn(h1, "/new")}
		x.replace = map[string]reconcile.Agent{h1: blackWrite{x.agents[h1], "bad.1"}}
		x.connect()
		x.marathon.set(func(m *fakeMarathon) { m.apps[0] = appOn(h1, "/bad") })
		x.tells(ended("/bad", "bad.1"))
		late := 0
		for i := range 600 {
			id := fmt.Sprint("new.", i)
			x.marathon.set(func(m *fakeMarathon) { m.apps[1] = appOn(h1, "/new", id) })
			x.tells(taskOn(h1, "/new", id))
			time.Sleep(time.Second)
			if !slices.Contains(x.agents[h1].tasks(), id) {
				late++
			}
			time.Sleep(5 * time.Second)
		}
		x.Logf("%d of 600 registrations took more than a second", late)
		if late > 300 {
			x.Errorf("%d of 600 registrations took more than a second", late)
		}
	}, h1)
}

// Few jobs that fail are their own failure, however long. Where all fail, one after the
// other, the agent is left alone, but looked at, until anything can be written again.
func TestAgentWhereAllFailsIsLeftAlone(t *testing.T) {
	for _, bad := range []int{4, 50} {
		t.Run(fmt.Sprint(bad), func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				x.config.SyncInterval = 5 * time.Minute
				x.marathon.apps = []marathon.App{appOn(h1, "/bad"), appOn(h1, "/new")}
				var ids []string
				for i := range bad {
					ids = append(ids, fmt.Sprintf("bad.%02d", i))
				}
				x.agents[h1].fails = ids
				x.marathon.apps[0] = appOn(h1, "/bad", ids...)
				x.connect()
				if bad < 5 {
					x.startsInTime(50 * time.Millisecond)
					x.says("left alone for a while", "", 0)
					return
				}
				time.Sleep(time.Hour)
				tries := 0
				for _, id := range ids {
					_, n := x.agents[h1].asked(id)
					tries += n
				}
				if tries < 100 || tries > 300 {
					x.Errorf("%d tries in an hour, want one in half a minute", tries)
				}
				if n := x.marathon.count(); n > 15 {
					x.Errorf("%d snapshots in an hour, want those of --sync-interval", n)
				}
				x.says(fmt.Sprintf(`"failed":%d,`, bad), `"unread":0,`, x.log.count(`"cause":"sync interval"`)+1)
				x.agents[h1].set(func(a *fakeAgent) { a.fails = nil })
				time.Sleep(2 * time.Minute)
				x.wants(h1, ids...)
				x.says("works again", "", 1)
			}, h1)
		})
	}
}

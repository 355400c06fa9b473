package reconcile_test

import (
	"fmt"
	"testing"
	"time"

	"consular/marathon"
)

// The limit on lost tasks, when plans and events deregister them by turns.

// hundred is an app of a hundred tasks on a host.
func hundred(host string) marathon.App { return appOn(host, "/a", ids("a", 100)...) }

// ids are so many IDs of tasks: "a.00", "a.01", …
func ids(app string, n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("%s.%02d", app, i))
	}
	return ids
}

// loses makes Marathon tell that so many more tasks of the first app are lost.
func (m *fakeMarathon) loses(n int) {
	m.set(func(m *fakeMarathon) {
		app := appOn(h1, "/a")
		for _, task := range m.apps[0].Tasks {
			if n > 0 && task.State == marathon.TaskRunning {
				task.State = marathon.TaskUnreachable
				n--
			}
			app.Tasks = append(app.Tasks, task)
		}
		m.apps[0] = app
	})
}

// wantsHalf fails the test unless at least half of the hundred are left.
func (x *fakeCluster) wantsHalf() {
	x.Helper()
	if n := len(x.agents[h1].tasks()); n < 50 {
		x.Errorf("%d of 100 are left within a minute, and the limit is 50 %%", n)
	}
}

func TestLostTasksOfSeveralPollsAreCountedTogether(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{hundred(h1)}
		x.connect()
		x.Disconnected("closed")
		for _, n := range []int{45, 25, 14} {
			x.marathon.loses(n)
			time.Sleep(17 * time.Second)
		}
		x.wantsHalf()
	}, h1)
}

func TestLostTasksOfAPlanAndOfEventsAreCountedTogether(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{hundred(h1)}
		x.connect()
		x.Disconnected("closed")
		x.marathon.loses(45)
		x.Connected()
		time.Sleep(2 * time.Second)
		for i := 45; i < 95; i++ {
			lost := taskOn(h1, "/a", fmt.Sprintf("a.%02d", i))
			lost.State = marathon.TaskUnreachable
			x.tells(lost)
		}
		time.Sleep(2 * time.Second)
		x.wantsHalf()
	}, h1)
}

// What was held back as lost and came back is held back no more, also while some agent does not
// answer: when all is lost again, that is another loss.
func TestWhatCameBackIsHeldNoMore(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{hundred(h1), appOn(h2, "/b", "b.1")}
		x.connect()
		x.agents[h2].set(func(a *fakeAgent) { a.gone = true })
		lose := func(state marathon.State) {
			for i := range 90 {
				task := taskOn(h1, "/a", fmt.Sprintf("a.%02d", i))
				task.State = state
				x.tells(task)
			}
		}
		x.marathon.loses(90)
		lose(marathon.TaskUnreachable)
		time.Sleep(40 * time.Second)
		x.wantsHalf()
		x.marathon.set(func(m *fakeMarathon) { m.apps[0] = hundred(h1) })
		lose(marathon.TaskRunning)
		time.Sleep(4 * time.Minute)
		if n := len(x.agents[h1].tasks()); n != 100 {
			t.Fatalf("%d of 100 are back", n)
		}
		x.marathon.loses(90)
		lose(marathon.TaskUnreachable)
		time.Sleep(50 * time.Second)
		x.wantsHalf()
	}, h1, h2)
}

// What was lost and came back is not gone: within the same minute it may be lost again only if the
// limit allows that together with what has gone meanwhile.
func TestLostTasksThatComeAndGoAreCountedTogether(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{hundred(h1)}
		x.connect()
		are := func(from, to int, state marathon.State) {
			for i := from; i < to; i++ {
				task := taskOn(h1, "/a", fmt.Sprintf("a.%02d", i))
				task.State = state
				x.tells(task)
			}
			time.Sleep(time.Second)
			x.wantsHalf()
		}
		are(0, 50, marathon.TaskUnreachable)
		are(0, 50, marathon.TaskRunning)
		are(50, 75, marathon.TaskUnreachable)
		are(0, 50, marathon.TaskUnreachable)
	}, h1)
}

// What was held back as lost and has ended since is held back no more, also while some agent does
// not answer: it holds nobody else back.
func TestWhatHasEndedIsHeldNoMore(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.Policy.Limit = 20
		x.marathon.apps = []marathon.App{hundred(h1), appOn(h2, "/b", "b.1")}
		x.connect()
		x.agents[h2].set(func(a *fakeAgent) { a.gone = true })
		are := func(from, to int, state marathon.State) {
			for i := from; i < to; i++ {
				task := taskOn(h1, "/a", fmt.Sprintf("a.%02d", i))
				task.State = state
				x.tells(task)
			}
		}
		x.marathon.loses(30)
		are(0, 30, marathon.TaskUnreachable) // 10 of them are held back
		time.Sleep(20 * time.Second)
		x.marathon.set(func(m *fakeMarathon) { m.apps[0].Tasks = hundred(h1).Tasks[30:] })
		are(0, 30, marathon.TaskGone)
		time.Sleep(2 * time.Minute)
		if n := len(x.agents[h1].tasks()); n != 70 {
			t.Fatalf("%d are left, want 70", n)
		}
		x.marathon.loses(12)
		are(30, 42, marathon.TaskUnreachable)
		time.Sleep(time.Second)
		if n := len(x.agents[h1].tasks()); n != 58 {
			t.Errorf("%d are left of 70 when 12 are lost, at a limit of 20 %%", n)
		}
	}, h1, h2)
}

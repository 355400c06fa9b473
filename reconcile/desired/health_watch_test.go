package desired

import (
	"fmt"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
)

// A task that is launched again is looked at after its checks' interval, however long one
// before it, or beside it, keeps the app waiting: that says nothing of this one.
func TestEachLaunchIsLookedAtSoon(t *testing.T) {
	silent := newTask("silent", "/a") // Marathon never says anything of it
	silent.StagedAt = start.Add(-time.Hour)
	for name, others := range map[string][]marathon.Task{"alone": nil, "beside one that stays silent": {silent}} {
		m := mirroring()
		now := start
		answer := func(task ...marathon.Task) {
			m.ApplyApp(m.BeginRead(), checkedApp(1, append(task, others...)...), now)
		}
		m.ApplySnapshot(m.BeginRead(), marathonSnapshot(checkedApp(1, others...)), now, Alone)
		for launch := 2; launch < 6; launch++ {
			task := updated(launch)
			m.ApplyEvent(changed(in(marathon.TaskFailed, updated(launch-1))), now)
			m.ApplyEvent(marathon.TaskChanged{Meta: marathon.Meta{Time: now}, Task: task}, now)
			if _, next := m.HealthReads(now); next.IsZero() || next.Sub(now) > 10*time.Second {
				t.Errorf("%s: launch %d is looked at after %v", name, launch, next.Sub(now))
			}
			task.StagedAt = now
			for healthy := now.Add(10 * time.Minute); now.Before(healthy); {
				apps, next := m.HealthReads(now)
				if len(apps) > 0 {
					answer(task)
					_, next = m.HealthReads(now)
				}
				if now = next; now.IsZero() {
					t.Fatalf("%s: launch %d is looked at no more", name, launch)
				}
			}
			task.HealthCheckResults = []marathon.HealthCheckResult{{Alive: true, LastSuccess: now}}
			answer(task)
			if _, next := m.HealthReads(now); next.IsZero() != (others == nil) {
				t.Errorf("%s: launch %d is healthy, and looked at again at %v", name, launch, next)
			}
		}
	}
}

// Nothing is remembered of the health of apps and tasks that are gone.
func TestHealthIsForgotten(t *testing.T) {
	m := mirroring()
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(), start, Alone)
	for i := range 3 {
		app := checkedApp(1)
		app.ID = fmt.Sprint("/a", i)
		task := newTask(fmt.Sprintf("a%d.instance-00000001-0000-0000-0000-000000000000._app.1", i), app.ID)
		task.StagedAt = start
		app.Tasks = []marathon.Task{task}
		m.ApplyApp(m.BeginRead(), app, start)
		m.ApplyApp(m.BeginRead(), func() marathon.App { app.Tasks = []marathon.Task{healthy(true, 1, task)}; return app }(), start.Add(time.Second))
		m.ApplyNotFound(m.BeginRead(), app.ID, start)
	}
	if len(m.watched)+len(m.instances) > 0 {
		t.Errorf("watched are %d apps, and remembered %d instances", len(m.watched), len(m.instances))
	}
}

// Nor of tasks whose definition, when it is known at last, says that they have no checks in Consul.
func TestResultsOfWhatHasNoChecksAreForgotten(t *testing.T) {
	m := New(testTranslation()) // without health
	task := healthy(true, 1, launched(1))
	task.Version = "v0"
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(checkedApp(1, task)), start, Alone)
	m.ApplyDefinition(Version{"/a", "v0"}, checkedApp(1).Definition, false)
	if kept := m.tasks[task.ID]; kept.health != nil || len(m.instances) > 0 {
		t.Errorf("remembered: %+v, instances %v", kept.health, m.instances)
	}
}

// Where a task is killed while others may have become fit for requests, of which no event tells,
// the app is asked at once.
func TestAKillHasAskedWhoIsFit(t *testing.T) {
	victim := newTask("victim", "/a")
	victim.StagedAt = start.Add(-time.Hour)
	for name, test := range map[string]struct {
		checks  int
		unready bool
		event   marathon.Event
		state   marathon.State
		asks    bool
	}{
		"one of two checks":       {2, false, checkSays(true, start), marathon.TaskKilling, true},
		"of one check it is told": {1, false, checkSays(true, start), marathon.TaskKilling, false},
		"nothing is heard":        {2, false, nil, marathon.TaskKilling, false},
		"readiness":               {1, true, nil, marathon.TaskKilling, true},
		"it has ended":            {1, true, nil, marathon.TaskKilled, false},
	} {
		app := checkedApp(test.checks, healthy(true, test.checks, victim), healthy(false, test.checks, launched(1)))
		if test.unready {
			app.Definition.ReadinessChecks = []marathon.ReadinessCheck{{Name: "ready", Interval: time.Hour}}
			app.Deployments = []string{"d"}
		}
		m := mirroring()
		m.ApplySnapshot(m.BeginRead(), marathonSnapshot(app), start, Alone)
		if test.event != nil {
			m.ApplyEvent(test.event, start)
		}
		e := m.ApplyEvent(changed(in(test.state, victim)), start)
		if asks := len(e.Awaited) == 1 && len(e.ReadUnprompted) == 1; asks != test.asks || len(e.Awaited) != len(e.ReadUnprompted) {
			t.Errorf("%s: it asks for %v, and awaits %v", name, e.ReadUnprompted, e.Awaited)
		}
	}
}

// A Marathon that has failed over counts the failures of a task that is still young for nothing,
// and publishes none of them after that: it is looked at when they count.
func TestFailuresThatDoNotCountYetAreLookedAtLater(t *testing.T) {
	young := launched(1)
	young.StagedAt = start.Add(-10 * time.Second)
	task, blank := healthy(true, 1, young), young
	m := mirroring()
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(checkedApp(1, task)), start, Alone)
	blank.HealthCheckResults = make([]marathon.HealthCheckResult, 1)
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(checkedApp(1, blank)), start, Alone)
	now, reads := start, 0
	for ; m.tasks[task.ID].health.status == consul.Passing; reads++ {
		apps, next := m.HealthReads(now)
		switch {
		case len(apps) == 0 && next.IsZero():
			t.Fatal("nobody looks at it any more")
		case len(apps) == 0:
			now = next
			continue
		}
		answer := blank
		if left := startingAge(checkedApp(1).Definition) - now.Sub(task.StagedAt); left <= 0 {
			answer = healthy(false, 1, young)
		}
		m.ApplyApp(m.BeginRead(), checkedApp(1, answer), now)
	}
	if late := now.Sub(task.StagedAt) - startingAge(checkedApp(1).Definition); late > 15*time.Second || reads > 3 {
		t.Errorf("seen %v after it counts, with %d reads", late, reads)
	}
	if _, next := m.HealthReads(now); !next.IsZero() {
		t.Errorf("looked at again at %v", next)
	}
}

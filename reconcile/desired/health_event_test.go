package desired

import (
	"fmt"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
)

const (
	// oneInstance is an instance as Marathon from 1.4 on names it, and anotherInstance one that nobody
	// has heard of.
	oneInstance     = "a.instance-00000001-0000-0000-0000-000000000000"
	anotherInstance = "a.instance-00000002-0000-0000-0000-000000000000"
)

// launched is the task of an instance that was launched for the nth time, an hour before
// start.
func launched(n int) marathon.Task {
	task := newTask(fmt.Sprintf("%s._app.%d", oneInstance, n), "/a")
	task.StagedAt = start.Add(-time.Hour)
	return task
}

// updated is such a task as its status updates tell of it, without the time of its launch.
func updated(n int) marathon.Task {
	task := launched(n)
	task.StagedAt = time.Time{}
	return task
}

// healthy returns a task of which n probes have found lately whether it is alive.
func healthy(alive bool, n int, task marathon.Task) marathon.Task {
	for range n {
		r := marathon.HealthCheckResult{LastFailure: start, LastFailureCause: "refused"}
		if alive {
			r = marathon.HealthCheckResult{Alive: true, LastSuccess: start}
		}
		task.HealthCheckResults = append(task.HealthCheckResults, r)
	}
	return task
}

// checkSays is what an event of one check says of oneInstance, and allSay what one of all its
// checks does.
func checkSays(alive bool, at time.Time) marathon.HealthStatusChanged {
	return marathon.HealthStatusChanged{Meta: marathon.Meta{Time: at}, AppID: "/a", InstanceID: oneInstance, Version: "v1", Alive: alive}
}

func allSay(h marathon.Health, at time.Time) marathon.InstanceHealthChanged {
	return marathon.InstanceHealthChanged{Meta: marathon.Meta{Time: at}, AppID: "/a", InstanceID: oneInstance, Version: "v1", Health: h}
}

// readFor says when the app is read for the health of its tasks: at once, in a second, or
// later.
func readFor(m *Model, now time.Time) string {
	if apps, _ := m.HealthReads(now); len(apps) > 0 {
		return "at once"
	}
	if apps, _ := m.HealthReads(now.Add(hintPause)); len(apps) > 0 {
		return "in a second"
	}
	return "later"
}

// Which events about health are verdicts, and are written at once; which have the app read;
// and which are no news.
func TestEventsAboutHealth(t *testing.T) {
	now := start.Add(time.Second)
	passing, critical, silent := healthy(true, 1, launched(1)), healthy(false, 1, launched(1)), launched(1)
	young, grown := launched(1), launched(1)
	young.StagedAt, grown.StagedAt = now.Add(-44*time.Second), now.Add(-45*time.Second)
	unstaged := healthy(true, 1, launched(1))
	unstaged.StagedAt, unstaged.HealthCheckResults[0].LastSuccess = time.Time{}, now
	former := checkSays(false, passing.StagedAt)
	former.Version = "v0"
	byTask := func(id, app string) marathon.Event {
		return marathon.HealthStatusChanged{AppID: app, TaskID: id}
	}
	changed := func(change func(*marathon.HealthStatusChanged)) marathon.Event {
		e := checkSays(false, now)
		change(&e)
		return e
	}
	type events = []marathon.Event
	for name, test := range map[string]struct {
		checks int
		task   marathon.Task
		events events
		status consul.Status
		// told is what the last event has written: nothing, a change, or a recovery.
		told, read string
	}{
		"its check fails":                    {1, passing, events{checkSays(false, now)}, consul.Critical, "change", "later"},
		"its check succeeds again":           {1, critical, events{checkSays(true, now)}, consul.Passing, "recovery", "later"},
		"its check fails, which we know":     {1, critical, events{checkSays(false, now)}, consul.Critical, "nothing", "later"},
		"Marathon 1.3 names the task":        {1, passing, events{byTask(passing.ID, "/a")}, consul.Critical, "change", "later"},
		"the task is another app's":          {1, passing, events{byTask(passing.ID, "/b")}, consul.Passing, "nothing", "later"},
		"no version is told":                 {1, passing, events{changed(func(e *marathon.HealthStatusChanged) { e.Version = "" })}, consul.Critical, "change", "later"},
		"a check of another version":         {1, passing, events{changed(func(e *marathon.HealthStatusChanged) { e.Version = "v0" })}, consul.Passing, "nothing", "at once"},
		"the task before it failed":          {1, passing, events{former}, consul.Passing, "nothing", "later"},
		"its time is not told":               {1, passing, events{checkSays(false, time.Time{})}, consul.Passing, "nothing", "at once"},
		"the launch is not known":            {1, unstaged, events{checkSays(false, start)}, consul.Passing, "nothing", "at once"},
		"an instance not heard of":           {1, passing, events{changed(func(e *marathon.HealthStatusChanged) { e.InstanceID = anotherInstance })}, consul.Passing, "nothing", "at once"},
		"an instance, and nothing checked":   {0, passing, events{changed(func(e *marathon.HealthStatusChanged) { e.InstanceID = anotherInstance })}, "", "nothing", "later"},
		"an app not heard of":                {1, passing, events{changed(func(e *marathon.HealthStatusChanged) { e.AppID = "/b" })}, consul.Passing, "nothing", "later"},
		"one of two checks":                  {2, healthy(true, 2, launched(1)), events{checkSays(false, now)}, consul.Passing, "nothing", "at once"},
		"one of two says what is known":      {2, healthy(true, 2, launched(1)), events{checkSays(true, now)}, consul.Passing, "nothing", "later"},
		"the instance is killed":             {1, passing, events{allSay(marathon.HealthUnknown, now)}, consul.Passing, "nothing", "later"},
		"the instance is unhealthy":          {1, passing, events{allSay(marathon.Unhealthy, now)}, consul.Passing, "nothing", "in a second"},
		"the instance is healthy, as known":  {1, passing, events{allSay(marathon.Healthy, now)}, consul.Passing, "nothing", "later"},
		"the instance recovers":              {1, critical, events{allSay(marathon.Healthy, now)}, consul.Critical, "nothing", "in a second"},
		"the instance of two checks":         {2, healthy(true, 2, launched(1)), events{allSay(marathon.Unhealthy, now)}, consul.Passing, "nothing", "at once"},
		"unhealthy within the grace":         {1, young, events{allSay(marathon.Unhealthy, now)}, "", "nothing", "later"},
		"unhealthy when the grace is over":   {1, grown, events{allSay(marathon.Unhealthy, now)}, "", "nothing", "in a second"},
		"healthy within the grace":           {1, young, events{allSay(marathon.Healthy, now)}, "", "nothing", "in a second"},
		"the first failure":                  {1, silent, events{checkSays(false, now)}, consul.Critical, "change", "later"},
		"the instance, and then its check":   {1, passing, events{allSay(marathon.Unhealthy, now), checkSays(false, now)}, consul.Critical, "change", "later"},
		"the instance, and it is taken back": {1, passing, events{allSay(marathon.Unhealthy, now), allSay(marathon.Healthy, now)}, consul.Passing, "nothing", "later"},
	} {
		t.Run(name, func(t *testing.T) {
			m := mirroring()
			m.ApplySnapshot(m.BeginRead(), marathonSnapshot(checkedApp(test.checks, test.task)), start, Alone)
			var e Effects
			for _, event := range test.events {
				e = m.ApplyEvent(event, now)
			}
			told := "nothing"
			if len(e.Tasks) > 0 {
				told = "change"
				if e.Tasks[0].Recovered {
					told = "recovery"
				}
			}
			if status := m.Want(test.task.ID, "").Health.Status; status != test.status || told != test.told {
				t.Errorf("%q is the verdict, and told is %s; want %q, %s", status, told, test.status, test.told)
			}
			if read := readFor(m, now); read != test.read {
				t.Errorf("it is read %s, want %s", read, test.read)
			}
		})
	}
}

// An answer that was asked for before an event does not undo it; one that was asked for after
// it does.
func TestAnswersAndEventsAboutHealth(t *testing.T) {
	alive := func(checks int) marathon.App { return checkedApp(checks, healthy(true, checks, launched(1))) }
	fails := checkSays(false, start.Add(time.Second))
	for name, test := range map[string]struct {
		checks int
		events []marathon.Event
		// before and after are what the answers have that were asked for before and after the event.
		before, after *marathon.App
		status        consul.Status
		read          string
	}{
		"asked before":                      {1, []marathon.Event{fails}, new(alive(1)), nil, consul.Critical, "later"},
		"asked after":                       {1, []marathon.Event{fails}, nil, new(alive(1)), consul.Passing, "later"},
		"asked before, and known already":   {1, []marathon.Event{checkSays(true, start)}, new(checkedApp(1, healthy(false, 1, launched(1)))), nil, consul.Passing, "later"},
		"one of two checks, asked before":   {2, []marathon.Event{fails}, new(alive(2)), nil, consul.Passing, "at once"},
		"one of two checks, asked after":    {2, []marathon.Event{fails}, nil, new(alive(2)), consul.Passing, "later"},
		"all checks, asked before":          {1, []marathon.Event{allSay(marathon.Unhealthy, start)}, new(alive(1)), nil, consul.Passing, "in a second"},
		"all checks, asked after":           {1, []marathon.Event{allSay(marathon.Unhealthy, start)}, nil, new(alive(1)), consul.Passing, "later"},
		"two answers, the first one is old": {1, []marathon.Event{fails}, new(alive(1)), new(alive(1)), consul.Passing, "later"},
	} {
		t.Run(name, func(t *testing.T) {
			m := mirroring()
			m.ApplySnapshot(m.BeginRead(), marathonSnapshot(alive(test.checks)), start, Alone)
			asked := m.BeginRead()
			for _, e := range test.events {
				m.ApplyEvent(e, start)
			}
			if test.after != nil { // what the event has caused is asked for now
				m.HealthReads(start)
			}
			later := m.BeginRead()
			if test.before != nil {
				m.ApplyApp(asked, *test.before, start)
			}
			if test.after != nil {
				m.ApplyApp(later, *test.after, start)
			}
			if status := m.Want(launched(1).ID, "").Health.Status; status != test.status {
				t.Errorf("the verdict is %q, want %q", status, test.status)
			}
			if read := readFor(m, start); read != test.read {
				t.Errorf("it is read %s, want %s", read, test.read)
			}
		})
	}
}

// An event about a task that an answer tells of for the first time counts, if the answer was
// asked for before it.
func TestEventAboutATaskThatIsToldOfLater(t *testing.T) {
	m := mirroring()
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(checkedApp(1)), start, Alone)
	first, second := m.BeginRead(), m.BeginRead()
	m.ApplyEvent(checkSays(false, start), start)
	m.ApplyApp(first, checkedApp(1), start)
	m.ApplyApp(second, checkedApp(1, healthy(true, 1, launched(1))), start)
	if status := m.Want(launched(1).ID, "").Health.Status; status != consul.Critical {
		t.Errorf("the verdict is %q", status)
	}
	if len(m.journal.health) > 0 {
		t.Errorf("no read is open, and the journal keeps %v", m.journal.health)
	}
	m.ApplyEvent(checkSays(true, start), start)
	if len(m.journal.health) > 0 {
		t.Errorf("the journal keeps what no read will ask for: %v", m.journal.health)
	}
}

// A task of an app with checks is critical from its start, counts as checked, and is looked
// at when it should have been called healthy, or earlier where no event tells of that.
func TestTasksStartWithTheirChecks(t *testing.T) {
	for name, test := range map[string]struct {
		task   marathon.Task
		checks int
		state  marathon.State
		status consul.Status
		read   time.Duration
	}{
		"launched first":       {updated(1), 1, marathon.TaskRunning, consul.Critical, 45 * time.Second},
		"launched again":       {updated(2), 1, marathon.TaskRunning, consul.Critical, 10 * time.Second},
		"of Marathon 1.3":      {newTask("a.00000001-0000-0000-0000-000000000000", "/a"), 1, marathon.TaskRunning, consul.Critical, 45 * time.Second},
		"without an instance":  {newTask("a.2", "/a"), 1, marathon.TaskRunning, consul.Critical, 45 * time.Second},
		"without checks":       {updated(1), 0, marathon.TaskRunning, "", 0},
		"it does not run yet":  {updated(1), 1, marathon.TaskStaging, "", 0},
		"its host is cut off":  {updated(1), 1, marathon.TaskUnreachable, "", 0},
		"it has ended already": {updated(1), 1, marathon.TaskFailed, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := mirroring()
			m.ApplySnapshot(m.BeginRead(), marathonSnapshot(checkedApp(test.checks)), start, Alone)
			m.ApplyEvent(marathon.TaskChanged{Meta: marathon.Meta{Time: start}, Task: in(test.state, test.task)}, start)
			w := m.Want(test.task.ID, "")
			var status consul.Status
			if w.Checked() {
				status, _ = w.Health.Says(nil)
			}
			counted := 0
			if test.status != "" {
				counted = 1
			}
			if status != test.status || m.MirroredServices() != counted {
				t.Errorf("its check is %q, and %d services are checked; want %q", status, m.MirroredServices(), test.status)
			}
			_, next := m.HealthReads(start)
			if next.IsZero() != (test.read == 0) || test.read > 0 && !next.Equal(start.Add(test.read)) {
				t.Errorf("it is read at %v, want %v after its start", next, test.read)
			}
		})
	}
}

// An event about an instance is about its newest task, in whatever order they are told of,
// and about none when that has ended.
func TestEventsSpeakOfTheNewestTaskOfAnInstance(t *testing.T) {
	run := func(n int) marathon.Event {
		return marathon.TaskChanged{Meta: marathon.Meta{Time: start}, Task: updated(n)}
	}
	end := func(n int) marathon.Event { return changed(in(marathon.TaskFailed, launched(n))) }
	for name, test := range map[string]struct {
		events []marathon.Event
		// task is that which has the verdict, 0 for none.
		task int
	}{
		"the only one":                         {[]marathon.Event{run(1)}, 1},
		"launched again":                       {[]marathon.Event{run(1), run(2)}, 2},
		"the newer one is heard of first":      {[]marathon.Event{run(10), run(9)}, 10},
		"the end of the first is heard of now": {[]marathon.Event{run(1), run(2), end(1)}, 2},
		"it has ended":                         {[]marathon.Event{run(1), end(1)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := mirroring()
			m.ApplySnapshot(m.BeginRead(), marathonSnapshot(checkedApp(1)), start, Alone)
			for _, e := range test.events {
				m.ApplyEvent(e, start)
			}
			m.ApplyEvent(checkSays(true, start.Add(time.Second)), start)
			for _, n := range []int{1, 2, 9, 10} {
				if passes := m.Want(launched(n).ID, "").Health.Status == consul.Passing; passes != (n == test.task) {
					t.Errorf("task %d has the verdict: %t", n, passes)
				}
			}
			if known := len(m.instances); (known > 0) != (test.task > 0) {
				t.Errorf("%d instances are remembered", known)
			}
		})
	}
}

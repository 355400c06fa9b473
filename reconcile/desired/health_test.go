package desired

import (
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
)

// checkedApp is an app of version v1 with n checks of 10 s and a grace period of 30 s.
func checkedApp(n int, tasks ...marathon.Task) marathon.App {
	app := newApp("/a", tasks...)
	for range n {
		app.Definition.HealthChecks = append(app.Definition.HealthChecks, marathon.HealthCheck{
			Protocol: marathon.HealthHTTP, GracePeriod: 30 * time.Second, Interval: 10 * time.Second, Timeout: 5 * time.Second,
		})
	}
	return app
}

func mirroring() *Model {
	tr := testTranslation()
	tr.Health = HealthMirror
	return New(tr)
}

// Which results are a verdict, and what a check says that has said before or not.
func TestVerdicts(t *testing.T) {
	staged := start.Add(-time.Minute)
	before, later := staged.Add(-time.Second), staged.Add(time.Second)
	alive := marathon.HealthCheckResult{Alive: true, LastSuccess: later}
	dead := marathon.HealthCheckResult{LastFailure: later, LastFailureCause: "refused"}
	inherited := marathon.HealthCheckResult{Alive: true, LastSuccess: before}
	blank := marathon.HealthCheckResult{}
	type results = []marathon.HealthCheckResult
	for name, test := range map[string]struct {
		checks  int
		results results
		young   bool
		// none is what a check says that is new, passing and critical what one says that was.
		none, passing, critical consul.Status
	}{
		"alive":                       {1, results{alive}, false, consul.Passing, consul.Passing, consul.Passing},
		"dead":                        {1, results{dead}, false, consul.Critical, consul.Critical, consul.Critical},
		"one of two":                  {2, results{alive}, false, consul.Passing, consul.Passing, consul.Critical},
		"one of two is dead":          {2, results{dead}, false, consul.Critical, consul.Critical, consul.Critical},
		"both":                        {2, results{alive, alive}, false, consul.Passing, consul.Passing, consul.Passing},
		"none, for it starts":         {1, nil, true, consul.Critical, consul.Passing, consul.Critical},
		"none, for Marathon forgot":   {1, nil, false, consul.Passing, consul.Passing, consul.Critical},
		"inherited":                   {1, results{inherited}, true, consul.Critical, consul.Passing, consul.Critical},
		"a failure within the grace":  {1, results{blank}, true, consul.Critical, consul.Passing, consul.Critical},
		"without times, and long ago": {1, results{blank}, false, consul.Passing, consul.Passing, consul.Critical},
	} {
		t.Run(name, func(t *testing.T) {
			task := newTask("t1", "/a")
			task.StagedAt, task.HealthCheckResults = staged, test.results
			at := start
			if test.young {
				at = staged.Add(44 * time.Second)
			}
			m := mirroring()
			m.ApplySnapshot(m.BeginRead(), marathonSnapshot(checkedApp(test.checks, task)), at, Alone)
			h := m.Want("t1", "").Health
			for before, want := range map[consul.Status]consul.Status{"": test.none, consul.Passing: test.passing, consul.Critical: test.critical} {
				var have []consul.Check
				if before != "" {
					have = []consul.Check{{Status: before}}
				}
				if status, output := h.Says(have); status != want {
					t.Errorf("after %q it says %q (%s), want %q", before, status, output, want)
				}
			}
		})
	}
}

// What was critical as starting passes when the age for that is over and Marathon, asked
// once more, has said nothing.
func TestStartingEnds(t *testing.T) {
	task := newTask("t1", "/a")
	task.StagedAt = start
	m := mirroring()
	m.SetAhead(time.Hour) // Marathon's clock counts
	at := start.Add(-time.Hour)
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(checkedApp(1, task)), at, Alone)
	status, output := m.Want("t1", "").Health.Says(nil)
	if status != consul.Critical {
		t.Fatalf("it says %q", status)
	}
	_, next := m.HealthReads(at)
	if want := at.Add(45 * time.Second); !next.Equal(want) {
		t.Fatalf("it is read at %v, want %v", next, want)
	}
	if apps, _ := m.HealthReads(next); len(apps) != 1 {
		t.Fatalf("read: %v", apps)
	}
	m.ApplyApp(m.BeginRead(), checkedApp(1, task), next)
	cut := "Captured 80 of 90 bytes\n...\n" + output[:30]
	if status, _ := m.Want("t1", "").Health.Says([]consul.Check{{Status: consul.Critical, Output: cut}}); status != consul.Passing {
		t.Errorf("it still says %q", status)
	}
}

// Readiness counts for what a deployment brings, until it has been ready once.
func TestReadiness(t *testing.T) {
	app := newApp("/a", newTask("new", "/a"), newTask("old", "/a"))
	app.Tasks[1].Version = "v0"
	app.LastConfigChangeAt = "v0" // one definition will do
	app.Definition.ReadinessChecks = []marathon.ReadinessCheck{{Name: "one", Interval: 2 * time.Second}, {Name: "two", Interval: 3 * time.Second}}
	app.Deployments = []string{"d"}
	m := mirroring()
	answer := func(change func(*marathon.App)) {
		a := app
		a.Tasks = []marathon.Task{app.Tasks[0], app.Tasks[1]}
		change(&a)
		m.ApplySnapshot(m.BeginRead(), marathonSnapshot(a), start, Alone)
	}
	want := func(when, task string, status consul.Status) {
		t.Helper()
		if have, _ := m.Want(task, "").Health.Says(nil); have != status {
			t.Errorf("%s: %s is %q, want %q", when, task, have, status)
		}
	}
	answer(func(*marathon.App) {})
	want("at first", "new", consul.Critical)
	want("at first", "old", consul.Passing)
	if _, next := m.HealthReads(start); !next.Equal(start.Add(2 * time.Second)) {
		t.Errorf("read at %v", next)
	}
	if status, _ := m.Want("new", "").Health.Says([]consul.Check{{Status: consul.Passing}}); status != consul.Passing {
		t.Errorf("what has been passing is %q", status)
	}
	ready := []marathon.ReadinessCheckResult{{Name: "one", TaskID: "new", Ready: true}, {Name: "two", TaskID: "new"}}
	answer(func(a *marathon.App) { a.ReadinessCheckResults = ready })
	want("one of two", "new", consul.Critical)
	ready[1].Ready = true
	answer(func(a *marathon.App) { a.ReadinessCheckResults = ready })
	want("ready", "new", consul.Passing)
	answer(func(*marathon.App) {}) // a failover has erased what they said
	want("after a failover", "new", consul.Passing)

	m = mirroring()
	answer(func(a *marathon.App) { a.Deployments = []string{} })
	want("without a deployment", "new", consul.Passing)
}

// What is remembered costs nothing where there are no checks, and no results stay.
func TestHealthCostsNothingWithoutChecks(t *testing.T) {
	m := mirroring()
	plain := newTask("t1", "/a")
	plain.HealthCheckResults = []marathon.HealthCheckResult{{Alive: true}}
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(newApp("/a", plain)), start, Alone)
	m.ApplyEvent(changed(newTask("t2", "/a")), start)
	m.ApplyEvent(marathon.HealthStatusChanged{AppID: "/a", TaskID: "t1", Alive: true}, start)
	for id, task := range m.tasks {
		if task.health != nil || task.task.HealthCheckResults != nil {
			t.Errorf("%s: %+v", id, *task)
		}
	}
	if len(m.watched)+len(m.instances)+m.MirroredServices() > 0 || m.HasChecks() {
		t.Errorf("watched %v, instances %v, %d checked", m.watched, m.instances, m.MirroredServices())
	}
}

// The guard's share is of services whose checks say what Marathon does. What agents check by
// themselves no Marathon turns critical.
func TestOnlyMirroredServicesAreGuarded(t *testing.T) {
	for mode, mirrored := range map[HealthMode]int{HealthNone: 0, HealthChecks: 1, HealthMirror: 3} {
		tr := testTranslation()
		tr.Health = mode
		m := New(tr)
		byMarathon := checkedApp(1, newTask("t2", "/b"))
		byMarathon.ID, byMarathon.Definition.HealthChecks[0].Protocol = "/b", marathon.HealthCommand
		m.ApplySnapshot(m.BeginRead(), marathonSnapshot(checkedApp(1, newTask("t1", "/a"), newTask("t3", "/a")), byMarathon), start, Alone)
		if n := m.MirroredServices(); n != mirrored {
			t.Errorf("%s: %d of 3 are mirrored, want %d", mode, n, mirrored)
		}
	}
}

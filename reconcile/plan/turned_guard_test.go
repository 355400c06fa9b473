package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"consular/consul"
	"consular/reconcile/desired"
)

// turning is a plan in which so many tasks, with two services each, turn critical.
func turning(tasks, mirrored int) Plan {
	p := Plan{another: desired.NoAnother, Services: mirrored, mirrored: mirrored}
	for i := range tasks {
		for _, port := range []string{"", ":admin"} {
			task := fmt.Sprint("t", i)
			p.Changes = append(p.Changes, Change{
				Op: UpdateCheck, Task: task, ID: task + port, Grounds: desired.Unhealthy,
				Turn: Turn{Task: task, Services: 2, Window: 10 * time.Second},
			})
		}
	}
	return p
}

// What is too many waits until enough resyncs over a long enough time have found it so; all
// services of a task are one.
func TestTurnsAreConfirmedInTime(t *testing.T) {
	for name, test := range map[string]struct {
		resyncs []time.Duration
		held    int // at the last one
	}{
		"at first":         {[]time.Duration{0}, 4},
		"the time is over": {[]time.Duration{0, 10 * time.Minute}, 4},
		"two more resyncs": {[]time.Duration{0, 10 * time.Minute, 20 * time.Minute}, 4},
		"three more":       {[]time.Duration{0, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute}, 0},
		"time is short":    {[]time.Duration{0, 1, 2, 3, 5*time.Minute - 1}, 4},
		"just in time":     {[]time.Duration{0, 1, 2, 5 * time.Minute}, 0},
		"ever after":       {[]time.Duration{0, 1, 2, 5 * time.Minute, 6 * time.Minute}, 0},
	} {
		g := NewGuard(guarded)
		held := 0
		for _, at := range test.resyncs {
			p := turning(7, 20)
			g.Filter(&p, start.Add(at), false)
			held = len(p.Held)
		}
		if held != test.held {
			t.Errorf("%s: %d changes of 14 are held back, want %d", name, held, test.held)
		}
	}
}

// Few services that turn critical are believed, though they are all that have checks.
func TestFewTurnsAreBelieved(t *testing.T) {
	for tasks, held := range map[int]int{5: 0, 6: 2} {
		p := turning(tasks, 11)
		if NewGuard(guarded).Filter(&p, start, false); len(p.Held) != held {
			t.Errorf("%d services of 11: %d are held back, want %d", 2*tasks, len(p.Held), held)
		}
	}
}

// A check that was not passing, and is from now on, has recovered.
func TestWhatRecovers(t *testing.T) {
	for _, test := range []struct {
		op         Op
		before, is consul.Status
		recovers   bool
	}{
		{UpdateCheck, consul.Critical, consul.Passing, true},
		{UpdateCheck, consul.Passing, consul.Passing, false},
		{UpdateCheck, consul.Passing, consul.Critical, false},
		{UpdateCheck, consul.Critical, consul.Critical, false},
		{RegisterCheck, consul.Critical, consul.Passing, false},
	} {
		d := Decision{Op: test.op, Before: test.before, Check: consul.Check{Status: test.is}}
		if d.Recovers() != test.recovers {
			t.Errorf("%s, %s→%s: recovers %t", test.op, test.before, test.is, d.Recovers())
		}
	}
}

// Only services and keys are taken away: a check that goes takes nothing with it.
func TestWhatTakesAway(t *testing.T) {
	for op, removes := range map[Op]bool{
		Deregister: true, Delete: true, Register: false, Update: false, Set: false, RegisterCheck: false, UpdateCheck: false, DeregisterCheck: false,
	} {
		if (Change{Op: op}).Removes() != removes {
			t.Errorf("%s takes away: %t", op, !removes)
		}
	}
}

// The table counts all that is written of checks, and says of how many agents it knows.
func TestTableCountsChecksAndAgents(t *testing.T) {
	p := Plan{Changes: []Change{{Op: RegisterCheck}, {Op: UpdateCheck}, {Op: UpdateCheck}, {Op: DeregisterCheck}}}
	if got := table(t, p, false); !strings.Contains(got, ", 4 checks to write") {
		t.Errorf("four checks: %s", got)
	}
	for agents, want := range map[int]string{0: "from h:1, 0.0 s", 1: "from h:1 and 1 agent, ", 2: "from h:1 and 2 agents, "} {
		if got := (Source{What: "Consul", From: "h:1", Agents: agents}).String(); !strings.Contains(got, want) {
			t.Errorf("%d agents: %s", agents, got)
		}
	}
}

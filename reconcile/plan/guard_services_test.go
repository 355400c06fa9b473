package plan

import (
	"fmt"
	"testing"
	"time"

	"consular/reconcile/desired"
)

// What is counted are services, and all of one task go or none; what a plan holds back of
// a task counts with all of its services when an event judges another, and a key with none.
func TestGuardCountsServices(t *testing.T) {
	g := NewGuard(guarded)
	for i, test := range []struct {
		task     string
		services int
		held     string
	}{
		{"a", 3, ""},
		{"b", 3, ""},
		{"c", 6, "12 of 20 services lost within a minute"},
		{"c", 6, "12 of 20 services lost within a minute"},
		{"a", 3, ""},
		{"d", 1, "13 of 21 services lost within a minute"}, // what waits counts
	} {
		// 20 are there at first; what goes runs no more.
		why := lose(g, test.task, test.services, 8, start.Add(time.Duration(i)*time.Second))
		if why != test.held {
			t.Errorf("%s with %d: %q, want %q", test.task, test.services, why, test.held)
		}
	}

	several := func() []Change {
		changes := removalsOf(Deregister, desired.Missing, 8)
		for i := range changes {
			changes[i].Task = fmt.Sprint("task-", i/2)
		}
		return append(changes, removalsOf(Delete, desired.Missing, 2)...)
	}
	g = NewGuard(guarded)
	p := Plan{another: desired.NoAnother, Services: 12, Keys: 2, Changes: several()}
	if g.Filter(&p, start, false); len(p.Held) != 10 || g.heldServices() != 8 {
		t.Errorf("holds %d, %d services", len(p.Held), g.heldServices())
	}
	if why := lose(g, "one more", 2, 2, start); why != "10 of 12 services lost within a minute" {
		t.Errorf("one more: %q", why)
	}
	g = NewGuard(guarded)
	p = Plan{another: desired.NoAnother, Services: 100, Keys: 100, Changes: several()}
	if g.Filter(&p, start, false); len(p.Unconfirmed) != 10 || g.services != 8 {
		t.Errorf("lets go %d, %d services", len(p.Unconfirmed), g.services)
	}
	if g.forget(start.Add(2 * window)); g.services != 0 || len(g.recent) != 0 {
		t.Errorf("remembers %d services", g.services)
	}
}

// lose asks for the removal of a lost task with so many services.
func lose(g *Guard, task string, services, running int, now time.Time) string {
	heldBack, _ := g.Allow([]Loss{{task, services, desired.Lost}}, running, now)
	return heldBack[task]
}

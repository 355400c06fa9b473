package plan

import (
	"testing"
	"time"

	"consular/reconcile/desired"
)

// That a task may turn critical confirms no removal of it that is held back.
func TestATurnConfirmsNoRemoval(t *testing.T) {
	g, now := NewGuard(Policy{Purge: true, Limit: 50, Confirm: 5 * time.Minute}), time.Unix(1e9, 0)
	g.held["t1"] = held{since: now, why: "lost", services: 1}
	g.Filter(&Plan{Changes: []Change{{
		Op: UpdateCheck, Task: "t1", ID: "t1", Grounds: desired.Unhealthy, Turn: Turn{Task: "t1", Services: 1},
	}}}, now, false)
	if _, confirmed := g.confirmed["t1"]; confirmed {
		t.Error("its removal is confirmed")
	}
}

// That a task may turn critical does not end that its removal is held back, either, while
// the agent that has what is to be removed cannot be read.
func TestATurnForgetsNoRemoval(t *testing.T) {
	g, now := NewGuard(Policy{Purge: true, Limit: 50, Confirm: 5 * time.Minute}), time.Unix(1e9, 0)
	g.held["t1"] = held{since: now, why: "lost", services: 1}
	g.Filter(&Plan{
		Unread: []Unread{{What: "10.0.0.1:8500"}},
		Changes: []Change{{
			Op: UpdateCheck, Task: "t1", ID: "t1", Grounds: desired.Unhealthy, Turn: Turn{Task: "t1", Services: 1},
		}},
	}, now, false)
	if _, held := g.held["t1"]; !held {
		t.Error("its removal is held back no more")
	}
}

// What goes because it has moved, or has ended, confirms no removal that was held back: lost
// once more, the task counts like any other.
func TestWhatIsAnnouncedConfirmsNoRemoval(t *testing.T) {
	for _, grounds := range []desired.Grounds{desired.Moved, desired.Ended} {
		g := NewGuard(guarded)
		g.held["t1"] = held{since: start, why: "lost", services: 1}
		p := Plan{another: desired.NoAnother, Services: 12, Changes: []Change{{Op: Deregister, Task: "t1", ID: "t1", Grounds: grounds}}}
		if g.Filter(&p, start, false); len(p.Changes) != 1 {
			t.Fatalf("%s: held back: %q", grounds, p.HeldWhy)
		}
		losses := []Loss{{"t1", 1, desired.Lost}}
		for _, c := range removalsOf(Deregister, desired.Lost, 9)[2:] {
			losses = append(losses, Loss{c.Task, 1, desired.Lost})
		}
		if held, _ := g.Allow(losses, 4, start); len(held) != 8 {
			t.Errorf("%s: of 8 of 12 that are lost %d are held back", grounds, len(held))
		}
	}
}

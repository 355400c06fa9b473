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

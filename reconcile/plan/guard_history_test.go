package plan

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"consular/reconcile/desired"
)

// guardHistory is a cluster of tasks that are lost and come back, and what a guard lets go of it.
type guardHistory struct {
	*rapid.T
	*Guard
	now   time.Time
	tasks []*guardedTask
	// silent agents have the odd tasks, and are not listed.
	silent bool
}

// guardedTask is a task with two services, or one.
type guardedTask struct {
	id          string
	services    int
	runs, there bool
	// lost is since when it does not run, and gone when its services went, unannounced.
	lost, gone time.Time
}

func newGuardHistory(t *rapid.T, policy Policy) *guardHistory {
	h := &guardHistory{T: t, Guard: NewGuard(policy), now: start}
	for i := range rapid.IntRange(5, 60).Draw(t, "tasks") {
		h.tasks = append(h.tasks, &guardedTask{id: fmt.Sprint("t", i), services: rapid.IntRange(1, 2).Draw(t, "services"), runs: true, there: true})
	}
	return h
}

// some are a few tasks that follow one another.
func (h *guardHistory) some() []*guardedTask {
	from := rapid.IntRange(0, len(h.tasks)-1).Draw(h.T, "from")
	return h.tasks[from:rapid.IntRange(from, len(h.tasks)).Draw(h.T, "to")]
}

// running is how many services the tasks that run should have.
func (h *guardHistory) running() (n int) {
	for _, t := range h.tasks {
		if t.runs {
			n += t.services
		}
	}
	return n
}

// loses has tasks lost, one event each, or omitted by one answer.
func (h *guardHistory) loses(tasks []*guardedTask, grounds desired.Grounds) {
	var losses []Loss
	for _, t := range tasks {
		if t.runs {
			t.runs, t.lost = false, h.now
		}
		losses = append(losses, Loss{t.id, t.services, grounds})
		if grounds == desired.Lost {
			h.allows(losses)
			losses = nil
		}
	}
	if len(losses) > 0 {
		h.allows(losses)
	}
}

func (h *guardHistory) allows(losses []Loss) {
	held, _ := h.Allow(losses, h.running(), h.now)
	for _, l := range losses {
		if held[l.Task] == "" {
			h.goes(l.Task)
		}
	}
	h.check()
}

// goes takes a task's services away.
func (h *guardHistory) goes(id string) {
	for _, t := range h.tasks {
		if t.id == id && t.there {
			t.there, t.gone = false, h.now
		}
	}
}

// returns has tasks run again.
func (h *guardHistory) returns(tasks []*guardedTask) {
	for _, t := range tasks {
		t.runs, t.there = true, true
		h.Returned(t.id)
	}
}

// looks is one resync.
func (h *guardHistory) looks() {
	p := Plan{another: desired.NoAnother}
	for i, t := range h.tasks {
		if h.silent && i%2 == 1 {
			p.Unread = []Unread{{What: "agent-2.test:8500"}}
			continue
		}
		for n := range t.services {
			if t.there {
				p.Services++
			}
			if t.there && !t.runs {
				p.Changes = append(p.Changes, Change{Op: Deregister, Task: t.id, ID: fmt.Sprint(t.id, ":", n), Service: "a", Grounds: desired.Lost})
			}
		}
	}
	h.KeepGone(func(id string) bool {
		for _, t := range h.tasks {
			if t.id == id {
				return t.runs
			}
		}
		return false
	})
	h.Filter(&p, h.now, false)
	for _, c := range p.Changes {
		h.goes(c.Task)
	}
	h.check()
}

// check holds the promise: of what was there no more than the limit has gone within a minute and is
// not back, but for what has been lost for as long as it takes to confirm that.
func (h *guardHistory) check() {
	gone, there := 0, 0
	for _, t := range h.tasks {
		switch {
		case t.there:
			there += t.services
		case h.now.Sub(t.gone) <= window && t.gone.Sub(t.lost) < h.policy.Confirm:
			gone += t.services
		}
	}
	if owned := there + gone; gone > guardedAbove && h.policy.tooMany(gone, owned) { // fewer may have been all that there were
		h.Fatalf("%d services of %d have gone within a minute, with a limit of %d %%", gone, owned, h.policy.Limit)
	}
}

// In whatever order tasks are lost, by events, answers and plans, come back and are lost again.
func TestRemovalsStayWithinTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newGuardHistory(t, Policy{Purge: true, Limit: rapid.IntRange(0, 100).Draw(t, "limit"), Confirm: 5 * time.Minute})
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"events", "events", "answer", "returns", "look", "look", "time", "silence"}).Draw(t, "step") {
			case "events":
				h.loses(h.some(), desired.Lost)
			case "answer":
				h.loses(h.some(), desired.Answered)
			case "returns":
				h.returns(h.some())
			case "look":
				h.looks()
			case "time":
				h.now = h.now.Add(time.Duration(rapid.IntRange(1, 100).Draw(t, "seconds")) * time.Second)
			case "silence":
				h.silent = !h.silent
			}
		}
	})
}

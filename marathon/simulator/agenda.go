package simulator

import (
	"math/rand/v2"
	"slices"
	"time"
)

// step is one thing that happens at one moment: a change and its events.
type step struct {
	// delay is how long after the step became possible it happens.
	delay time.Duration
	// ready reports whether the step is possible now; nil means always.
	ready func() bool
	run   func()
	// due is set when the step is first seen to be possible.
	due time.Time
}

// possible reports whether the step may run at now, or else when to look
// again: zero if that depends on other steps.
func (s *step) possible(now time.Time) (bool, time.Time) {
	if s.ready != nil && !s.ready() {
		s.due = time.Time{}
		return false, time.Time{}
	}
	if s.due.IsZero() {
		s.due = now.Add(s.delay)
	}
	return !s.due.After(now), s.due
}

// script is what one publisher is going to do, in order.
type script struct {
	steps  []*step
	listed bool // whether the agenda has it
}

// agenda is everything that is going to happen. It is not safe for concurrent
// use: Marathon's lock guards it.
type agenda struct {
	scripts []*script
	// random chooses between scripts; nil takes them in turn.
	random *rand.Rand
}

// add appends steps to a script.
func (a *agenda) add(s *script, steps ...step) {
	for i := range steps {
		s.steps = append(s.steps, &steps[i])
	}
	if !s.listed && len(s.steps) > 0 {
		s.listed = true
		a.scripts = append(a.scripts, s)
	}
}

// abandon drops what a script has not done yet.
func (a *agenda) abandon(s *script) { s.steps = nil }

// next takes the step to run at now from the agenda. Without one it returns nil
// and when to look again, zero if time alone changes nothing.
func (a *agenda) next(now time.Time) (*step, time.Time) {
	a.scripts = slices.DeleteFunc(a.scripts, func(s *script) bool {
		s.listed = len(s.steps) > 0
		return !s.listed
	})
	i, again := a.choose(now)
	if i < 0 {
		return nil, again
	}
	s := a.scripts[i]
	taken := s.steps[0]
	s.steps = s.steps[1:]
	// The script goes to the end, which makes turns.
	a.scripts = append(slices.Delete(a.scripts, i, i+1), s)
	return taken, time.Time{}
}

// choose returns the index of a script whose first step is possible, or -1 and
// the earliest time at which one will be.
func (a *agenda) choose(now time.Time) (int, time.Time) {
	var candidates []int
	var again time.Time
	for i, s := range a.scripts {
		ok, due := s.steps[0].possible(now)
		switch {
		case ok && a.random == nil:
			return i, time.Time{}
		case ok:
			candidates = append(candidates, i)
		case !due.IsZero() && (again.IsZero() || due.Before(again)):
			again = due
		}
	}
	if len(candidates) == 0 {
		return -1, again
	}
	return candidates[a.random.IntN(len(candidates))], time.Time{}
}

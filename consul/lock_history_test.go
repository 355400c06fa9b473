package consul

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// history is what happens to some copies and their Consul, and when.
type history struct {
	copies int
	acts   []act
}

// act is one thing that happens after a pause: what, to which copy, for how long.
type act struct {
	after time.Duration
	what  string
	to    int
	lasts time.Duration
}

func (a act) String() string {
	return fmt.Sprintf("after %v %s %d for %v", a.after, a.what, a.to, a.lasts)
}

// A suspended machine's monotonic clock stands still, and only its wall clock tells. If
// that is set back by as much at the same time, nothing does: so a history has one or the other.
var (
	acts = []string{
		"stop", "stop", "kill", "terminate", "jump", "lose requests", "lose requests", "lose answers", "lose answers",
		"slow", "slow", "late", "refuse", "forbid", "stop consul", "stop consul", "no leader",
		"destroy session", "agent dies", "agent dies",
	}
	eitherActs = []string{"suspend", "jump back"}
)

var histories = rapid.Custom(func(t *rapid.T) history {
	h := history{copies: rapid.IntRange(2, 3).Draw(t, "copies")}
	may := append([]string{rapid.SampledFrom(eitherActs).Draw(t, "either")}, acts...)
	for range rapid.SampledFrom([]int{2, 5, 15, 40}).Draw(t, "length") {
		h.acts = append(h.acts, act{
			after: time.Duration(rapid.IntRange(0, 8000).Draw(t, "after")) * time.Millisecond,
			what:  rapid.SampledFrom(may).Draw(t, "what"),
			to:    rapid.IntRange(0, h.copies-1).Draw(t, "to"),
			lasts: time.Duration(rapid.IntRange(1, 40_000).Draw(t, "lasts")) * time.Millisecond,
		})
	}
	return h
})

// stage is where a history is played.
type stage struct {
	*testing.T
	consul *standIn
	copies []*copyOf
	lasts  time.Duration
	// guards are what copies began while they were sure, by copy.
	guards []context.Context
	// rights set right again what acts have set wrong.
	rights map[string]*time.Timer
	// wrong is the first thing that was.
	wrong error
}

// play plays a history with locks that are sure for some time after a renewal. It reports two
// that are sure at once, and that in the end not one is.
func play(t *testing.T, h history, sureFor time.Duration) (wrong error) {
	t.Helper()
	onOneThread(t, func(t *testing.T) {
		s := &stage{consul: newStandIn(), T: t, lasts: sureFor, rights: map[string]*time.Timer{}}
		for i := range h.copies {
			s.copies, s.guards = append(s.copies, nil), append(s.guards, nil)
			s.start(i)
		}
		for _, a := range h.acts {
			s.pass(a.after)
			s.do(a)
		}
		s.pass(80 * time.Second) // every act is over by then, and sessions that were left are
		for range 20 {
			s.pass(time.Second)
			if s.leaders() != 1 {
				s.fault(fmt.Errorf("in the end %d lead", s.leaders()))
			}
		}
		wrong = s.wrong
		for _, c := range s.copies {
			c.stop()
		}
		pass(time.Minute) // what is late
	})
	return wrong
}

func (s *stage) start(i int) {
	s.copies[i] = s.consul.run(s.Context(), fmt.Sprintf("copy %d", i), func(c *copyOf) { c.lease.lasts = s.lasts })
	s.guards[i] = nil
}

// pass lets time pass and looks at every copy meanwhile.
func (s *stage) pass(d time.Duration) {
	const every = 40 * time.Millisecond
	for ; d > 0; d -= every {
		pass(min(d, every))
		s.look()
	}
}

func (s *stage) fault(err error) {
	if s.wrong == nil {
		s.wrong = err
	}
}

// leaders counts the copies that may write now, and gives each something to do.
func (s *stage) leaders() int {
	n := 0
	for i, c := range s.copies {
		if c.link.running.isShut() {
			continue // it does nothing, whatever it believes
		}
		busy := s.guards[i] != nil && s.guards[i].Err() == nil
		if guarded, _, ok := c.Guard(s.Context()); ok && !busy {
			s.guards[i], busy = guarded, true
		}
		if busy || c.sure() {
			n++
		}
	}
	return n
}

func (s *stage) look() {
	if n := s.leaders(); n > 1 {
		s.fault(fmt.Errorf("%d are sure at once", n))
	}
}

// do lets an act begin.
func (s *stage) do(a act) {
	c := s.copies[a.to]
	running := c.link.running
	switch a.what {
	case "stop":
		if running.isShut() {
			return
		}
		running.shut()
		s.later(a, running.open)
	case "suspend":
		if running.isShut() {
			return
		}
		running.shut()
		began := time.Now()
		s.later(a, func() {
			c.mu.Lock()
			c.suspended += time.Since(began)
			c.mu.Unlock()
			running.open()
		})
	case "kill", "terminate":
		if running.isShut() {
			return
		}
		if a.what == "kill" {
			c.kill()
		} else {
			c.stop()
		}
		s.start(a.to)
	case "jump":
		c.jump(a.lasts)
	case "jump back":
		c.jump(-a.lasts)
	case "stop consul":
		s.consul.stopped.shut()
		s.later(a, s.consul.stopped.open)
	case "destroy session", "agent dies":
		s.consul.set(func() {
			if s.consul.name == c.link.name {
				s.consul.invalidate(s.consul.held)
			}
		})
		if a.what == "agent dies" {
			c.link.set(func(l *link) { l.weather = weather{refuse: true} })
			s.later(a, func() { c.link.set(func(l *link) { l.weather = weather{} }) })
		}
	case "no leader":
		s.consul.set(func() { s.consul.leaderless = true })
		s.later(a, func() { s.consul.set(func() { s.consul.leaderless = false }) })
	default:
		c.link.set(func(l *link) { l.weather = weatherOf(a) })
		s.later(a, func() { c.link.set(func(l *link) { l.weather = weather{} }) })
	}
}

// later ends an act; of several of a kind the last one counts.
func (s *stage) later(a act, right func()) {
	kind := a.what
	switch kind {
	case "stop consul", "no leader":
	case "stop", "suspend":
		kind = fmt.Sprint("stopped", a.to)
	default:
		kind = fmt.Sprint("weather", a.to)
	}
	if before := s.rights[kind]; before != nil {
		before.Stop()
	}
	s.rights[kind] = time.AfterFunc(a.lasts, right)
}

// weatherOf is what an act makes of a copy's requests; slow ones are answered within two seconds.
func weatherOf(a act) weather {
	switch a.what {
	case "lose requests":
		return weather{loseRequests: true}
	case "lose answers":
		return weather{loseAnswers: true}
	case "late":
		return weather{there: a.lasts / 2, back: a.lasts / 4}
	case "refuse":
		return weather{refuse: true}
	case "forbid":
		return weather{forbid: true}
	default:
		return weather{there: a.lasts / 40, back: a.lasts / 40}
	}
}

// Whatever happens to copies, their clocks, their requests and Consul: never are two of them sure at
// one instant, and when it is over one of them is.
func TestNeverAreTwoSureInAnyHistory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := histories.Draw(rt, "history")
		if err := play(t, h, sureFor); err != nil {
			rt.Fatalf("%v in %v", err, h.acts)
		}
	})
}

// The histories are hard enough: locks that are sure for longer than the delay lasts are caught.
func TestHistoriesCatchALockThatIsSureForTooLong(t *testing.T) {
	for seed := range 300 {
		if err := play(t, histories.Example(seed), lockDelay+sureFor); err != nil {
			t.Logf("caught by history %d: %v", seed, err)
			return
		}
	}
	t.Error("300 histories found nothing")
}

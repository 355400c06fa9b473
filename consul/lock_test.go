package consul

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// copyOf is one copy of a program that wants the lock, with clocks of its own.
type copyOf struct {
	*Lock
	link *link
	stop func()

	mu sync.Mutex
	// told is all that it said.
	told []LockChange
	// jumped is by how much its wall clock is wrong, suspended for how long its
	// monotonic clock stood still.
	jumped, suspended time.Duration
	// end is waited for by stop.
	end sync.WaitGroup
}

func (c *copyOf) clocks() moment {
	c.link.running.pass()
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	return moment{monotonic: now.Add(-c.suspended), wall: now.Add(c.jumped).Round(0)}
}

func (c *copyOf) hear(change LockChange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = append(c.told, change)
}

// states are those it was told of, in order.
func (c *copyOf) states() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, t := range c.told {
		all = append(all, string(t.State))
	}
	return strings.Join(all, " ")
}

// newest returns what it was last told.
func (c *copyOf) newest() LockChange {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.told) == 0 {
		return LockChange{}
	}
	return c.told[len(c.told)-1]
}

func (c *copyOf) sure() bool { return c.Sure() }

// run starts a copy; stop is its SIGTERM.
func (s *standIn) run(ctx context.Context, name string, change ...func(*copyOf)) *copyOf {
	c := &copyOf{link: &link{standIn: s, name: name, running: newGate()}}
	c.Lock = newLock(c.link, LockConfig{Key: "consular-lock/x", Name: name, Told: c.hear}, c.clocks)
	for _, f := range change {
		f(c)
	}
	ctx, cancel := context.WithCancel(ctx)
	c.end.Go(func() { c.Run(ctx) })
	c.stop = func() {
		cancel()
		c.end.Wait()
	}
	return c
}

// kill is a copy's kill -9: nothing of it is asked or heard any more.
func (c *copyOf) kill() {
	c.link.set(func(l *link) { l.dead = true })
	c.stop()
}

// bubble runs a test in a time of its own.
func bubble(t *testing.T, test func(t *testing.T, s *standIn)) {
	t.Helper()
	onOneThread(t, func(t *testing.T) {
		s := newStandIn()
		test(t, s)
		s.set(func() { // copies that were not stopped still ask
			for _, session := range s.sessions {
				session.timer.Stop()
			}
		})
	})
}

// onOneThread is synctest.Test with one goroutine at a time. A timer whose time has come before
// somebody waits for it, as a ticker's does while its reader is busy, runs in a bubble on the
// goroutine that looks at it, and two of them at once crash the race detector ("CHECK failed:
// tsan_rtl.cpp:346", or SIGSEGV: golang.org/issue/78156, Go 1.26). The program has one thread too.
func onOneThread(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, test)
}

// pass lets time pass, and what is due happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// takes returns how long it takes until something is true, a minute at most.
func takes(t *testing.T, is func() bool) time.Duration {
	t.Helper()
	for began := time.Now(); ; pass(10 * time.Millisecond) {
		synctest.Wait()
		if is() {
			return time.Since(began)
		}
		if time.Since(began) > time.Minute {
			t.Fatal("not within a minute")
		}
	}
}

func within(t *testing.T, what string, d, least, most time.Duration) {
	t.Helper()
	if d < least || d > most {
		t.Errorf("%s takes %v, want %v to %v", what, d, least, most)
	}
}

func TestOneLeadsAndIsRenewed(t *testing.T) {
	bubble(t, func(t *testing.T, s *standIn) {
		first := s.run(t.Context(), "first")
		defer first.stop()
		within(t, "getting a free lock", takes(t, first.sure), 0, 0)
		second := s.run(t.Context(), "second")
		defer second.stop()
		pass(time.Hour)
		if !first.sure() || second.sure() {
			t.Errorf("first is sure: %t; second: %t", first.sure(), second.sure())
		}
		if first.states() != "held" || second.states() != "standby" || second.newest().Holder != "first" {
			t.Errorf("told %s, and %s behind %q", first.states(), second.states(), second.newest().Holder)
		}
		// The leader renews each second. Both look at the key every ten seconds, and a standby writes nothing.
		if n := s.answers["renew"]; n < 3590 || n > 3600 {
			t.Errorf("%d renewals in an hour", n)
		}
		if n := s.answers["look"]; n > 4*365 { // the stand-in counts a look twice
			t.Errorf("%d looks in an hour", n)
		}
		if s.answers["create"] != 1 || s.answers["acquire"] != 1 || s.answers["release"] != 0 {
			t.Errorf("asked for %v", s.answers)
		}
	})
}

func TestTakeover(t *testing.T) {
	for name, test := range map[string]struct {
		end         func(*copyOf, *standIn)
		least, most time.Duration
	}{
		"SIGTERM": {func(c *copyOf, _ *standIn) { c.stop() }, 0, 0},
		// The session dies 20 s after its last renewal, the delay takes 5 s, a try 1 s.
		"kill -9": {func(c *copyOf, _ *standIn) { c.kill() }, 24 * time.Second, 26 * time.Second},
		"no way to Consul": {func(c *copyOf, _ *standIn) {
			c.link.set(func(l *link) { l.weather.refuse = true })
		}, 24 * time.Second, 26 * time.Second},
		"the leader's agent dies": {func(c *copyOf, s *standIn) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.invalidate(s.held)
			c.link.set(func(l *link) { l.weather.refuse = true })
		}, 5 * time.Second, 6 * time.Second},
		"its session is destroyed": {func(_ *copyOf, s *standIn) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.invalidate(s.held)
		}, 5 * time.Second, 6 * time.Second}, // or it has it again itself
		"its key is given to nobody": {func(_ *copyOf, s *standIn) { s.remove() }, 0, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *standIn) {
				first := s.run(t.Context(), "first")
				defer first.stop()
				takes(t, first.sure)
				second := s.run(t.Context(), "second")
				defer second.stop()
				pass(30*time.Second + 500*time.Millisecond)
				test.end(first, s)
				within(t, "takeover", takes(t, func() bool { return second.sure() || first.states() != "held" && first.sure() }), test.least, test.most)
				pass(time.Minute)
				if first.sure() == second.sure() {
					t.Errorf("first is sure: %t, and so is second", first.sure())
				}
			})
		})
	}
}

// For how long a lock is sure is counted from the sending of a renewal, by the worse clock.
func TestSureForFourSeconds(t *testing.T) {
	for name, test := range map[string]struct {
		then        func(*copyOf)
		least, most time.Duration
	}{
		"requests are lost": {func(c *copyOf) { c.link.set(func(l *link) { l.weather.loseRequests = true }) }, 3 * time.Second, 4 * time.Second},
		"answers are lost":  {func(c *copyOf) { c.link.set(func(l *link) { l.weather.loseAnswers = true }) }, 3 * time.Second, 4 * time.Second},
		"answers take 6 s":  {func(c *copyOf) { c.link.set(func(l *link) { l.weather.back = 6 * time.Second }) }, 3 * time.Second, 4 * time.Second},
		// A late answer prolongs what was sent before, and not what is now.
		"answers take 2.9 s, and are lost": {func(c *copyOf) {
			c.link.set(func(l *link) { l.weather.back = 2900 * time.Millisecond })
			pass(10 * time.Second)
			c.link.set(func(l *link) { l.weather.loseRequests = true })
		}, 3 * time.Second, 4 * time.Second},
		"the clock jumps 3 s": {func(c *copyOf) { c.jump(3 * time.Second); c.refuse() }, 0, time.Second},
		"and 4 s":             {func(c *copyOf) { c.jump(4 * time.Second); c.refuse() }, 0, 0},
		"and back an hour":    {func(c *copyOf) { c.jump(-time.Hour); c.refuse() }, 3 * time.Second, 4 * time.Second},
		"a suspend of 5 s": {func(c *copyOf) {
			c.refuse()
			c.link.running.shut()
			pass(5 * time.Second)
			c.mu.Lock()
			c.suspended += 5 * time.Second
			c.mu.Unlock()
			c.link.running.open()
		}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *standIn) {
				c := s.run(t.Context(), "c")
				takes(t, c.sure)
				pass(10*time.Second + 500*time.Millisecond)
				guarded, cancel, ok := c.Guard(t.Context())
				defer cancel()
				if !ok || guarded.Err() != nil {
					t.Fatal("the gate is closed under a sure lock")
				}
				test.then(c)
				within(t, "ceasing to be sure", takes(t, func() bool { return !c.sure() }), test.least, test.most)
				if pass(renewEvery); !errors.Is(context.Cause(guarded), ErrUnsure) {
					t.Errorf("what is under way goes on: %v", context.Cause(guarded))
				}
				if _, _, ok := c.Guard(t.Context()); ok {
					t.Error("the gate is open")
				}
				if change := c.newest(); change.State != LockUnsure || change.Err == nil {
					t.Errorf("told %+v", change)
				}
				// And when Consul answers again, it leads as before: nobody else had it.
				c.link.set(func(l *link) { l.weather = weather{} })
				takes(t, c.sure)
				if c.states() != "held unsure held" {
					t.Errorf("told %s", c.states())
				}
				c.stop()
			})
		})
	}
}

// Whoever was refused, or given up, for however short a time, hears of it: a renewal that
// comes at that very moment hides nothing.
func TestALapseIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, s *standIn) {
		c := s.run(t.Context(), "c")
		defer c.stop()
		takes(t, c.sure)
		for name, lapse := range map[string]func(){
			"refused":   func() { c.jump(sureFor); c.Guard(t.Context()); c.jump(-sureFor) },
			"asked":     func() { c.jump(sureFor); c.Sure(); c.jump(-sureFor) },
			"given up":  func() { c.jump(sureFor); c.lease.check(); c.jump(-sureFor) },
			"unnoticed": func() { c.lease.granted.wall = c.lease.granted.wall.Add(-sureFor) },
		} {
			pass(500 * time.Millisecond)
			before := c.states()
			lapse()
			c.lease.grant(c.clocks()) // before Run has come to look
			if pass(2 * renewEvery); c.states() != before+" unsure held" {
				t.Errorf("%s: told %s", name, strings.TrimPrefix(c.states(), before))
			}
		}
	})
}

func (c *copyOf) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jumped += d
}

func (c *copyOf) refuse() { c.link.set(func(l *link) { l.weather.refuse = true }) }

// A renewal that gets no answer keeps no other from being sent and counted, and what is
// under way goes on as long as the lock is renewed.
func TestARenewalWithoutAnAnswerDelaysNoOther(t *testing.T) {
	bubble(t, func(t *testing.T, s *standIn) {
		c := s.run(t.Context(), "c")
		defer c.stop()
		takes(t, c.sure)
		pass(500 * time.Millisecond)
		guarded, cancel, _ := c.Guard(t.Context())
		defer cancel()
		for range 100 {
			for _, lose := range []bool{true, true, false} {
				c.link.set(func(l *link) { l.weather.loseRequests = lose })
				if pass(time.Second); !c.sure() || guarded.Err() != nil {
					t.Fatalf("a third of the renewals is not enough: %v", context.Cause(guarded))
				}
			}
		}
	})
}

// A refused renewal ends it at once, with what is under way.
func TestARefusedRenewalEndsIt(t *testing.T) {
	for name, refuse := range map[string]func(*copyOf, *standIn){
		"the session is gone": func(_ *copyOf, s *standIn) {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.sessions, s.held) // and the key does not tell
		},
		"the token is": func(c *copyOf, _ *standIn) { c.link.set(func(l *link) { l.weather.forbid = true }) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *standIn) {
				c := s.run(t.Context(), "c")
				defer c.stop()
				takes(t, c.sure)
				pass(10*time.Second + 500*time.Millisecond)
				guarded, cancel, _ := c.Guard(t.Context())
				defer cancel()
				s.mu.Lock()
				timer := s.sessions[s.held].timer
				s.mu.Unlock()
				refuse(c, s)
				within(t, "the end", takes(t, func() bool { return guarded.Err() != nil }), 400*time.Millisecond, 600*time.Millisecond)
				if !strings.HasPrefix(c.states(), "held lost") {
					t.Errorf("told %s", c.states())
				}
				timer.Stop()
			})
		})
	}
}

// Who cannot get it says why each time, tries once a second, and gets it when he can.
func TestAConsulThatDoesNotGiveIt(t *testing.T) {
	bubble(t, func(t *testing.T, s *standIn) {
		s.leaderless = true
		c := s.run(t.Context(), "c")
		defer c.stop()
		pass(9*time.Second + 500*time.Millisecond)
		if n := len(c.told); n != 10 || c.newest().Attempt != n || !errors.Is(c.newest().Err, errNoLeader) || c.newest().State != LockWaiting {
			t.Errorf("told %d times, at last %+v", n, c.newest())
		}
		s.mu.Lock()
		s.leaderless = false
		s.mu.Unlock()
		within(t, "getting it", takes(t, c.sure), 0, time.Second)
	})
}

// While a delay lasts, who waits says so once, and keeps no sessions.
func TestWaitingForADelay(t *testing.T) {
	bubble(t, func(t *testing.T, s *standIn) {
		s.freeAt = time.Now().Add(time.Minute)
		c := s.run(t.Context(), "c")
		defer c.stop()
		pass(59*time.Second + 500*time.Millisecond)
		if c.states() != "waiting" || c.newest().Err != nil || len(s.sessions) != 0 || s.answers["acquire"] > 60 {
			t.Errorf("told %+v, has %d sessions, tried %d times", c.told, len(s.sessions), s.answers["acquire"])
		}
		within(t, "getting it", takes(t, c.sure), 0, 2*time.Second)
	})
}

// The end waits for Consul for two seconds at most, whatever it is at.
func TestTheEndIsSoon(t *testing.T) {
	for name, w := range map[string]weather{"lost": {loseRequests: true}, "late": {there: time.Minute}, "refused": {refuse: true}} {
		for _, after := range []time.Duration{0, 500 * time.Millisecond, 10 * time.Second} {
			t.Run(name+" "+after.String(), func(t *testing.T) {
				bubble(t, func(t *testing.T, s *standIn) {
					c := s.run(t.Context(), "c")
					pass(after)
					c.link.set(func(l *link) { l.weather = w })
					pass(1500 * time.Millisecond)
					began := time.Now()
					c.stop()
					within(t, "the end", time.Since(began), 0, releaseWithin)
					pass(2 * time.Minute)
					if s.held != "" || c.sure() {
						t.Errorf("%s has it still", s.held)
					}
				})
			})
		}
	}
}

func TestCheckLockKey(t *testing.T) {
	for key, ok := range map[string]bool{
		"consular-lock/consular": true, "lock": true, "consularx": true, "a/b/c": true,
		"consular": false, "consular/": false, "consular/lock": false, "": false, "/lock": false, "lock/": false, "a//b": false,
		"consular-lock/..": false, "a\tb": false, strings.Repeat("x", 65<<10): false,
	} {
		err := CheckLockKey(key, "consular")
		if (err == nil) != ok {
			t.Errorf("%.40q: %v", key, err)
		}
		if err != nil && (!strings.HasPrefix(err.Error(), "--lock-key ") || len(err.Error()) > 500) {
			t.Errorf("%.40q: %.600v", key, err)
		}
	}
}

func TestHoldersNamesAreFitForALine(t *testing.T) {
	for name, want := range map[string]string{
		"host-1 consular.1234": "host-1 consular.1234", "a\nb": `"a\nb"`, "": `""`, "/mnt/x": "/mnt/x", "\xff": `"\xff"`,
		strings.Repeat("x", 200): strings.Repeat("x", 100) + "...",
	} {
		if got := shortened(name); got != want {
			t.Errorf("%q is shown as %s", name, got)
		}
	}
}

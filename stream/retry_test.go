package stream

import (
	"testing"
	"time"
)

func TestAttemptsComeOftenAtFirstAndRarelyLater(t *testing.T) {
	l := listen(t, time.Hour, one, map[string][]answer{}, nil, nil)
	dials := l.dialled()
	start, longest, late := dials[0].at, time.Duration(0), time.Duration(0)
	gaps := map[time.Duration]bool{}
	for i := range dials[1:] {
		wait, since := dials[i+1].at.Sub(dials[i].at), dials[i+1].at.Sub(start)
		gaps[wait] = true
		switch {
		case since <= time.Minute:
			longest = max(longest, wait)
		case since > 10*time.Minute:
			late += wait
		}
		if wait > 30*time.Second {
			t.Errorf("waited %v, %v into the outage", wait, since)
		}
	}
	if longest > 1500*time.Millisecond {
		t.Errorf("waited %v in the first minute", longest)
	}
	if n := len(dials); n > 300 || n < 120 {
		t.Errorf("%d attempts in an hour, want fewer in the long run", n)
	}
	if late < 45*time.Minute {
		t.Errorf("attempts ended after %v", late)
	}
	if len(gaps) < len(dials)/2 {
		t.Errorf("%d attempts with %d different waits: no jitter", len(dials), len(gaps))
	}
}

func TestAConnectionThatDropsAtOnceIsNotMadeForEver(t *testing.T) {
	l := listen(t, time.Hour, one, map[string][]answer{"one.test:8080": {says(head, attached("a"))}}, nil, nil)
	if n := len(l.dialled()); n > 300 || n < 120 {
		t.Errorf("%d connections in an hour", n)
	}
}

// deaf goes through an outage of so long, and returns when it ends, and the longest
// wait in it.
func (r *retry) deaf(from time.Time, d time.Duration) (until time.Time, longest time.Duration) {
	for until = from; until.Sub(from) < d; {
		wait := r.next(until)
		longest = max(longest, wait)
		until = until.Add(wait)
	}
	return until, longest
}

const longestBriskWait = 1500 * time.Millisecond

func TestAMinuteOfHealthEndsAnOutage(t *testing.T) {
	r := newRetry(time.Time{})
	now, longest := r.deaf(time.Time{}, time.Hour)
	if longest < 15*time.Second {
		t.Fatalf("waits at most %v in an hour", longest)
	}
	r.lost(now, now.Add(health))
	now, longest = r.deaf(now.Add(health), health-longestBriskWait)
	if longest > longestBriskWait {
		t.Errorf("waited %v within a minute after a minute of health", longest)
	}
	if _, longest = r.deaf(now, time.Hour); longest < 15*time.Second {
		t.Errorf("waits at most %v in the hour after", longest)
	}
}

// A connection that held for less makes waits short for as long as it held.
func TestAShorterHealthIsPaidBack(t *testing.T) {
	for _, held := range []time.Duration{someHealth, 59 * time.Second} {
		r := newRetry(time.Time{})
		now, _ := r.deaf(time.Time{}, time.Hour)
		r.lost(now, now.Add(held))
		now, longest := r.deaf(now.Add(held), held-longestBriskWait)
		if longest > longestBriskWait {
			t.Errorf("held for %v: waited %v within as long", held, longest)
		}
		if _, longest = r.deaf(now.Add(longestBriskWait), time.Minute); longest < 4*time.Second {
			t.Errorf("held for %v: waits at most %v later, want the outage to go on", held, longest)
		}
	}
}

// Seconds of health change nothing far into an outage.
func TestAMasterThatDropsSoonIsAskedRarely(t *testing.T) {
	r := newRetry(time.Time{})
	now, _ := r.deaf(time.Time{}, time.Hour)
	for range 100 {
		up := now.Add(someHealth - time.Second)
		r.lost(now, up)
		wait := r.next(up)
		if now = up.Add(wait); wait < patientMax/2 {
			t.Fatalf("waited %v after a connection that held for %v", wait, someHealth-time.Second)
		}
	}
}

// Masters that are restarted one after the other, and then again: each election
// takes ten seconds, and each leader lasts for half a minute, or for less.
func TestARollingRestartKeepsWaitsShort(t *testing.T) {
	for leads, outages := range map[time.Duration]int{time.Minute: 100, 30 * time.Second: 100, 10 * time.Second: 4} {
		r, now := newRetry(time.Time{}), time.Time{}
		for outage := range outages {
			up := now.Add(leads)
			r.lost(now, up)
			var longest time.Duration
			if now, longest = r.deaf(up, 10*time.Second); longest > longestBriskWait {
				t.Fatalf("leaders of %v, outage %d: waited %v", leads, outage+1, longest)
			}
		}
	}
}

// The same on a network: the time that is spent connected is no outage.
func TestAConnectedStreamIsNoOutage(t *testing.T) {
	held := beats(10*time.Second, head, attached("a"))
	l := listen(t, 5*time.Minute, one, map[string][]answer{"one.test:8080": {held}}, nil, nil)
	dials := l.dialled()
	for i := range len(dials) - 1 {
		if gap := dials[i+1].at.Sub(dials[i].at); gap > 10*time.Second+longestBriskWait {
			t.Errorf("connection %d held for 10s, and the next was made after %v", i+1, gap)
		}
	}
}

// A master that takes each subscription and drops it soon is not asked every
// half second for ever; and 500 subscriptions leave no goroutine behind, which
// the bubble of the test would not end with.
func TestFiveHundredShortSubscriptions(t *testing.T) {
	l := listen(t, 5*time.Hour, one, map[string][]answer{"one.test:8080": {says(head, attached("a"))}}, nil, nil)
	dials := l.dialled()
	if n := len(dials); n < 500 || n > 2000 {
		t.Errorf("%d subscriptions in 5 hours", n)
	}
	for i := range len(dials) - 1 {
		gap := dials[i+1].at.Sub(dials[i].at)
		if early := dials[i].at.Sub(dials[0].at) < health; early && gap > 3*briskWait/2 || gap > 3*patientMax/2 {
			t.Fatalf("waited %v before attempt %d", gap, i+2)
		}
	}
}

// Far into an outage, where waits are long, a changed credential is tried at once.
func TestTryAgainEndsTheWait(t *testing.T) {
	const changed = time.Hour
	l := listen(t, changed+500*time.Millisecond, one, nil, nil, func(s *Subscriber) {
		time.AfterFunc(changed, s.TryAgain)
	})
	dials := l.dialled()
	last, before := dials[len(dials)-1].at, dials[len(dials)-2].at
	if since := last.Sub(dials[0].at); since != changed {
		t.Errorf("the last attempt was %v after the first, want one at %v", since, changed)
	}
	if wait := last.Sub(before); wait == 0 {
		t.Error("the attempt before was as late: it proves nothing")
	}
}

package stream

import (
	"testing"
	"testing/synctest"
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

func TestAMinuteOfHealthEndsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r := newRetry(start)
		longest := func(since time.Duration) (wait time.Duration) {
			for range 100 {
				wait = max(wait, r.next(start.Add(since)))
			}
			return wait
		}
		if got := longest(2 * time.Minute); got < 15*time.Second {
			t.Fatalf("waits at most %v after two minutes", got)
		}
		r.lost(start.Add(2*time.Minute), start.Add(2*time.Minute+59*time.Second))
		if got := longest(3 * time.Minute); got < 15*time.Second {
			t.Errorf("waits at most %v after 59 s of health, want the outage to go on", got)
		}
		r.lost(start.Add(3*time.Minute), start.Add(4*time.Minute))
		if got := longest(4*time.Minute + time.Second); got > 1500*time.Millisecond {
			t.Errorf("waits %v after a minute of health, want to begin anew", got)
		}
	})
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

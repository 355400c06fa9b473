package reconcile

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// granted is what a schedule grants within a minute, by the second.
type granted struct {
	at     time.Duration
	causes []string
}

// grants runs a schedule for a minute of the bubble's time.
func grants(t *testing.T, ask func(*schedule)) (all []granted) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, start := newSchedule(), time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go ask(a)
		for {
			causes := a.wait(ctx)
			if causes == nil {
				return
			}
			all = append(all, granted{time.Since(start), causes})
		}
	})
	return all
}

func TestSchedule(t *testing.T) {
	const interval = 15 * time.Second
	for name, c := range map[string]struct {
		ask  func(*schedule)
		want []granted
	}{
		"several at once are one": {func(a *schedule) {
			at := time.Now().Add(time.Second)
			a.ask("closed", at)
			a.ask("connect", at)
			a.ask("closed", at)
		}, []granted{{time.Second, []string{"closed", "connect"}}}},
		"the earlier one answers the later": {func(a *schedule) {
			a.ask("sync interval", time.Now().Add(30*time.Second))
			a.ask("connect", time.Now().Add(time.Second))
		}, []granted{{time.Second, []string{"connect"}}}},
		"bad events, one for each interval": {func(a *schedule) {
			for range 400 {
				a.askLimited("oversize", time.Now(), interval)
				a.askLimited("undecodable", time.Now(), interval)
				time.Sleep(100 * time.Millisecond)
			}
		}, []granted{
			{0, []string{"oversize"}}, // before the other was asked for
			{interval, []string{"undecodable", "oversize"}},
			{2 * interval, []string{"oversize", "undecodable"}},
			{3 * interval, []string{"oversize", "undecodable"}},
		}},
		"nobody is granted anything in a rest": {func(a *schedule) {
			a.pause(time.Now().Add(10 * time.Second))
			a.ask("connect", time.Now())
		}, []granted{{10 * time.Second, []string{"connect"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := grants(t, c.ask)
			same := slices.EqualFunc(got, c.want, func(a, b granted) bool {
				slices.Sort(a.causes)
				slices.Sort(b.causes)
				return a.at == b.at && (slices.Equal(a.causes, b.causes) || a.at == 0)
			})
			if !same {
				t.Errorf("granted %v, want %v", got, c.want)
			}
		})
	}
}

// The jitter included, no pause is longer than the limit.
func TestBackoffKeepsToItsLimit(t *testing.T) {
	for _, limit := range []time.Duration{time.Second, maxBackoff} {
		pauses, longest := newBackoff(limit), time.Duration(0)
		for range 1000 {
			longest = max(longest, pauses.NextBackOff())
		}
		if longest > limit || longest < limit*3/4 {
			t.Errorf("the longest pause is %v, want at most %v", longest, limit)
		}
	}
}

// causesAt waits for the next resync, and says when it comes.
func causesAt(t *testing.T, a *schedule) (causes []string, after time.Duration) {
	t.Helper()
	from := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	return a.wait(ctx), time.Since(from)
}

func TestScheduleTakesTheEarliest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSchedule()
		a.ask("sync interval", time.Now().Add(5*time.Minute))
		a.ask("connect", time.Now().Add(time.Second))
		if causes, after := causesAt(t, a); !slices.Contains(causes, "connect") || after != time.Second {
			t.Errorf("%v after %v", causes, after)
		}
		if causes, _ := causesAt(t, a); causes != nil {
			t.Errorf("%v: one resync answers all who asked before it", causes)
		}
	})
}

func TestAskingWakesTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSchedule()
		a.ask("sync interval", time.Now().Add(5*time.Minute))
		time.AfterFunc(time.Minute, func() { a.ask("connect", time.Now()) })
		if causes, after := causesAt(t, a); after != time.Minute {
			t.Errorf("%v after %v", causes, after)
		}
	})
}

// However many bad events come, and for however many reasons, there is one
// resync for each interval, and the one after it is not put off further.
func TestLimitedResyncsKeepTheirPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSchedule()
		const interval = 15 * time.Second
		for round := range 3 {
			for _, cause := range []string{"too large", "not JSON", "unknown apps", "too large"} {
				a.askLimited(cause, time.Now(), interval)
			}
			want := interval
			if round == 0 {
				want = 0
			}
			if causes, after := causesAt(t, a); after != want {
				t.Errorf("round %d: %v after %v, want %v", round, causes, after, want)
			}
		}
	})
}

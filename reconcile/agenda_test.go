package reconcile

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// granted is what an agenda grants within a minute, by the second.
type granted struct {
	at     time.Duration
	causes []string
}

// grants runs an agenda for a minute of the bubble's time.
func grants(t *testing.T, ask func(*agenda)) (all []granted) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, start := newAgenda(), time.Now()
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

func TestAgenda(t *testing.T) {
	const interval = 15 * time.Second
	for name, c := range map[string]struct {
		ask  func(*agenda)
		want []granted
	}{
		"several at once are one": {func(a *agenda) {
			at := time.Now().Add(time.Second)
			a.ask("closed", at)
			a.ask("connect", at)
			a.ask("closed", at)
		}, []granted{{time.Second, []string{"closed", "connect"}}}},
		"the earlier one answers the later": {func(a *agenda) {
			a.ask("sync interval", time.Now().Add(30*time.Second))
			a.ask("connect", time.Now().Add(time.Second))
		}, []granted{{time.Second, []string{"connect"}}}},
		"bad events, one for each interval": {func(a *agenda) {
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
		"nobody is granted anything in a rest": {func(a *agenda) {
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

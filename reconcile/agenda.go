package reconcile

import (
	"context"
	"slices"
	"sync"
	"time"
)

// agenda says when the next resync is due, and why. Asking never waits, and
// however many ask, one resync answers them all.
type agenda struct {
	mu     sync.Mutex
	due    time.Time // zero: never
	causes []string
	wake   chan struct{}
	// limited is when a resync for unreadable or unknown events may be next.
	limited time.Time
}

func newAgenda() *agenda { return &agenda{wake: make(chan struct{}, 1)} }

// ask wants a resync at the given time at the latest.
func (a *agenda) ask(cause string, at time.Time) {
	a.mu.Lock()
	if a.due.IsZero() || at.Before(a.due) {
		a.due = at
	}
	if !slices.Contains(a.causes, cause) {
		a.causes = append(a.causes, cause)
	}
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// askLimited wants a resync as soon as the last one asked for in this way is
// interval ago: a stream of bad events must not become a stream of snapshots.
func (a *agenda) askLimited(cause string, now time.Time, interval time.Duration) {
	a.mu.Lock()
	at := a.limited
	if at.Before(now) {
		at = now
	}
	if !slices.Contains(a.causes, cause) {
		a.limited = at.Add(interval)
	}
	a.mu.Unlock()
	a.ask(cause, at)
}

// wait returns, when a resync is due, the causes for it; nil when ctx ends.
func (a *agenda) wait(ctx context.Context) []string {
	for {
		a.mu.Lock()
		due := a.due
		if !due.IsZero() && !time.Now().Before(due) {
			causes := a.causes
			a.due, a.causes = time.Time{}, nil
			a.mu.Unlock()
			return causes
		}
		a.mu.Unlock()
		if !a.sleep(ctx, due) {
			return nil
		}
	}
}

// sleep waits until the time or until somebody asks; false when ctx ends.
func (a *agenda) sleep(ctx context.Context, until time.Time) bool {
	var timeout <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-timeout:
	case <-a.wake:
	}
	return true
}

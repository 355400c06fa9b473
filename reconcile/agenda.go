package reconcile

import (
	"context"
	"slices"
	"sync"
	"time"
)

// agenda says when the next resync is due, and why. Asking never waits, and
// however many ask, one resync answers them all: those too who asked for a later
// one.
type agenda struct {
	mu    sync.Mutex
	wants []wish
	wake  chan struct{}
	// limited is when a resync for unreadable or unknown events may be next.
	limited time.Time
	// rest is before when there is no resync, however many ask.
	rest time.Time
}

// wish is one cause for a resync, due at a time at the latest.
type wish struct {
	cause string
	at    time.Time
	// spacing is how long the next limited one has to wait; 0 when not limited.
	spacing time.Duration
}

func newAgenda() *agenda { return &agenda{wake: make(chan struct{}, 1)} }

// ask wants a resync at the given time at the latest.
func (a *agenda) ask(cause string, at time.Time) { a.want(wish{cause: cause, at: at}) }

// askLimited wants a resync as soon as the last one made for such a cause is
// interval ago: a stream of bad events must not become a stream of snapshots.
func (a *agenda) askLimited(cause string, now time.Time, interval time.Duration) {
	a.want(wish{cause: cause, at: now, spacing: interval})
}

func (a *agenda) want(w wish) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if w.spacing > 0 {
		w.at = latest(w.at, a.limited)
	}
	known := slices.IndexFunc(a.wants, func(other wish) bool { return other.cause == w.cause })
	switch {
	case known < 0:
		a.wants = append(a.wants, w)
	case w.at.Before(a.wants[known].at):
		a.wants[known] = w
	}
	nudge(a.wake)
}

// pause lets nobody's wish be granted before the given time.
func (a *agenda) pause(until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rest = until
}

// wait returns, when a resync is due, the causes for it; nil when ctx ends.
func (a *agenda) wait(ctx context.Context) []string {
	for ctx.Err() == nil {
		causes, next := a.take(time.Now())
		if len(causes) > 0 {
			return causes
		}
		sleepUntil(ctx, next, a.wake)
	}
	return nil
}

// take returns the causes that are due, and drops the others with them; or else
// when the next one is, zero for never.
func (a *agenda) take(now time.Time) (causes []string, next time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.wants {
		at := latest(w.at, a.rest)
		switch {
		case !now.Before(at):
			causes = append(causes, w.cause)
			a.limited = latest(a.limited, now.Add(w.spacing))
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	if len(causes) > 0 {
		a.wants = nil
	}
	return causes, next
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// nudge wakes who waits on a channel with one slot, now or the next time it does.
func nudge(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// sleepUntil waits until the time, zero for never, or until it is woken.
func sleepUntil(ctx context.Context, until time.Time, wake <-chan struct{}) {
	var timeout <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-ctx.Done():
	case <-timeout:
	case <-wake:
	}
}

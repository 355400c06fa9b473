package reconcile

import (
	"context"
	"slices"
	"sync"
	"time"
)

// housekeeping is how often there is a resync when --sync-interval is off: what
// is remembered of ended tasks is forgotten only then.
const housekeeping = 24 * time.Hour

// schedule says when the next resync is due, and why. Asking never waits, and
// however many ask, one resync answers them all: those too who asked for a later
// one.
type schedule struct {
	mu       sync.Mutex
	requests []request
	wake     chan struct{}
	// limited is when a resync for unreadable or unknown events may be next.
	limited time.Time
	// rest is before when there is no resync, however many ask.
	rest time.Time
}

// request is one cause for a resync, due at a time at the latest.
type request struct {
	cause string
	at    time.Time
	// spacing is how long the next limited one has to wait; 0 when not limited.
	spacing time.Duration
	// later ones are not answered by a resync before their time.
	later bool
}

func newSchedule() *schedule { return &schedule{wake: make(chan struct{}, 1)} }

// ask wants a resync at the given time at the latest.
func (s *schedule) ask(cause string, at time.Time) { s.add(request{cause: cause, at: at}) }

// askLater wants a resync at the given time, or after it, whatever there is before.
func (s *schedule) askLater(cause string, at time.Time) {
	s.add(request{cause: cause, at: at, later: true})
}

// askLimited wants a resync as soon as the last one made for such a cause is
// interval ago: a stream of bad events must not become a stream of snapshots.
func (s *schedule) askLimited(cause string, now time.Time, interval time.Duration) {
	s.add(request{cause: cause, at: now, spacing: interval})
}

func (s *schedule) add(r request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.spacing > 0 {
		r.at = latest(r.at, s.limited)
	}
	known := slices.IndexFunc(s.requests, func(other request) bool { return other.cause == r.cause })
	switch {
	case known < 0:
		s.requests = append(s.requests, r)
	case r.at.Before(s.requests[known].at) != r.later:
		s.requests[known] = r
	}
	nudge(s.wake)
}

// pause lets no request be granted before the given time.
func (s *schedule) pause(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = until
}

// wait returns, when a resync is due, the causes for it; nil when ctx ends.
func (s *schedule) wait(ctx context.Context) []string {
	for ctx.Err() == nil {
		causes, next := s.take(time.Now())
		if len(causes) > 0 {
			return causes
		}
		sleepUntil(ctx, next, s.wake)
	}
	return nil
}

// take returns the causes that are due, and drops the others with them; or else
// when the next one is, zero for never.
func (s *schedule) take(now time.Time) (causes []string, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		at := latest(r.at, s.rest)
		switch {
		case !now.Before(at):
			causes = append(causes, r.cause)
			s.limited = latest(s.limited, now.Add(r.spacing))
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	if len(causes) > 0 {
		s.requests = slices.DeleteFunc(s.requests, func(r request) bool { return !r.later || !now.Before(latest(r.at, s.rest)) })
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

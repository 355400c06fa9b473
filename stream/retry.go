package stream

import (
	"time"

	"github.com/cenkalti/backoff/v5"
)

// An election takes seconds, so that for the first minute of an outage waits
// stay short. Each wait is jittered by half of it either way: at most 1.5 s
// within that minute, 30 s later.
const (
	firstWait  = 500 * time.Millisecond
	briskWait  = time.Second
	patientMax = 20 * time.Second
	jitter     = 0.5
	// health is how long a connection must live to end the outage before it. It
	// is the length of the brisk phase as well.
	health = time.Minute
)

// retry paces the attempts of an outage. It never gives up.
type retry struct {
	waits backoff.ExponentialBackOff
	// since is when the outage began: a connection that lives for less than
	// health does not end it, so that one that always drops at once is not
	// made every half second for ever.
	since time.Time
}

func newRetry(now time.Time) *retry {
	r := &retry{waits: backoff.ExponentialBackOff{
		InitialInterval:     firstWait,
		RandomizationFactor: jitter,
		Multiplier:          backoff.DefaultMultiplier,
	}}
	r.restart(now)
	return r
}

// restart begins a new outage.
func (r *retry) restart(now time.Time) {
	r.since = now
	r.waits.MaxInterval = briskWait
	r.waits.Reset()
}

// lost notes that a connection ended which had been heard since the given time.
func (r *retry) lost(since, now time.Time) {
	if now.Sub(since) >= health {
		r.restart(now)
	}
}

// next returns how long to wait before the next attempt.
func (r *retry) next(now time.Time) time.Duration {
	if now.Sub(r.since) >= health {
		r.waits.MaxInterval = patientMax
	}
	return r.waits.NextBackOff()
}

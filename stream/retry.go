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
	// someHealth is how long it must live to count for anything.
	someHealth = 20 * time.Second
)

// retry paces the attempts of an outage. It never gives up.
type retry struct {
	waits backoff.ExponentialBackOff
	// brisk is until when waits stay short.
	brisk time.Time
}

func newRetry(now time.Time) *retry {
	r := &retry{brisk: now.Add(health), waits: backoff.ExponentialBackOff{
		InitialInterval:     firstWait,
		RandomizationFactor: jitter,
		Multiplier:          backoff.DefaultMultiplier,
	}}
	r.waits.Reset()
	return r
}

// lost notes that a connection ended which had been heard since the given time.
//
// That time was no outage. And a connection that held for a while makes waits
// short again for as long as it held: masters that are restarted one after the
// other are back within seconds each time, and one that drops every connection
// soon is not asked every half second for ever. A minute of health makes up for
// everything.
func (r *retry) lost(since, now time.Time) {
	held := now.Sub(since)
	r.brisk = r.brisk.Add(held)
	earned := now.Add(min(held, health))
	if held >= someHealth && r.brisk.Before(earned) {
		r.brisk = earned
		r.waits.Reset()
	}
}

// next returns how long to wait before the next attempt.
func (r *retry) next(now time.Time) time.Duration {
	r.waits.MaxInterval = patientMax
	if now.Before(r.brisk) {
		r.waits.MaxInterval = briskWait
	}
	return r.waits.NextBackOff()
}

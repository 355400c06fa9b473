package stream

import (
	"fmt"
	"time"

	"github.com/rs/zerolog"
)

const (
	// thinning is how many failures of a kind share one line of the log, after
	// the first, which has its own.
	thinning = 10
	// ignoredThinning is the same for events that are not used.
	ignoredThinning = 100
	// ignoredTypes is how many types are counted apart; they come from outside.
	ignoredTypes = 100
)

// report tells Handler and log what happens to the subscription.
type report struct {
	log     zerolog.Logger
	handler Handler
	// deafSince is when the outage began; told whether the Handler knows of it.
	deafSince time.Time
	told      bool
	// cause is why that outage began.
	cause Cause
	// attempts have failed in this outage.
	attempts int
	// leader is the last one known.
	leader string
	// misses and ignores count events.
	misses  map[Cause]int
	ignores map[string]int
}

func newReport(log zerolog.Logger, handler Handler) *report {
	return &report{
		log: log, handler: handler, deafSince: time.Now(),
		misses: map[Cause]int{}, ignores: map[string]int{},
	}
}

// connected tells of the first event of a connection.
func (r *report) connected(c *connection) {
	message := "connected"
	if r.told {
		message = fmt.Sprintf("connected, deaf for %.1fs", c.connected.Sub(r.deafSince).Seconds())
	}
	line := r.log.Info().Str("master", c.master.name)
	if c.leader != "" {
		line.Str("leader", c.leader)
	}
	if r.told {
		line.Str("cause", string(r.cause))
	}
	line.Int64("took_ms", c.connected.Sub(c.began).Milliseconds()).
		Int("failed_attempts", r.attempts).Msg(message)
	r.leads(c)
	r.told, r.attempts = false, 0
	r.handler.Connected(c.master.name)
}

// leads logs when another leader answers than before. The Handler need not know:
// it was deaf anyway. Who leads is not always known: behind a proxy that drops
// headers it never is.
func (r *report) leads(c *connection) {
	before := r.leader
	if c.leader == "" || c.leader == before {
		return
	}
	r.leader = c.leader
	if before == "" {
		return
	}
	r.log.Warn().Str("master", c.master.name).Str("leader", c.leader).Str("before", before).
		Str("cause", string(LeaderChanged)).Int64("deaf_ms", c.connected.Sub(r.deafSince).Milliseconds()).
		Msg("leader changed")
}

// disconnected tells of the end of a subscription.
func (r *report) disconnected(c *connection, gap Gap) {
	now := time.Now()
	r.log.Warn().Str("master", gap.Master).Str("cause", string(gap.Cause)).AnErr("error", gap.Err).
		Int64("connected_ms", now.Sub(c.connected).Milliseconds()).Msg("disconnected")
	r.deafSince = now
	r.tell(gap)
}

// failed tells of an attempt that led to no subscription.
func (r *report) failed(c *connection, gap Gap) {
	r.attempts++
	if loud(r.attempts, thinning) {
		r.log.Warn().Str("master", gap.Master).Str("cause", string(gap.Cause)).AnErr("error", gap.Err).
			Int64("took_ms", time.Since(c.began).Milliseconds()).
			Int("attempt", r.attempts).Msg("connect failed")
	}
	if !r.told {
		r.tell(gap)
	}
}

// passedOn tells of a leader that was not heard, though a standby passes its stream on.
func (r *report) passedOn(c *connection, gap Gap) {
	r.log.Warn().Str("master", c.master.name).Str("leader", c.leader).Str("cause", string(gap.Cause)).
		AnErr("error", gap.Err).Int64("took_ms", time.Since(c.began).Milliseconds()).
		Msgf("leader not heard: its stream comes through the standby, for %v at least", unheardFor)
}

func (r *report) tell(gap Gap) {
	r.told, r.cause = true, gap.Cause
	r.handler.Disconnected(gap)
}

// missed tells of an event that was not read.
func (r *report) missed(gap Gap) {
	r.misses[gap.Cause]++
	if n := r.misses[gap.Cause]; loud(n, thinning) {
		r.log.Warn().Str("master", gap.Master).Str("cause", string(gap.Cause)).AnErr("error", gap.Err).
			Str("event", gap.Event).Int("bytes", gap.Size).Int("count", n).Msg("event not read")
	}
	r.handler.Missed(gap)
}

// ignored counts an event of a type that is not wanted.
func (r *report) ignored(kind string) {
	if _, known := r.ignores[kind]; !known && len(r.ignores) >= ignoredTypes {
		kind = "other"
	}
	r.ignores[kind]++
	if n := r.ignores[kind]; loud(n, ignoredThinning) {
		r.log.Debug().Str("event", kind).Int("count", n).Msg("event ignored")
	}
}

// loud reports whether the nth of a kind has a line of its own in the log.
func loud(n, thinning int) bool { return n == 1 || n%thinning == 0 }

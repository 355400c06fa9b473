package daemon

import (
	"github.com/rs/zerolog"

	"consular/consul"
)

// role tells the log which of the copies this one is, when that changes.
type role struct {
	log    zerolog.Logger
	leader bool
	// attempt counts failed tries to get the lock since one was told of.
	attempt int
}

const (
	leader  = "leader"
	standby = "standby"
)

func (r *role) tell(change consul.LockChange) {
	was := r.leader
	r.leader = change.State == consul.LockHeld
	failures := r.attempt
	r.attempt = change.Attempt
	switch {
	case r.leader:
		r.log.Info().Str("role", leader).Msg("the lock is ours: this copy writes")
	case was && change.Err == nil:
		r.log.Warn().Str("role", standby).Msg("the lock is not ours any more: this copy writes nothing")
	case was:
		r.log.Warn().Str("role", standby).Err(change.Err).Msg("the lock is not sure any more: this copy writes nothing")
	case change.State == consul.LockStandby:
		r.log.Info().Str("role", standby).Str("holder", change.Holder).Msg("another copy has the lock: this one writes nothing")
	case change.Err != nil && (change.Attempt == 1 || change.Attempt > 0 && change.Attempt%10 == 0):
		r.log.Warn().Err(change.Err).Int("attempt", change.Attempt).Msg("cannot get the lock: nothing is written")
	case change.Err == nil && failures > 0:
		r.log.Info().Int("attempt", failures+1).Msg("the lock can be asked for again")
	}
}

package consul

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// hold renews the session until ctx ends, or the lock is lost: then it says why.
func (l *Lock) hold(ctx context.Context, session string, sent moment) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	lost, answers := make(chan error, 1), make(chan renewal)
	running.Go(func() { l.watch(ctx, session, lost) })
	ticker := time.NewTicker(renewEvery)
	defer ticker.Stop()
	l.lease.grant(sent)
	why := errNotRenewed
	for ctx.Err() == nil {
		l.tellSure(why)
		select {
		case <-ctx.Done():
		case err := <-lost:
			return err
		case <-l.lease.due:
		case <-ticker.C:
			running.Go(func() { l.renew(ctx, session, answers) })
		case answer := <-answers:
			switch {
			case answer.err == nil:
				l.lease.grant(answer.sent)
				why = errNotRenewed
			case Refused(answer.err):
				return answer.err
			default:
				why = answer.err
			}
		}
	}
	return nil
}

// errNotRenewed is why the lock is not sure when no renewal has failed: the last one is too long
// ago, by a clock that may have been set.
var errNotRenewed = errors.New("the last renewal is too long ago")

// renewal is what came of one.
type renewal struct {
	sent moment
	err  error
}

// renew renews the session once. It has its own goroutine: one without an answer delays
// no other. After sureFor its answer would be of no use.
func (l *Lock) renew(ctx context.Context, session string, answers chan<- renewal) {
	within, cancel := context.WithTimeoutCause(ctx, sureFor, errNoAnswer)
	defer cancel()
	sent := l.lease.clocks()
	err := l.requests.renew(within, session)
	select {
	case answers <- renewal{sent: sent, err: err}:
	case <-ctx.Done():
	}
}

// watch looks whether the lock is still the session's. A session outlives a key that
// somebody deletes, or gives to another.
func (l *Lock) watch(ctx context.Context, session string, lost chan<- error) {
	for seen := (holder{}); ; {
		began := time.Now()
		now, err := l.look(ctx, seen.index)
		switch {
		case err != nil: // whether we hold it still is for the renewals to say
		case now.session == "":
			lost <- fmt.Errorf("lock %s: the key is nobody's any more", l.config.Key)
			return
		case now.session != session:
			lost <- fmt.Errorf("lock %s: the key is another's: %s", l.config.Key, now.name)
			return
		}
		pause := err != nil || seen.index > 0
		seen = now
		if pause && !sleep(ctx, tryEvery-time.Since(began)) {
			return
		}
	}
}

// tellSure says whether the lock that we hold is sure, and whether it was not meanwhile: who
// waited for that has missed something.
func (l *Lock) tellSure(why error) {
	l.lease.check()
	sure := l.Sure()
	if l.lease.lapse() || !sure {
		l.tell(LockChange{State: LockUnsure, Err: why})
	}
	if sure {
		l.tell(LockChange{State: LockHeld})
	}
}

package consul

import (
	"context"
	"errors"
	"time"
)

// The lock's times. A session that is not renewed lives for up to twice its TTL, and
// Consul has none below 10 s. While its delay lasts, a lock that was lost is given to
// nobody: that is longer than the lock is sure without a renewal, so whoever had it has
// stopped writing before anybody else gets it.
const (
	sessionTTL = 10 * time.Second
	lockDelay  = 5 * time.Second
	sureFor    = 4 * time.Second
	renewEvery = time.Second
	// tryEvery is between tries to get the lock.
	tryEvery = time.Second
	// lookFor is how long one look at the key waits for a change, and lookWithin is
	// when it should have been answered.
	lookFor    = 10 * time.Second
	lookWithin = 15 * time.Second
	// getWithin limits the requests that get the lock: Consul 1.22 says after up to
	// 11 s that it has no leader.
	getWithin = 12 * time.Second
	// releaseWithin is what the end of the program may take for it.
	releaseWithin = 2 * time.Second
)

// LockHead is how long a transport must wait for the head of an answer, for a lock: one look at
// its key waits for a change.
const LockHead = lookWithin

// LockState is how we stand to a lock.
type LockState string

const (
	// LockHeld means that the lock is ours, and sure.
	LockHeld LockState = "held"
	// LockUnsure means that Consul has not granted a renewal for too long. The lock may
	// be ours still: when a renewal is granted after all, it is held as before.
	LockUnsure LockState = "unsure"
	// LockLost means that it is ours no more: Consul has refused a renewal, or the key is
	// free or another's. What follows is one of the next two, or LockHeld.
	LockLost LockState = "lost"
	// LockStandby means that another holds it.
	LockStandby LockState = "standby"
	// LockWaiting means that nobody is known to hold it, and that we have not got it: its
	// delay lasts, or something failed.
	LockWaiting LockState = "waiting"
)

// LockChange is news of a lock.
type LockChange struct {
	State LockState
	// Holder is who has it, under LockStandby, as LockConfig.Name of that copy says it.
	Holder string
	// Err is why, under LockUnsure, LockLost and LockWaiting; nil for a delay.
	Err error
	// Attempt counts the tries that have failed in a row, this one included.
	Attempt int
}

// LockConfig says which lock it is.
type LockConfig struct {
	// Key is its key in the KV store: see CheckLockKey.
	Key string
	// Name says to people, and to the other copies' logs, who has it.
	Name string
	// Told hears of each change of the state or of the holder, and of each try that
	// failed; nil is nobody. It is called by Run, which waits for it.
	Told func(LockChange)
}

// Lock is a lock in Consul, of which one copy of a program at most is sure at any moment.
// It is safe for concurrent use.
type Lock struct {
	config   LockConfig
	requests lockRequests
	lease    *lease
	// last is what was last told; Run's own.
	last LockChange
}

// lockRequests are what a lock asks of Consul: see lockClient.
type lockRequests interface {
	create(ctx context.Context, ttl, delay time.Duration) (session string, err error)
	renew(ctx context.Context, session string) error
	acquire(ctx context.Context, session string) (bool, error)
	release(ctx context.Context, session string) error
	look(ctx context.Context, index uint64, wait time.Duration) (holder, error)
}

// holder is who holds a lock; without a session, nobody does.
type holder struct {
	session, name string
	// index is Consul's, of the state in which that was so.
	index uint64
}

// NewLock returns a lock that sessions of an agent's node may hold: when that agent
// dies, they die with it, which takes Consul some 6 s. The agent's transport should wait for
// LockHead, and serve nothing else: a renewal must not queue.
func NewLock(agent *Agent, config LockConfig) *Lock {
	return newLock(&lockClient{agent: agent, key: config.Key, name: config.Name}, config, readClocks)
}

func newLock(requests lockRequests, config LockConfig, clocks func() moment) *Lock {
	return &Lock{config: config, requests: requests, lease: newLease(sureFor, clocks)}
}

// Sure reports whether the lock is ours for certain.
func (l *Lock) Sure() bool { return l.lease.lives() }

// Guard returns a context for something that only the holder may do. It ends with
// ErrUnsure as its cause when the lock is not sure any more. False means that the lock
// is not sure now. The cancel function must be called when it is done.
func (l *Lock) Guard(ctx context.Context) (guarded context.Context, cancel context.CancelFunc, ok bool) {
	return l.lease.guard(ctx)
}

// Run gets the lock and keeps it, and gets it again when it is lost, until ctx ends. Then it gives
// the lock back, so that another has it at once: ctx should not end before the last write has.
func (l *Lock) Run(ctx context.Context) {
	for {
		session, sent, ok := l.get(ctx)
		if !ok {
			return
		}
		err := l.hold(ctx, session, sent)
		l.lease.end()
		if err != nil {
			l.tell(LockChange{State: LockLost, Err: err})
		}
		if err := l.release(ctx, session); err != nil && ctx.Err() != nil {
			l.tell(LockChange{State: LockLost, Err: err})
		}
	}
}

// get waits until nobody holds the lock and takes it. False when ctx has ended.
func (l *Lock) get(ctx context.Context) (session string, sent moment, ok bool) {
	for seen := (holder{}); ; {
		began, waited := time.Now(), seen.index > 0
		now, err := l.look(ctx, seen.index)
		held := now.session != ""
		if err == nil && !held {
			session, sent, err = l.try(ctx)
		}
		if session != "" || ctx.Err() != nil {
			return session, sent, session != ""
		}
		l.tellNotOurs(now, err)
		if seen = now; !held {
			seen = holder{} // there is nothing to wait for: a delay ends without a change
		}
		// A look that waits may follow at once on one that did not.
		if held && !waited {
			continue
		}
		if !sleep(ctx, tryEvery-time.Since(began)) {
			return "", moment{}, false
		}
	}
}

// try takes the lock, if it can be had. What it does not have it does not keep either:
// a request that is late must not take the lock for a session that nobody renews.
func (l *Lock) try(ctx context.Context) (session string, sent moment, err error) {
	ctx, cancel := context.WithTimeout(ctx, getWithin)
	defer cancel()
	if session, err = l.requests.create(ctx, sessionTTL, lockDelay); err != nil {
		return "", moment{}, err
	}
	sent = l.lease.clocks()
	ok, err := l.requests.acquire(ctx, session)
	if err == nil && ok {
		return session, sent, nil
	}
	_ = l.release(ctx, session) // and if it cannot, it dies by itself
	return "", moment{}, err
}

var errNoAnswer = errors.New("no answer in time")

// look waits until the key's holder may be another than at an index, 0 for not at all.
func (l *Lock) look(ctx context.Context, index uint64) (holder, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookWithin, errNoAnswer)
	defer cancel()
	now, err := l.requests.look(ctx, index, lookFor)
	if now.index < index {
		now.index = 0 // Consul has been restored: see "Blocking Queries" in its documentation
	}
	return now, err
}

// release gives the lock back, or what there is of it, also when ctx has ended.
func (l *Lock) release(ctx context.Context, session string) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), releaseWithin, errNoAnswer)
	defer cancel()
	return l.requests.release(ctx, session)
}

// tellNotOurs says why the lock is not ours yet.
func (l *Lock) tellNotOurs(now holder, err error) {
	switch {
	case err != nil:
		l.tell(LockChange{State: LockWaiting, Err: err, Attempt: l.last.Attempt + 1})
	case now.session != "":
		l.tell(LockChange{State: LockStandby, Holder: now.name})
	default:
		l.tell(LockChange{State: LockWaiting})
	}
}

// tell passes on what is new, and each failure.
func (l *Lock) tell(change LockChange) {
	if change.State == l.last.State && change.Holder == l.last.Holder && change.Attempt == l.last.Attempt {
		return
	}
	l.last = change
	if l.config.Told != nil {
		l.config.Told(change)
	}
}

// sleep waits; false when ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

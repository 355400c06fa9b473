package consul

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// ErrUnsure means that what was under way was given up because the lock is not
// sure any more: another copy may be writing from now on.
var ErrUnsure = errors.New("the lock is not sure any more")

// moment is one time on two clocks. The monotonic one stands still while the
// machine is suspended, the wall clock jumps when it is set.
type moment struct{ monotonic, wall time.Time }

func readClocks() moment {
	now := time.Now()
	return moment{monotonic: now, wall: now.Round(0)}
}

// since returns how much time has passed, by the clock that says more.
func (m moment) since(earlier moment) time.Duration {
	return max(m.monotonic.Sub(earlier.monotonic), m.wall.Sub(earlier.wall))
}

// lease is for how long a lock is sure: for a fixed time after the sending of the
// last renewal that Consul granted. (When Consul granted it is not known: at some
// moment between the sending and the answer, which may be late.)
type lease struct {
	// lasts is that time, and clocks tells what time it is.
	lasts  time.Duration
	clocks func() moment
	// due has a value when the lease may have run out.
	due chan struct{}

	mu sync.Mutex
	// granted is when that renewal was sent, and open is false while there is none.
	granted moment
	open    bool
	timer   *time.Timer
	// lapsed is set when it has run out, be it for a moment.
	lapsed bool
	// guarded is what ends with the lease.
	guarded map[*guarded]struct{}
}

// guarded is something under way, a write, by what gives it up.
type guarded struct{ giveUp context.CancelCauseFunc }

func newLease(lasts time.Duration, clocks func() moment) *lease {
	return &lease{lasts: lasts, clocks: clocks, due: make(chan struct{}, 1), guarded: map[*guarded]struct{}{}}
}

// left returns how much of the lease is left now; with mu held.
func (l *lease) left(now moment) time.Duration {
	if !l.open {
		return 0
	}
	left := l.lasts - now.since(l.granted)
	l.lapsed = l.lapsed || left <= 0
	return left
}

// lapse reports whether the lease has run out since it was last asked: something may have been
// given up, or not begun, although it is renewed now.
func (l *lease) lapse() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	lapsed := l.lapsed
	l.lapsed = false
	return lapsed
}

// lives reports whether the lease has not run out.
func (l *lease) lives() bool {
	// The clocks are read before the lock is taken: nobody waits for anything but memory.
	now := l.clocks()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.left(now) > 0
}

// grant notes that Consul has granted what was sent then. Answers may overtake one another.
func (l *lease) grant(sent moment) {
	now := l.clocks()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open && !sent.monotonic.After(l.granted.monotonic) {
		return
	}
	l.left(now) // it may have run out without anybody's notice
	l.granted, l.open = sent, true
	l.arm(l.left(now))
}

// check gives up what is under way if the lease has run out. It is called when that is
// due by the monotonic clock, and must be called now and then, for the wall clock.
func (l *lease) check() {
	now := l.clocks()
	l.mu.Lock()
	defer l.mu.Unlock()
	if left := l.left(now); left > 0 {
		l.arm(left)
		return
	}
	l.giveUp()
}

// arm lets the lease be checked when it is due; with mu held.
func (l *lease) arm(left time.Duration) {
	if l.timer != nil {
		l.timer.Reset(left)
		return
	}
	l.timer = time.AfterFunc(left, func() {
		l.check()
		select {
		case l.due <- struct{}{}:
		default:
		}
	})
}

// end ends the lease at once.
func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open, l.lapsed = false, false
	if l.timer != nil {
		l.timer.Stop()
	}
	l.giveUp()
}

// giveUp gives up all that is under way; with mu held.
func (l *lease) giveUp() {
	for g := range l.guarded {
		g.giveUp(ErrUnsure)
	}
	clear(l.guarded)
}

// guard returns a context that ends when ctx or the lease does; false when the
// lease has run out already.
func (l *lease) guard(ctx context.Context) (context.Context, context.CancelFunc, bool) {
	now := l.clocks()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left(now) <= 0 {
		return ctx, func() {}, false
	}
	ctx, cancel := context.WithCancelCause(ctx)
	g := &guarded{giveUp: cancel}
	l.guarded[g] = struct{}{}
	return l.beforeSending(ctx), func() {
		l.mu.Lock()
		delete(l.guarded, g)
		l.mu.Unlock()
		cancel(nil)
	}, true
}

// beforeSending has what is to be sent looked at once more, at the last moment: a process that was
// stopped goes on where it was, which may be anywhere between having looked and having sent, and
// its timers come late. (net/http, of Go 1.26, says that it wrote the head of a request before it
// gives any of it to the connection.)
func (l *lease) beforeSending(ctx context.Context) context.Context {
	var conn atomic.Pointer[net.Conn]
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) { conn.Store(&got.Conn) },
		WroteHeaders: func() {
			if l.check(); ctx.Err() != nil {
				(*conn.Load()).Close()
			}
		},
	})
}

package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// TimeoutError says what was waited for, and how long. It is a net.Error whose
// Timeout is true, and errors.Is(err, context.DeadlineExceeded) holds.
type TimeoutError struct {
	// For is what did not come, such as "head of the answer".
	For string
	// After is how long it was waited for.
	After time.Duration
	// Err is what the network itself said; nil when it said nothing. For a dial it
	// holds a *net.OpError whose Op is "dial": nobody was reached.
	Err error
}

func (e *TimeoutError) Error() string { return fmt.Sprintf("no %s within %v", e.For, e.After) }

// Timeout is true: see net.Error.
func (e *TimeoutError) Timeout() bool { return true }

// Temporary is true: see net.Error.
func (e *TimeoutError) Temporary() bool { return true }

// Unwrap returns Err.
func (e *TimeoutError) Unwrap() error { return e.Err }

// Is reports whether target is context.DeadlineExceeded.
func (e *TimeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// watch cancels an exchange when what it waits for does not come in time.
type watch struct {
	// timer is nil when there is no limit.
	timer *time.Timer
	// err is why it cancels.
	err *TimeoutError
}

// startWatch starts waiting. A limit of 0 waits for ever.
func startWatch(cancel context.CancelCauseFunc, what string, limit time.Duration) watch {
	if limit <= 0 {
		return watch{}
	}
	err := &TimeoutError{For: what, After: limit}
	return watch{time.AfterFunc(limit, func() { cancel(err) }), err}
}

// stop ends the wait; false means that it was over already, and that the
// exchange is cancelled now or in a moment.
func (w watch) stop() bool { return w.timer == nil || w.timer.Stop() }

// resume starts the wait anew.
func (w watch) resume(limit time.Duration) {
	if w.timer != nil {
		w.timer.Reset(limit)
	}
}

// limitDial returns dial with a limit, and errors that say so.
func limitDial(dial DialFunc, limit time.Duration) DialFunc {
	return func(caller context.Context, network, address string) (net.Conn, error) {
		deadline := time.Now().Add(limit)
		ctx, cancel := context.WithDeadline(caller, deadline)
		defer cancel()
		conn, err := dial(ctx, network, address)
		// The dial has a timer of its own for ctx's deadline, and may see it first.
		if err != nil && caller.Err() == nil && !time.Now().Before(deadline) {
			err = &TimeoutError{For: "connection to " + address, After: limit, Err: err}
		}
		return conn, err
	}
}

// tlsTimeout is what net/http says; the type of that error is not exported.
const tlsTimeout = "net/http: TLS handshake timeout"

// explain returns the limit that was exceeded, if that is why err happened, or
// what TLS has to do with it.
func (t *Transport) explain(ctx context.Context, err error) error {
	if timeout, ok := errors.AsType[*TimeoutError](context.Cause(ctx)); ok {
		return timeout
	}
	if err.Error() == tlsTimeout {
		return &TimeoutError{For: "TLS handshake", After: t.config.Connect, Err: err}
	}
	return t.config.TLS.explain(err)
}

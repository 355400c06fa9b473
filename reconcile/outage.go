package reconcile

import (
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"consular/consul"
)

// outage is a time in which a domain does not answer, or fails at all that it is told to do.
type outage struct {
	since time.Time
	err   error
	// answers is set while the domain does answer, but one job after the other fails.
	answers bool
	// unreachable is set when there was no way to the domain at any time of it.
	unreachable bool
}

// markDown notes that the domain does not answer, or fails whatever it is told, and since when.
func (w *worker) markDown(err error, answers bool) {
	now := &outage{since: time.Now(), err: err, answers: answers, unreachable: consul.Unreachable(err)}
	if before := w.outage.Load(); before != nil && before.answers == answers {
		now.since, now.unreachable = before.since, before.unreachable || now.unreachable
	}
	w.outage.Store(now)
}

// markUp notes that the domain does answer, be it with a refusal, if it was asked. One that
// has failed at everything has to have written something.
func (w *worker) markUp(b *breaker, c contact) {
	was := w.outage.Load()
	switch {
	case was == nil:
	case c == unasked, was.answers && c != wrote, !w.outage.CompareAndSwap(was, nil):
		return
	default:
		w.tell(Notice{
			Level: zerolog.InfoLevel, Message: "works again",
			Agent: w.name, Attempt: b.failures + 1, Waiting: w.queue.len(), Silent: time.Since(was.since),
		})
		if !was.answers {
			w.queue.settle()
		}
		if w.leftOut.Swap(false) {
			w.recovered()
		}
	}
	b.failures = 0
	b.pauses.Reset()
}

// backingOff returns why nobody but the worker is to ask the domain; nil while it
// answers.
func (w *worker) backingOff() error {
	if outage := w.outage.Load(); outage != nil && !outage.answers {
		return fmt.Errorf("left alone for now: %w", outage.err)
	}
	return nil
}

// isUnreachable reports whether there was no way to the domain at any time of an outage.
func (w *worker) isUnreachable() bool {
	outage := w.outage.Load()
	return outage != nil && outage.unreachable
}

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/rs/zerolog"

	"consular/consul"
)

// worker is the only one who writes to its failure domain: one agent, the KV store
// or the catalog. It does one job at a time. After a failure it leaves the domain alone
// for a growing, capped time, in which jobs pile up, each thing once.
type worker struct {
	// name is the domain's in the log: an agent's address, "kv" or "catalog".
	name  string
	queue *queue
	tell  func(Notice)
	// recovered is told when the domain answers again, and refused of each write
	// that it will not do.
	recovered func()
	refused   func(*worker, job, error)
	// again ends a rest.
	again chan struct{}
	// outage says why the domain is left to the worker, which tries it now and then;
	// nil while it answers.
	outage atomic.Pointer[outage]
}

// outage is a time in which a domain does not answer.
type outage struct {
	since time.Time
	err   error
}

// Backoff of a failing domain.
const (
	firstBackoff = 250 * time.Millisecond
	maxBackoff   = 30 * time.Second
)

// newBackoff returns jittered, growing pauses without an end, none of them longer
// than the limit.
func newBackoff(limit time.Duration) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	// The jitter makes them up to half as long again.
	b.InitialInterval, b.MaxInterval, b.Multiplier = firstBackoff, max(limit*2/3, firstBackoff), 2
	b.Reset()
	return b
}

// work does jobs, each by execute, until ctx ends.
func (w *worker) work(ctx context.Context, execute func(context.Context, job) (outcome, error)) {
	pauses := newBackoff(maxBackoff)
	for failures := 0; ; {
		j, ok := w.queue.next(ctx)
		if !ok {
			return
		}
		done, err := execute(ctx, j)
		refused := errors.Is(err, errRefused)
		switch {
		case err != nil && ctx.Err() != nil:
			return
		case err != nil && !refused:
			failures++
			if !w.failed(ctx, j, err, failures, pauses.NextBackOff()) {
				return
			}
			continue
		case refused:
			w.refused(w, j, err)
			done.Failed++
		}
		w.markUp(failures)
		failures = 0
		pauses.Reset()
		j.finish(done)
	}
}

// errRefused marks an answer about the one thing that was to be written: others
// may go well. A listing that is refused is no such answer.
var errRefused = errors.New("refused")

// written makes an error of a failed write.
func written(err error) error {
	if consul.Refused(err) || errors.Is(err, consul.ErrStale) {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return err
}

// failed keeps the job, and leaves the domain alone for a while; false when ctx
// ends. The first of a row of failures is logged, and then every tenth.
func (w *worker) failed(ctx context.Context, j job, err error, failures int, wait time.Duration) bool {
	if everyTenth(failures) {
		w.tell(Notice{
			Level: zerolog.WarnLevel, Message: "failed: left alone for a while",
			Agent: w.name, Err: err, Attempt: failures, Cause: j.name,
		})
	}
	w.markDown(err)
	j.finish(outcome{Failed: 1})
	j.tally, j.keys, j.keysRead = nil, nil, false
	if !w.queue.putBack(j) { // retired meanwhile: a resync finds what is left
		w.recovered()
	}
	w.queue.fail()
	return w.rest(ctx, wait)
}

// markDown notes that the domain does not answer, and since when.
func (w *worker) markDown(err error) {
	since := time.Now()
	if before := w.outage.Load(); before != nil {
		since = before.since
	}
	w.outage.Store(&outage{since: since, err: err})
}

// markUp notes that the domain does answer, be it with a refusal.
func (w *worker) markUp(failures int) {
	if was := w.outage.Swap(nil); was != nil {
		w.tell(Notice{
			Level: zerolog.InfoLevel, Message: "works again",
			Agent: w.name, Attempt: failures + 1, Waiting: w.queue.len(), Silent: time.Since(was.since),
		})
		w.recovered()
	}
}

// backingOff returns why nobody but the worker is to ask the domain; nil while it
// answers.
func (w *worker) backingOff() error {
	if outage := w.outage.Load(); outage != nil {
		return fmt.Errorf("left alone for now: %w", outage.err)
	}
	return nil
}

// tryAgain ends the rest after a failure, or else the next one.
func (w *worker) tryAgain() { nudge(w.again) }

// rest waits; false when ctx ends or the worker is not needed any more.
func (w *worker) rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-w.queue.retired:
		w.queue.fail()
		return false
	case <-timer.C:
		return true
	case <-w.again:
		return true
	}
}

// finish tells the resync that asked for the job what came of it.
func (j job) finish(o outcome) {
	if j.tally != nil {
		j.tally.done(o)
	}
}

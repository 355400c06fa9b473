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
	"consular/reconcile/heartbeat"
)

// worker is the only one who writes to its failure domain: one agent, the KV store
// or the catalog. It does one job at a time. A job that fails by itself waits by itself,
// longer each time. A domain that does not answer is left alone for a growing, capped time,
// in which jobs pile up, each thing once.
type worker struct {
	// name is the domain's in the log: an agent's address, "kv" or "catalog".
	name  string
	queue *queue
	gate  *gate
	loop  *heartbeat.Loop
	tell  func(Notice)
	// keyed is set where a job is about a service name's keys, and not a task's services.
	keyed bool
	// recovered is told when another resync is needed, for one did without the domain that
	// answers again, and refused of each write that it will not do.
	recovered func()
	refused   func(*worker, job, error)
	// done is told of a job that went well after it had failed.
	done func()
	// again ends a rest.
	again chan struct{}
	// outage says why the domain is left to the worker, which tries it now and then;
	// nil while it answers.
	outage atomic.Pointer[outage]
	// leftOut is set when a resync did without the domain, for it did not answer.
	leftOut atomic.Bool
	// late, while the worker does a listing for which a resync has not waited any longer, is
	// how long that has waited, in nanoseconds; else 0.
	late atomic.Int64
}

const (
	// firstBackoff and maxBackoff are the pauses after a failure, of a domain or of a job.
	firstBackoff = 250 * time.Millisecond
	maxBackoff   = 30 * time.Second
	// refusedAgain is how long what was refused waits: permissions change.
	refusedAgain = time.Minute
	// tooManyJobs is how many different jobs that fail one after the other are the domain's
	// failure, and not their own.
	tooManyJobs = 5
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

// errRefused and errUnable mark answers about the one thing that was to be written: that it
// will not be, or could not be. Others may go well. No error of a listing is such an answer.
var (
	errRefused = errors.New("refused")
	errUnable  = errors.New("not done")
)

// written makes an error of a failed write.
func written(err error) error {
	switch {
	case consul.Unable(err), errors.Is(err, consul.ErrStale),
		consul.Unknown(err): // somebody has removed what we believe to be there
		return fmt.Errorf("%w: %w", errUnable, err)
	case consul.Refused(err):
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return err
}

// breaker is what a worker remembers of failures.
type breaker struct {
	// failures counts those of the domain in a row, each with a pause after it.
	failures int
	pauses   *backoff.ExponentialBackOff
	// jobs are those that have failed for the first time since anything was written.
	jobs map[string]bool
}

// work does jobs, each by execute, until ctx ends.
func (w *worker) work(ctx context.Context, execute func(context.Context, job) (outcome, error)) {
	b := breaker{pauses: newBackoff(maxBackoff), jobs: map[string]bool{}}
	defer w.loop.End()
	for {
		w.loop.Rest()
		j, ok := w.queue.next(ctx)
		if !ok {
			w.queue.fail() // what waits by itself is not done any more
			return
		}
		w.loop.Round()
		if !w.gate.admits(j) {
			w.drop(j)
			continue
		}
		done, err := execute(withErrand(ctx, errand{j, w.loop}), j)
		switch {
		case err != nil && ctx.Err() != nil:
			return
		case errors.Is(err, errClosed):
			w.drop(j)
			continue
		}
		if w.judge(&b, j, done, err) && !w.rest(ctx, b.pauses.NextBackOff()) {
			return
		}
	}
}

// drop drops a job that may not be done: a resync finds what it was for, when anything may be
// written. What is known of an outage is forgotten while nobody may find out that it is over.
func (w *worker) drop(j job) {
	j.finish(outcome{Failed: 1})
	switch {
	case !w.gate.isOpen():
		w.outage.Store(nil)
		w.late.Store(0)
	case w.outage.Load() != nil:
		w.queue.put(job{cause: cause{name: "resync"}})
	}
}

// judge says what came of a job, and keeps one that is to be tried again. It reports
// whether the domain is to be left alone for a while.
func (w *worker) judge(b *breaker, j job, done outcome, err error) (down bool) {
	switch {
	case err == nil:
		j.finish(done)
		w.succeeded(j)
	case errors.Is(err, errUnable):
		done.contact = max(done.contact, asked)
		w.failed(b, j, done, err)
	case errors.Is(err, errRefused):
		done.contact = wrote
		j.failures++
		w.refused(w, j, err)
		w.keep(j, done, refusedAgain)
	default:
		// The job that fails may be the reason for it: the next one is tried first.
		j.suspect, j.unanswered = true, true
		w.keep(j, done, 0)
		w.leaveAlone(b, j, err, false)
		return true
	}
	if done.contact == wrote {
		clear(b.jobs)
	}
	w.markUp(b, done.contact)
	if down = errors.Is(err, errUnable) && len(b.jobs) >= tooManyJobs; down {
		w.leaveAlone(b, j, err, true)
	}
	return down
}

// succeeded tells of the end of a job's failures.
func (w *worker) succeeded(j job) {
	if j.failures > 0 {
		n := w.about(j)
		n.Level, n.Message, n.Attempt = zerolog.InfoLevel, "done, after failures", j.failures+1
		w.tell(n)
		w.done()
	}
}

// failed keeps a job that could not be done: it waits by itself. Its first failure is
// logged, and then every tenth.
func (w *worker) failed(b *breaker, j job, done outcome, err error) {
	if j.failures++; j.failures == 1 {
		b.jobs[j.id()] = true // what fails again says nothing new of the domain
	}
	if everyTenth(j.failures) {
		n := w.about(j)
		n.Level, n.Message, n.Attempt, n.Err = zerolog.WarnLevel, "failed: tried again by itself", j.failures, err
		w.tell(n)
	}
	w.keep(j, done, j.pause())
}

// keep puts a job back that has failed, and tells the resync that asked.
func (w *worker) keep(j job, done outcome, wait time.Duration) {
	done.Failed++
	j.finish(done)
	j.tally, j.start, j.keys, j.keysRead = nil, nil, nil, false
	if !w.queue.putBack(j, wait) { // retired meanwhile: a resync finds what is left
		w.recovered()
	}
}

// leaveAlone notes a failure of the domain. The first of a row is logged, and then every tenth.
func (w *worker) leaveAlone(b *breaker, j job, err error, answers bool) {
	if b.failures++; everyTenth(b.failures) {
		w.tell(Notice{
			Level: zerolog.WarnLevel, Message: "failed: left alone for a while",
			Agent: w.name, Err: err, Attempt: b.failures, Cause: j.name,
		})
	}
	w.markDown(err, answers)
	w.queue.fail()
}

// about is a line of the log about a job.
func (w *worker) about(j job) Notice {
	n := Notice{Agent: w.name, App: j.app, Task: j.key, Cause: j.name}
	if w.keyed {
		n.Task, n.Service = "", j.key
	}
	if j.event() {
		n.State = j.state
	}
	return n
}

// tryAgain ends the rest after a failure, or else the next one, and the wait of what has
// failed by itself.
func (w *worker) tryAgain() {
	w.queue.hurry()
	nudge(w.again)
}

// rest waits; false when ctx ends or the worker is not needed any more.
func (w *worker) rest(ctx context.Context, d time.Duration) bool {
	w.loop.Rest()
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

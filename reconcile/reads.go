package reconcile

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"consular/marathon"
)

// Marathon is what is read of it, as marathon.Client reads it.
type Marathon interface {
	// Apps is GET /v2/apps?embed=apps.tasks: all, or an error.
	Apps(ctx context.Context) (marathon.Snapshot, error)
	// App is GET /v2/apps/{id}; marathon.ErrNotFound when there is no such app.
	App(ctx context.Context, id string) (marathon.App, error)
	// Version is GET /v2/apps/{id}/versions/{version}.
	Version(ctx context.Context, id, version string) (marathon.Definition, error)
	// Info is GET /v2/info.
	Info(ctx context.Context) (marathon.Info, error)
}

// question is one thing to ask Marathon for: an app, or else the definition of one
// of its versions.
type question struct {
	Version
	definition bool
}

// reading collects what has to be read of Marathon, each thing once, however
// many events asked for it. Asking never waits.
type reading struct {
	mu sync.Mutex
	// wanted is what is to be read, and not before when: what failed has to wait.
	wanted map[question]time.Time
	// inFlight is being read. A read that began before does not count: what is
	// asked for meanwhile is wanted once more.
	inFlight map[question]bool
	// pauses are those of what failed when it was last read.
	pauses map[question]*backoff.ExponentialBackOff
	// failures counts since all reads went well.
	failures int
	// rest is before when nothing is read.
	rest time.Time
	wake chan struct{}
	// count is how many apps were read since the last summary said so.
	count atomic.Int64
}

func newReading() *reading {
	return &reading{
		wanted: map[question]time.Time{}, inFlight: map[question]bool{},
		pauses: map[question]*backoff.ExponentialBackOff{}, wake: make(chan struct{}, 1),
	}
}

func (r *reading) ask(apps []string, definitions []Version) {
	if len(apps)+len(definitions) == 0 {
		return
	}
	r.mu.Lock()
	for _, id := range apps {
		r.want(question{Version: Version{App: id}})
	}
	for _, v := range definitions {
		r.want(question{Version: v, definition: true})
	}
	r.mu.Unlock()
	r.nudge()
}

// want has something read at once, unless it has to wait.
func (r *reading) want(q question) {
	if _, waits := r.wanted[q]; !waits {
		r.wanted[q] = time.Time{}
	}
}

// nudge wakes who reads.
func (r *reading) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

const (
	// readsAtOnce bounds the requests in flight to Marathon.
	readsAtOnce = 8
	// snapshotInstead is from how many apps on one snapshot serves for all.
	snapshotInstead = 50
)

// tooMany reports whether a snapshot is to serve for the apps that are wanted:
// then they are not wanted any more.
func (r *reading) tooMany() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	var apps []question
	for q := range r.wanted {
		if !q.definition {
			apps = append(apps, q)
		}
	}
	if len(apps) < snapshotInstead {
		return false
	}
	for _, q := range apps {
		delete(r.wanted, q)
		delete(r.pauses, q)
	}
	return true
}

// take returns what is to be read now. Which of it comes first is left to chance,
// so that none waits for ever.
func (r *reading) take(now time.Time) (due []question) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for q, at := range r.wanted {
		if len(r.inFlight) < readsAtOnce && !r.inFlight[q] && !now.Before(latest(at, r.rest)) {
			due = append(due, q)
			r.inFlight[q] = true
			delete(r.wanted, q)
		}
	}
	return due
}

// answered ends a read that went well. It returns how many have failed, if that is
// over: nothing that has failed is left.
func (r *reading) answered(q question) (failures int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.inFlight, q)
	delete(r.pauses, q)
	if len(r.pauses) == 0 {
		failures, r.failures = r.failures, 0
	}
	return failures
}

// failed ends a read that did not go well. It returns how many have failed, and
// how long this one has to wait. When another thing fails that did not before, it
// may be Marathon that does, and is left alone for a moment.
func (r *reading) failed(q question, now time.Time, limit time.Duration) (failures int, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.inFlight, q)
	if r.pauses[q] == nil {
		r.pauses[q] = newBackoff(limit)
		if len(r.pauses) > 1 {
			r.rest = now.Add(failureRest)
		}
	}
	due := latest(now.Add(r.pauses[q].NextBackOff()), r.rest)
	r.wanted[q] = due
	r.failures++
	return r.failures, due.Sub(now)
}

// readApps reads what events have asked for, each thing by itself, so that none
// delays another, until ctx ends.
func (r *Reconciler) readApps(ctx context.Context) {
	var reads sync.WaitGroup
	defer reads.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.reading.wake:
		}
		if r.reading.tooMany() {
			r.agenda.ask("many apps changed", time.Now())
		}
		for _, q := range r.reading.take(time.Now()) {
			reads.Go(func() { r.readAsked(ctx, q) })
		}
	}
}

// readAsked reads one thing that events have asked for. What failed is read again
// after a pause, not sooner however many events ask.
func (r *Reconciler) readAsked(ctx context.Context, q question) {
	err := r.readOne(ctx, q)
	switch {
	case ctx.Err() != nil:
		return
	case err == nil:
		if n := r.reading.answered(q); n > 0 {
			r.config.Log.Info().Int("attempt", n+1).Msg("reads of apps work again")
		}
	default:
		n, wait := r.reading.failed(q, time.Now(), r.config.PollInterval)
		if n%10 == 1 {
			r.config.Log.Warn().Err(err).Str("app", q.App).Int("attempt", n).Msg("cannot read apps")
		}
		r.reading.nudge() // for others, now
		sleep(ctx, wait)
	}
	r.reading.nudge()
}

// readOne reads an app or a definition.
func (r *Reconciler) readOne(ctx context.Context, q question) error {
	if q.definition {
		return r.define(ctx, []Version{q.Version})
	}
	return r.readApp(ctx, q.App, r.carryAnswer)
}

// readAll reads apps, several at a time, lets the model know, and calls then with
// what that changes. It reads all, and returns the first error.
func (r *Reconciler) readAll(ctx context.Context, ids []string, then func(Effects)) error {
	var all errgroup.Group
	all.SetLimit(readsAtOnce)
	for _, id := range ids {
		all.Go(func() error { return r.readApp(ctx, id, then) })
	}
	return all.Wait()
}

// readApp reads one app: what is known of it afterwards holds for everything
// that happened before it was asked for.
func (r *Reconciler) readApp(ctx context.Context, id string, then func(Effects)) error {
	r.mu.Lock()
	asked := r.desired.Ask()
	r.mu.Unlock()
	r.reading.count.Add(1)
	app, err := r.marathon.App(ctx, id)
	now := time.Now()
	r.mu.Lock()
	var effects Effects
	switch {
	case errors.Is(err, marathon.ErrNotFound):
		effects, err = r.desired.AnswerGone(asked, id, now), nil
	case err != nil:
		r.desired.Abandon(asked)
	default:
		effects = r.desired.Answer(asked, app, now)
	}
	clash, clashes := r.desired.clashOf(ServiceName(id))
	r.mu.Unlock()
	if err != nil {
		return err
	}
	r.heard()
	r.notePorts(app)
	if clashes {
		r.tellClash(clash)
	}
	then(effects)
	return nil
}

// carryAnswer pokes whoever has to look at what an answer of Marathon has changed.
func (r *Reconciler) carryAnswer(effects Effects) {
	r.carry(effects, cause{name: "app read"}, Announced)
}

// define reads the definitions of old versions, which never change.
func (r *Reconciler) define(ctx context.Context, versions []Version) error {
	var all errgroup.Group
	all.SetLimit(readsAtOnce)
	for _, v := range versions {
		all.Go(func() error {
			def, err := r.marathon.Version(ctx, v.App, v.Version)
			gone := errors.Is(err, marathon.ErrNotFound)
			if err != nil && !gone {
				return err
			}
			if gone && r.once("deleted "+v.App+" "+v.Version) {
				r.config.Log.Warn().Str("app", v.App).Str("version", v.Version).
					Msg("the version that tasks run was deleted: what is registered stays")
			}
			r.mu.Lock()
			effects := r.desired.Define(v, def, gone)
			r.mu.Unlock()
			r.carryAnswer(effects)
			return nil
		})
	}
	return all.Wait()
}

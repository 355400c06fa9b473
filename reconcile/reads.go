package reconcile

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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

// reading collects what has to be read of Marathon, each thing once, however
// many events asked for it. Asking never waits.
type reading struct {
	mu          sync.Mutex
	apps        map[string]bool
	definitions map[Version]bool
	wake        chan struct{}
	// count is how many apps were read since the last summary said so.
	count atomic.Int64
}

func newReading() *reading {
	return &reading{apps: map[string]bool{}, definitions: map[Version]bool{}, wake: make(chan struct{}, 1)}
}

func (r *reading) ask(apps []string, definitions []Version) {
	if len(apps)+len(definitions) == 0 {
		return
	}
	r.mu.Lock()
	for _, id := range apps {
		r.apps[id] = true
	}
	for _, v := range definitions {
		r.definitions[v] = true
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// asked is what is to be read of Marathon.
type asked struct {
	apps        []string
	definitions []Version
}

func (a *asked) len() int { return len(a.apps) + len(a.definitions) }

func (a *asked) add(b asked) {
	a.apps = append(a.apps, b.apps...)
	a.definitions = append(a.definitions, b.definitions...)
}

// drop leaves out what b has.
func (a *asked) drop(b asked) {
	a.apps = slices.DeleteFunc(a.apps, func(id string) bool { return slices.Contains(b.apps, id) })
	a.definitions = slices.DeleteFunc(a.definitions, func(v Version) bool { return slices.Contains(b.definitions, v) })
}

// take returns all that is to be read now.
func (r *reading) take() asked {
	r.mu.Lock()
	defer r.mu.Unlock()
	wanted := asked{apps: sortedKeys(r.apps)}
	for v := range r.definitions {
		wanted.definitions = append(wanted.definitions, v)
	}
	clear(r.apps)
	clear(r.definitions)
	return wanted
}

const (
	// readsAtOnce bounds the requests in flight to Marathon.
	readsAtOnce = 8
	// snapshotInstead is from how many apps on one snapshot serves for all.
	snapshotInstead = 50
)

// readApps reads what events have asked for, until ctx ends. What failed is read
// again after a pause, not sooner however many events ask, and delays nothing
// else; when all that was asked for failed, it may be Marathon that does, and is
// left alone for a moment.
func (r *Reconciler) readApps(ctx context.Context) {
	pauses := newBackoff(r.config.PollInterval)
	var failed asked
	var again <-chan time.Time
	for failures := 0; ; {
		retry := false
		select {
		case <-ctx.Done():
			return
		case <-again:
			retry = true
			r.reading.ask(failed.apps, failed.definitions)
			failed, again = asked{}, nil
		case <-r.reading.wake:
		}
		wanted := r.reading.take()
		wanted.drop(failed)
		missed, err := r.readAsked(ctx, wanted)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if failures++; failures%10 == 1 {
				r.config.Log.Warn().Err(err).Int("attempt", failures).Msg("cannot read apps")
			}
			pause := pauses.NextBackOff()
			failed.add(missed)
			if again == nil { // otherwise failures that follow each other would put it off
				again = time.After(pause)
			}
			if !retry && missed.len() == wanted.len() && !sleep(ctx, min(pause, failureRest)) {
				return
			}
		case failures > 0 && failed.len() == 0:
			r.config.Log.Info().Int("attempt", failures+1).Msg("reads of apps work again")
			failures = 0
			pauses.Reset()
		}
	}
}

// readAsked reads what has been asked for, and returns what failed.
func (r *Reconciler) readAsked(ctx context.Context, wanted asked) (missed asked, err error) {
	if len(wanted.apps) >= snapshotInstead {
		r.agenda.ask("many apps changed", time.Now())
		wanted.apps = nil
	}
	missed.apps, err = r.readAll(ctx, wanted.apps, r.carryAnswer)
	if defineErr := r.define(ctx, wanted.definitions); defineErr != nil {
		missed.definitions = wanted.definitions
		err = errors.Join(err, defineErr)
	}
	return missed, err
}

// readAll reads apps, several at a time, lets the model know, and calls then with
// what that changes. It returns those that could not be read, and the first reason.
func (r *Reconciler) readAll(ctx context.Context, ids []string, then func(Effects)) (failed []string, err error) {
	var all errgroup.Group
	all.SetLimit(readsAtOnce)
	var mu sync.Mutex
	for _, id := range ids {
		all.Go(func() error {
			err := r.readApp(ctx, id, then)
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, id)
			}
			return err
		})
	}
	err = all.Wait()
	return failed, err
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
			if gone {
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

package reconcile

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"consular/marathon"
	"consular/reconcile/desired"
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

// readApps reads what events have asked for, each thing by itself, so that none
// delays another, until ctx ends.
func (r *Reconciler) readApps(ctx context.Context) {
	var reads sync.WaitGroup
	defer reads.Wait()
	loop := r.config.Loops.Add("reads")
	defer loop.End()
	for ctx.Err() == nil {
		loop.Round()
		if r.reads.tooMany(time.Now(), r.config.PollInterval) {
			r.schedule.ask("many apps changed", time.Now())
		}
		watched := r.askForHealth()
		due, next := r.reads.take(time.Now())
		for _, q := range due {
			reads.Go(func() { r.readAsked(ctx, q) })
		}
		loop.Rest()
		sleepUntil(ctx, earliest(next, watched), r.reads.wake)
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
		if n := r.reads.answered(q); n > 0 {
			r.config.tell(Notice{Level: zerolog.InfoLevel, Message: "reads of apps work again", Attempt: n + 1})
		}
	default:
		n := r.reads.failed(q, time.Now(), r.config.PollInterval)
		if everyTenth(n) {
			r.config.tell(Notice{Level: zerolog.WarnLevel, Message: "cannot read apps", App: q.App, Attempt: n, Err: err})
		}
	}
	nudge(r.reads.wake)
}

// readOne reads an app or a definition.
func (r *Reconciler) readOne(ctx context.Context, q question) error {
	if q.definition {
		return r.define(ctx, []desired.Version{q.Version}, r.enqueueAnswer)
	}
	return r.readApp(ctx, q.App, r.enqueueAnswer)
}

// readAll reads apps, several at a time, lets the model know, and calls then with
// what that changes. It reads all, and returns the first error.
func (r *Reconciler) readAll(ctx context.Context, ids []string, then func(desired.Effects)) error {
	var all errgroup.Group
	all.SetLimit(readsAtOnce)
	for _, id := range ids {
		all.Go(func() error { return r.readApp(ctx, id, then) })
	}
	return all.Wait()
}

// readApp reads one app: what is known of it afterwards holds for everything
// that happened before it was asked for.
func (r *Reconciler) readApp(ctx context.Context, id string, then func(desired.Effects)) error {
	defer r.starts.answered(id)
	r.mu.Lock()
	asked := r.model.BeginRead()
	r.mu.Unlock()
	r.reads.count.Add(1)
	app, err := r.app(ctx, id)
	now := time.Now()
	r.mu.Lock()
	var effects desired.Effects
	switch {
	case errors.Is(err, marathon.ErrNotFound):
		effects, err = r.model.ApplyNotFound(asked, id, now), nil
	case err != nil:
		r.model.CancelRead(asked)
	default:
		r.noteClock()
		effects = r.model.ApplyApp(asked, app, now)
	}
	clashes, troubles := r.model.ClashesOf(id), r.model.TroublesOf(id)
	r.mu.Unlock()
	if err != nil {
		return err
	}
	r.heard()
	r.tellPorts(app)
	for _, c := range clashes {
		r.tellClash(c)
	}
	for _, t := range troubles {
		r.tellTrouble(t)
	}
	then(effects)
	return nil
}

// enqueueAnswer gives workers what an answer of Marathon has changed.
func (r *Reconciler) enqueueAnswer(effects desired.Effects) {
	r.enqueue(effects, cause{name: appRead})
}

// defineBeside reads the definitions of old versions while all else goes on: only the
// tasks that run them wait. What cannot be read is asked for again.
func (r *Reconciler) defineBeside(ctx context.Context, versions []desired.Version) {
	for _, v := range versions {
		one := []desired.Version{v}
		r.beside.ask(ctx, "version "+v.App+" "+v.Version, func() {
			err := r.define(ctx, one, r.enqueueAnswer)
			if err == nil || ctx.Err() != nil {
				return
			}
			if r.firstTime("unread version " + v.App + " " + v.Version) {
				r.config.tell(Notice{
					Level: zerolog.WarnLevel, Message: "cannot read the versions that some tasks run: their services stay as they are",
					App: v.App, Version: v.Version, Err: err,
				})
			}
			r.reads.ask(desired.Effects{Definitions: one})
		})
	}
}

// define reads the definitions of old versions, which never change, and calls then with
// what each of them changes.
func (r *Reconciler) define(ctx context.Context, versions []desired.Version, then func(desired.Effects)) error {
	var all errgroup.Group
	all.SetLimit(readsAtOnce)
	for _, v := range versions {
		all.Go(func() error {
			def, err := r.marathon.Version(ctx, v.App, v.Version)
			gone := errors.Is(err, marathon.ErrNotFound)
			if err != nil && !gone {
				return err
			}
			if gone && r.firstTime("deleted "+v.App+" "+v.Version) {
				r.config.tell(Notice{
					Level: zerolog.WarnLevel, Message: "the version that tasks run was deleted: what is registered stays",
					App: v.App, Version: v.Version,
				})
			}
			r.mu.Lock()
			effects := r.model.ApplyDefinition(v, def, gone)
			r.mu.Unlock()
			then(effects)
			return nil
		})
	}
	return all.Wait()
}

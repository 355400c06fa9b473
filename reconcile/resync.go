package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"consular/marathon"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
)

// failureRest is how long a Marathon that has just failed is left alone at least,
// whatever asks for a resync meanwhile: too short to be noticed after a reconnect.
const failureRest = time.Second

// resyncs does one resync after the other, each when it is due, until ctx ends.
func (r *Reconciler) resyncs(ctx context.Context) {
	pauses := newBackoff(r.config.PollInterval)
	for failures := 0; ; {
		r.resyncLoop.Rest()
		causes := r.schedule.wait(ctx)
		if causes == nil {
			return
		}
		r.resyncLoop.Round()
		start := time.Now()
		err := r.resync(ctx, strings.Join(causes, ", "))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			level := zerolog.Disabled
			if everyTenth(failures) {
				level = zerolog.ErrorLevel
			}
			r.config.tell(Notice{
				Level: level, Message: "resync failed: nothing is removed, services stay as they are",
				Attempt: failures, Cause: strings.Join(causes, ", "), Err: err, Resync: "failed", Took: time.Since(start),
			})
			pause := pauses.NextBackOff()
			r.schedule.pause(time.Now().Add(min(pause, failureRest)))
			r.schedule.ask("retry", time.Now().Add(r.retryAfter(pause)))
		default:
			if failures > 0 {
				r.config.tell(Notice{Level: zerolog.InfoLevel, Message: "resyncs work again", Attempt: failures + 1})
			}
			failures = 0
			pauses.Reset()
			r.askNext()
		}
	}
}

// retryAfter is soon while the stream lives, for then a gap waits to be closed;
// otherwise it is the polling's pace.
func (r *Reconciler) retryAfter(pause time.Duration) time.Duration {
	if r.live.Load() {
		return pause
	}
	return jitter(min(r.config.PollInterval, r.syncInterval()))
}

// askNext wants the next resync: at the polling's pace while the stream is down,
// or something is held back, unconfirmed or unread.
func (r *Reconciler) askNext() {
	r.mu.Lock()
	waiting := r.waiting > 0
	r.mu.Unlock()
	interval, why := r.syncInterval(), "sync interval"
	if r.config.SyncInterval == 0 {
		why = "once a day"
	}
	if poll := r.config.PollInterval; poll < interval { // of those that apply the shortest counts
		switch {
		case !r.live.Load():
			interval, why = poll, "poll"
		case waiting:
			interval, why = poll, "look again"
		}
	}
	r.schedule.ask(why, time.Now().Add(jitter(interval)))
}

// syncInterval is the time between resyncs while all is well.
func (r *Reconciler) syncInterval() time.Duration {
	if r.config.SyncInterval == 0 {
		return housekeeping
	}
	return r.config.SyncInterval
}

// lookAgain wants a resync at the polling's pace.
func (r *Reconciler) lookAgain() {
	r.schedule.ask("look again", time.Now().Add(jitter(min(r.config.PollInterval, r.syncInterval()))))
}

// resync compares both sides and gives each worker its share of the plan; while nothing may
// be written, it follows Marathon.
func (r *Reconciler) resync(ctx context.Context, why string) error {
	if !r.gate.isOpen() {
		return r.follow(ctx, why)
	}
	return r.execute(ctx, why, false, func(_ plan.Plan, s Summary) {
		r.tellUnconfirmed(s.outcome)
		r.config.tell(s.notice())
		r.unfinished.Store(s.left() > 0)
		if s.again() || s.left() > 0 && s.wrote() {
			r.schedule.askLimited("unfinished", time.Now(), time.Second)
		}
	})
}

// execute makes a plan and gives out its jobs; finish is called once, when all of them
// are done or have failed. Unless it is to wait for them, what Marathon is asked beside it,
// about old versions and missing apps, delays nothing that does not depend on it.
func (r *Reconciler) execute(ctx context.Context, why string, wait bool, finish func(plan.Plan, Summary)) error {
	start := time.Now()
	var p plan.Plan
	var s Summary
	d := r.newDispatch(r.gate.term(), newTally(func(done outcome) {
		s.outcome = done
		finish(p, s)
	}))
	p, err := r.plan(ctx, wait, d)
	if err != nil {
		return err
	}
	r.tellPlan(&p)
	s = r.summary(p, why, start)
	d.give(&p)
	d.confirm(ctx, &p)
	d.tally.done(outcome{})
	return nil
}

// Plan reads both sides completely and returns the drift, judged: what may be done, and
// what is held back. It asks for the apps of what is merely missing from the snapshot, and
// judges again. It writes nothing.
func (r *Reconciler) Plan(ctx context.Context) (plan.Plan, error) {
	p, _, err := r.read(ctx)
	return p, err
}

// read is what Plan does, and returns what is in Consul too.
func (r *Reconciler) read(ctx context.Context) (plan.Plan, plan.Actual, error) {
	start := time.Now()
	p, actual, empty, err := r.compare(ctx, true, func() { start = time.Now() }, func(plan.Plan) {})
	if err != nil {
		return p, actual, err
	}
	if len(p.Unconfirmed) > 0 {
		apps := slices.Sorted(maps.Keys(p.ToConfirm()))
		if err := r.readAll(ctx, apps, func(desired.Effects) {}); err != nil {
			r.tellUnconfirmed(outcome{unconfirmed: len(p.Unconfirmed), unconfirmedErr: err})
		}
		p = r.judge(actual, empty)
	}
	if r.told.from != "" { // there is none to be asked for remove
		p.Read = append(p.Read, plan.Source{What: "Marathon", From: r.told.from, AgeMS: time.Since(r.told.at).Milliseconds()})
	}
	p.Read = append(p.Read, plan.Source{What: "Consul", From: r.consul.URL, Agents: len(actual.Agents), AgeMS: time.Since(start).Milliseconds()})
	return p, actual, ctx.Err()
}

// plan makes one plan of both sides, judged.
func (r *Reconciler) plan(ctx context.Context, wait bool, d *dispatch) (plan.Plan, error) {
	p, _, _, err := r.compare(ctx, wait, func() { r.takeOver(d.term) }, d.early)
	return p, err
}

// compare reads both sides and compares them. begun is told when Marathon's has been read, and
// early of writes that need not wait while some of Consul takes long to answer.
func (r *Reconciler) compare(ctx context.Context, wait bool, begun func(), early func(plan.Plan)) (p plan.Plan, actual plan.Actual, empty bool, err error) {
	empty, unread, err := r.snapshot(ctx, wait)
	if err != nil {
		return plan.Plan{}, plan.Actual{}, false, err
	}
	begun()
	r.resyncLoop.Rest() // every request to Consul is given up by itself
	actual = r.list(ctx, early)
	r.resyncLoop.Round()
	if wait && r.startedSince(actual) {
		if empty, unread, err = r.snapshot(ctx, wait); err != nil {
			return plan.Plan{}, plan.Actual{}, false, err
		}
	}
	actual.Unread = unread
	if actual.KeysErr == nil { // none are named where none are read
		named := map[string]bool{}
		for _, k := range actual.Keys {
			named[k.Service] = true
		}
		r.locked(func() { r.model.ForgetMissing(func(name string) bool { return named[name] }, time.Now()) })
	}
	p = r.judge(actual, empty)
	named, waiting := p.NamedByServices(), p.Waiting()
	r.locked(func() {
		r.model.NoteMissing(named, time.Now())
		r.waiting = waiting
	})
	return p, actual, empty, ctx.Err()
}

// locked runs a piece of work that needs the model.
func (r *Reconciler) locked(piece func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	piece()
}

// judge makes a plan and lets the guard filter it.
func (r *Reconciler) judge(actual plan.Actual, empty bool) plan.Plan {
	var tr desired.Translation
	r.locked(func() { tr = r.model.Translation() })
	holders := slices.Sorted(maps.Keys(plan.Holders(tr, actual)))
	n, _, all := plan.Foreign(tr, actual)
	var contestants map[string]bool
	r.locked(func() {
		// What a snapshot omits and Consul has keeps its name, also of another app.
		r.model.NoteMissing(holders, time.Now())
		contestants = r.model.Contestants()
	})
	registered, keys, seen := plan.Names(tr, actual, contestants)
	r.locked(func() {
		r.model.PickIncumbents(registered, keys, seen)
		r.model.NoteAnother(n > 0, all)
	})
	p := plan.Make(r.model, actual, r.locked)
	r.locked(func() {
		r.guard.KeepCritical(r.model.Unhealthy)
		r.guard.KeepGone(r.model.Settled)
		r.guard.Filter(&p, time.Now(), empty)
	})
	return p
}

// snapshot takes what Marathon says into the model; empty when it told of no app at all.
// unread is what of it could not be read, and is left as it is. The definitions of old
// versions are read beside, unless it is to wait for them.
func (r *Reconciler) snapshot(ctx context.Context, wait bool) (empty bool, unread []plan.Unread, err error) {
	postponed := r.reads.postponed(time.Now())
	r.mu.Lock()
	asked := r.model.BeginRead()
	r.mu.Unlock()
	r.resyncLoop.Rest()
	r.told.at = time.Now()
	info, err := r.marathon.Info(ctx)
	if errors.Is(err, marathon.ErrForbidden) { // its framework is not known then, and that is all
		r.tellForbidden(err)
		err = nil
	}
	var s marathon.Snapshot
	if err == nil {
		s, err = r.apps(ctx)
	}
	r.resyncLoop.Round()
	if err != nil {
		r.locked(func() { r.model.CancelRead(asked) })
		return false, nil, err
	}
	if r.told.from = s.From; r.told.keep {
		r.told.apps = s.Apps
	}
	r.setToken(ctx)
	r.locked(func() {
		r.model.SetFramework(info.FrameworkID)
		r.noteClock()
	})
	effects := r.model.ApplySnapshot(asked, s, time.Now(), r.locked)
	for _, app := range r.reads.served(postponed) {
		r.starts.answered(app)
	}
	nudge(r.reads.wake) // there may be apps to watch now
	r.heard()
	r.outdated.Store(false)
	r.tellSnapshot(s)
	for _, u := range s.Unreadable {
		unread = append(unread, plan.Unread{What: "app " + u.ID, Err: u.Err.Error()})
	}
	r.reads.ask(desired.Effects{Read: effects.Read, ReadUnprompted: effects.ReadUnprompted})
	r.reads.askAgain(effects.ReadAgain, time.Now(), r.config.PollInterval)
	if !wait {
		r.defineBeside(ctx, effects.Definitions)
	} else if err := r.define(ctx, effects.Definitions, func(desired.Effects) {}); err != nil { // the plan will see them
		r.config.tell(Notice{
			Level: zerolog.WarnLevel, Message: "cannot read the versions that some tasks run: their services stay as they are", Err: err,
		})
		unread = append(unread, plan.Unread{What: plan.UnreadVersions, Err: err.Error()})
	}
	return len(s.Apps)+len(s.Unreadable) == 0, unread, nil
}

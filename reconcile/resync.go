package reconcile

import (
	"context"
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
		causes := r.schedule.wait(ctx)
		if causes == nil {
			return
		}
		err := r.resync(ctx, strings.Join(causes, ", "))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			if everyTenth(failures) {
				r.config.tell(Notice{
					Level: zerolog.ErrorLevel, Message: "resync failed: nothing is removed, services stay as they are",
					Attempt: failures, Cause: strings.Join(causes, ", "), Err: err,
				})
			}
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
	return jitter(r.config.PollInterval)
}

// askNext wants the next resync: at the polling's pace while the stream is down,
// or something is held back, unconfirmed or unread.
func (r *Reconciler) askNext() {
	r.mu.Lock()
	waiting := r.waiting > 0
	r.mu.Unlock()
	interval, why := r.config.SyncInterval, "sync interval"
	if interval == 0 {
		interval, why = housekeeping, "once a day"
	}
	if !r.live.Load() {
		interval, why = r.config.PollInterval, "poll"
	} else if waiting {
		interval, why = r.config.PollInterval, "look again"
	}
	r.schedule.ask(why, time.Now().Add(jitter(interval)))
}

// housekeeping is how often there is a resync when --sync-interval is off: what
// is remembered of ended tasks is forgotten only then.
const housekeeping = 24 * time.Hour

// resync compares both sides and gives each worker its share of the plan.
func (r *Reconciler) resync(ctx context.Context, why string) error {
	return r.execute(ctx, why, func(_ plan.Plan, s Summary) {
		r.config.tell(s.notice())
		if s.again() {
			r.schedule.askLimited("unfinished", time.Now(), time.Second)
		}
	})
}

// execute makes a plan and gives out its jobs; finish is called once, when all of them
// are done or have failed.
func (r *Reconciler) execute(ctx context.Context, why string, finish func(plan.Plan, Summary)) error {
	start := time.Now()
	var p plan.Plan
	var s Summary
	t := newTally(func(done outcome) {
		s.outcome = done
		finish(p, s)
	})
	d := r.newDispatch(t)
	p, err := r.plan(ctx, d.early, d.answered)
	if err != nil {
		return err
	}
	r.tellPlan(&p)
	s = r.summary(p, why, start)
	d.give(p)
	t.done(outcome{})
	return nil
}

// Plan reads both sides completely and returns the drift, judged: what may be
// done, and what is held back. It writes nothing.
func (r *Reconciler) Plan(ctx context.Context) (plan.Plan, error) {
	return r.plan(ctx, func(plan.Plan) {}, func(desired.Effects) {})
}

// plan is Plan. early is told of plans that are not judged yet, whose writes need not
// wait: while some of Consul takes long to answer, and before Marathon is asked what is
// gone; and answered of what an app's own answer changes meanwhile.
func (r *Reconciler) plan(ctx context.Context, early func(plan.Plan), answered func(desired.Effects)) (plan.Plan, error) {
	empty, unread, err := r.snapshot(ctx)
	if err != nil {
		return plan.Plan{}, err
	}
	actual := r.list(ctx, func(part plan.Actual) { early(r.compare(part)) })
	actual.Unread = unread
	if actual.KeysErr == nil {
		r.mu.Lock()
		r.model.ForgetMissing(actual.Keys, time.Now())
		r.mu.Unlock()
	}
	p := r.judge(actual, empty)
	if !r.config.Policy.Force {
		p = r.confirm(ctx, p, actual, early, answered)
	}
	r.mu.Lock()
	r.waiting = p.Waiting()
	r.mu.Unlock()
	r.frozen.Store(p.OtherFramework() && !r.config.Policy.Force)
	return p, ctx.Err()
}

// compare makes a plan. Names that clash are settled by what all agents have, and not
// by what some of them have.
func (r *Reconciler) compare(actual plan.Actual) plan.Plan {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !actual.Partial {
		r.model.PickIncumbents(plan.Holders(r.model, actual))
	}
	return plan.Make(r.model, actual)
}

// confirm asks for the apps of what is merely missing from the snapshot, and
// makes the plan again. What is not confirmed stays.
func (r *Reconciler) confirm(ctx context.Context, first plan.Plan, actual plan.Actual, early func(plan.Plan), answered func(desired.Effects)) plan.Plan {
	p := first
	if apps := first.ToConfirm(); len(apps) > 0 {
		early(first)
		r.mu.Lock()
		r.model.NoteMissing(first.NamedByServices(), time.Now())
		r.mu.Unlock()
		// The plan that is made next compares everything that is not given yet.
		if err := r.readAll(ctx, apps, answered); err != nil {
			r.config.tell(Notice{
				Level: zerolog.WarnLevel, Message: "cannot confirm: what is missing from the snapshot stays for now", Err: err,
			})
		}
		p = r.compare(actual)
		p.Rejudge(first)
	}
	p.Unconfirm()
	return p
}

// judge makes a plan and lets the policy filter it.
func (r *Reconciler) judge(actual plan.Actual, empty bool) plan.Plan {
	p := r.compare(actual)
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost.forget(now)
	r.held = r.config.Policy.Filter(&p, plan.Judgement{
		Now: now, Held: r.held, RecentlyLost: r.lost.tasks, EmptySnapshot: empty,
	})
	for _, c := range p.Changes {
		if c.Grounds.Has(desired.Lost) {
			r.lost.add(c.Task, now)
		}
	}
	return p
}

// snapshot takes what Marathon says into the model, definitions of old versions
// included; empty when it told of no app at all. unread is what of it could not
// be read, and is left as it is.
func (r *Reconciler) snapshot(ctx context.Context) (empty bool, unread []plan.Unread, err error) {
	postponed := r.reads.postponed(time.Now())
	r.mu.Lock()
	asked := r.model.BeginRead()
	r.mu.Unlock()
	info, err := r.marathon.Info(ctx)
	var s marathon.Snapshot
	if err == nil {
		s, err = r.marathon.Apps(ctx)
	}
	r.mu.Lock()
	if err != nil {
		r.model.CancelRead(asked)
		r.mu.Unlock()
		return false, nil, err
	}
	r.model.SetFramework(info.FrameworkID)
	effects := r.model.ApplySnapshot(asked, s, time.Now())
	r.mu.Unlock()
	r.reads.served(postponed)
	r.heard()
	r.outdated.Store(false)
	r.tellSnapshot(s)
	for _, u := range s.Unreadable {
		unread = append(unread, plan.Unread{What: "app " + u.ID, Err: u.Err.Error()})
	}
	r.reads.ask(desired.Effects{Read: effects.Read, ReadUnprompted: effects.ReadUnprompted})
	r.reads.askAgain(effects.ReadAgain, time.Now(), r.config.PollInterval)
	if err := r.define(ctx, effects.Definitions); err != nil {
		r.config.tell(Notice{
			Level: zerolog.WarnLevel, Message: "cannot read the versions that some tasks run: their services stay as they are", Err: err,
		})
		unread = append(unread, plan.Unread{What: plan.UnreadVersions, Err: err.Error()})
		r.reads.ask(desired.Effects{Definitions: effects.Definitions})
	}
	return len(s.Apps)+len(s.Unreadable) == 0, unread, nil
}

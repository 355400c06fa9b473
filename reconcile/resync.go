package reconcile

import (
	"context"
	"strings"
	"time"

	"consular/marathon"
)

// failureRest is how long a Marathon that has just failed is left alone at least,
// whatever asks for a resync meanwhile: too short to be noticed after a reconnect.
const failureRest = time.Second

// resyncs does one resync after the other, each when it is due, until ctx ends.
func (r *Reconciler) resyncs(ctx context.Context) {
	pauses := newBackoff(r.config.PollInterval)
	for failures := 0; ; {
		causes := r.agenda.wait(ctx)
		if causes == nil {
			return
		}
		err := r.resync(ctx, strings.Join(causes, ", "))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			if loud(failures) {
				r.config.Log.Error().Err(err).Int("attempt", failures).Str("cause", strings.Join(causes, ", ")).
					Msg("resync failed: nothing is removed, services stay as they are")
			}
			pause := pauses.NextBackOff()
			r.agenda.pause(time.Now().Add(min(pause, failureRest)))
			r.agenda.ask("retry", time.Now().Add(r.retryAfter(pause)))
		default:
			if failures > 0 {
				r.config.Log.Info().Int("attempt", failures+1).Msg("resyncs work again")
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
	r.agenda.ask(why, time.Now().Add(jitter(interval)))
}

// housekeeping is how often there is a resync when --sync-interval is off: what
// is remembered of ended tasks is forgotten only then.
const housekeeping = 24 * time.Hour

// resync looks at both sides and hands each worker its share of the plan.
func (r *Reconciler) resync(ctx context.Context, why string) error {
	return r.carryOut(ctx, why, func(_ Plan, s Summary) {
		s.log(r.config.Log)
		if s.again() {
			r.agenda.askLimited("unfinished", time.Now(), time.Second)
		}
	})
}

// carryOut makes a plan and hands out its jobs; finish is called once, when all
// of them are done or have failed.
func (r *Reconciler) carryOut(ctx context.Context, why string, finish func(Plan, Summary)) error {
	start := time.Now()
	var plan Plan
	var s Summary
	b := newBatch(func(done outcome) {
		s.outcome = done
		finish(plan, s)
	})
	h := &handOut{Reconciler: r, batch: b, given: map[place]bool{}, about: map[place]bool{}}
	plan, err := r.plan(ctx, h)
	if err != nil {
		return err
	}
	r.tell(&plan)
	s = r.summary(plan, why, start)
	h.give(plan)
	b.done(outcome{})
	return nil
}

// Plan reads both sides completely and returns the drift, judged: what may be
// done, and what is held back. It writes nothing.
func (r *Reconciler) Plan(ctx context.Context) (Plan, error) {
	return r.plan(ctx, nil)
}

// plan is Plan; what can be written before all is known is handed out already:
// while some of Consul takes long to answer, and before Marathon is asked what is
// gone.
func (r *Reconciler) plan(ctx context.Context, h *handOut) (Plan, error) {
	empty, unread, err := r.snapshot(ctx)
	if err != nil {
		return Plan{}, err
	}
	actual := r.list(ctx, func(part Actual) {
		r.mu.Lock()
		plan := r.desired.Plan(part)
		r.mu.Unlock()
		h.early(plan)
	})
	actual.Unread = unread
	if actual.KeysErr == nil {
		r.mu.Lock()
		r.desired.missing.prune(actual.Keys, time.Now())
		r.mu.Unlock()
	}
	plan := r.judge(actual, empty)
	if !r.config.Force {
		plan = r.confirm(ctx, plan, actual, h)
	}
	r.mu.Lock()
	r.waiting = plan.waiting()
	r.mu.Unlock()
	r.frozen.Store(plan.otherFramework && !r.config.Force)
	return plan, ctx.Err()
}

// confirm asks for the apps of what is merely missing from the snapshot, and
// makes the plan again. What is not confirmed stays.
func (r *Reconciler) confirm(ctx context.Context, first Plan, actual Actual, h *handOut) Plan {
	plan := first
	if apps := first.ToConfirm(); len(apps) > 0 {
		h.early(first)
		r.mu.Lock()
		r.desired.Miss(first.namedByServices(), time.Now())
		r.mu.Unlock()
		// The plan that is made next compares everything that is not given yet.
		then := func(e Effects) { r.carryAnswer(h.changed(e)) }
		if err := r.readAll(ctx, apps, then); err != nil {
			r.config.Log.Warn().Err(err).Msg("cannot confirm: what is missing from the snapshot stays for now")
		}
		r.mu.Lock()
		plan = r.desired.Plan(actual)
		r.mu.Unlock()
		plan.Rejudge(first)
	}
	plan.Unconfirm()
	return plan
}

// judge makes a plan and lets the policy filter it.
func (r *Reconciler) judge(actual Actual, empty bool) Plan {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	plan := r.desired.Plan(actual)
	r.away.forget(now)
	r.held = r.config.Filter(&plan, Judgement{
		Now: now, Held: r.held, RecentAway: r.away.tasks, EmptySnapshot: empty,
	})
	for _, c := range plan.Changes {
		if c.removal == Away {
			r.away.add(c.Task, now)
		}
	}
	return plan
}

// snapshot takes what Marathon says into the model, definitions of old versions
// included; empty when it told of no app at all. unread is what of it could not
// be read, and is left as it is.
func (r *Reconciler) snapshot(ctx context.Context) (empty bool, unread []Unread, err error) {
	waiting := r.reading.waiting(time.Now())
	r.mu.Lock()
	asked := r.desired.Ask()
	r.mu.Unlock()
	info, err := r.marathon.Info(ctx)
	var s marathon.Snapshot
	if err == nil {
		s, err = r.marathon.Apps(ctx)
	}
	r.mu.Lock()
	if err != nil {
		r.desired.Abandon(asked)
		r.mu.Unlock()
		return false, nil, err
	}
	if info.FrameworkID != "" { // once known, an answer without it says nothing
		r.desired.tr.Framework = info.FrameworkID
	}
	effects := r.desired.Replace(asked, s, time.Now())
	r.mu.Unlock()
	r.reading.served(waiting)
	r.heard()
	r.outdated.Store(false)
	r.noteSnapshot(s)
	for _, u := range s.Unreadable {
		unread = append(unread, Unread{What: "app " + u.ID, Err: u.Err.Error()})
	}
	r.reading.ask(Effects{Read: effects.Read, ReadStrange: effects.ReadStrange})
	r.reading.askAgain(effects.ReadAgain, time.Now(), r.config.PollInterval)
	if err := r.define(ctx, effects.Definitions); err != nil {
		r.config.Log.Warn().Err(err).Msg("cannot read the versions that some tasks run: their services stay as they are")
		unread = append(unread, Unread{What: unreadVersions, Err: err.Error()})
		r.reading.ask(Effects{Definitions: effects.Definitions})
	}
	return len(s.Apps)+len(s.Unreadable) == 0, unread, nil
}

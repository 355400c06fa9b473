package reconcile

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"consular/consul"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
)

// Sync does one resync and returns what came of it. It does another for what has
// to be registered at home first, and when writing took so long that Marathon has
// to be asked again.
func (r *Reconciler) Sync(ctx context.Context) (plan.Plan, Summary, error) {
	var p plan.Plan
	var sum Summary
	err := r.withWorkers(ctx, func(ctx context.Context) (err error) {
		var done outcome
		start := time.Now()
		p, sum, err = r.pass(ctx)
		for err == nil && sum.again() && sum.wrote() {
			done.add(sum.outcome)
			p, sum, err = r.pass(ctx)
		}
		if err != nil {
			return err
		}
		done.add(sum.outcome)
		done.Failed += sum.left() // another resync would leave it again
		sum.outcome, sum.start = done, start
		for _, u := range p.Unread {
			r.config.tell(Notice{
				Level: zerolog.WarnLevel, Message: "could not be read: nothing is removed there", What: u.What, Err: errors.New(u.Err),
			})
		}
		return nil
	})
	if err == nil {
		r.config.tell(sum.notice())
	}
	return p, sum, err
}

// pass is one resync, with its end waited for.
func (r *Reconciler) pass(ctx context.Context) (plan.Plan, Summary, error) {
	var p plan.Plan
	var sum Summary
	finished := make(chan struct{})
	err := r.execute(ctx, "sync", true, func(made plan.Plan, s Summary) {
		r.tellUnconfirmed(s.outcome)
		p, sum = made, s
		close(finished)
	})
	if err != nil {
		return plan.Plan{}, Summary{}, err
	}
	select {
	case <-finished:
		return p, sum, nil
	case <-ctx.Done():
		return plan.Plan{}, Summary{}, ctx.Err()
	}
}

// startedSince reports whether services of ours may be of tasks that have started since Marathon
// was asked: another consular, which runs, has registered them, and here no event tells of them.
func (r *Reconciler) startedSince(actual plan.Actual) (may bool) {
	r.locked(func() {
		for _, a := range actual.Agents {
			may = may || slices.ContainsFunc(a.Services, func(s consul.Service) bool {
				_, ours := r.model.Owns(s)
				_, known := r.model.Task(desired.TaskOf(s))
				return ours && !known
			})
		}
	})
	return may
}

// summary counts what a plan says.
func (r *Reconciler) summary(p plan.Plan, why string, start time.Time) Summary {
	s := Summary{
		Cause: why, Services: p.Services, Keys: p.Keys, Held: len(p.Held),
		Conflicts: len(p.Conflicts), ForeignFramework: p.ForeignFramework,
		Skipped: len(p.Skipped), Unread: len(p.Unread), start: start,
	}
	s.Reads = int(r.reads.count.Swap(0))
	r.mu.Lock()
	s.Apps, s.Tasks = r.model.Count()
	r.mu.Unlock()
	for _, out := range p.LeftOut {
		s.LeftOut += out.Apps
	}
	for _, c := range p.Clashes {
		s.Quarantined += len(c.Apps)
		if c.Incumbent != "" {
			s.Quarantined--
		}
	}
	return s
}

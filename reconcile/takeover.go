package reconcile

import (
	"context"
	"time"

	"consular/reconcile/plan"
)

// What happens while nothing may be written, and when it may again.

// writesEnd is when the last write of whoever could write before has ended: it may
// have been under way when that one was stopped.
const writesEnd = 30 * time.Second

// Closed is told that nothing may be written, at the latest before anything may be again.
func (r *Reconciler) Closed() { r.gate.opened.Store(false) }

// Opened is told that anything may be written from now on, be it again. Others may have
// written meanwhile.
func (r *Reconciler) Opened() {
	r.gate.terms.Add(1)
	r.gate.opened.Store(true)
	r.endRests()
	now := time.Now()
	r.schedule.ask("takeover", now)
	r.schedule.askLater("after takeover", now.Add(writesEnd))
}

// takeOver is called when a resync has taken Marathon's snapshot in, for the first time in a
// term. All that was known of Consul is forgotten, and what was lost meanwhile is judged as
// one set, against what Consul has now: nothing of it was removed.
func (r *Reconciler) takeOver(term int64) {
	if r.gate.begun.Load() == term {
		return
	}
	r.fleet.outdate()
	r.resyncNumber, r.unsynced.lacks, r.tookOver = 0, nil, time.Now()
	r.locked(func() {
		r.guard = plan.NewGuard(r.config.Policy)
		r.model.ForgetConsul()
	})
	r.gate.begun.Store(term)
}

// follow is a resync while nothing may be written: Marathon alone is read.
func (r *Reconciler) follow(ctx context.Context, why string) error {
	start := time.Now()
	_, unread, err := r.snapshot(ctx, false)
	if err != nil {
		return err
	}
	s := r.summary(plan.Plan{Unread: unread}, why, start)
	r.locked(func() { r.waiting = 0 })
	n := s.notice()
	n.Message = "resync: Marathon is read, nothing is written"
	r.config.tell(n)
	return nil
}

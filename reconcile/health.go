package reconcile

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"consular/marathon"
	"consular/reconcile/desired"
)

// readiness is a Marathon that tells of readiness checks and of its clock, as
// marathon.Client does.
type readiness interface {
	// AppsWithReadiness and AppWithReadiness are Apps and App, with what readiness checks
	// say.
	AppsWithReadiness(ctx context.Context) (marathon.Snapshot, error)
	AppWithReadiness(ctx context.Context, id string) (marathon.App, error)
	// Ahead is how far Marathon's clock is ahead of ours.
	Ahead() (time.Duration, bool)
}

// checked reports whether any app has checks: only then there may be some in Consul.
func (r *Reconciler) checked() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.model.HasChecks()
}

// apps reads all apps, with what readiness checks say while a deployment waits for some.
func (r *Reconciler) apps(ctx context.Context) (marathon.Snapshot, error) {
	if m, tells := r.marathon.(readiness); tells && r.asksReadiness("") {
		return m.AppsWithReadiness(ctx)
	}
	return r.marathon.Apps(ctx)
}

// app reads one app.
func (r *Reconciler) app(ctx context.Context, id string) (marathon.App, error) {
	if m, tells := r.marathon.(readiness); tells && r.asksReadiness(id) {
		return m.AppWithReadiness(ctx, id)
	}
	return r.marathon.App(ctx, id)
}

func (r *Reconciler) asksReadiness(app string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.model.AsksReadiness(app)
}

// noteClock lets the model know Marathon's clock. r.mu is held.
func (r *Reconciler) noteClock() {
	if m, tells := r.marathon.(readiness); tells {
		if ahead, known := m.Ahead(); known {
			r.model.SetAhead(ahead)
		}
	}
}

// askForHealth asks for the apps whose health no event tells, and returns when to look
// again; zero for never.
func (r *Reconciler) askForHealth() time.Time {
	r.mu.Lock()
	apps, next := r.model.HealthReads(time.Now())
	r.mu.Unlock()
	r.reads.ask(desired.Effects{ReadUnprompted: apps})
	return next
}

// earliest returns the earlier of two times, of which zero is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// allowedCritical returns the grounds on which a task's services turn critical because an
// event or an answer has named it, and why they do not for now. r.mu is held.
func (r *Reconciler) allowedCritical(want desired.Want, now time.Time) (g desired.Grounds, why string, first bool) {
	switch {
	case !want.Health.Sick():
		r.guard.Recovered(want.Task)
	case want.Health.Turned: // what was so when we began, a plan compares with Consul
		why, first = r.guard.AllowCritical(want.Task, want.Health.Window, r.model.CheckedTasks(), now)
		return desired.Unhealthy, why, first
	}
	return 0, "", false
}

// tellHeldCritical says that a task's check stays passing for now.
func (r *Reconciler) tellHeldCritical(t desired.TaskRef, why string, now time.Time) {
	r.schedule.ask("held back", now.Add(min(r.config.PollInterval, r.syncInterval())))
	level := zerolog.DebugLevel
	if r.firstTime("turned critical " + now.Truncate(time.Minute).String()) {
		level = zerolog.ErrorLevel
	}
	r.config.tell(Notice{
		Level: level, Message: "held back: too many services turn critical at once, they stay passing for now",
		App: t.App, Task: t.Task, Why: why,
	})
}

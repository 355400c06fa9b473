package reconcile

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"consular/marathon"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
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

// heldTurn is a task whose checks stay as they are for now although it is unhealthy.
type heldTurn struct{ app, task, why string }

// allowCritical lets a task's checks turn critical because an event or an answer has named
// it, if the guard does, and returns those that newly stay as they are. r.mu is held.
func (r *Reconciler) allowCritical(want desired.Want, allowed map[string]desired.Grounds, heldBack []heldTurn, now time.Time) []heldTurn {
	if !want.Health.Sick() {
		r.guard.Recovered(want.Task)
		return heldBack
	}
	if !want.Health.Turned { // what was so when we began, a plan compares with Consul
		return heldBack
	}
	turn := plan.Turn{Task: want.Task, Services: len(want.Services), Window: want.Health.Window}
	why, first := r.guard.AllowCritical(turn, r.model.MirroredServices(), now)
	if why == "" {
		allowed[want.Task] |= desired.Unhealthy
	}
	if first {
		heldBack = append(heldBack, heldTurn{want.App, want.Task, why})
	}
	return heldBack
}

// turnsHeld is what is told of checks that are not written for now.
const turnsHeld = "held back: too many services turn critical at once, they stay passing for now"

// tellHeldTurns says whose checks stay passing for now: one in a minute as an error.
func (r *Reconciler) tellHeldTurns(heldBack []heldTurn, now time.Time) {
	if len(heldBack) > 0 {
		r.schedule.ask("held back", now.Add(min(r.config.PollInterval, r.syncInterval())))
	}
	for _, h := range heldBack {
		level := zerolog.DebugLevel
		if r.firstTime("turned critical " + now.Truncate(time.Minute).String()) {
			level = zerolog.ErrorLevel
		}
		r.config.tell(Notice{
			Level: level, Message: turnsHeld, App: h.app, Task: h.task, Why: h.why,
		})
	}
}

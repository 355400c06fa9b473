package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"consular/reconcile/plan"
)

// Summary is what one resync found and did: one line of the log.
type Summary struct {
	// Cause is why it was made: "connect", "sync interval", …
	Cause string
	// Apps and Tasks count what Marathon has; Tasks those that run.
	Apps, Tasks int
	// Services and Keys count what we owned in Consul when it began.
	Services, Keys int
	outcome
	// Reads counts GET /v2/apps/{id} since the summary before.
	Reads int
	// Held counts removals that the guard holds back.
	Held int
	// ForeignFramework counts services with our registration ID that another Marathon
	// framework has registered.
	ForeignFramework int
	// Conflicts counts foreign things in our way, and Quarantined apps whose
	// name clashes.
	Conflicts, Quarantined int
	// Skipped counts agents whose nodes Consul itself has as failed, and Unread
	// all else that could not be read: other agents, the keys, the catalog, apps.
	Skipped, Unread int

	start time.Time
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
	for _, c := range p.Clashes {
		s.Quarantined += len(c.Apps)
		if c.Incumbent != "" {
			s.Quarantined--
		}
	}
	return s
}

// Clean reports whether everything that should be done was.
func (s *Summary) Clean() bool {
	return s.Failed+s.Held+s.unconfirmed+s.Conflicts+s.Quarantined+s.Unread == 0
}

// notice is a resync's line in the log.
func (s *Summary) notice() Notice {
	n := Notice{Level: zerolog.InfoLevel, Message: "resync", Cause: s.Cause, Summary: s, Took: time.Since(s.start)}
	if !s.Clean() {
		n.Level = zerolog.WarnLevel
	}
	return n
}

// fields adds the figures to a line of the log, those that are zero too: a resync's
// line always has all of them.
func (s *Summary) fields(line *zerolog.Event) {
	line.Int("apps", s.Apps).Int("tasks", s.Tasks).Int("reads", s.Reads).Int("services", s.Services).Int("keys", s.Keys).
		Int("registered", s.Registered).Int("updated", s.Updated).Int("deregistered", s.Deregistered).
		Int("keys_set", s.KeysSet).Int("keys_deleted", s.KeysDeleted).
		Int("failed", s.Failed).Int("held_back", s.Held+s.unconfirmed).Int("conflicts", s.Conflicts).
		Int("quarantined", s.Quarantined).Int("skipped_agents", s.Skipped).Int("unread", s.Unread).
		Int("foreign_framework", s.ForeignFramework)
}

// String is the summary for people.
func (s *Summary) String() string {
	return fmt.Sprintf("%d apps, %d tasks; %d services and %d keys of ours\n"+
		"registered %d, updated %d, deregistered %d; keys set %d, deleted %d\n"+
		"failed %d, held back %d, conflicts %d, quarantined apps %d, skipped agents %d, unread %d",
		s.Apps, s.Tasks, s.Services, s.Keys,
		s.Registered, s.Updated, s.Deregistered, s.KeysSet, s.KeysDeleted,
		s.Failed, s.Held+s.unconfirmed, s.Conflicts, s.Quarantined, s.Skipped, s.Unread)
}

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

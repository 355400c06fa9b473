package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"
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
	// Held counts removals that the policy holds back, and Unconfirmed those
	// whose app did not answer.
	Held, Unconfirmed int
	// Conflicts counts foreign things in our way, and Quarantined apps whose
	// name clashes.
	Conflicts, Quarantined int
	// Skipped counts agents whose nodes Consul itself has as failed, and Unread
	// all else that could not be read: other agents, the keys, the catalog, apps.
	Skipped, Unread int

	start time.Time
}

// summary counts what a plan says.
func (r *Reconciler) summary(p Plan, why string, start time.Time) Summary {
	s := Summary{
		Cause: why, Services: p.Services, Keys: p.Keys, Held: len(p.Held),
		Unconfirmed: len(p.Unconfirmed), Conflicts: len(p.Conflicts),
		Skipped: len(p.Skipped), Unread: len(p.Unread), start: start,
	}
	s.Reads = int(r.reading.count.Swap(0))
	r.mu.Lock()
	s.Apps, s.Tasks = r.desired.Count()
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
	return s.Failed+s.Held+s.Unconfirmed+s.Conflicts+s.Quarantined+s.Unread == 0
}

func (s *Summary) log(log zerolog.Logger) {
	line := log.Info()
	if !s.Clean() {
		line = log.Warn()
	}
	line.Str("cause", s.Cause).
		Int("apps", s.Apps).Int("tasks", s.Tasks).Int("reads", s.Reads).Int("services", s.Services).Int("keys", s.Keys).
		Int("registered", s.Registered).Int("updated", s.Updated).Int("deregistered", s.Deregistered).
		Int("keys_set", s.KeysSet).Int("keys_deleted", s.KeysDeleted).
		Int("failed", s.Failed).Int("held_back", s.Held+s.Unconfirmed).Int("conflicts", s.Conflicts).
		Int("quarantined", s.Quarantined).Int("skipped_agents", s.Skipped).Int("unread", s.Unread).
		Dur("took_ms", time.Since(s.start)).Msg("resync")
}

// String is the summary for people.
func (s *Summary) String() string {
	return fmt.Sprintf("%d apps, %d tasks; %d services and %d keys of ours\n"+
		"registered %d, updated %d, deregistered %d; keys set %d, deleted %d\n"+
		"failed %d, held back %d, conflicts %d, quarantined apps %d, skipped agents %d, unread %d",
		s.Apps, s.Tasks, s.Services, s.Keys,
		s.Registered, s.Updated, s.Deregistered, s.KeysSet, s.KeysDeleted,
		s.Failed, s.Held+s.Unconfirmed, s.Conflicts, s.Quarantined, s.Skipped, s.Unread)
}

// Sync does one resync and returns what came of it. It takes another for what has
// to be registered at home first, and when writing took so long that Marathon has
// to be asked again.
func (r *Reconciler) Sync(ctx context.Context) (Plan, Summary, error) {
	var plan Plan
	var sum Summary
	err := r.withWorkers(ctx, func(ctx context.Context) (err error) {
		var done outcome
		start := time.Now()
		for again := true; again; again = sum.again() && sum.wrote() {
			if plan, sum, err = r.pass(ctx); err != nil {
				return err
			}
			done.add(sum.outcome)
		}
		done.Failed += sum.left() // another look would leave it again
		sum.outcome, sum.start = done, start
		for _, u := range plan.Unread {
			r.config.Log.Warn().Str("what", u.What).Str("error", u.Err).Msg("could not be read: nothing is removed there")
		}
		return nil
	})
	if err == nil {
		sum.log(r.config.Log)
	}
	return plan, sum, err
}

// pass is one resync, with its end waited for.
func (r *Reconciler) pass(ctx context.Context) (Plan, Summary, error) {
	var plan Plan
	var sum Summary
	finished := make(chan struct{})
	err := r.carryOut(ctx, "sync", func(p Plan, s Summary) {
		plan, sum = p, s
		close(finished)
	})
	if err != nil {
		return Plan{}, Summary{}, err
	}
	select {
	case <-finished:
		return plan, sum, nil
	case <-ctx.Done():
		return Plan{}, Summary{}, ctx.Err()
	}
}

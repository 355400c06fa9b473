package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
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

// tell logs what the operator has to know of a plan: each thing once.
func (r *Reconciler) tell(p *Plan) {
	for _, c := range p.Conflicts {
		if r.once("conflict " + c.Agent + c.Task + c.Key + c.Why) {
			r.config.Log.Warn().Str("agent", c.Agent).Str("task", c.Task).Str("service", c.Service).
				Str("key", c.Key).Msg("conflict, left alone: " + c.Why)
		}
	}
	for _, c := range p.Clashes {
		r.tellClash(c)
	}
	for _, u := range p.Unfit {
		r.leaveOut(u)
	}
	r.tellUnread(p)
	r.tellHeld(p)
	if p.Unowned > 0 && r.once(fmt.Sprint("unowned ", p.Unowned)) {
		r.config.Log.Info().Int("keys", p.Unowned).
			Msg("keys below the prefix that nobody owns and no app wants: left alone")
	}
}

// leaveOut says once what cannot be in Consul.
func (r *Reconciler) leaveOut(u Unfit) {
	if r.once(u.String()) {
		r.config.Log.Warn().Str("app", u.App).Str("task", u.Task).Str("error", u.Err).Msg("left out: " + u.String())
	}
}

// tellClash says who goes on and who does not, once for each such state of a name.
func (r *Reconciler) tellClash(c Clash) {
	if r.once(fmt.Sprint("clash ", c)) {
		r.config.Log.Error().Str("service", c.Name).Str("app", strings.Join(c.Apps, ", ")).Str("goes_on", c.Incumbent).
			Msg("name clash: the others are quarantined")
	}
}

// tellUnread says which parts of Consul could not be read, and what that means:
// first, every tenth time, and when it is over. Agents have workers that say so.
func (r *Reconciler) tellUnread(p *Plan) {
	for _, what := range []string{unreadKeys, unreadCatalog} {
		at := slices.IndexFunc(p.Unread, func(u Unread) bool { return u.What == what })
		looks := r.unreadLooks[what]
		switch {
		case at >= 0:
			looks++
			if looks%10 == 1 {
				r.config.Log.Error().Str("what", what).Str("error", p.Unread[at].Err).Int("attempt", looks).
					Msg("cannot be read: nothing is removed there")
			}
		case looks > 0:
			r.config.Log.Info().Str("what", what).Int("attempt", looks+1).Msg("can be read again")
			looks = 0
		}
		r.unreadLooks[what] = looks
	}
	for _, agent := range p.Skipped {
		if r.once("skipped " + agent) {
			r.config.Log.Info().Str("agent", agent).Msg("skipped: Consul has its node as failed")
		}
	}
}

// tellHeld says what is held back: first, every tenth time, when the reasons
// change, and when it is over.
func (r *Reconciler) tellHeld(p *Plan) {
	why := strings.Join(p.HeldWhy, "; ")
	r.mu.Lock()
	if why != r.heldWhy {
		r.heldLooks = 0
	}
	before := r.heldWhy
	r.heldWhy = why
	r.heldLooks++
	looks := r.heldLooks
	r.mu.Unlock()
	level := zerolog.DebugLevel
	if looks%10 == 1 {
		level = zerolog.ErrorLevel
	}
	switch {
	case len(p.Held) > 0:
		r.config.Log.WithLevel(level).Int("held_back", len(p.Held)).Str("why", why).Int("attempt", looks).
			Msg("removals are held back: " + p.wayOut())
	case before != "":
		r.config.Log.Info().Msg("nothing is held back any more")
	}
}

// wayOut says what becomes of held removals.
func (p *Plan) wayOut() string {
	if p.confirmable {
		return "they go when every look for --purge-confirm would remove them; see `consular plan`, and `consular sync --force` if they should go"
	}
	return "time will not confirm them; see `consular plan`, and `consular sync --force` if they should go"
}

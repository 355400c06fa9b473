package reconcile

import (
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
	// Held counts removals that the guard holds back.
	Held int
	// ForeignFramework counts services with our registration ID that another Marathon
	// framework has registered.
	ForeignFramework int
	// Conflicts counts foreign things in our way, and Quarantined apps whose
	// name clashes.
	Conflicts, Quarantined int
	// LeftOut counts apps that options and labels leave out; Apps and Tasks are without them.
	LeftOut int
	// Skipped counts agents whose nodes Consul itself has as failed, and Unread
	// all else that could not be read: other agents, the keys, the catalog, apps.
	Skipped, Unread int

	start time.Time
}

// Clean reports whether everything that should be done was.
func (s *Summary) Clean() bool {
	return s.Failed+s.HeldBack()+s.Conflicts+s.Quarantined+s.Unread == 0
}

// HeldBack counts removals that wait: for the guard, or for an app's own answer.
func (s *Summary) HeldBack() int { return s.Held + s.unconfirmed }

// notice is a resync's line in the log.
func (s *Summary) notice() Notice {
	n := Notice{Level: zerolog.InfoLevel, Message: "resync", Cause: s.Cause, Resync: "clean", Summary: s, Took: time.Since(s.start)}
	if !s.Clean() {
		n.Level, n.Resync = zerolog.WarnLevel, "incomplete"
	}
	return n
}

// fields adds the figures to a line of the log, those that are zero too: a resync's
// line always has all of them.
func (s *Summary) fields(line *zerolog.Event) {
	line.Int("apps", s.Apps).Int("tasks", s.Tasks).Int("reads", s.Reads).Int("services", s.Services).Int("keys", s.Keys).
		Int("registered", s.Registered).Int("updated", s.Updated).Int("deregistered", s.Deregistered).
		Int("checks", s.Checks).Int("keys_set", s.KeysSet).Int("keys_deleted", s.KeysDeleted).
		Int("failed", s.Failed).Int("held_back", s.HeldBack()).Int("conflicts", s.Conflicts).
		Int("quarantined", s.Quarantined).Int("skipped_agents", s.Skipped).Int("unread", s.Unread).
		Int("foreign_framework", s.ForeignFramework).Int("left_out", s.LeftOut)
}

// String is the summary for people.
func (s *Summary) String() string {
	return fmt.Sprintf("%d apps, %d tasks; left out %d apps; %d services and %d keys of ours; %d services of another framework\n"+
		"registered %d, updated %d, deregistered %d; keys set %d, deleted %d; checks written %d\n"+
		"failed %d, held back %d, conflicts %d, quarantined apps %d, skipped agents %d, unread %d",
		s.Apps, s.Tasks, s.LeftOut, s.Services, s.Keys, s.ForeignFramework,
		s.Registered, s.Updated, s.Deregistered, s.KeysSet, s.KeysDeleted, s.Checks,
		s.Failed, s.HeldBack(), s.Conflicts, s.Quarantined, s.Skipped, s.Unread)
}

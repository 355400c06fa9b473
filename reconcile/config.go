package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"consular/consul"
	"consular/reconcile/desired"
	"consular/reconcile/heartbeat"
	"consular/reconcile/plan"
)

// Config says how a Reconciler works. New takes it as checked (see Check).
type Config struct {
	Translation desired.Translation
	Policy      plan.Policy
	// Fallback puts a service on the main agent while there is no way to its own.
	Fallback bool
	// SyncInterval is the time between resyncs while the stream is healthy; 0 is
	// one a day. PollInterval is the time between them while it is down, and while
	// something is held back.
	SyncInterval, PollInterval time.Duration
	// Patience is how long a resync waits for an agent before it is left out, and
	// for a write of keys to end.
	Patience time.Duration
	// Permit is asked before every write, which ends when it does; nil lets all be written. Closed
	// has to be told when nothing may be written any more, and Opened when something may again.
	Permit Permit
	// Log gets everything that the operator is told, and Listeners get it too. They
	// must not wait.
	Log       zerolog.Logger
	Listeners []func(Notice)
	// Loops hear that ours go round; nil is nobody.
	Loops *heartbeat.Loops
}

// Check reports the first thing that is wrong, by the name of its option.
func (c Config) Check() error {
	if err := consul.CheckRegistrationID(c.Translation.Owner.RegistrationID); err != nil {
		return fmt.Errorf("--registration-id: %w", err)
	}
	if err := c.Translation.Health.Check(); err != nil {
		return fmt.Errorf("--health %.40q: %w", string(c.Translation.Health), err)
	}
	switch {
	case c.Policy.Limit < 0 || c.Policy.Limit > 100:
		return fmt.Errorf("--purge-limit %d%%: must be from 0%% to 100%%", c.Policy.Limit)
	case c.PollInterval < time.Second:
		return fmt.Errorf("--poll-interval %v: must be at least 1s", c.PollInterval)
	case c.SyncInterval != 0 && c.SyncInterval < time.Second:
		return fmt.Errorf("--sync-interval %v: must be at least 1s, or 0 for none", c.SyncInterval)
	case c.Patience <= 0:
		return fmt.Errorf("--timeout %v: must be more than 0", c.Patience)
	}
	return nil
}

// tell tells the operator, and whoever else listens.
func (c Config) tell(n Notice) {
	n.log(c.Log)
	for _, listener := range c.Listeners {
		listener(n)
	}
}

// Consul is the side that is written.
type Consul struct {
	// URL is the main agent's, as people may see it: "" where nobody asks.
	URL string
	// Agent finds the agent on a host, and the main agent for "".
	Agent   func(host string) (Agent, error)
	Labels  Labels
	Catalog Catalog
	// Watch returns when the agent on a host no longer has a service, or, with an error, does
	// not answer any more; nil for who does not stay.
	Watch func(ctx context.Context, host, id string) error
	// Token returns the accessor ID of the ACL token that is sent now, "" without one; nil
	// for who has no say in which token services are registered with.
	Token func(ctx context.Context) (string, error)
}

package daemon

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"consular/consul"
	"consular/reconcile"
	"consular/reconcile/metrics"
)

// watched is what was told last of what others watch.
type watched struct {
	// poll is --poll-interval.
	poll time.Duration
	// resync is the last one that was not failed, and failing whether the last one was.
	resync  atomic.Pointer[ended]
	failing atomic.Bool
	// lockless is set while nobody is known to have the lock, and we cannot get it.
	lockless atomic.Bool
}

// ended is a resync, and when it ended.
type ended struct {
	reconcile.Summary
	at time.Time
}

func (w *watched) locked(change consul.LockChange) {
	w.lockless.Store(change.State == consul.LockUnsure || change.State == consul.LockWaiting && change.Err != nil)
}

// hear is told what the operator is told.
func (d *Daemon) hear(n reconcile.Notice) {
	if n.Resync != "" {
		d.watched.failing.Store(n.Resync == "failed")
		if n.Summary != nil {
			d.watched.resync.Store(&ended{*n.Summary, time.Now()})
		}
	}
	switch {
	case d.figures == nil:
	case n.Resync != "":
		d.figures.Resynced(n.Resync, n.Took)
	case n.Write != nil:
		d.figures.Wrote(n.Write.Kind, n.Write.Outcome, n.Took, n.Write.SinceEvent)
	}
}

// leads reports whether this copy may write.
func (d *Daemon) leads() bool {
	return d.lock == nil || d.lock.Sure()
}

// state is what figures are made of.
func (d *Daemon) state() metrics.State {
	now := d.State()
	s := metrics.State{StreamUp: now.Live, Apps: now.Apps, Tasks: now.Tasks, Leader: d.leads()}
	if !now.Live {
		s.Deaf = time.Since(now.Since)
	}
	for _, domain := range append(now.Agents, now.Keys, now.Catalog) {
		s.QueueLength += domain.Queue
	}
	s.SilentAgents = silent(now.Agents)
	if last := d.watched.resync.Load(); last != nil {
		s.Services, s.Keys, s.HeldBack, s.Conflicts = last.Services, last.Keys, last.HeldBack(), last.Conflicts
		s.Quarantined, s.Unread, s.LastResync = last.Quarantined, last.Unread, last.at
	}
	return s
}

func silent(agents []reconcile.Domain) (n int) {
	for _, a := range agents {
		if a.Err != nil {
			n++
		}
	}
	return n
}

// deafPolls is how many polls may fail in a row, with the stream down, before that is wrong.
const deafPolls = 3

// wrong says what is, in words that stay the same as long as it is.
func (d *Daemon) wrong() []string {
	var wrong []string
	now := d.State()
	say := func(is bool, words string) {
		if is {
			wrong = append(wrong, words)
		}
	}
	heard := now.Since
	if now.Heard.After(heard) {
		heard = now.Heard
	}
	say(!now.Live && time.Since(heard) > deafPolls*d.watched.poll, "marathon: the stream is down, and polls fail")
	say(d.watched.failing.Load(), "resyncs fail")
	say(now.Keys.Err != nil, "consul: the key-value store does not answer")
	say(now.Catalog.Err != nil, "consul: the catalog does not answer")
	say(len(now.Agents) > 0 && silent(now.Agents) == len(now.Agents), "consul: no agent answers")
	say(d.watched.lockless.Load(), "consul: the lock cannot be had")
	return wrong
}

// onSignal writes the state to the log at each SIGUSR1, until ctx ends. (Go ends no process
// because of one that comes before.)
func (d *Daemon) onSignal(ctx context.Context, log zerolog.Logger) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	defer signal.Stop(asked)
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
			d.tellState(log)
		}
	}
}

// tellState writes a line for the stream, and one for each agent.
func (d *Daemon) tellState(log zerolog.Logger) {
	now := d.State()
	log.Info().Bool("live", now.Live).Time("since", now.Since).Msg("state of the stream")
	for _, domain := range append(now.Agents, now.Keys, now.Catalog) {
		line := log.Info().Str("agent", domain.Name).Int("queue", domain.Queue)
		if domain.Err != nil {
			line = line.Time("silent_since", domain.SilentSince).Err(domain.Err)
		}
		line.Msg("state of an agent")
	}
}

// Package daemon is the command run: the stream, the reconciler, and what stands around them
// for as long as they run: the lock of several copies, the heartbeat, figures, and SIGUSR1.
//
// It belongs to main, and stands below reconcile only because the top level is fixed.
package daemon

import (
	"context"
	"sync"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"consular/consul"
	"consular/marathon/transport"
	"consular/reconcile"
	"consular/reconcile/heartbeat"
	"consular/reconcile/metrics"
	"consular/reconcile/settings"
	"consular/stream"
)

// Daemon is what run is made of.
type Daemon struct {
	*reconcile.Reconciler
	subscriber *stream.Subscriber
	// lock is nil for an only copy, and figures when nobody wants them.
	lock    *consul.Lock
	figures *metrics.Metrics
	watched watched
	// beside is what runs until the last write has ended.
	beside []func(context.Context)
	// files are those that may change while it runs.
	files []string
}

// New makes all parts, and starts none. An error names the option that is wrong.
func New(s settings.Settings, log zerolog.Logger) (*Daemon, error) {
	loops := &heartbeat.Loops{}
	d := &Daemon{files: s.Files, watched: watched{poll: s.Reconcile.PollInterval}}
	s.Reconcile.Loops, s.Reconcile.Listeners = loops, append(s.Reconcile.Listeners, d.hear)
	if err := d.lockFor(&s, loops.Add("lock"), log); err != nil {
		return nil, err
	}
	s.Stays = true
	var err error
	if d.Reconciler, err = s.Reconciler(log); err != nil {
		return nil, err
	}
	s.Stream.Log, s.Stream.EventTypes = log, s.Reconcile.Translation.EventTypes()
	if d.subscriber, err = stream.New(s.Stream, handler{d, loops.Add("stream")}); err != nil {
		return nil, err
	}
	d.beside = append(d.beside, func(ctx context.Context) { d.onSignal(ctx, log) })
	err = d.watch(s.Watched, loops, log)
	return d, err
}

// lockFor makes the lock of several copies, if this is one.
func (d *Daemon) lockFor(s *settings.Settings, loop *heartbeat.Loop, log zerolog.Logger) (err error) {
	if !s.Copies.HA {
		return nil
	}
	role := &role{log: log}
	d.lock, err = s.Lock(func(change consul.LockChange) { // its loop waits for this, and else for nothing without an end
		loop.Round()
		defer loop.Rest()
		if change.State == consul.LockHeld {
			d.Opened()
		} else {
			d.Closed()
		}
		d.watched.locked(change)
		role.tell(change)
	})
	if err != nil {
		return err
	}
	s.Reconcile.Permit = d.lock
	d.beside = append(d.beside, d.lock.Run)
	return nil
}

// watch makes what lets others see whether all is well.
func (d *Daemon) watch(w settings.Watched, loops *heartbeat.Loops, log zerolog.Logger) error {
	if w.HeartbeatFile != "" {
		beats, err := heartbeat.New(w.HeartbeatFile, loops, d.wrong, log)
		if err != nil {
			return err
		}
		d.beside = append(d.beside, beats.Run)
	}
	if w.Figures() {
		d.figures = metrics.New(d.state)
		exporters, err := w.Exporters(d.figures, log)
		if err != nil {
			return err
		}
		d.beside = append(d.beside, exporters...)
	}
	return nil
}

// Run runs until ctx ends, and the last write has.
func (d *Daemon) Run(ctx context.Context) error {
	// Until the last write has ended the lock is kept, and others see how it goes.
	around, end := context.WithCancel(context.WithoutCancel(ctx))
	var beside sync.WaitGroup
	for _, run := range d.beside {
		beside.Go(func() { run(around) })
	}
	defer beside.Wait()
	defer end()
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return d.subscriber.Run(ctx) })
	all.Go(func() error { return d.Reconciler.Run(ctx) })
	all.Go(func() error {
		transport.WatchFiles(ctx, d.files, func() { d.subscriber.TryAgain(); d.TryAgain() })
		return nil
	})
	return all.Wait()
}

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"consular/consul"
	"consular/reconcile/heartbeat"
)

// Permit says whether anything may be written.
type Permit interface {
	// Sure reports whether it may now, for certain.
	Sure() bool
	// Guard returns a context in which something may be written, which ends when it may not
	// any more; ok is false when it may not now. The cancel function must be called when
	// it is done.
	Guard(ctx context.Context) (while context.Context, cancel context.CancelFunc, ok bool)
}

// gate is the one gate before all writes. Why it is closed it does not know. While it is,
// jobs are dropped: the model knows what they were about. When it opens, others may have
// written, so that what was known of Consul is not true any more: a resync comes first.
type gate struct {
	// permit is nil if the gate is always open.
	permit Permit
	tell   func(Notice)
	// opened is set from when its opening is told until its closing is: the permit may be there again
	// before anybody has told so, and what was known is not true any more.
	opened atomic.Bool
	// terms counts how often it has opened, and begun is the last term in which Marathon's
	// snapshot was taken in: from then on what events name is written, too.
	terms, begun atomic.Int64
}

func newGate(permit Permit, tell func(Notice)) *gate {
	g := &gate{permit: permit, tell: tell}
	if permit == nil {
		g.terms.Store(1)
		g.begun.Store(1)
	}
	return g
}

// term returns the number of the present opening, or of the last one.
func (g *gate) term() int64 { return g.terms.Load() }

// isOpen reports whether anything may be written.
func (g *gate) isOpen() bool {
	return g.permit == nil || g.permit.Sure() && g.opened.Load()
}

// takesJobs reports whether what events name is to be written.
func (g *gate) takesJobs() bool { return g.begun.Load() == g.term() && g.isOpen() }

// admits reports whether a job may still be done.
func (g *gate) admits(j job) bool { return (j.term == 0 || j.term == g.term()) && g.isOpen() }

// guard returns a context for one write, which goes on when ctx ends.
func (g *gate) guard(ctx context.Context) (context.Context, context.CancelFunc, bool) {
	ctx = context.WithoutCancel(ctx)
	if g.permit == nil {
		return ctx, func() {}, true
	}
	return g.permit.Guard(ctx)
}

// errClosed means that the gate was closed before a write, or has been since: it may have been
// made. Nobody is told, for nothing is wrong, and when the gate opens a resync is made.
var errClosed = errors.New("nothing may be written now")

// write makes one request that changes something, if it may be made, and tells what came of
// it. It goes on when ctx ends, and is given up when the gate closes.
func (g *gate) write(ctx context.Context, where, kind string, request func(context.Context) error) error {
	why := doing(ctx)
	open, cancel, ok := g.guard(ctx)
	defer cancel()
	if !ok || !g.admits(why.job) {
		return errClosed
	}
	start := time.Now()
	goesOn := why.waits()
	err := request(open)
	goesOn()
	if errors.Is(err, consul.ErrAlive) {
		return err // it was only looked at
	}
	n := Notice{
		Level: zerolog.Disabled, Message: "written", Agent: where, Err: err, Took: time.Since(start),
		Write: &Write{Kind: kind, Outcome: outcomeOf(err)},
	}
	if !why.heard.IsZero() {
		n.Write.SinceEvent = time.Since(why.heard)
	}
	g.tell(n)
	if err != nil && open.Err() != nil {
		return fmt.Errorf("%w: %w", errClosed, err)
	}
	return err
}

func outcomeOf(err error) string {
	switch {
	case err == nil:
		return "done"
	case errors.Is(written(err), errRefused):
		return "refused"
	default:
		return "failed"
	}
}

// errand is what a worker's context is for: a job, in one of our loops.
type errand struct {
	job
	loop *heartbeat.Loop
}

type errandKey struct{}

func withErrand(ctx context.Context, e errand) context.Context {
	return context.WithValue(ctx, errandKey{}, e)
}

// doing returns what a context is for. A resync's is for no job, and tells its loop itself.
func doing(ctx context.Context) errand {
	e, _ := ctx.Value(errandKey{}).(errand)
	return e
}

// waits says that the loop waits for an answer: it is not stuck then, for every request is
// given up by itself. The result says that it goes on.
func (e errand) waits() (goesOn func()) {
	e.loop.Rest()
	return e.loop.Round
}

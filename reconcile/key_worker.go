package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"consular/consul"
	"consular/reconcile/plan"
)

// Labels is the KV store below the prefix, as consul.Labels is.
type Labels interface {
	// List returns all keys, Service those of one service name; whoever owns
	// them. Both need key:read for the whole prefix.
	List(ctx context.Context) ([]consul.Key, error)
	Service(ctx context.Context, name string) ([]consul.Key, error)
	// Apply makes one name's changes in one transaction where they fit;
	// consul.ErrStale when a key is not as it was read, a consul.RefusedError when all
	// but some are made. It needs key:write.
	Apply(ctx context.Context, name string, changes []consul.KeyChange) error
}

// keyWorker writes to the KV store, one service name at a time.
type keyWorker struct {
	worker
	labels Labels
	// mu is held while keys are read to be compared, and written: what was read
	// while a write is in flight shows neither what was nor what will be.
	mu ctxMutex
	// diff compares a name's keys with what is desired of it now.
	diff func(name string, have []consul.Key) []plan.Change
	// held reports whether the removal of a key is held back.
	held func(plan.Change) bool
}

// staleRetries is how often a name is read again when somebody else writes its
// keys at the same time.
const staleRetries = 3

// run does jobs until ctx ends.
func (w *keyWorker) run(ctx context.Context) { w.work(ctx, w.execute) }

// execute brings the keys of one service name in line with what is desired of them
// now.
func (w *keyWorker) execute(ctx context.Context, j job) (outcome, error) {
	if err := w.mu.lock(ctx); err != nil {
		return outcome{}, err
	}
	defer w.mu.unlock()
	if j.key == "" { // a resync could not list them
		if w.backingOff() == nil {
			return outcome{}, nil
		}
		_, err := w.labels.List(ctx)
		return outcome{contact: asked}, err
	}
	var err error
	for range staleRetries {
		var done outcome
		done, err = w.attempt(ctx, j)
		if !errors.Is(err, consul.ErrStale) {
			return done, err
		}
		j.keys, j.keysRead = nil, false
	}
	return outcome{}, err
}

// listAll lists all keys, for a resync. It waits so long for a write to end. When the
// store does not answer, the worker finds out when it does: what was to be written may have
// no job.
func (w *keyWorker) listAll(ctx context.Context, patience time.Duration) ([]consul.Key, error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := w.mu.lock(waiting); err != nil {
		return nil, fmt.Errorf("list keys: wait for a write that is in flight: %w", err)
	}
	defer w.mu.unlock()
	keys, err := w.labels.List(ctx)
	w.leftOut.Store(err != nil)
	if err != nil {
		w.markDown(err, false)
		w.queue.put(job{cause: cause{name: "resync"}})
	}
	return keys, err
}

// attempt compares a name's keys, and writes in one go what differs.
func (w *keyWorker) attempt(ctx context.Context, j job) (outcome, error) {
	have, did, err := w.read(ctx, j)
	if err != nil {
		return outcome{}, err
	}
	var changes []plan.Change
	var writes []consul.KeyChange
	for _, c := range w.diff(j.key, have) {
		if c.Op == plan.Set || j.allowed.Allow(c.Grounds) && !w.held(c) {
			changes, writes = append(changes, c), append(writes, *c.Write)
		}
	}
	if len(writes) == 0 {
		return outcome{contact: did}, nil
	}
	start := time.Now()
	err = w.labels.Apply(ctx, j.key, writes)
	refused, some := errors.AsType[*consul.RefusedError](err)
	if err != nil && !some {
		return outcome{}, written(err)
	}
	notice := Notice{Level: zerolog.InfoLevel, Message: "labels changed", Agent: w.name, Service: j.key, Cause: j.name, Op: plan.Set, Took: time.Since(start)}
	for _, c := range changes {
		switch {
		case refused.Names(c.Write.Key.Label):
			continue
		case c.Op == plan.Set:
			notice.Key = append(notice.Key, c.Key)
		default:
			notice.Deleted = append(notice.Deleted, c.Key)
		}
		notice.App = c.App
	}
	if len(notice.Key)+len(notice.Deleted) > 0 {
		w.tell(notice)
	}
	return outcome{KeysSet: len(notice.Key), KeysDeleted: len(notice.Deleted), contact: wrote}, written(err)
}

// read returns a name's keys: those that the resync has read, or else as they are.
func (w *keyWorker) read(ctx context.Context, j job) ([]consul.Key, contact, error) {
	if j.keysRead {
		return j.keys, unasked, nil
	}
	keys, err := w.labels.Service(ctx, j.key)
	if consul.Unable(err) {
		err = written(err) // of this name
	}
	return keys, asked, err
}

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"consular/consul"
)

// Labels is the KV store below the prefix, as consul.Labels is.
type Labels interface {
	// List returns all keys, Service those of one service name; whoever owns
	// them. Both need key:read for the whole prefix.
	List(ctx context.Context) ([]consul.Key, error)
	Service(ctx context.Context, name string) ([]consul.Key, error)
	// Apply makes one name's changes in one transaction where they fit;
	// consul.ErrStale when a key is not as it was read. It needs key:write.
	Apply(ctx context.Context, name string, changes []consul.KeyChange) error
}

// keyWorker writes to the KV store, one service name at a time.
type keyWorker struct {
	worker
	labels Labels
	// turn is held while keys are read to be compared, and written: what was read
	// while a write is in flight shows neither what was nor what will be.
	turn turn
	// diff compares a name's keys with what is desired of it now.
	diff func(name string, have []consul.Key) []Change
	// frozen reports whether no key may be removed.
	frozen func() bool
}

// staleRetries is how often a name is read again when somebody else writes its
// keys at the same time.
const staleRetries = 3

// do brings the keys of one service name in line with what is desired of them
// now.
func (w *keyWorker) do(ctx context.Context, j job) (outcome, error) {
	if err := w.turn.take(ctx); err != nil {
		return outcome{}, err
	}
	defer w.turn.release()
	if j.key == "" { // a resync could not list them
		_, err := w.labels.List(ctx)
		return outcome{}, err
	}
	var err error
	for range staleRetries {
		var done outcome
		done, err = w.attempt(ctx, j)
		if !errors.Is(err, consul.ErrStale) {
			return done, err
		}
		j.have = nil
	}
	return outcome{}, err
}

// listAll lists all keys, for a resync. It waits so long for a write to end.
func (w *keyWorker) listAll(ctx context.Context, patience time.Duration) ([]consul.Key, error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := w.turn.take(waiting); err != nil {
		return nil, fmt.Errorf("list keys: wait for a write that is in flight: %w", err)
	}
	defer w.turn.release()
	return w.labels.List(ctx)
}

func (w *keyWorker) attempt(ctx context.Context, j job) (outcome, error) {
	have, err := w.list(ctx, j)
	if err != nil {
		return outcome{}, err
	}
	var writes []consul.KeyChange
	var app string
	var set, deleted []string
	for _, c := range w.diff(j.key, have) {
		switch {
		case c.Op == Set:
			set = append(set, c.Key)
		case c.removal > j.upTo || w.frozen():
			continue
		default:
			deleted = append(deleted, c.Key)
		}
		app = c.App
		writes = append(writes, c.write)
	}
	if len(writes) == 0 {
		return outcome{}, nil
	}
	start := time.Now()
	if err := w.labels.Apply(context.WithoutCancel(ctx), j.key, writes); err != nil {
		return outcome{}, written(err)
	}
	line := w.log.Info().Str("app", app).Str("service", j.key).Str("cause", j.name)
	if len(set) > 0 {
		line = line.Str("key", strings.Join(set, ", "))
	}
	if len(deleted) > 0 {
		line = line.Str("deleted", strings.Join(deleted, ", "))
	}
	line.Dur("took_ms", time.Since(start)).Msg("labels changed")
	return outcome{KeysSet: len(set), KeysDeleted: len(deleted)}, nil
}

// list returns a name's keys: those that the resync has read, or else as they are.
func (w *keyWorker) list(ctx context.Context, j job) ([]consul.Key, error) {
	if j.have != nil {
		return *j.have, nil
	}
	return w.labels.Service(ctx, j.key)
}

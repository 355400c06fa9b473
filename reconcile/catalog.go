package reconcile

import (
	"context"
	"errors"

	"consular/consul"
)

// catalogWorker removes services of dead nodes from the catalog.
type catalogWorker struct {
	worker
	catalog Catalog
	desired func(task, app string) Want
}

// do removes one service, if it is still to go and its node is still dead.
func (w *catalogWorker) do(ctx context.Context, j job) (outcome, error) {
	want := w.desired(j.key, j.app)
	grounds, why := want.removal()
	back := want.Verdict == Present && j.upTo != Moved
	if want.Verdict == Untouched || back || grounds > j.upTo {
		return outcome{}, nil
	}
	err := w.catalog.Deregister(context.WithoutCancel(ctx), j.node, j.key)
	if errors.Is(err, consul.ErrAlive) {
		return outcome{}, nil // it is back: the next look sees its agent
	}
	if err != nil {
		return outcome{}, written(err)
	}
	w.log.Info().Str("app", j.app).Str("task", j.key).Str("cause", j.name).Str("why", why).
		Str("node", j.node).Msg("deregistered from a dead node")
	return outcome{Deregistered: 1}, nil
}

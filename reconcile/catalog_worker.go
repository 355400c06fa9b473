package reconcile

import (
	"context"
	"errors"
	"strings"

	"github.com/rs/zerolog"

	"consular/consul"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
)

// catalogWorker removes services of dead nodes from the catalog.
type catalogWorker struct {
	worker
	catalog Catalog
	want    func(task, app string) desired.Want
}

// run does jobs until ctx ends.
func (w *catalogWorker) run(ctx context.Context) { w.work(ctx, w.execute) }

// execute removes a task's services from a node, those that are still to go, if the
// node is still dead.
func (w *catalogWorker) execute(ctx context.Context, j job) (outcome, error) {
	want := w.want(j.key, j.app)
	var here []consul.Service
	for _, id := range j.ids {
		here = append(here, consul.Service{ID: id})
	}
	ours := func(consul.Service) bool { return true } // the plan has seen them
	// A dead node is nobody's home, and what has moved was judged by the plan.
	elsewhere := func(string) plan.Standing { return plan.HomeHas }
	var done outcome
	for _, d := range plan.Decide(want, here, ours, elsewhere) {
		if d.Op != plan.Deregister || !j.allowed.Allow(d.Grounds) {
			continue
		}
		err := w.catalog.Deregister(ctx, j.node, d.Service.ID)
		if errors.Is(err, consul.ErrAlive) {
			done.contact = asked
			return done, nil // it is back: the next resync lists its agent
		}
		if err != nil {
			return done, written(err)
		}
		done.contact = wrote
		done.Deregistered++
		w.tell(Notice{
			Level: zerolog.InfoLevel, Message: "deregistered from a dead node", Op: plan.Deregister,
			Agent: w.name, Node: j.node, App: j.app, Task: j.key, ID: d.Service.ID, Cause: j.name, Why: strings.Join(d.Why, ", "),
		})
	}
	return done, nil
}

package reconcile

import (
	"context"

	"consular/reconcile/plan"
)

// Explain reads both sides as Plan does, and tells of one app, task or service why it is in
// Consul, or is not: see plan.Explain. It writes nothing.
func (r *Reconciler) Explain(ctx context.Context, asked string) (told []plan.Explanation, err error) {
	r.told.keep = true
	p, actual, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	r.locked(func() { told, err = plan.Explain(&p, r.model, actual, r.told.apps, asked) })
	return told, err
}

package reconcile

import (
	"context"
	"strings"

	"github.com/rs/zerolog"

	"consular/consul"
	"consular/reconcile/plan"
)

// What an agent's worker does with checks.

// withChecks adds our checks to services that were listed, where there may be some at all.
func (w *agentWorker) withChecks(ctx context.Context, services []consul.Service) error {
	if !w.checked() {
		return nil
	}
	checks, err := w.agent.Checks(ctx)
	if err != nil {
		return err
	}
	for i := range services {
		if services[i].Checks = checks[services[i].ID]; services[i].Checks == nil {
			services[i].Checks = []consul.Check{}
		}
	}
	return nil
}

// writeCheck writes one check. What we keep ourselves is updated when it has been
// registered: only that outlives an agent's restart. One that somebody has removed is
// registered anew.
func (w *agentWorker) writeCheck(ctx context.Context, n *node, task string, d plan.Decision) error {
	c := d.Check
	if d.Op == plan.DeregisterCheck {
		return w.agent.DeregisterCheck(ctx, c.ID)
	}
	if d.Op == plan.RegisterCheck {
		if err := w.agent.RegisterCheck(ctx, d.Service.ID, c); err != nil || !c.Kept() {
			return err
		}
		n.putRegistered(task, d.Service.ID, c)
	}
	err := w.agent.UpdateCheck(ctx, c.ID, c.Status, c.Output)
	if d.Op == plan.UpdateCheck && consul.Unknown(err) {
		d.Op = plan.RegisterCheck
		return w.writeCheck(ctx, n, task, d)
	}
	return err
}

// keepStatus makes what a service was registered with outlive an agent's restart.
func (w *agentWorker) keepStatus(ctx context.Context, n *node, task string, s consul.Service) error {
	for _, c := range s.Checks {
		n.putRegistered(task, s.ID, c)
	}
	for _, c := range s.Checks {
		if !c.Kept() {
			continue
		}
		if err := w.agent.UpdateCheck(ctx, c.ID, c.Status, c.Output); err != nil {
			return err
		}
		n.putCheck(task, s.ID, c)
	}
	return nil
}

// wroteCheck remembers a write of a check, and says what the operator is told of it.
func (n *node) wroteCheck(task string, d plan.Decision, notice *Notice) {
	c := d.Check
	notice.Status, notice.Before, notice.Why = string(c.Status), string(d.Before), c.Output
	switch d.Op {
	case plan.DeregisterCheck:
		n.removeCheck(task, d.Service.ID, c.ID)
		notice.Message, notice.Status, notice.Why = "check removed", "", strings.Join(d.Why, ", ")
	case plan.RegisterCheck:
		n.putCheck(task, d.Service.ID, c)
		notice.Message = "check added"
	default:
		n.putCheck(task, d.Service.ID, c)
		notice.Message = "health"
		if c.Status == d.Before { // its output alone: one line a flip
			notice.Level = zerolog.DebugLevel
		}
	}
}

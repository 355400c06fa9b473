package reconcile

import (
	"context"

	"consular/consul"
)

// Consul behind the gate: there is no other way to it. Every method stands here, so that a
// new one cannot go past the gate unnoticed.

// behind returns a Consul whose writes go through a gate.
func (g *gate) behind(c Consul) Consul {
	agent := c.Agent
	c.Agent = func(host string) (Agent, error) {
		a, err := agent(host)
		if err != nil {
			return nil, err
		}
		return gatedAgent{a, g}, nil
	}
	c.Labels, c.Catalog = gatedLabels{c.Labels, g}, gatedCatalog{c.Catalog, g}
	return c
}

type gatedAgent struct {
	agent Agent
	gate  *gate
}

func (a gatedAgent) Address() string { return a.agent.Address() }

func (a gatedAgent) Self(ctx context.Context) (consul.Node, error) {
	defer doing(ctx).waits()()
	return a.agent.Self(ctx)
}

func (a gatedAgent) Services(ctx context.Context) ([]consul.Service, error) {
	defer doing(ctx).waits()()
	return a.agent.Services(ctx)
}

func (a gatedAgent) Register(ctx context.Context, s consul.Service) error {
	return a.gate.write(ctx, a.Address(), "register", func(ctx context.Context) error { return a.agent.Register(ctx, s) })
}

func (a gatedAgent) Deregister(ctx context.Context, id string) error {
	return a.gate.write(ctx, a.Address(), "deregister", func(ctx context.Context) error { return a.agent.Deregister(ctx, id) })
}

func (a gatedAgent) Checks(ctx context.Context) (map[string][]consul.Check, error) {
	defer doing(ctx).waits()()
	return a.agent.Checks(ctx)
}

func (a gatedAgent) RegisterCheck(ctx context.Context, service string, c consul.Check) error {
	return a.gate.write(ctx, a.Address(), "check", func(ctx context.Context) error { return a.agent.RegisterCheck(ctx, service, c) })
}

func (a gatedAgent) UpdateCheck(ctx context.Context, id string, status consul.Status, output string) error {
	return a.gate.write(ctx, a.Address(), "check", func(ctx context.Context) error { return a.agent.UpdateCheck(ctx, id, status, output) })
}

func (a gatedAgent) DeregisterCheck(ctx context.Context, id string) error {
	return a.gate.write(ctx, a.Address(), "check", func(ctx context.Context) error { return a.agent.DeregisterCheck(ctx, id) })
}

type gatedLabels struct {
	labels Labels
	gate   *gate
}

func (l gatedLabels) List(ctx context.Context) ([]consul.Key, error) {
	defer doing(ctx).waits()()
	return l.labels.List(ctx)
}

func (l gatedLabels) Service(ctx context.Context, name string) ([]consul.Key, error) {
	defer doing(ctx).waits()()
	return l.labels.Service(ctx, name)
}

func (l gatedLabels) Apply(ctx context.Context, name string, changes []consul.KeyChange) error {
	return l.gate.write(ctx, "kv", "keys", func(ctx context.Context) error { return l.labels.Apply(ctx, name, changes) })
}

type gatedCatalog struct {
	catalog Catalog
	gate    *gate
}

func (c gatedCatalog) Nodes(ctx context.Context) ([]consul.CatalogNode, error) {
	defer doing(ctx).waits()()
	return c.catalog.Nodes(ctx)
}

func (c gatedCatalog) Services(ctx context.Context, node, tag string) ([]consul.Service, error) {
	defer doing(ctx).waits()()
	return c.catalog.Services(ctx, node, tag)
}

func (c gatedCatalog) Find(ctx context.Context, name, id string) ([]consul.CatalogService, error) {
	defer doing(ctx).waits()()
	return c.catalog.Find(ctx, name, id)
}

func (c gatedCatalog) Deregister(ctx context.Context, node, id string) error {
	return c.gate.write(ctx, "catalog", "catalog", func(ctx context.Context) error { return c.catalog.Deregister(ctx, node, id) })
}

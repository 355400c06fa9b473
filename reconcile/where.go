package reconcile

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"consular/consul"
)

// Catalog is the servers' copy of all agents, as consul.Catalog is.
type Catalog interface {
	// Nodes needs node:read for all of them.
	Nodes(ctx context.Context) ([]consul.CatalogNode, error)
	// Services returns those on a node that carry a tag.
	Services(ctx context.Context, node, tag string) ([]consul.Service, error)
	// Deregister removes a service of a node that has failed;
	// consul.ErrAlive when it has not.
	Deregister(ctx context.Context, node, task string) error
}

const (
	// mainHost is the main agent's name among hosts.
	mainHost = ""
	// everywhereEvery is at which resync nodes are looked at that Marathon does
	// not name: the first, and every tenth after it.
	everywhereEvery = 10
	// catalogAtOnce bounds the requests in flight to the catalog.
	catalogAtOnce = 8
)

// read lists all agents and all keys, at the same time. Where agents do not
// answer, and at times to find what Marathon does not name, it asks the catalog.
func (r *Reconciler) read(ctx context.Context) Actual {
	var actual Actual
	var keys sync.WaitGroup
	keys.Go(func() { actual.Keys, actual.KeysErr = r.consul.Labels.List(ctx) })
	agents := r.fleet.survey(ctx, r.hosts(), r.config.Patience)
	everywhere := r.resyncsDone.Add(1)%everywhereEvery == 1
	if everywhere || slices.ContainsFunc(agents, func(a AgentState) bool { return a.Err != nil }) {
		agents, actual.CatalogErr = r.askCatalog(ctx, agents, everywhere)
	}
	r.retire(agents)
	actual.Agents = agents
	keys.Wait()
	return actual
}

// hosts returns whose agents are looked at: those of the hosts that Marathon
// names, and of those where something of ours was seen before.
func (r *Reconciler) hosts() []string {
	seen := map[string]bool{}
	r.mu.Lock()
	for _, host := range r.desired.Hosts() {
		if consul.CheckHost(host) == nil { // its tasks are left out, and said to be
			seen[host] = true
		}
	}
	r.mu.Unlock()
	for _, host := range r.fleet.hosts() {
		seen[host] = true
	}
	if r.config.Fallback {
		seen[mainHost] = true
	}
	return sortedKeys(seen)
}

// askCatalog finds out which of the silent agents are dead, and, if asked to
// look everywhere, adds the nodes that Marathon does not name and that have
// services of ours.
func (r *Reconciler) askCatalog(ctx context.Context, agents []AgentState, everywhere bool) ([]AgentState, error) {
	nodes, err := r.consul.Catalog.Nodes(ctx)
	if err != nil {
		return agents, err
	}
	known := map[string]bool{}
	for i := range agents {
		a := &agents[i]
		if a.Err != nil {
			r.findNode(ctx, a, nodes)
		}
		known[a.Node.ID] = true
	}
	if !everywhere {
		return agents, nil
	}
	var others []consul.CatalogNode
	for _, n := range nodes {
		if !known[n.ID] {
			others = append(others, n)
		}
	}
	more, err := r.otherNodes(ctx, others)
	return append(agents, more...), err
}

// findNode tells a silent agent's node by what the catalog knows of it, and
// reads from the catalog what the agent does not tell.
func (r *Reconciler) findNode(ctx context.Context, a *AgentState, nodes []consul.CatalogNode) {
	names := r.namesOf(ctx, a)
	at := slices.IndexFunc(nodes, func(n consul.CatalogNode) bool {
		return names[n.ID] || names[n.Address] || names[n.Name]
	})
	if at < 0 {
		a.OnNode = map[string]bool{} // never seen by Consul: nothing is there
		return
	}
	services, err := r.onNode(ctx, nodes[at].Name)
	if err != nil {
		return // nothing is known, and so nothing is done
	}
	a.Node = nodes[at].Node
	a.OnNode = map[string]bool{}
	for _, s := range services {
		a.OnNode[s.ID] = true
	}
	if nodes[at].Failed {
		a.Failed, a.Services = true, services
	}
}

// namesOf returns all by which the catalog may know a silent agent's node: the ID
// that it once gave, or else its hosts' names and addresses.
func (r *Reconciler) namesOf(ctx context.Context, a *AgentState) map[string]bool {
	names := map[string]bool{}
	for _, host := range a.Hosts {
		if known := r.fleet.of(host); known != nil {
			return map[string]bool{known.id: true}
		}
		names[host] = true
		if host == mainHost || net.ParseIP(host) != nil {
			continue
		}
		addresses, err := net.DefaultResolver.LookupHost(ctx, host)
		if err != nil {
			continue // a name that means nothing is a name all the same
		}
		for _, address := range addresses {
			names[address] = true
		}
	}
	return names
}

// onNode returns the services of ours that the catalog shows on a node.
func (r *Reconciler) onNode(ctx context.Context, name string) ([]consul.Service, error) {
	services, err := r.consul.Catalog.Services(ctx, name, r.config.Owner.Tag())
	if err == nil && r.config.Former != nil {
		var former []consul.Service
		former, err = r.consul.Catalog.Services(ctx, name, r.config.Former.Tag())
		services = append(services, former...)
	}
	return services, err
}

// otherNodes looks at nodes that Marathon does not name: those that have
// services of ours, by the catalog, are asked themselves, if they live.
func (r *Reconciler) otherNodes(ctx context.Context, nodes []consul.CatalogNode) ([]AgentState, error) {
	found := make([]AgentState, len(nodes))
	var all errgroup.Group
	all.SetLimit(catalogAtOnce)
	for i, n := range nodes {
		all.Go(func() error {
			services, err := r.onNode(ctx, n.Name)
			switch {
			case err != nil:
				return err
			case len(services) == 0:
				return nil
			}
			// From now on it is looked at every time, until it has nothing of ours.
			found[i] = r.fleet.survey(ctx, []string{n.Address}, r.config.Patience)[0]
			if n.Failed {
				found[i].Node, found[i].Services, found[i].Failed = n.Node, services, true
			}
			return nil
		})
	}
	err := all.Wait()
	return slices.DeleteFunc(found, func(a AgentState) bool { return len(a.Hosts) == 0 }), err
}

// retire lets go of workers whose hosts Marathon does not name any more and that
// have nothing of ours.
func (r *Reconciler) retire(agents []AgentState) {
	named := map[string]bool{mainHost: true}
	r.mu.Lock()
	for _, host := range r.desired.Hosts() {
		named[host] = true
	}
	r.mu.Unlock()
	for _, a := range agents {
		if a.Err != nil && !a.Failed || slices.ContainsFunc(a.Services, r.ours) {
			continue
		}
		for _, host := range a.Hosts {
			if !named[host] {
				r.fleet.retire(host)
			}
		}
	}
}

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
	if want.Verdict == Held || grounds > j.upTo {
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
	return outcome{deregistered: 1}, nil
}

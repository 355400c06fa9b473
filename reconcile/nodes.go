package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"consular/consul"
	"consular/reconcile/plan"
)

// Catalog is the servers' copy of all agents, as consul.Catalog is.
type Catalog interface {
	// Nodes needs node:read for all of them.
	Nodes(ctx context.Context) ([]consul.CatalogNode, error)
	// Services returns those on a node that carry a tag. A node that is not there is an
	// error.
	Services(ctx context.Context, node, tag string) ([]consul.Service, error)
	// Find returns the services of a name and ID on all nodes, whosever they are.
	Find(ctx context.Context, name, id string) ([]consul.CatalogService, error)
	// Deregister removes a service of a node that has failed;
	// consul.ErrAlive when it has not.
	Deregister(ctx context.Context, node, task string) error
}

// askCatalog finds out which of the silent agents are dead, and, if asked to
// look everywhere, adds the nodes that Marathon does not name and that have
// services of ours.
func (r *Reconciler) askCatalog(ctx context.Context, agents []plan.Agent, everywhere bool) ([]plan.Agent, error) {
	nodes, err := r.consul.Catalog.Nodes(ctx)
	if err != nil {
		return agents, err
	}
	r.findNodes(ctx, agents, nodes)
	known := map[string]bool{}
	for _, a := range agents {
		known[a.Node.ID] = true
	}
	if !everywhere {
		return agents, nil
	}
	var others []consul.CatalogNode
	is := map[string]string{} // IDs of the nodes that have been asked, by address
	for _, n := range nodes {
		if known[n.ID] {
			is[n.Address] = n.ID
		} else {
			others = append(others, n)
		}
	}
	more, err := r.otherNodes(ctx, others, is)
	return append(agents, more...), err
}

// findNodes tells the nodes of all silent agents by what the catalog knows of them, and
// reads from the catalog what the agents do not tell.
func (r *Reconciler) findNodes(ctx context.Context, agents []plan.Agent, nodes []consul.CatalogNode) {
	at := r.nodesOf(ctx, agents, nodes)
	var asking errgroup.Group
	asking.SetLimit(catalogAtOnce)
	var failures atomic.Int32
	for i, n := range at {
		asking.Go(func() error {
			if failures.Load() >= catalogAtOnce {
				return nil // it does not answer: nothing is known, and so nothing is done
			}
			if services, err := r.onNode(ctx, n.Name); err == nil {
				showOnNode(&agents[i], n, services)
			} else {
				failures.Add(1)
			}
			return nil
		})
	}
	_ = asking.Wait() // there are no errors
}

// nodesOf finds the nodes of silent agents, by their place among all agents. Their names are
// looked up at the same time, and all of them for no longer than the patience: one that takes
// long to resolve delays no other.
func (r *Reconciler) nodesOf(ctx context.Context, agents []plan.Agent, nodes []consul.CatalogNode) map[int]consul.CatalogNode {
	ctx, cancel := context.WithTimeout(ctx, r.config.Patience)
	defer cancel()
	var mu sync.Mutex
	found := map[int]consul.CatalogNode{}
	var naming errgroup.Group
	naming.SetLimit(listsAtOnce)
	for i := range agents {
		if agents[i].Err == nil {
			continue
		}
		naming.Go(func() error {
			if n := r.nodeOf(ctx, &agents[i], nodes); n != nil {
				mu.Lock()
				defer mu.Unlock()
				found[i] = *n
			}
			return nil
		})
	}
	_ = naming.Wait() // there are no errors
	return found
}

// nodeOf finds a silent agent's node; nil when it is not known, or Consul has none.
func (r *Reconciler) nodeOf(ctx context.Context, a *plan.Agent, nodes []consul.CatalogNode) *consul.CatalogNode {
	names, err := r.namesOf(ctx, a)
	if err != nil {
		return nil // it may be any node
	}
	is := func(n consul.CatalogNode) bool {
		for _, address := range n.TaggedAddresses { // a host may have several
			if names[address] {
				return true
			}
		}
		return names[n.ID] || names[n.Address] || names[n.Name]
	}
	// What was there before a host was set up anew has its address too, and is dead.
	at := slices.IndexFunc(nodes, func(n consul.CatalogNode) bool { return is(n) && !n.Failed })
	if at < 0 {
		at = slices.IndexFunc(nodes, is)
	}
	if at < 0 {
		a.OnNode = map[string]consul.Service{} // never seen by Consul: nothing is there
		return nil
	}
	return &nodes[at]
}

// showOnNode takes in what the catalog shows on a silent agent's node.
func showOnNode(a *plan.Agent, n consul.CatalogNode, services []consul.Service) {
	a.Node = n.Node
	a.OnNode = make(map[string]consul.Service, len(services))
	for _, s := range services {
		a.OnNode[s.ID] = s
	}
	if n.Failed {
		a.Failed, a.Services = true, services
	}
}

// namesOf returns all by which the catalog may know a silent agent's node: the ID
// that it once gave, or else its hosts' names and addresses.
func (r *Reconciler) namesOf(ctx context.Context, a *plan.Agent) (map[string]bool, error) {
	names := map[string]bool{}
	for _, host := range a.Hosts {
		if known := r.fleet.nodeOf(host); known != nil {
			return map[string]bool{known.id: true}, nil
		}
		if host == mainHost {
			return nil, errors.New("the main agent has never answered")
		}
		names[host] = true
		if net.ParseIP(host) != nil {
			continue
		}
		addresses, err := net.DefaultResolver.LookupHost(ctx, host)
		if unknown, is := errors.AsType[*net.DNSError](err); is && unknown.IsNotFound {
			continue // a name that means nothing is a name all the same
		}
		if err != nil {
			return nil, err
		}
		for _, address := range addresses {
			names[address] = true
		}
	}
	return names, nil
}

// onNode returns the services of ours that the catalog shows on a node.
func (r *Reconciler) onNode(ctx context.Context, name string) ([]consul.Service, error) {
	services, err := r.consul.Catalog.Services(ctx, name, r.config.Translation.Owner.Tag())
	if err == nil && r.config.Translation.Former != nil {
		var former []consul.Service
		former, err = r.consul.Catalog.Services(ctx, name, r.config.Translation.Former.Tag())
		services = append(services, former...)
	}
	return services, err
}

// otherNodes lists nodes that Marathon does not name: those that have
// services of ours, by the catalog, are asked themselves, if they live. The agents
// have been asked already.
func (r *Reconciler) otherNodes(ctx context.Context, nodes []consul.CatalogNode, is map[string]string) ([]plan.Agent, error) {
	found := make([]plan.Agent, len(nodes))
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
			found[i] = r.otherNode(ctx, n, is[n.Address])
			if found[i].Err != nil {
				showOnNode(&found[i], n, services)
			}
			return nil
		})
	}
	err := all.Wait()
	return slices.DeleteFunc(found, func(a plan.Agent) bool { return a.Address == "" }), err
}

// otherNode asks the agent at a node's address, unless it is known who that is. At
// the address of a host that was set up anew another node's agent answers: the old
// node has none, and goes by no name of Marathon's.
func (r *Reconciler) otherNode(ctx context.Context, n consul.CatalogNode, known string) plan.Agent {
	if known == "" {
		// From now on it is listed every time, until it has nothing of ours.
		state := r.fleet.list(ctx, n.Address)
		if state.Err != nil || state.Node.ID == n.ID {
			return state
		}
		known = state.Node.ID
	}
	return plan.Agent{Address: n.Name, Err: fmt.Errorf("node %s (%s) is not at its address %s, but %s is", n.Name, n.ID, n.Address, known)}
}

// elsewhere reports whether the catalog shows a service on another node.
func (r *Reconciler) elsewhere(ctx context.Context, node, name, id string) (bool, error) {
	found, err := r.consul.Catalog.Find(ctx, name, id)
	return slices.ContainsFunc(found, func(s consul.CatalogService) bool { return s.Node.ID != node }), err
}

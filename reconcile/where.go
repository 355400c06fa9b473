package reconcile

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

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
	// catalogAtOnce bounds how many nodes are looked at that Marathon does not name.
	catalogAtOnce = 8
	// grace is how long all that is written waits for what has not answered yet.
	// What is removed waits for the end of the look: its guard has to see all.
	grace = time.Second
	// reapTime is when Consul forgets a failed node (1.22: reconnect_timeout).
	reapTime = 72 * time.Hour
)

// sight is what has been seen of Consul so far.
type sight struct {
	mu      sync.Mutex
	agents  []AgentState
	keys    []consul.Key
	keysErr error
}

// errNotYet is why keys are not read while they are still waited for.
var errNotYet = errors.New("not read yet")

func (s *sight) agent(a AgentState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agents = append(s.agents, a)
}

func (s *sight) allKeys(keys []consul.Key, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.keysErr = keys, err
}

func (s *sight) actual() Actual {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Actual{Agents: oneForEachNode(slices.Clone(s.agents)), Keys: s.keys, KeysErr: s.keysErr}
}

// read looks at all of Consul. When some of it takes longer than the grace, early
// is told once what has been seen by then.
func (r *Reconciler) read(ctx context.Context, early func(Actual)) Actual {
	soFar := &sight{keysErr: errNotYet}
	complete := make(chan Actual, 1)
	go func() { complete <- r.readAllOf(ctx, soFar) }()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case actual := <-complete:
		return actual
	case <-timer.C:
		part := soFar.actual()
		part.Partial = true
		early(part)
		return <-complete
	}
}

// readAllOf lists all agents and all keys, at the same time. Where agents do not
// answer, and at times to find what Marathon does not name, it asks the catalog.
func (r *Reconciler) readAllOf(ctx context.Context, soFar *sight) Actual {
	var keys sync.WaitGroup
	keys.Go(func() { soFar.allKeys(r.listKeys(ctx)) })
	r.fleet.survey(ctx, r.hosts(), soFar.agent)
	keys.Wait()
	actual := soFar.actual()
	everywhere := r.sinceEverywhere == 0 || r.purgesKeys(actual.Keys)
	if everywhere || slices.ContainsFunc(actual.Agents, func(a AgentState) bool { return a.Err != nil }) {
		actual.Agents, actual.CatalogErr = r.askCatalog(ctx, actual.Agents, everywhere)
	}
	if !everywhere || actual.CatalogErr == nil {
		r.sinceEverywhere = (r.sinceEverywhere + 1) % everywhereEvery
	}
	actual.Agents = r.retire(actual.Agents)
	return actual
}

// listKeys lists all keys. When that fails, the worker finds out when it works
// again: what was to be written may have no job.
func (r *Reconciler) listKeys(ctx context.Context) ([]consul.Key, error) {
	keys, err := r.consul.Labels.List(ctx)
	if err != nil {
		r.keys.fellSilent(err)
		r.keys.queue.put(job{cause: cause{name: "resync"}})
	}
	return keys, err
}

// purgesKeys reports whether keys of ours belong to no app. Before they go, all
// nodes are looked at: another Marathon may have been given our registration ID,
// and its keys look like ours.
func (r *Reconciler) purgesKeys(keys []consul.Key) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(keys, func(k consul.Key) bool {
		return r.desired.tr.ownsKey(k.Flags) && len(r.desired.names[k.Service]) == 0
	})
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
	r.findNodes(ctx, agents, nodes)
	known := map[string]bool{}
	for _, a := range agents {
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

// findNodes looks for the nodes of all silent agents at the same time: a name
// that takes long to resolve delays no other.
func (r *Reconciler) findNodes(ctx context.Context, agents []AgentState, nodes []consul.CatalogNode) {
	var silent sync.WaitGroup
	for i := range agents {
		if agents[i].Err != nil {
			silent.Go(func() { r.findNode(ctx, &agents[i], nodes) })
		}
	}
	silent.Wait()
}

// findNode tells a silent agent's node by what the catalog knows of it, and
// reads from the catalog what the agent does not tell.
func (r *Reconciler) findNode(ctx context.Context, a *AgentState, nodes []consul.CatalogNode) {
	names, err := r.namesOf(ctx, a)
	if err != nil {
		return // it may be any node
	}
	at := slices.IndexFunc(nodes, func(n consul.CatalogNode) bool {
		return names[n.ID] || names[n.Address] || names[n.Name]
	})
	if at < 0 {
		a.OnNode = map[string]consul.Service{} // never seen by Consul: nothing is there
		return
	}
	services, err := r.onNode(ctx, nodes[at].Name)
	if err != nil {
		return // nothing is known, and so nothing is done
	}
	a.shown(nodes[at], services)
}

// shown takes in what the catalog shows on a silent agent's node.
func (a *AgentState) shown(n consul.CatalogNode, services []consul.Service) {
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
func (r *Reconciler) namesOf(ctx context.Context, a *AgentState) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.Patience)
	defer cancel()
	names := map[string]bool{}
	for _, host := range a.Hosts {
		if known := r.fleet.of(host); known != nil {
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
			found[i] = r.fleet.look(ctx, n.Address)
			if found[i].Err != nil {
				found[i].shown(n, services)
			}
			return nil
		})
	}
	err := all.Wait()
	return slices.DeleteFunc(found, func(a AgentState) bool { return len(a.Hosts) == 0 }), err
}

// retire lets go of workers whose hosts Marathon does not name any more and that
// have nothing with our registration ID. It returns the agents without those of
// them that are silent: nobody waits for their answer. But their workers do, for
// as long as Consul remembers a node: an agent that comes back brings services
// with it that were to go.
func (r *Reconciler) retire(agents []AgentState) []AgentState {
	named := map[string]bool{mainHost: true}
	r.mu.Lock()
	for _, host := range r.desired.Hosts() {
		named[host] = true
	}
	r.mu.Unlock()
	return slices.DeleteFunc(agents, func(a AgentState) bool {
		nothing := a.Err == nil || a.Failed || a.OnNode != nil && len(a.OnNode) == 0
		if !nothing || slices.ContainsFunc(a.Services, r.tagged) {
			return false
		}
		needed := false
		for _, host := range a.Hosts {
			if named[host] {
				needed = true
				continue
			}
			if a.Err == nil || r.fleet.silentFor(host) > reapTime {
				r.fleet.retire(host)
			}
		}
		return a.Err != nil && !needed
	})
}

// tagged reports whether a service has our registration ID: it is ours, or that
// of another Marathon that was given the same.
func (r *Reconciler) tagged(s consul.Service) bool {
	_, tagged := r.config.Owner.AppOf(s.Tags)
	return tagged || r.ours(s)
}

package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/consul/api"

	"consular/consul"
	"consular/reconcile"
)

// memory is a Consul that lives in this process, behind reconcile's interfaces:
// its agents can be broken in ways that a real one cannot be at will, and it
// counts what is done to it. What is tested against Consul's own behaviour is
// tested against Consul.
type memory struct {
	mu     sync.Mutex
	agents map[string]*memoryAgent
	keys   map[[2]string]consul.Key
	index  uint64
	// broken is what is wrong with the KV store.
	broken fault
	// failsAt is a service that every agent answers with an error for.
	failsAt string
	// deregistered is told of each task that is deregistered where it was.
	deregistered func(task string)
}

// fault is what is wrong with an agent, or with the KV store.
type fault string

const (
	healthy fault = ""
	// refusing: nobody listens.
	refusing fault = "refuses"
	// failing answers with an error.
	failing fault = "fails"
	// silent does not answer until the client has lost its patience.
	silent fault = "is silent"
	// lying does what it is told, and answers with an error.
	lying fault = "lies"
)

// memoryPatience is a client's with a silent agent.
const memoryPatience = 200 * time.Millisecond

func newMemory(hosts ...string) *memory {
	m := &memory{agents: map[string]*memoryAgent{}, keys: map[[2]string]consul.Key{}}
	for _, host := range append(hosts, "") {
		m.agents[host] = &memoryAgent{memory: m, host: host, services: map[string]consul.Service{}}
	}
	return m
}

func (m *memory) consul() reconcile.Consul {
	return reconcile.Consul{
		Agent: func(host string) (reconcile.Agent, error) {
			a := m.agents[host]
			if a == nil {
				return nil, fmt.Errorf("there is no agent on %s", host)
			}
			return a, nil
		},
		Labels: (*memoryLabels)(m), Catalog: (*memoryCatalog)(m),
	}
}

// breakAgent gives an agent another fault.
func (m *memory) breakAgent(host string, f fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.agents[host].fault = f
}

// breakService lets one service fail, whoever has it.
func (m *memory) breakService(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failsAt = id
}

func (m *memory) breakKeys(f fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = f
}

// heal makes everything healthy.
func (m *memory) heal() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken, m.failsAt = healthy, ""
	for _, a := range m.agents {
		a.fault = healthy
	}
}

// snapshot is what it holds below a prefix.
func (m *memory) snapshot(prefix string) snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := snapshot{services: map[string]consul.Service{}, keys: map[string]string{}}
	for host, a := range m.agents {
		for id, s := range a.services {
			p.services[host+" "+id] = s
		}
	}
	for at, key := range m.keys {
		p.keys[prefix+"/"+at[0]+"/"+at[1]] = fmt.Sprintf("%s (%d)", key.Value, key.Flags)
	}
	return p
}

// do does something as far as the fault lets it.
func (m *memory) do(ctx context.Context, f *fault, what func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch *f {
	case refusing:
		return fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
	case failing:
		return errors.New("500 Internal Server Error: no cluster leader")
	case silent:
		m.mu.Unlock()
		defer m.mu.Lock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(memoryPatience):
			return errors.New("no answer in time")
		}
	case lying:
		return errors.Join(what(), errors.New("connection reset by peer"))
	}
	return what()
}

type memoryAgent struct {
	noChecks
	memory   *memory
	host     string
	services map[string]consul.Service
	fault    fault
}

func (a *memoryAgent) Address() string { return "memory://" + a.host }

func (a *memoryAgent) Self(ctx context.Context) (consul.Node, error) {
	if err := a.memory.do(ctx, &a.fault, func() error { return nil }); err != nil {
		return consul.Node{}, err
	}
	return a.node(), nil
}

func (a *memoryAgent) node() consul.Node {
	return consul.Node{ID: "node of " + a.host, Name: "node of " + a.host}
}

func (a *memoryAgent) Services(ctx context.Context) (services []consul.Service, err error) {
	err = a.memory.do(ctx, &a.fault, func() error {
		for _, s := range a.services {
			services = append(services, s)
		}
		return nil
	})
	return services, err
}

func (a *memoryAgent) Register(ctx context.Context, s consul.Service) error {
	return a.memory.do(ctx, &a.fault, func() error {
		if s.ID == a.memory.failsAt {
			return api.StatusError{Code: 500, Body: "it fails at this one"}
		}
		a.services[s.ID] = s
		return nil
	})
}

func (a *memoryAgent) Deregister(ctx context.Context, id string) error {
	return a.memory.do(ctx, &a.fault, func() error {
		if id == a.memory.failsAt {
			return api.StatusError{Code: 500, Body: "it fails at this one"}
		}
		if _, was := a.services[id]; was && a.memory.deregistered != nil {
			a.memory.deregistered(id)
		}
		delete(a.services, id)
		return nil
	})
}

type memoryLabels memory

func (l *memoryLabels) List(ctx context.Context) ([]consul.Key, error) {
	return l.Service(ctx, "")
}

func (l *memoryLabels) Service(ctx context.Context, name string) (keys []consul.Key, err error) {
	err = (*memory)(l).do(ctx, &l.broken, func() error {
		for _, key := range l.keys {
			if name == "" || key.Service == name {
				keys = append(keys, key)
			}
		}
		return nil
	})
	return keys, err
}

func (l *memoryLabels) Apply(ctx context.Context, name string, changes []consul.KeyChange) error {
	return (*memory)(l).do(ctx, &l.broken, func() error {
		stale := slices.ContainsFunc(changes, func(c consul.KeyChange) bool {
			return l.keys[[2]string{name, c.Key.Label}].ModifyIndex != c.Key.ModifyIndex
		})
		if stale {
			return consul.ErrStale
		}
		for _, c := range changes {
			at := [2]string{name, c.Key.Label}
			if c.Delete {
				delete(l.keys, at)
				continue
			}
			l.index++
			c.Key.ModifyIndex = l.index
			l.keys[at] = c.Key
		}
		return nil
	})
}

type memoryCatalog memory

func (c *memoryCatalog) Nodes(context.Context) ([]consul.CatalogNode, error) {
	var nodes []consul.CatalogNode
	for host, a := range c.agents {
		if host != "" {
			nodes = append(nodes, consul.CatalogNode{Node: a.node(), Address: host})
		}
	}
	return nodes, nil
}

func (c *memoryCatalog) Services(_ context.Context, node, tag string) ([]consul.Service, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var services []consul.Service
	for host, a := range c.agents {
		for _, s := range a.services {
			if "node of "+host == node && slices.Contains(s.Tags, tag) {
				services = append(services, s)
			}
		}
	}
	return services, nil
}

func (c *memoryCatalog) Find(context.Context, string, string) ([]consul.CatalogService, error) {
	return nil, nil
}

func (c *memoryCatalog) Deregister(context.Context, string, string) error { return consul.ErrAlive }

package reconcile_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"consular/consul"
)

// What of the cluster's Consul is no agent: its labels and its catalog.

// hasKeys puts keys of ours below names, as an earlier consular left them.
func (x *fakeCluster) hasKeys(names ...string) {
	x.kv.mu.Lock()
	defer x.kv.mu.Unlock()
	for _, name := range names {
		x.kv.index++
		x.kv.keys[[2]string{name, "role"}] = consul.Key{
			Service: name, Label: "role", Value: "web", Flags: clusterOwner.Flags(), ModifyIndex: x.kv.index,
		}
	}
}

// value is what a label of a name is stored as.
func (m *memory) value(name, label string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.keys[[2]string{name, label}].Value
}

// wantsKeys fails the test unless just these names have keys.
func (x *fakeCluster) wantsKeys(names ...string) {
	x.Helper()
	x.kv.mu.Lock()
	defer x.kv.mu.Unlock()
	var have []string
	for at := range x.kv.keys {
		have = append(have, at[0])
	}
	slices.Sort(have)
	slices.Sort(names)
	if !slices.Equal(have, names) {
		x.Errorf("keys of %v, want those of %v", have, names)
	}
}

// fakeCatalog shows the cluster's agents.
type fakeCatalog struct {
	cluster *fakeCluster
	mu      sync.Mutex
	// unknown are hosts whose nodes it does not show.
	unknown map[string]bool
	broken  error
	failed  map[string]bool
	deregs  []string
	// tagged are further addresses of nodes.
	tagged map[string]string
	// lacks are services that it does not show though their agents have them.
	lacks map[string]bool
	// former are services of ours on a dead node that had the address of h1, before
	// that was set up anew.
	former map[string]consul.Service
}

// formerNode is what the node of former is called.
const formerNode = "former node of " + h1

func (c *fakeCatalog) set(change func(*fakeCatalog)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
}

func (c *fakeCatalog) Nodes(context.Context) ([]consul.CatalogNode, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var nodes []consul.CatalogNode
	for host, a := range c.cluster.agents {
		if host != "" && !c.unknown[host] {
			node := consul.CatalogNode{Node: a.node(), Address: host, Failed: c.failed[host]}
			if other := c.tagged[host]; other != "" {
				node.TaggedAddresses = map[string]string{"lan": host, "other": other}
			}
			nodes = append(nodes, node)
		}
	}
	if len(c.former) > 0 {
		nodes = append(nodes, consul.CatalogNode{Node: consul.Node{ID: formerNode, Name: formerNode}, Address: h1, Failed: true})
	}
	return nodes, c.broken
}

func (c *fakeCatalog) Services(_ context.Context, node, tag string) (services []consul.Service, err error) {
	if node == formerNode {
		c.mu.Lock()
		defer c.mu.Unlock()
		return slices.Collect(maps.Values(c.former)), nil
	}
	c.mu.Lock()
	lacks := c.lacks
	c.mu.Unlock()
	for _, a := range c.cluster.agents {
		a.mu.Lock()
		for _, s := range a.services {
			if a.node().Name == node && slices.Contains(s.Tags, tag) && !lacks[s.ID] {
				services = append(services, s)
			}
		}
		a.mu.Unlock()
	}
	return services, nil
}

func (c *fakeCatalog) Find(_ context.Context, _, id string) (found []consul.CatalogService, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.cluster.agents {
		a.mu.Lock()
		if s, has := a.services[id]; has {
			found = append(found, consul.CatalogService{Node: consul.CatalogNode{Node: a.node()}, Service: s})
		}
		a.mu.Unlock()
	}
	return found, c.broken
}

func (c *fakeCatalog) Deregister(_ context.Context, node, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if node == formerNode {
		delete(c.former, id)
		return nil
	}
	for h := range c.failed {
		if c.cluster.agents[h].node().Name == node {
			c.deregs = append(c.deregs, id)
			return nil
		}
	}
	return consul.ErrAlive
}

// countBoth returns how many lines have both.
func (b *logBuffer) countBoth(what, words string) int {
	n := 0
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, what) && strings.Contains(line, words) {
			n++
		}
	}
	return n
}

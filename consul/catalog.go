package consul

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/hashicorp/consul/api"
)

// Catalog is the servers' copy of what all agents have registered, asked through
// the main agent. It knows nodes that nobody names, and those that have died.
type Catalog struct{ agent *Agent }

// CatalogNode is a node as the catalog has it.
type CatalogNode struct {
	Node
	// Address is where its agent was: an IP address, or rarely a name.
	Address string
	// Failed is set when Consul's own failure detection has given it up. A node
	// that has left is not in the catalog.
	Failed bool
}

// Catalog returns the catalog of the cluster.
func (c *Cluster) Catalog() *Catalog { return &Catalog{agent: c.main} }

// Nodes returns all nodes. Sources: GET /v1/catalog/nodes?stale,
// /v1/health/state/any?stale and /v1/agent/members, which need node:read for
// all of them.
func (c *Catalog) Nodes(ctx context.Context) ([]CatalogNode, error) {
	var answer []struct{ ID, Node, Address string }
	if err := c.read(ctx, "/v1/catalog/nodes", "", &answer); err != nil {
		return nil, c.agent.failed("list nodes", err, "node:read")
	}
	health, err := c.health(ctx, "/v1/health/state/any")
	if err != nil {
		return nil, err
	}
	nodes := make([]CatalogNode, 0, len(answer))
	for _, n := range answer {
		nodes = append(nodes, CatalogNode{
			Node: Node{ID: n.ID, Name: n.Node}, Address: n.Address, Failed: health.failed(n.Node),
		})
	}
	return nodes, nil
}

// health is what Consul's failure detection says of nodes, by name.
type health struct {
	// serf is the status of the check serfHealth, and left who has left.
	serf map[string]string
	left map[string]bool
}

// failed reports whether a node has failed or left. An agent that leaves soon
// after it started may sync once more: then its node is in the catalog without
// the check (1.22.7), and only the members tell.
func (h health) failed(node string) bool {
	status, checked := h.serf[node]
	return status == api.HealthCritical || !checked && h.left[node]
}

// memberLeft is serf's number for a member that has left (api.AgentMember.Status).
const memberLeft = 3

func (c *Catalog) health(ctx context.Context, path string) (health, error) {
	h := health{serf: map[string]string{}, left: map[string]bool{}}
	var checks []struct{ Node, Status string }
	if err := c.read(ctx, path, `CheckID == "serfHealth"`, &checks); err != nil {
		return h, c.agent.failed("read health of nodes", err, "node:read")
	}
	for _, check := range checks {
		h.serf[check.Node] = check.Status
	}
	var members []struct {
		Name   string
		Status int
	}
	if err := c.read(ctx, "/v1/agent/members", "", &members); err != nil {
		return h, c.agent.failed("list members", err, "node:read")
	}
	for _, m := range members {
		h.left[m.Name] = m.Status == memberLeft
	}
	return h, nil
}

// Services returns the services on a node that carry a tag, as the catalog has
// them. Source: GET /v1/catalog/node-services/{node}?stale (Consul 1.7), which
// needs node:read and service:read.
func (c *Catalog) Services(ctx context.Context, node, tag string) ([]Service, error) {
	var answer struct {
		Services []struct {
			ID, Service, Address string
			Port                 int
			Tags                 []string
			Meta                 map[string]string
		}
	}
	err := c.read(ctx, "/v1/catalog/node-services/"+url.PathEscape(node), strconv.Quote(tag)+" in Tags", &answer)
	if err != nil {
		return nil, c.agent.failed("list services of node "+node, err, "service:read")
	}
	services := make([]Service, 0, len(answer.Services))
	for _, s := range answer.Services {
		services = append(services, Service{
			ID: s.ID, Name: s.Service,
			Address: s.Address, Port: s.Port, Tags: s.Tags, Meta: s.Meta,
		})
	}
	return services, nil
}

// ErrAlive means that a node is not given up by Consul: what its agent has
// registered can only be removed there.
var ErrAlive = errors.New("the node is not failed")

// Deregister removes a service of a node that has failed. While the agent lives
// it is ErrAlive: its anti-entropy would bring the service back. Sources:
// GET /v1/health/node/{node}, PUT /v1/catalog/deregister, which needs
// service:write or node:write.
func (c *Catalog) Deregister(ctx context.Context, node, id string) error {
	health, err := c.health(ctx, "/v1/health/node/"+url.PathEscape(node))
	if err != nil {
		return err
	}
	if !health.failed(node) {
		return fmt.Errorf("deregister %s from node %s: %w", printable(id), node, ErrAlive)
	}
	_, err = c.agent.client.Catalog().Deregister(
		&api.CatalogDeregistration{Node: node, ServiceID: id}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return c.agent.failed("deregister "+printable(id)+" from node "+node+" in the catalog", err, "service:write")
	}
	return nil
}

// read asks any server, leader or not: the catalog is a copy anyway.
func (c *Catalog) read(ctx context.Context, path, filter string, answer any) error {
	_, err := c.agent.client.Raw().Query(path, answer,
		(&api.QueryOptions{AllowStale: true, Filter: filter}).WithContext(ctx))
	return err
}

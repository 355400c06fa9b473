package consul

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

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
	// TaggedAddresses are all by which it goes: "lan", "wan", "lan_ipv4" and others.
	TaggedAddresses map[string]string
	// Failed is set when Consul's own failure detection has given it up. A node
	// that has left is not in the catalog. Only Nodes tells it.
	Failed bool
}

// CatalogService is a service on a node, as the catalog has it.
type CatalogService struct {
	Node    CatalogNode
	Service Service
}

// Catalog returns the catalog of the cluster.
func (c *Cluster) Catalog() *Catalog { return &Catalog{agent: c.main} }

// Nodes returns all nodes. Sources: GET /v1/catalog/nodes?stale,
// /v1/health/state/any?stale and /v1/agent/members, which need node:read for
// all of them.
func (c *Catalog) Nodes(ctx context.Context) ([]CatalogNode, error) {
	var answer []struct {
		ID, Node, Address string
		TaggedAddresses   map[string]string
	}
	err := c.read(ctx, "/v1/catalog/nodes", "", &answer)
	if err = notNull(err, answer == nil); err != nil {
		return nil, c.agent.failed("list nodes", err, "node:read")
	}
	health, err := c.health(ctx, "/v1/health/state/any")
	if err != nil {
		return nil, err
	}
	nodes := make([]CatalogNode, 0, len(answer))
	for _, n := range answer {
		nodes = append(nodes, CatalogNode{
			Node: Node{ID: n.ID, Name: n.Node}, Address: n.Address,
			TaggedAddresses: n.TaggedAddresses, Failed: health.failed(n.Node),
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

// Serf's numbers for what has become of a member (api.AgentMember.Status), and what
// a server without ACLs says in its tag "acls".
const (
	memberAlive  = 1
	memberLeft   = 3
	aclsDisabled = "0"
)

func (c *Catalog) health(ctx context.Context, path string) (health, error) {
	h := health{serf: map[string]string{}, left: map[string]bool{}}
	var checks []struct{ Node, Status string }
	err := c.read(ctx, path, `CheckID == "serfHealth"`, &checks)
	if err = notNull(err, checks == nil); err != nil {
		return h, c.agent.failed("read health of nodes", err, "node:read")
	}
	for _, check := range checks {
		h.serf[check.Node] = check.Status
	}
	var members []member
	err = c.read(ctx, "/v1/agent/members", "", &members)
	if err = notNull(err, members == nil); err != nil {
		return h, c.agent.failed("list members", err, "node:read")
	}
	for _, m := range members {
		h.left[m.Name] = m.Status == memberLeft
		if err := m.checkServer(); err != nil {
			return h, err
		}
	}
	return h, nil
}

// member is what an agent knows of another one by gossip.
type member struct {
	Name   string
	Status int
	Tags   map[string]string
}

// checkServer returns an error when the member is a server that is too old for what it
// answers through our agent, which may be a newer one.
func (m member) checkServer() error {
	if m.Status != memberAlive || m.Tags["role"] != "consul" {
		return nil
	}
	version, _, _ := strings.Cut(m.Tags["build"], ":") // "1.14.11:commit"
	if err := checkVersion(version, m.Tags["acls"] != aclsDisabled); err != nil {
		return fmt.Errorf("server %s: %w", m.Name, err)
	}
	return nil
}

// Services returns the services on a node that carry a tag, as the catalog has
// them. A node that the catalog does not have is an error. Source:
// GET /v1/catalog/node-services/{node}?stale (Consul 1.7), which needs node:read and
// service:read.
func (c *Catalog) Services(ctx context.Context, node, tag string) ([]Service, error) {
	var answer struct {
		Node     *struct{ Node string }
		Services []struct {
			ID, Service, Address string
			Port                 int
			Tags                 []string
			Meta                 map[string]string
		}
	}
	err := c.read(ctx, "/v1/catalog/node-services/"+node, strconv.Quote(tag)+" in Tags", &answer)
	if err == nil && (answer.Node == nil || answer.Node.Node != node) {
		err = errors.New("the catalog has no such node")
	}
	if err != nil {
		return nil, c.agent.failed(fmt.Sprintf("list services of node %q", node), err, "service:read")
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

// Find returns the services of that name and ID, whosever they are, on all nodes that
// have one: an ID is one agent's own. It costs one request, whatever the number of
// nodes. Source: GET /v1/catalog/service/{name}?stale, which needs node:read and
// service:read.
func (c *Catalog) Find(ctx context.Context, name, id string) ([]CatalogService, error) {
	var answer []struct {
		ID, Node, Address                      string
		TaggedAddresses                        map[string]string
		ServiceID, ServiceName, ServiceAddress string
		ServicePort                            int
		ServiceTags                            []string
		ServiceMeta                            map[string]string
	}
	err := c.read(ctx, "/v1/catalog/service/"+name, "ServiceID == "+strconv.Quote(id), &answer)
	if err = notNull(err, answer == nil); err != nil {
		return nil, c.agent.failed(fmt.Sprintf("find service %s in the catalog", printable(id)), err, "service:read")
	}
	found := make([]CatalogService, 0, len(answer))
	for _, s := range answer {
		found = append(found, CatalogService{
			Node: CatalogNode{Node: Node{ID: s.ID, Name: s.Node}, Address: s.Address, TaggedAddresses: s.TaggedAddresses},
			Service: Service{
				ID: s.ServiceID, Name: s.ServiceName, Address: s.ServiceAddress,
				Port: s.ServicePort, Tags: s.ServiceTags, Meta: s.ServiceMeta,
			},
		})
	}
	return found, nil
}

// ErrAlive means that a node is not given up by Consul: what its agent has
// registered can only be removed there.
var ErrAlive = errors.New("the node is not failed")

// Deregister removes a service of a node that has failed. While the agent lives
// it is ErrAlive: its anti-entropy would bring the service back. Sources:
// GET /v1/health/node/{node}, PUT /v1/catalog/deregister, which needs
// service:write or node:write.
func (c *Catalog) Deregister(ctx context.Context, node, id string) error {
	health, err := c.health(ctx, "/v1/health/node/"+node)
	if err != nil {
		return err
	}
	if !health.failed(node) {
		return fmt.Errorf("deregister %s from node %q: %w", printable(id), node, ErrAlive)
	}
	_, err = c.agent.client.Catalog().Deregister(
		&api.CatalogDeregistration{Node: node, ServiceID: id}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return c.agent.failed(fmt.Sprintf("deregister %s from node %q in the catalog", printable(id), node), err, "service:write")
	}
	return nil
}

// read asks any server, leader or not: the catalog is a copy anyway. Names in the path
// are as they are: the library escapes it, and what is escaped before names another.
func (c *Catalog) read(ctx context.Context, path, filter string, answer any) error {
	if err := c.agent.notOld(ctx); err != nil {
		return err
	}
	_, err := c.agent.client.Raw().Query(path, answer,
		(&api.QueryOptions{AllowStale: true, Filter: filter}).WithContext(ctx))
	return err
}

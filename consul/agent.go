package consul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/hashicorp/consul/api"
)

// Agent is the Consul agent on one host. It alone decides which services are
// registered there; the catalog is a copy, and what is written to the catalog
// behind its back is undone within minutes.
type Agent struct {
	address string
	path    string // before all others
	client  *api.Client
	cluster *Cluster
	// current is set once the agent has said that it is not too old.
	current atomic.Bool

	services listing[[]Service]
	checks   listing[map[string][]Check]
}

// Address returns "host:port", for logs.
func (a *Agent) Address() string { return a.address }

// Self returns what the agent says of itself. One that is older than Consul 1.7, or
// than 1.11 and has ACLs, is an error: its other answers prove nothing. Source:
// GET /v1/agent/self, which needs agent:read.
func (a *Agent) Self(ctx context.Context) (Node, error) {
	var self struct {
		Config      struct{ NodeID, NodeName, Version string }
		DebugConfig struct{ ACLsEnabled bool }
	}
	_, err := a.client.Raw().Query("/v1/agent/self", &self, query(ctx))
	if err == nil && self.Config.NodeID == "" {
		err = errors.New("the answer names no node id")
	}
	if err == nil {
		err = checkVersion(self.Config.Version, self.DebugConfig.ACLsEnabled)
		a.current.Store(err == nil)
	}
	if err != nil {
		return Node{}, a.failed("read node id", err, "agent:read")
	}
	if self.DebugConfig.ACLsEnabled {
		a.cluster.acls.Store(true)
	}
	return Node{ID: self.Config.NodeID, Name: self.Config.NodeName}, nil
}

// Services returns everything registered on the agent, whosever it is, in order
// of the IDs. Their tags and Meta are shared, and must not be changed. Source: GET
// /v1/agent/services, which needs service:read for all of them: with less Consul leaves
// services out, and that is ErrFiltered.
func (a *Agent) Services(ctx context.Context) ([]Service, error) {
	services, err := a.services.ask(ctx, a)
	if err != nil {
		return nil, a.failed("list services", err, "service:read")
	}
	return slices.Clone(services), nil
}

func decodeServices(body []byte) ([]Service, error) {
	var answer map[string]*struct {
		ID, Service, Address string
		Port                 int
		Tags                 []string
		Meta                 map[string]string
	}
	if err := decode(body, &answer); err != nil {
		return nil, err
	}
	services := make([]Service, 0, len(answer))
	for id, s := range answer {
		if s == nil {
			return nil, fmt.Errorf("service %.80q is null", id)
		}
		services = append(services, Service{
			ID: s.ID, Name: s.Service, Address: s.Address, Port: s.Port, Tags: s.Tags, Meta: s.Meta,
		})
	}
	slices.SortFunc(services, func(a, b Service) int { return cmp.Compare(a.ID, b.ID) })
	return services, nil
}

// Register registers the service with its checks, or replaces the one of the same
// ID, whose other checks stay, and whose same checks keep their status. It is in the
// catalog when Register returns. Source: PUT /v1/agent/service/register,
// which needs service:write for its name.
func (a *Agent) Register(ctx context.Context, s Service) error {
	err := unfit(s.Check())
	if err == nil {
		err = a.client.Agent().ServiceRegisterOpts(&api.AgentServiceRegistration{
			ID: s.ID, Name: s.Name, Address: s.Address, Port: s.Port, Tags: s.Tags, Meta: s.Meta,
			Checks: registered(s.Checks),
		}, api.ServiceRegisterOpts{}.WithContext(ctx))
	}
	if err != nil {
		return a.failed("register "+printable(s.ID), err, "service:write")
	}
	return nil
}

// Deregister removes the service. One that is not there is no error. Source:
// PUT /v1/agent/service/deregister/{id}, which needs service:write for its name.
func (a *Agent) Deregister(ctx context.Context, id string) error {
	err := unfit(checkRemoval(id))
	if err == nil {
		err = a.client.Agent().ServiceDeregisterOpts(id, query(ctx))
	}
	if err != nil && !Unknown(err) {
		return a.failed("deregister "+printable(id), err, "service:write")
	}
	return nil
}

func query(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{}).WithContext(ctx)
}

// failed says what was asked of the agent in vain, and what can be done about it: once, where
// another question has been asked first.
func (a *Agent) failed(what string, err error, permission string) error {
	if before, is := errors.AsType[failure](err); is {
		return failure{fmt.Errorf("%s: %w", what, before)}
	}
	return failure{fmt.Errorf("%s on %s: %w", what, a.address, a.cluster.explain(err, permission))}
}

// failure is what failed has made.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

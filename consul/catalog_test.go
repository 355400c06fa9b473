package consul

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
)

// Nodes may have any name. That of one is escaped once on its way, and it is that node
// that is asked about.
func TestNodesOfAnyName(t *testing.T) {
	c := connect(t, open.get(t).Server().URL())
	ours := Owner{"names"}
	for _, name := range []string{"node b", "ä", "100%", "a%20b", "a/b", "a?b#c", "a+b", `"quoted"`, "plain"} {
		t.Run(name, func(t *testing.T) {
			want := Service{ID: "web.1", Name: "web", Address: "10.0.0.1", Port: 1, Tags: ours.Tags("/web"), Meta: map[string]string{"a": "b"}}
			external(t, c, name, want, api.HealthCritical)
			external(t, c, name, Service{ID: "foreign", Name: "foreign"}, api.HealthCritical)
			have, err := c.Catalog().Services(t.Context(), name, ours.Tag())
			if err != nil || len(have) != 1 || want.Diff(have[0]) != nil || have[0].ID != want.ID {
				t.Fatalf("has %+v, %v", have, err)
			}
			if err := c.Catalog().Deregister(t.Context(), name, want.ID); err != nil {
				t.Error(err)
			}
			if have, err := c.Catalog().Services(t.Context(), name, ours.Tag()); err != nil || len(have) > 0 {
				t.Errorf("still has %+v, %v", have, err)
			}
		})
	}
}

// That Consul knows nothing of a node is no answer about its services.
func TestUnknownNodeIsNotEmpty(t *testing.T) {
	c := connect(t, open.get(t).Server().URL())
	services, err := c.Catalog().Services(t.Context(), "no such node", "a")
	if err == nil || !strings.Contains(err.Error(), `"no such node"`) {
		t.Errorf("has %v, %v", services, err)
	}
	if err := c.Catalog().Deregister(t.Context(), "no such node", "a"); !errors.Is(err, ErrAlive) {
		t.Errorf("deregistered: %v", err)
	}
}

func TestNullIsNoListOfTheCatalog(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/agent/self" {
			_, _ = io.WriteString(w, `{"Config": {"NodeID": "1"}}`)
			return
		}
		_, _ = io.WriteString(w, "null")
	})
	for what, ask := range map[string]func() (any, error){
		"nodes":   func() (any, error) { return c.Catalog().Nodes(t.Context()) },
		"service": func() (any, error) { return c.Catalog().Find(t.Context(), "web", "web.1") },
		"health":  func() (any, error) { return nil, c.Catalog().Deregister(t.Context(), "node", "web.1") },
	} {
		if have, err := ask(); err == nil || !strings.Contains(err.Error(), "null") {
			t.Errorf("%s: %v, %v", what, have, err)
		}
	}
}

func TestNodesHaveAllTheirAddresses(t *testing.T) {
	dev := open.get(t)
	c := connect(t, dev.Server().URL())
	external(t, c, "two-addresses", Service{ID: "web.1", Name: "web"}, api.HealthPassing)
	nodes, err := c.Catalog().Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	node := func(name string) CatalogNode {
		i := slices.IndexFunc(nodes, func(n CatalogNode) bool { return n.Name == name })
		if i < 0 {
			t.Fatalf("no node %s in %+v", name, nodes)
		}
		return nodes[i]
	}
	if n := node("two-addresses"); n.Address != "10.9.9.9" || n.TaggedAddresses["public"] != "192.0.2.9" || n.Failed {
		t.Errorf("the catalog has %+v", n)
	}
	client := dev.Clients()[0]
	if n := node(client.Name); n.ID != client.NodeID || n.TaggedAddresses["lan"] != client.Host {
		t.Errorf("the catalog has %+v", n)
	}
}

// A service's ID is found wherever it is, whosever it is, and no other's.
func TestServiceIsFoundByItsID(t *testing.T) {
	c := connect(t, open.get(t).Server().URL())
	for _, id := range []string{"found.1", "a_b.1f:http-2"} {
		want := Service{ID: id, Name: "found it", Address: "10.0.0.1", Port: 1, Tags: []string{"a"}, Meta: map[string]string{"b": "c"}}
		external(t, c, "finder 1", want, api.HealthPassing)
		external(t, c, "finder 2", want, api.HealthPassing)
		external(t, c, "finder 2", Service{ID: "other", Name: want.Name}, api.HealthPassing)
		found, err := c.Catalog().Find(t.Context(), want.Name, id)
		if err != nil || len(found) != 2 {
			t.Fatalf("%q: found %+v, %v", id, found, err)
		}
		for _, f := range found {
			if f.Service.ID != id || want.Diff(f.Service) != nil || !strings.HasPrefix(f.Node.Name, "finder ") ||
				f.Node.Address != "10.9.9.9" || f.Node.TaggedAddresses["public"] != "192.0.2.9" {
				t.Errorf("found %+v", f)
			}
		}
	}
	if found, err := c.Catalog().Find(t.Context(), "found it", "found.2"); err != nil || len(found) > 0 {
		t.Errorf("found %+v, %v", found, err)
	}
}

// external puts a service on a node that has no agent into the catalog, with what
// failure detection says of it.
func external(t *testing.T, c *Cluster, node string, s Service, serf string) {
	t.Helper()
	catalog := c.Main().client.Catalog()
	if _, err := catalog.Register(&api.CatalogRegistration{
		Node: node, Address: "10.9.9.9", TaggedAddresses: map[string]string{"public": "192.0.2.9"},
		Service: &api.AgentService{ID: s.ID, Service: s.Name, Address: s.Address, Port: s.Port, Tags: s.Tags, Meta: s.Meta},
		Check:   &api.AgentCheck{CheckID: "serfHealth", Name: "serf", Status: serf},
	}, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := catalog.Deregister(&api.CatalogDeregistration{Node: node}, nil); err != nil {
			t.Error(err)
		}
	})
}

package consul

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/consul/api"
)

// Cluster is the agents of one Consul cluster, and its KV store. It is safe for
// concurrent use.
type Cluster struct {
	config Config
	http   *http.Client
	main   *Agent

	// acls is set once an agent has said that ACLs are on.
	acls     atomic.Bool
	accessor accessor
}

// NewCluster returns the cluster of the agent at config.Address. It sends nothing.
func NewCluster(config Config) (*Cluster, error) {
	if err := config.Check(); err != nil {
		return nil, err
	}
	c := &Cluster{config: config, http: newHTTPClient(config)}
	main, err := c.newAgent(config.Address.Hostname(), strings.TrimSuffix(config.Address.Path, "/"))
	if err != nil {
		return nil, err
	}
	c.main = main
	return c, nil
}

// Main returns the agent at the configured address. Catalog and KV store are
// reached through it.
func (c *Cluster) Main() *Agent { return c.main }

// Agent returns the agent on a host, a host name or a bare IP address: a new one each time, which
// only the caller keeps, but for the main agent's host. Self tells which of them are one.
func (c *Cluster) Agent(host string) (*Agent, error) {
	if err := CheckHost(host); err != nil {
		return nil, err
	}
	if host == c.config.Address.Hostname() {
		return c.main, nil
	}
	return c.newAgent(host, "")
}

// Labels returns the labels under the configured prefix of the KV store.
func (c *Cluster) Labels() *Labels {
	return &Labels{agent: c.main, prefix: c.config.Prefix, format: c.config.Format}
}

func (c *Cluster) newAgent(host, path string) (*Agent, error) {
	address := hostPort(c.config.Address, host)
	client, err := api.NewClient(&api.Config{
		Scheme:     c.config.Address.Scheme,
		Address:    address,
		PathPrefix: path,
		HttpClient: c.http,
		// Without a token here the library takes CONSUL_HTTP_TOKEN or reads
		// CONSUL_HTTP_TOKEN_FILE, once. Config.Token replaces it in every request,
		// and CONSUL_NAMESPACE and CONSUL_PARTITION are taken out (exchange).
		Token: "replaced",
	})
	if err != nil {
		return nil, fmt.Errorf("consul client for %s: %w", address, err)
	}
	return &Agent{
		address: address, path: path, client: client, cluster: c,
		services: listing[[]Service]{path: "/v1/agent/services", decode: decodeServices},
		checks:   listing[map[string][]Check]{path: "/v1/agent/checks", decode: decodeChecks},
	}, nil
}

// hostPort returns host with the address's port, or with its scheme's.
func hostPort(address *url.URL, host string) string {
	port := address.Port()
	switch {
	case port != "":
	case address.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(host, port)
}

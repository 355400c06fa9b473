package settings

import (
	"context"
	"net/url"
	"strings"

	"github.com/rs/zerolog"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile"
)

// Reconciler wires both sides together.
func (s Settings) Reconciler(log zerolog.Logger) (*reconcile.Reconciler, error) {
	var source reconcile.Marathon = reconcile.NoMarathon{}
	if !s.NoMarathon {
		client, err := marathon.NewClient(s.Marathon)
		if err != nil {
			return nil, err
		}
		source = client
	}
	cluster, err := consul.NewCluster(s.Consul)
	if err != nil {
		return nil, err
	}
	s.Reconcile.Translation.Encode = cluster.Labels().Encode
	s.Reconcile.Log = log
	agentOn := func(host string) (*consul.Agent, error) {
		if host == "" {
			return cluster.Main(), nil
		}
		return cluster.Agent(host)
	}
	agent := func(host string) (reconcile.Agent, error) { return agentOn(host) }
	target := reconcile.Consul{URL: s.ShownConsul(), Agent: agent, Labels: cluster.Labels(), Catalog: cluster.Catalog()}
	if s.Stays {
		target.Token = cluster.TokenAccessor
		target.Watch = func(ctx context.Context, host, id string) error {
			a, err := agentOn(host)
			if err != nil {
				return err
			}
			return a.Watch(ctx, id)
		}
	}
	return reconcile.New(s.Reconcile, source, target), nil
}

// ShownMasters are the masters as they may be shown.
func (s Settings) ShownMasters() string {
	var shown []string
	for _, u := range s.Marathon.URLs {
		shown = append(shown, bare(u))
	}
	return strings.Join(shown, ",")
}

// ShownConsul is the main agent as it may be shown.
func (s Settings) ShownConsul() string { return bare(s.Consul.Address) }

// bare leaves out user and password: a lone token stands where the user does.
func bare(u *url.URL) string {
	shown := *u
	shown.User = nil
	return shown.String()
}

// UseDemo points everything at the demo's own Marathon and Consul.
func (s *Settings) UseDemo(master string, agent *url.URL) error {
	masters, err := marathon.ParseURLs(master)
	s.Marathon.URLs, s.Stream.URLs, s.Consul.Address, s.NoMarathon = masters, masters, agent, false
	return err
}

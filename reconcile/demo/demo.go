// Package demo shows consular at work: between a simulated Marathon, whose apps come
// and go, and a real Consul of three agents.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"consular/consul/devconsul"
	"consular/marathon/simulator"
)

// Options say what a demo is to do.
type Options struct {
	// Binary is Consul's; "" takes the one in PATH, or builds it in a checkout.
	Binary string
	// For is how long it runs; 0 is until it is told to end.
	For time.Duration
	// Out is told where everything is, Progress how Consul's build goes on, and
	// Tell what Marathon does.
	Out, Progress io.Writer
	Tell          func(act string)
	// Consular runs it between Marathon's URL and a Consul agent's, until ctx ends.
	Consular func(ctx context.Context, master string, agent *url.URL) error
}

// Run runs the demo. It returns nil at its end and when ctx ends, also before
// Consul has come up.
func Run(ctx context.Context, o Options) error {
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	cluster, err := o.consul(ctx)
	if ctx.Err() != nil && cluster == nil {
		return nil // told to end before it began
	}
	if err != nil {
		return err
	}
	if ctx.Err() == nil {
		err = o.run(ctx, cluster)
	}
	return errors.Join(err, cluster.Stop())
}

// consul finds a Consul, or builds it, and starts three agents of it.
func (o Options) consul(ctx context.Context) (*devconsul.Cluster, error) {
	binary, err := devconsul.Find(ctx, o.Binary, o.Progress)
	if err != nil {
		return nil, err
	}
	cluster, err := devconsul.Start(ctx, devconsul.Config{Binary: binary, Clients: 2, Network: "127.0.0"})
	if err != nil && ctx.Err() == nil { // somebody has a Consul on the usual address
		fmt.Fprintf(o.Out, "%v; taking other addresses\n", err)
		cluster, err = devconsul.Start(ctx, devconsul.Config{Binary: binary, Clients: 2})
	}
	return cluster, err
}

// run runs Marathon and consular on the hosts of a cluster.
func (o Options) run(ctx context.Context, cluster *devconsul.Cluster) error {
	hosts := []string{cluster.Server().Host}
	for _, agent := range cluster.Clients() {
		hosts = append(hosts, agent.Host)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the simulated Marathon: %w", err)
	}
	var tasks simulator.Servers
	defer tasks.Close()
	m := simulator.New(simulator.Config{Hosts: hosts, TaskKilling: true, Probes: true, Pace: simulator.HumanPace(), Executor: tasks.Run})
	master, agent := "http://"+listener.Addr().String(), cluster.Server().URL()
	fmt.Fprintf(o.Out, whereItIs, agent, agent, agent, master, master)
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return m.Serve(ctx, listener) })
	all.Go(func() error { return simulator.Story{Tell: o.Tell}.Run(ctx, m) })
	all.Go(func() error { o.ail(ctx, m); return nil })
	all.Go(func() error { return o.Consular(ctx, master, agent) })
	return all.Wait()
}

// ailing is the app whose tasks fail their health check now and then.
const ailing = "/shop/web"

// ail lets one task after the other fail its health check for a while, until ctx ends.
func (o Options) ail(ctx context.Context, m *simulator.Marathon) {
	every := time.NewTicker(10 * time.Second)
	defer every.Stop()
	for sick := ""; ; {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		tasks := m.Tasks(ailing)
		switch {
		case sick != "" && m.Mend(sick) == nil:
			o.Tell(sick + " answers its health check again")
			sick = ""
		case len(tasks) > 0 && m.Break(tasks[0].ID) == nil:
			sick = tasks[0].ID
			o.Tell(sick + " fails its health check")
		default:
			sick = ""
		}
	}
}

const whereItIs = `Consul's UI:  %s/ui
Try:  curl -s '%s/v1/catalog/services'
      curl -s '%s/v1/kv/consular/?recurse&keys'
      curl -s '%s/v2/apps?embed=apps.tasks'
The tasks answer HTTP: README's "From labels to HAProxy" puts a proxy before them.
Another terminal can watch Marathon:  consular --marathon %s events   (or go run .)
The task of shop-web that is critical in the UI fails its health check, and recovers.
Ctrl-C ends it all.

`

package reconcile_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"consular/consul"
	"consular/marathon"
	"consular/marathon/simulator"
	"consular/marathon/transport"
	"consular/reconcile"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
	"consular/stream"
)

// bridge is a scene whose Marathon may have several masters, and whose stream
// has options short enough to be seen at work.
type streamEnv struct {
	*env
	masters []*simulator.Master
	// urls is --marathon.
	urls string
	// idle is --idle-timeout, and maxEvent --max-event.
	idle     time.Duration
	maxEvent int
	// level is --log-level.
	level zerolog.Level
	// holds is what the Consul holds.
	holds func() snapshot
}

// newStreamEnv has a Marathon of so many masters between it and a Consul that is
// yet to be named.
func newStreamEnv(t testing.TB, masters int, config simulator.Config) *streamEnv {
	t.Helper()
	b := &streamEnv{idle: 45 * time.Second, maxEvent: 8 << 20, env: &env{
		t: t, marathon: simulator.New(config), id: "stream", prefix: "of-" + t.Name(),
		configure: func(*reconcile.Config) {}, format: consul.FormatRaw, timeout: 5 * time.Second, log: &logBuffer{},
	}}
	var urls []string
	for range masters {
		server := httptest.NewUnstartedServer(nil)
		master := b.marathon.Master(server.Listener.Addr().String())
		server.Config.Handler = master.Handler()
		server.Start()
		t.Cleanup(func() {
			b.marathon.StallStreams(false)
			b.marathon.CloseStreams()
			server.Close()
		})
		b.masters, urls = append(b.masters, master), append(urls, server.URL)
	}
	b.urls = strings.Join(urls, ",")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", b.log)
		}
	})
	return b
}

// onMemory puts a Consul in memory on the other side.
func (b *streamEnv) onMemory(hosts ...string) *memory {
	m := newMemory(hosts...)
	b.holds = func() snapshot { return m.snapshot(b.prefix) }
	return m
}

// onConsul puts the real one there that tests share.
func (b *streamEnv) onConsul() reconcile.Consul {
	b.dev = theCluster(b.t)
	b.main = b.dev.Server()
	b.holds = b.actual
	b.t.Cleanup(b.clean)
	return b.consul()
}

// start starts consular as `run` does; it ends with the test, or before.
func (b *streamEnv) start(c reconcile.Consul) *running {
	b.t.Helper()
	rest, err := transport.New(transport.Config{Connect: b.timeout, Head: 3 * b.timeout, Silence: b.timeout, MaxConnsPerHost: 16})
	must(b.t, err)
	streams, err := transport.New(transport.Config{Connect: b.timeout, Head: 3 * b.timeout})
	must(b.t, err)
	urls, err := marathon.ParseURLs(b.urls)
	must(b.t, err)
	client, err := marathon.NewClient(marathon.Config{URLs: urls, Timeout: b.timeout, MaxAnswer: 1 << 28, Transport: rest})
	must(b.t, err)
	log := zerolog.New(b.log).Level(b.level).With().Timestamp().Logger()
	config := reconcile.Config{
		Translation: desired.Translation{
			Owner: consul.Owner{RegistrationID: b.id}, Prefix: b.prefix,
			Encode: func(value string) string { return value },
		},
		Policy:       plan.Policy{Purge: true, Limit: 50, Confirm: 5 * time.Minute},
		PollInterval: time.Minute, Patience: b.timeout, Log: log,
	}
	b.configure(&config)
	r := reconcile.New(config, client, c)
	subscriber, err := stream.New(stream.Config{
		URLs: urls, IdleTimeout: b.idle, MaxEvent: b.maxEvent, EventTypes: marathon.EventTypes(), Transport: streams, Log: log,
	}, listener{r})
	must(b.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = subscriber.Run(ctx) })
	all.Go(func() { _ = r.Run(ctx) })
	running := &running{stop: cancel, ended: make(chan struct{})}
	go func() {
		all.Wait()
		streams.CloseIdleConnections()
		rest.CloseIdleConnections()
		close(running.ended)
	}()
	b.t.Cleanup(running.end)
	return running
}

// converges waits until the Consul is what it should be, which must not take
// longer than the bound.
func (b *streamEnv) converges(within time.Duration) {
	b.t.Helper()
	began := time.Now()
	eventually(b.t, "Consul is what it should be", func() string { return b.holds().diff(b.desired()) })
	took := time.Since(began)
	b.t.Logf("converged in %v", took.Round(time.Millisecond))
	if took > within {
		b.t.Errorf("took %v to converge, want at most %v", took, within)
	}
}

// logs waits until so many lines of the log say something.
func (b *streamEnv) logs(what string, lines int) {
	b.t.Helper()
	eventually(b.t, "the log says "+what, func() string {
		if n := b.log.count(what); n < lines {
			return fmt.Sprintf("%d times so far", n)
		}
		return ""
	})
}

// snapshots is how many were asked for so far.
func (b *streamEnv) snapshots() int { return b.marathon.Requests()["/v2/apps"] }

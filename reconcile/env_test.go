package reconcile_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"consular/consul"
	"consular/consul/devconsul"
	"consular/marathon"
	"consular/marathon/simulator"
	"consular/marathon/transport"
	"consular/reconcile"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
	"consular/stream"
)

// What the tests on real Consul share: one cluster for all of them, a simulated
// Marathon for each, and what ought to be in Consul by Marathon's own words. Each
// test has a registration ID and a prefix of its own.

// shared is the cluster of most tests: a server and three clients.
var shared = struct {
	once    sync.Once
	cluster *devconsul.Cluster
	err     error
}{}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.cluster != nil {
		if err := shared.cluster.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// theCluster returns the cluster that tests share, with every agent alive.
func theCluster(t testing.TB) *devconsul.Cluster {
	t.Helper()
	shared.once.Do(func() {
		shared.cluster, shared.err = startCluster(devconsul.Config{Clients: 3})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster
}

// startCluster does not end with a test: several may use it.
func startCluster(config devconsul.Config) (*devconsul.Cluster, error) {
	var err error
	if config.Binary, err = devconsul.Find(context.Background(), "", os.Stderr); err != nil {
		return nil, err
	}
	return devconsul.Start(context.Background(), config)
}

// scene is a Marathon, a Consul, and what one consular is told to do with them.
type env struct {
	t        testing.TB
	dev      *devconsul.Cluster
	marathon *simulator.Marathon
	// master is the Marathon's URL.
	master string
	id     string
	prefix string
	// main is the agent at --consul.
	main *devconsul.Agent
	// configure changes what all consulars of the scene are told.
	configure func(*reconcile.Config)
	format    consul.Format
	// timeout is --timeout, and fallbackTimeout that of connecting.
	timeout time.Duration
	log     *logBuffer
}

// newEnv has a Marathon whose hosts are the cluster's clients.
func newEnv(t testing.TB, dev *devconsul.Cluster, configs ...simulator.Config) *env {
	t.Helper()
	config := simulator.Config{TaskKilling: true}
	if len(configs) > 0 {
		config = configs[0]
	}
	if config.Hosts == nil {
		config.Hosts = hostsOf(dev.Clients())
	}
	s := &env{
		t: t, dev: dev, main: dev.Server(), marathon: simulator.New(config),
		id: strings.ReplaceAll(t.Name(), "/", "-"), prefix: "of-" + t.Name(),
		configure: func(*reconcile.Config) {}, format: consul.FormatRaw, timeout: 5 * time.Second,
		log: &logBuffer{},
	}
	s.id = s.id[:min(len(s.id), 50)]
	s.master = serve(t, s.marathon)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s:\n%s", s.id, s.log)
		}
		s.clean()
	})
	return s
}

func hostsOf(agents []*devconsul.Agent) []string {
	var hosts []string
	for _, a := range agents {
		hosts = append(hosts, a.Host)
	}
	return hosts
}

// serve answers as a Marathon until the test ends.
func serve(t testing.TB, m *simulator.Marathon) string {
	server := httptest.NewServer(m.Handler())
	t.Cleanup(func() {
		m.StallStreams(false)
		m.CloseStreams()
		server.Close()
	})
	return server.URL
}

// consular returns one that has not started.
func (s *env) consular(changes ...func(*reconcile.Config)) *reconcile.Reconciler {
	s.t.Helper()
	masters, err := marathon.ParseURLs(s.master)
	must(s.t, err)
	client, err := marathon.NewClient(marathon.Config{URLs: masters, Timeout: s.timeout, MaxAnswer: 1 << 28, Transport: s.transport()})
	must(s.t, err)
	return s.between(client, s.consul(), changes...)
}

// between returns a consular that reads that Marathon and writes that Consul.
func (s *env) between(m reconcile.Marathon, c reconcile.Consul, changes ...func(*reconcile.Config)) *reconcile.Reconciler {
	config := reconcile.Config{
		Translation: desired.Translation{
			Owner: consul.Owner{RegistrationID: s.id}, Prefix: s.prefix, Encode: s.encode(),
		},
		Policy:       plan.Policy{Purge: true, Limit: 50, Confirm: 5 * time.Minute},
		SyncInterval: 0, PollInterval: time.Second, Patience: s.timeout,
		Log: zerolog.New(s.log).With().Timestamp().Logger(),
	}
	s.configure(&config)
	for _, change := range changes {
		change(&config)
	}
	return reconcile.New(config, m, c)
}

func (s *env) encode() func(string) string {
	return s.cluster().Labels().Encode
}

// cluster is the scene's Consul as consular sees it.
func (s *env) cluster() *consul.Cluster {
	s.t.Helper()
	c, err := consul.NewCluster(consul.Config{
		Address: s.main.URL(), Transport: s.transport(), Prefix: s.prefix, Format: s.format,
	})
	must(s.t, err)
	return c
}

// transport is one for requests, with the waits that --timeout gives it.
func (s *env) transport() *transport.Transport {
	s.t.Helper()
	requests, err := transport.New(transport.Config{Connect: s.timeout, Head: 3 * s.timeout, Silence: s.timeout, MaxConnsPerHost: 16})
	must(s.t, err)
	s.t.Cleanup(requests.CloseIdleConnections)
	return requests
}

func (s *env) consul() reconcile.Consul {
	c := s.cluster()
	return reconcile.Consul{
		Agent: func(host string) (reconcile.Agent, error) {
			if host == "" {
				return c.Main(), nil
			}
			return c.Agent(host)
		},
		Labels: c.Labels(), Catalog: c.Catalog(),
		Watch: func(ctx context.Context, host, id string) error {
			if host == "" {
				return c.Main().Watch(ctx, id)
			}
			a, err := c.Agent(host)
			if err != nil {
				return err
			}
			return a.Watch(ctx, id)
		},
	}
}

// running is a consular at work, as `run` has it.
type running struct {
	stop  context.CancelFunc
	ended chan struct{}
}

// run listens to the Marathon until stop, or the end of the test.
func (s *env) run(r *reconcile.Reconciler) *running {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	if s.master != "" {
		master, err := url.Parse(s.master)
		must(s.t, err)
		streams, err := transport.New(transport.Config{Connect: s.timeout, Head: 3 * s.timeout})
		must(s.t, err)
		subscriber, err := stream.New(stream.Config{
			URLs: []*url.URL{master}, IdleTimeout: 45 * time.Second, MaxEvent: 1 << 23,
			EventTypes: desired.Translation{Health: desired.HealthMirror}.EventTypes(), Transport: streams,
			Log: zerolog.New(s.log).With().Timestamp().Logger(),
		}, listener{r})
		must(s.t, err)
		all.Go(func() { _ = subscriber.Run(ctx); streams.CloseIdleConnections() })
	}
	all.Go(func() { _ = r.Run(ctx) })
	running := &running{stop: cancel, ended: make(chan struct{})}
	go func() { all.Wait(); close(running.ended) }()
	s.t.Cleanup(running.end)
	return running
}

// end is SIGTERM: it returns when everything has ended.
func (r *running) end() {
	r.stop()
	<-r.ended
}

// listener passes the stream on, as main does.
type listener struct{ *reconcile.Reconciler }

func (l listener) Connected(string)            { l.Reconciler.Connected() }
func (l listener) Missed(gap stream.Gap)       { l.Reconciler.Missed(string(gap.Cause)) }
func (l listener) Disconnected(gap stream.Gap) { l.Reconciler.Disconnected(string(gap.Cause)) }

// sync is `consular sync`.
func (s *env) sync(changes ...func(*reconcile.Config)) (plan.Plan, reconcile.Summary) {
	s.t.Helper()
	plan, sum, err := s.consular(changes...).Sync(s.t.Context())
	must(s.t, err)
	return plan, sum
}

// plan is `consular plan`.
func (s *env) plan() plan.Plan {
	s.t.Helper()
	plan, err := s.consular().Plan(s.t.Context())
	must(s.t, err)
	return plan
}

// remove is `consular remove --force`.
func (s *env) remove() {
	s.t.Helper()
	_, sum, err := s.between(reconcile.NoMarathon{}, s.consul(), force).Sync(s.t.Context())
	must(s.t, err)
	if !sum.Clean() {
		s.t.Errorf("remove: %s", sum.String())
	}
}

func force(c *reconcile.Config) { c.Policy.Force = true }
func adopt(c *reconcile.Config) { c.Translation.Adopt = true }

// clean leaves nothing behind for the next test, whoever owns it.
func (s *env) clean() {
	for _, agent := range s.agents() {
		services, err := agent.Services()
		if err != nil {
			continue // it is dead
		}
		for id := range services {
			_ = agent.ServiceDeregister(id)
		}
	}
	_, _ = s.api(s.dev.Server()).KV().DeleteTree(s.prefix+"/", nil)
}

// plainHTTP keeps no connection open.
var plainHTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 15 * time.Second}

// api is Consul's own client, for what people do by hand.
func (s *env) api(agent *devconsul.Agent) *api.Client {
	s.t.Helper()
	client, err := api.NewClient(&api.Config{Address: agent.Address(), HttpClient: plainHTTP})
	must(s.t, err)
	return client
}

func (s *env) agents() map[string]*api.Agent {
	agents := map[string]*api.Agent{s.dev.Server().Host: s.api(s.dev.Server()).Agent()}
	for _, a := range s.dev.Clients() {
		agents[a.Host] = s.api(a).Agent()
	}
	return agents
}

// patience of the tests: far more than anything takes, also after an outage that a
// busy machine has made long, for then workers rest for 30 s.
const patience = 2 * time.Minute

// eventually waits until wrong returns "".
func eventually(t testing.TB, what string, wrong func() string) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(patience)
	for {
		why := wrong()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s:\n%s", patience, what, why)
		}
		<-ticker.C
	}
}

// whys lists a plan's changes, as people read them.
func whys(plan plan.Plan) []string {
	var lines []string
	for _, c := range plan.Changes {
		lines = append(lines, fmt.Sprintf("%s %s%s (%s)", c.Op, c.Task, c.Key, strings.Join(c.Why, ", ")))
	}
	return slices.SortedFunc(slices.Values(lines), cmp.Compare)
}

// web is an app of n tasks with a label.
func web(id string, n int) simulator.App {
	return simulator.App{
		ID: id, Instances: n, Labels: map[string]string{"role": "web"},
		Ports: []simulator.Port{{Name: "http"}},
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// logBuffer keeps what was logged, for many writers.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// count returns how many lines say something.
func (b *logBuffer) count(what string) int {
	n := 0
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, what) {
			n++
		}
	}
	return n
}

package reconcile_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
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
type scene struct {
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

// newScene has a Marathon whose hosts are the cluster's clients.
func newScene(t testing.TB, dev *devconsul.Cluster, configs ...simulator.Config) *scene {
	t.Helper()
	config := simulator.Config{TaskKilling: true}
	if len(configs) > 0 {
		config = configs[0]
	}
	if config.Hosts == nil {
		config.Hosts = hostsOf(dev.Clients())
	}
	s := &scene{
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
func (s *scene) consular(changes ...func(*reconcile.Config)) *reconcile.Reconciler {
	s.t.Helper()
	rest, err := transport.New(transport.Config{Connect: s.timeout, Head: 3 * s.timeout, Silence: s.timeout, MaxConnsPerHost: 16})
	must(s.t, err)
	s.t.Cleanup(rest.CloseIdleConnections)
	masters, err := marathon.ParseURLs(s.master)
	must(s.t, err)
	client, err := marathon.NewClient(marathon.Config{URLs: masters, Timeout: s.timeout, MaxAnswer: 1 << 28, Transport: rest})
	must(s.t, err)
	return s.between(client, s.consul(), changes...)
}

// between returns a consular that reads that Marathon and writes that Consul.
func (s *scene) between(m reconcile.Marathon, c reconcile.Consul, changes ...func(*reconcile.Config)) *reconcile.Reconciler {
	config := reconcile.Config{
		Translation: reconcile.Translation{
			Owner: consul.Owner{RegistrationID: s.id}, Prefix: s.prefix, Encode: s.encode(),
		},
		Policy:       reconcile.Policy{Purge: true, Limit: 50, Confirm: 5 * time.Minute},
		SyncInterval: 0, PollInterval: time.Second, Patience: s.timeout,
		Log: zerolog.New(s.log).With().Timestamp().Logger(),
	}
	s.configure(&config)
	for _, change := range changes {
		change(&config)
	}
	return reconcile.New(config, m, c)
}

func (s *scene) encode() func(string) string {
	return s.cluster().Labels().Encode
}

// cluster is the scene's Consul as consular sees it.
func (s *scene) cluster() *consul.Cluster {
	s.t.Helper()
	connections := consul.NewTransport(s.timeout)
	s.t.Cleanup(connections.CloseIdleConnections)
	c, err := consul.NewCluster(consul.Config{
		Address: s.main.URL(), Transport: connections,
		Timeout: s.timeout, Prefix: s.prefix, Format: s.format,
	})
	must(s.t, err)
	return c
}

func (s *scene) consul() reconcile.Consul {
	c := s.cluster()
	return reconcile.Consul{
		Agent: func(host string) (reconcile.Agent, error) {
			if host == "" {
				return c.Main(), nil
			}
			return c.Agent(host)
		},
		Labels: c.Labels(), Catalog: c.Catalog(),
	}
}

// running is a consular at work, as `run` has it.
type running struct {
	stop  context.CancelFunc
	ended chan struct{}
}

// run listens to the Marathon until stop, or the end of the test.
func (s *scene) run(r *reconcile.Reconciler) *running {
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
			EventTypes: marathon.EventTypes(), Transport: streams,
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
func (s *scene) sync(changes ...func(*reconcile.Config)) (reconcile.Plan, reconcile.Summary) {
	s.t.Helper()
	plan, sum, err := s.consular(changes...).Sync(s.t.Context())
	must(s.t, err)
	return plan, sum
}

// plan is `consular plan`.
func (s *scene) plan(changes ...func(*reconcile.Config)) reconcile.Plan {
	s.t.Helper()
	plan, err := s.consular(changes...).Plan(s.t.Context())
	must(s.t, err)
	return plan
}

// remove is `consular remove --force`.
func (s *scene) remove() {
	s.t.Helper()
	_, sum, err := s.between(reconcile.NoMarathon{}, s.consul(), force).Sync(s.t.Context())
	must(s.t, err)
	if !sum.Clean() {
		s.t.Errorf("remove: %s", sum.String())
	}
}

func force(c *reconcile.Config) { c.Force = true }
func adopt(c *reconcile.Config) { c.Adopt = true }

// clean leaves nothing behind for the next test, whoever owns it.
func (s *scene) clean() {
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
func (s *scene) api(agent *devconsul.Agent) *api.Client {
	s.t.Helper()
	client, err := api.NewClient(&api.Config{Address: agent.Address(), HttpClient: plainHTTP})
	must(s.t, err)
	return client
}

func (s *scene) agents() map[string]*api.Agent {
	agents := map[string]*api.Agent{s.dev.Server().Host: s.api(s.dev.Server()).Agent()}
	for _, a := range s.dev.Clients() {
		agents[a.Host] = s.api(a).Agent()
	}
	return agents
}

// picture is what is in Consul, or should be: services by "host task", keys by
// their whole names, values with the owner.
type picture struct {
	services map[string]consul.Service
	keys     map[string]string
}

// actual is everything below the prefix, and on all agents that answer.
func (s *scene) actual() picture {
	p := picture{services: map[string]consul.Service{}, keys: map[string]string{}}
	for host, agent := range s.agents() {
		services, err := agent.Services()
		if err != nil {
			continue // it is dead
		}
		for id, x := range services {
			p.services[host+" "+id] = consul.Service{
				ID: id, Name: x.Service, Address: x.Address, Port: x.Port, Tags: x.Tags, Meta: x.Meta,
			}
		}
	}
	pairs, _, err := s.api(s.dev.Server()).KV().List(s.prefix+"/", nil)
	if err != nil {
		p.keys["error"] = err.Error()
	}
	for _, pair := range pairs {
		p.keys[pair.Key] = fmt.Sprintf("%s (%d)", pair.Value, pair.Flags)
	}
	return p
}

// desired is what Marathon says should be there, said without package reconcile.
func (s *scene) desired() picture {
	p := picture{services: map[string]consul.Service{}, keys: map[string]string{}}
	owner := consul.Owner{RegistrationID: s.id}
	name := func(app string) string { return strings.ReplaceAll(app[1:], "/", "-") }
	for _, app := range s.marathon.Apps() {
		for label, value := range app.Labels {
			if s.format == consul.FormatJSON {
				text, err := json.Marshal(value)
				must(s.t, err)
				value = string(text)
			}
			p.keys[s.prefix+"/"+name(app.ID)+"/"+label] = fmt.Sprintf("%s (%d)", value, owner.Flags())
		}
	}
	for _, task := range s.marathon.Tasks("") {
		if task.State != "TASK_RUNNING" {
			continue
		}
		x := consul.Service{
			ID: task.ID, Name: name(task.AppID), Address: task.Host, Tags: owner.Tags(task.AppID),
			Meta: map[string]string{
				consul.MetaApp: task.AppID, consul.MetaTask: task.ID, consul.MetaVersion: task.Version,
				consul.MetaFramework: s.framework(),
			},
		}
		if len(task.Ports) > 0 {
			x.Port = task.Ports[0]
		}
		p.services[task.Host+" "+task.ID] = x
	}
	return p
}

// framework is the Marathon's, by its own words.
func (s *scene) framework() string {
	answer := httptest.NewRecorder()
	s.marathon.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/v2/info", nil))
	var info struct{ FrameworkID string }
	must(s.t, json.Unmarshal(answer.Body.Bytes(), &info))
	return info.FrameworkID
}

// and adds what is somebody else's.
func (p picture) and(others ...picture) picture {
	sum := picture{services: maps.Clone(p.services), keys: maps.Clone(p.keys)}
	for _, o := range others {
		maps.Copy(sum.services, o.services)
		maps.Copy(sum.keys, o.keys)
	}
	return sum
}

// diff says how p differs from want; "" when it does not.
func (p picture) diff(want picture) string {
	var lines []string
	for id := range p.and(want).services {
		have, is := p.services[id]
		should, wanted := want.services[id]
		if is != wanted || is && !reflect.DeepEqual(have, should) {
			lines = append(lines, fmt.Sprintf("service %s: have %+v, want %+v", id, have, should))
		}
	}
	for key := range p.and(want).keys {
		if have, should := p.keys[key], want.keys[key]; have != should {
			lines = append(lines, fmt.Sprintf("key %s: have %q, want %q", key, have, should))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// want checks that Consul holds what Marathon says, and the others' things.
func (s *scene) want(others ...picture) {
	s.t.Helper()
	if diff := s.actual().diff(s.desired().and(others...)); diff != "" {
		s.t.Errorf("Consul is not what it should be:\n%s", diff)
	}
}

// converges waits until want would pass.
func (s *scene) converges(others ...picture) {
	s.t.Helper()
	eventually(s.t, "Consul is what it should be", func() string {
		return s.actual().diff(s.desired().and(others...))
	})
}

// patience of the tests: far more than anything takes.
const patience = 30 * time.Second

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

// foreign is a service and a key that are none of ours.
func (s *scene) foreign() picture {
	s.t.Helper()
	agent := s.dev.Clients()[0]
	must(s.t, s.api(agent).Agent().ServiceRegister(&api.AgentServiceRegistration{
		ID: "database.1", Name: "database", Address: "10.9.9.9", Port: 5432, Tags: []string{"by-hand"},
	}))
	pair := &api.KVPair{Key: s.prefix + "/database/password-hint", Value: []byte("none"), Flags: 77}
	_, err := s.api(agent).KV().Put(pair, nil)
	must(s.t, err)
	return s.actual().only(func(id string) bool { return strings.Contains(id, "database") })
}

// only returns the part of p whose services and keys have such names.
func (p picture) only(named func(string) bool) picture {
	part := p.and()
	maps.DeleteFunc(part.services, func(id string, _ consul.Service) bool { return !named(id) })
	maps.DeleteFunc(part.keys, func(key string, _ string) bool { return !named(key) })
	return part
}

// whys lists a plan's changes, as people read them.
func whys(plan reconcile.Plan) []string {
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

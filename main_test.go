package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"go.uber.org/goleak"

	"consular/consul/devconsul"
	"consular/marathon/simulator"
)

// These tests are users: they run consular with options, between a simulated
// Marathon and a real Consul, and look into Consul. One at a time, for the
// command line's library has global state.

func TestMain(m *testing.M) {
	code := m.Run()
	var err error
	if shared.cluster != nil {
		err = shared.cluster.Stop()
	}
	if err = errors.Join(err, goleak.Find()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// shared is the Consul of all tests, started by the first that asks, and how
// many worlds there have been in it.
var shared struct {
	once    sync.Once
	cluster *devconsul.Cluster
	err     error
	worlds  atomic.Int32
}

// env is a Marathon, some agents of Consul, and a registration ID and prefix
// that are no other test's.
type env struct {
	testing.TB
	marathon *simulator.Marathon
	// master and consul are URLs.
	master, consul string
	id             string
	agents         []*devconsul.Agent
}

// newEnv returns one of three agents.
func newEnv(t testing.TB) *env {
	t.Helper()
	shared.once.Do(func() { // not t.Context: it outlives the test
		var binary string
		if binary, shared.err = devconsul.Find(context.Background(), "", os.Stderr); shared.err == nil {
			shared.cluster, shared.err = devconsul.Start(context.Background(), devconsul.Config{
				Binary: binary, Clients: 2, HCL: "limits { kv_max_value_size = 4000 }", // for TestRefusedLabel
			})
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	n := int(shared.worlds.Add(1))
	server := shared.cluster.Server()
	e := &env{TB: t, id: fmt.Sprintf("env-%d", n), consul: server.URL().String()}
	var hosts []string
	for _, agent := range append([]*devconsul.Agent{server}, shared.cluster.Clients()...) {
		e.agents = append(e.agents, agent)
		hosts = append(hosts, agent.Host)
	}
	e.marathon = simulator.New(simulator.Config{
		Seed: uint64(n), Hosts: hosts, TaskKilling: true, Heartbeat: 500 * time.Millisecond,
	})
	master := httptest.NewServer(e.marathon.Handler())
	t.Cleanup(master.Close)
	e.master = master.URL
	return e
}

func (e *env) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// want lists what should be in Consul, worked out from Marathon's side alone.
func (e *env) want() []string {
	var lines []string
	apps := map[string]simulator.App{}
	for _, app := range e.marathon.Apps() {
		apps[app.ID] = app
		for k, v := range app.Labels {
			lines = append(lines, fmt.Sprintf("%s/%s/%s=%s", e.id, name(app.ID), k, v))
		}
	}
	for _, task := range e.marathon.Tasks("") {
		if task.State != "TASK_RUNNING" {
			continue
		}
		address, port := task.Host, 0
		if app := apps[task.AppID]; app.Network == simulator.Container {
			address, port = task.Addresses[0], app.Ports[0].Container
		} else if len(task.Ports) > 0 {
			port = task.Ports[0]
		}
		lines = append(lines, fmt.Sprintf("%s: %s %s %s:%d", task.Host, name(task.AppID), task.ID, address, port))
	}
	slices.Sort(lines)
	return lines
}

func name(app string) string { return strings.ReplaceAll(strings.TrimPrefix(app, "/"), "/", "-") }

// have lists what is in Consul and ours, in the words of want.
func (e *env) have() []string {
	e.Helper()
	var lines []string
	for i, agent := range e.agents {
		client, err := api.NewClient(&api.Config{Address: agent.Address(), Transport: &http.Transport{DisableKeepAlives: true}})
		e.must(err)
		services, err := client.Agent().Services()
		e.must(err)
		for _, s := range services {
			if slices.Contains(s.Tags, "consular-reg-id="+e.id) {
				lines = append(lines, fmt.Sprintf("%s: %s %s %s:%d", agent.Host, s.Service, s.ID, s.Address, s.Port))
			}
		}
		if i > 0 {
			continue // all have the same keys
		}
		keys, _, err := client.KV().List(e.id+"/", nil)
		e.must(err)
		for _, k := range keys {
			lines = append(lines, fmt.Sprintf("%s=%s", k.Key, k.Value))
		}
	}
	slices.Sort(lines)
	return lines
}

// converges waits until Consul has what it should have.
func (e *env) converges() {
	e.Helper()
	if !eventually(func() bool { return slices.Equal(e.want(), e.have()) }) {
		e.Fatalf("Consul has\n\t%s\nand should have\n\t%s", strings.Join(e.have(), "\n\t"), strings.Join(e.want(), "\n\t"))
	}
}

// eventually reports whether something comes true within two minutes.
func eventually(is func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); !is(); <-tick.C {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// running is a consular that has been started.
type running struct {
	testing.TB
	// out and log name the files that it prints to.
	out, log string
	cancel   func()
	// wait returns the exit code.
	wait func() int
}

// start runs consular until it or the test ends.
func start(t testing.TB, args ...string) *running {
	t.Helper()
	out, errOut := os.CreateTemp(t.TempDir(), "out")
	log, errLog := os.CreateTemp(t.TempDir(), "log")
	if err := errors.Join(errOut, errLog); err != nil {
		t.Fatal(err)
	}
	code := make(chan int, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		code <- run(ctx, append([]string{"consular"}, args...), out, log)
		out.Close()
		log.Close()
	}()
	c := &running{TB: t, out: out.Name(), log: log.Name(), cancel: cancel}
	c.wait = sync.OnceValue(func() int { return <-code })
	t.Cleanup(func() {
		if c.stop(); t.Failed() {
			t.Logf("consular %v:\n%s%s", args, read(t, c.out), read(t, c.log))
		}
	})
	return c
}

// stop is SIGTERM: it returns the exit code.
func (c *running) stop() int {
	c.cancel()
	return c.wait()
}

// once runs a command to its end.
func once(t testing.TB, args ...string) (code int, out, log string) {
	t.Helper()
	c := start(t, args...)
	code = c.wait()
	return code, read(t, c.out), read(t, c.log)
}

func read(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// options are the env's own, and more.
func (e *env) options(more ...string) []string {
	return append([]string{"--marathon", e.master, "--consul", e.consul, "--registration-id", e.id, "--kv-prefix", e.id}, more...)
}

// says waits for a line of the log in which all the words are.
func (c *running) says(words ...string) {
	c.Helper()
	has := func(line string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
	}
	if !eventually(func() bool { return slices.ContainsFunc(strings.Split(read(c, c.log), "\n"), has) }) {
		c.Fatalf("no line with %q", words)
	}
}

// shop creates apps on all three networks: 7 tasks and 3 labels.
func (e *env) shop() *env {
	e.Helper()
	for _, app := range []simulator.App{
		{ID: "/shop/web", Instances: 4, Labels: map[string]string{"traefik": "on", "a/b": "é"}},
		{
			ID: "/shop/api", Instances: 2, Network: simulator.Bridge,
			Ports: []simulator.Port{{Name: "http", Container: 80}}, Labels: map[string]string{"tier": "back"},
		},
		{ID: "/db", Instances: 1, Network: simulator.Container, Ports: []simulator.Port{{Name: "sql", Container: 5432}}},
	} {
		e.must(e.marathon.Create(app))
	}
	return e
}

func TestRunFollowsMarathon(t *testing.T) {
	e := newEnv(t)
	p := start(t, e.options()...)
	p.says("connected")
	m := e.marathon
	for _, step := range []func() error{
		func() error { e.shop(); return nil },
		func() error { return m.Kill(m.Tasks("/shop/web")[0].ID, true) },
		func() error { return m.Crash(m.Tasks("/shop/api")[0].ID) },
		func() error { return m.Scale("/shop/web", 6) },
		func() error { return m.Relabel("/shop/web", map[string]string{"traefik": "off"}) },
		func() error { return m.Suspend("/shop/api") },
		func() error { return m.Destroy("/shop/web") },
	} {
		e.must(step())
		e.converges()
	}
	if code := p.stop(); code != 0 {
		t.Errorf("ended with %d on SIGTERM", code)
	}
	if have := e.have(); len(have) == 0 || !slices.Equal(have, e.want()) {
		t.Errorf("services did not stay: %v", have)
	}
}

// While the stream is away, consular polls: it says so in one line, and does no
// more resyncs than that.
func TestStreamTrouble(t *testing.T) {
	for cause, begin := range map[string]func(*simulator.Marathon){
		"closed":  (*simulator.Marathon).CloseStreams,
		"cut off": (*simulator.Marathon).CutStreams,
		"refused": func(m *simulator.Marathon) { m.RefuseStreams(true); m.CloseStreams() },
		"idle":    func(m *simulator.Marathon) { m.StallStreams(true) },
		"mute":    func(m *simulator.Marathon) { m.DropEvents(true); m.CloseStreams() },
	} {
		t.Run(cause, func(t *testing.T) {
			e := newEnv(t).shop()
			began := time.Now()
			p := start(t, e.options("--poll-interval", "1s", "--idle-timeout", "3s")...)
			p.says("connected")
			e.converges()
			begin(e.marathon)
			p.says(`"cause":"` + cause + `"`)
			e.must(e.marathon.Scale("/shop/web", 5))
			e.must(e.marathon.Destroy("/db"))
			e.converges()
			e.marathon.RefuseStreams(false)
			e.marathon.StallStreams(false)
			e.marathon.DropEvents(false)
			p.says("connected", "deaf")
			e.must(e.marathon.Scale("/shop/web", 3))
			e.converges()
			log := read(t, p.log)
			polls := int(time.Since(began) / (900 * time.Millisecond))
			for words, most := range map[string]int{`"disconnected"`: 2, `"connect failed"`: 2, `"message":"resync"`: 4 + polls} {
				if n := strings.Count(log, words); n > most {
					t.Errorf("says %s %d times", words, n)
				}
			}
		})
	}
}

func TestPlanAndSync(t *testing.T) {
	e := newEnv(t).shop()
	does := func(command string, code int, says ...string) (out string) {
		t.Helper()
		got, out, log := once(t, e.options(strings.Fields(command)...)...)
		for _, text := range says {
			if !strings.Contains(out+log, text) {
				t.Errorf("%s does not say %q", command, text)
			}
		}
		if got != code || t.Failed() {
			t.Fatalf("%s: exit code %d, want %d\n%s%s", command, got, code, out, log)
		}
		return out
	}
	does("plan", 2, "7 to register, 0 to update, 0 to deregister, 3 keys to set", e.marathon.Tasks("/db")[0].ID)
	var plan struct {
		Changes []struct{ Op, Agent, Task, Key string }
		Held    []any
	}
	err := json.Unmarshal([]byte(does("plan --format json", 2)), &plan)
	if err != nil || len(plan.Changes) != 10 || plan.Held == nil {
		t.Errorf("plan as JSON: %v, %+v", err, plan)
	}
	if have := e.have(); have != nil {
		t.Errorf("plan wrote %s", have)
	}
	does("explain /db", 2, "/db is not in Consul as it should be", "missing", e.marathon.Tasks("/db")[0].ID, "Marathon read from "+e.master)
	does("sync", 0, "registered 7, updated 0, deregistered 0; keys set 3")
	e.converges()
	does("explain /db", 0, "/db is in Consul as it should be")
	does("explain --format json "+e.marathon.Tasks("/db")[0].ID, 0, `"schema": 1`, `"state": "equal"`)
	does("explain /dbs", 1, "neither Marathon nor Consul knows it; the nearest: /db")
	python := "--debug --scheme http --host h --port 80 --timeout 5 --sync-interval 300 "
	does(python+"sync", 0, "registered 0, updated 0, deregistered 0", "--scheme, --host and --port do nothing")
	does("plan", 0, "7 services and 3 keys are ours: in sync")

	for _, app := range e.marathon.Apps() {
		e.must(e.marathon.Destroy(app.ID))
	}
	before := e.have()
	does("plan", 2, "10 held back", "Marathon told of no app at all")
	does("sync", 1, "held back 10")
	if have := e.have(); !slices.Equal(have, before) {
		t.Errorf("removed what it holds back: %v", have)
	}
	does("sync --force", 0, "deregistered 7", "deleted 3")
	e.converges()

	does("remove", 0, "0 services and 0 keys are ours")

	e.shop()
	does("sync", 0, "registered 7")
	before = e.have()
	if out := does("remove", 2, "7 to deregister", "3 to delete", "remove --force removes all"); strings.Contains(out, "Marathon read from") {
		t.Errorf("asked no Marathon, and says %s", out)
	}
	if have := e.have(); !slices.Equal(have, before) {
		t.Errorf("removed without --force: %v", have)
	}
	does("remove --force", 0, "deregistered 7", "deleted 3")
	if have := e.have(); have != nil {
		t.Errorf("remove --force leaves %v", have)
	}
	e.consul = fmt.Sprintf("http://%s:%d", e.agents[0].Host, 1) // nobody is there
	for _, app := range e.marathon.Apps() {
		e.must(e.marathon.Destroy(app.ID))
	}
	if out := does("plan", 1, "unread", "connection refused"); strings.Contains(out, "in sync") {
		t.Errorf("nothing could be read, and plan says %s", out)
	}
	does("sync", 1, "skipped agents")
}

func TestEvents(t *testing.T) {
	for format, want := range map[string]string{"text": "status_update_event", "json": `"message":"status_update_event"`} {
		e := newEnv(t)
		c := start(t, e.options("events", "--format", format)...)
		c.says("connected")
		e.shop()
		if !eventually(func() bool { return strings.Contains(read(t, c.out), e.marathon.Tasks("/db")[0].ID) }) {
			t.Fatal("not a word of a task")
		}
		if code := c.stop(); code != 0 || !strings.Contains(read(t, c.out), want) {
			t.Errorf("exit code %d", code)
		}
		for line := range strings.Lines(read(t, c.out)) {
			if format == "json" && !json.Valid([]byte(line)) {
				t.Errorf("no JSON: %s", line)
			}
		}
	}
}

// The demo has a Consul of its own: it obeys none of the variables that lead to the user's.
func TestDemo(t *testing.T) {
	binary, err := devconsul.Find(t.Context(), "", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"CONSUL_HTTP_ADDR": "https://nowhere.invalid:1", "CONSUL_HTTP_SSL": "true", "CONSUL_HTTP_SSL_VERIFY": "false", "CONSUL_HTTP_AUTH": "ann:secret",
		"CONSUL_HTTP_TOKEN": "secret", "CONSUL_HTTP_TOKEN_FILE": "/nowhere", "CONSUL_CACERT": "/nowhere", "CONSUL_CAPATH": "/nowhere",
		"CONSUL_CLIENT_CERT": "/nowhere", "CONSUL_TLS_SERVER_NAME": "nowhere", "CONSUL_NAMESPACE": "team", "CONSUL_PARTITION": "part",
	} {
		t.Setenv(name, value)
	}
	p := start(t, "demo", "--consul-bin", binary)
	p.says(`"message":"registered"`)
	if code, out := p.stop(), read(t, p.out); code != 0 || !strings.Contains(out, ":8500/ui\n") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

// Being told to end is no failure, also while Consul is still starting.
func TestDemoThatEndsBeforeItBegins(t *testing.T) {
	for _, words := range []string{"demo --for 1ms", "demo --for 200ms"} {
		if code, _, log := once(t, strings.Fields(words)...); code != 0 || log != "" {
			t.Errorf("%s: exit code %d, %s", words, code, log)
		}
	}
	p := start(t, "demo")
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d on a signal", code)
	}
}

func TestStartShowsNoUser(t *testing.T) {
	t.Setenv("CONSUL_HTTP_AUTH", "s3cret:s3cret")
	p := start(t, "--marathon", "http://s3cret@127.0.0.1:1,http://s3cret:s3cret@127.0.0.1:2", "--consul", "127.0.0.1:1")
	p.says("consular starts", `"http://127.0.0.1:1,http://127.0.0.1:2"`, `"http://127.0.0.1:1"`)
	p.says("connect failed")
	if code := p.stop(); code != 0 || strings.Contains(read(t, p.log), "s3cret") {
		t.Errorf("exit code %d, or the log has a secret", code)
	}
}

// What a command takes stands in its help with its environment variable, and is read from there.
func TestCommandsReadTheEnvironment(t *testing.T) {
	for command, names := range map[string][]string{
		"health": {"HEARTBEAT_FILE", "MAX_AGE", "STRICT"}, "sync": {"FORCE", "ADOPT", "ADOPT_FROM"}, "remove": {"FORCE"}, "plan": {"FORMAT"}, "events": {"FORMAT"}, "demo": {"FOR", "CONSUL_BIN"},
	} {
		_, out, _ := once(t, command, "--help")
		for _, name := range names {
			if variable := "$CONSULAR_" + strings.ToUpper(command) + "_" + name; !strings.Contains(out, variable+"]") {
				t.Errorf("%s: %s is missing:\n%s", command, variable, out)
			}
		}
	}
	e := newEnv(t)
	t.Setenv("CONSULAR_REMOVE_FORCE", "true") // and not of sync
	t.Setenv("CONSULAR_PLAN_FORMAT", "json")
	if code, out, log := once(t, e.options("plan")...); code != 0 || !json.Valid([]byte(out)) || log != "" {
		t.Errorf("plan: exit code %d\n%s%s", code, out, log)
	}
	if code, out, log := once(t, e.options("remove")...); code != 0 || strings.Contains(log, `"warn"`) {
		t.Errorf("remove: exit code %d\n%s%s", code, out, log)
	}
}

// It needs neither Marathon nor Consul, nor their options to be right.
func TestHealth(t *testing.T) {
	file := filepath.Join(t.TempDir(), "heartbeat")
	if err := os.WriteFile(file, []byte("consul: no leader\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for words, want := range map[string]int{
		"health --heartbeat-file " + file: 0,
		"--heartbeat-file " + file + " --marathon ftp://x --consul-token-file /nowhere health": 0,
		"health --strict --heartbeat-file " + file:                                             1,
		"health --max-age 0.000001 --heartbeat-file " + file:                                   1,
	} {
		code, out, log := once(t, strings.Fields(words)...)
		if code != want || strings.Count(out+log, "\n") != 1 || !strings.Contains(out+log, "no leader") || (out == "") != (want == 1) {
			t.Errorf("%s: exit code %d, %q, %q", words, code, out, log)
		}
	}
}

// The variables that several commands read still work, with a word.
func TestOldVariablesOfCommands(t *testing.T) {
	e := newEnv(t)
	t.Setenv("CONSULAR_FORMAT", "json")
	t.Setenv("CONSULAR_FORCE", "true")
	code, out, log := once(t, e.options("plan")...)
	if code != 0 || !json.Valid([]byte(out)) || !strings.Contains(log, "say CONSULAR_PLAN_FORMAT") {
		t.Errorf("plan: exit code %d\n%s%s", code, out, log)
	}
	if code, out, log := once(t, e.options("remove")...); code != 0 || !strings.Contains(log, "say CONSULAR_REMOVE_FORCE") {
		t.Errorf("remove: exit code %d\n%s%s", code, out, log)
	}
	if _, _, log := once(t, e.options("sync", "--force=false")...); strings.Contains(log, "say CONSULAR_SYNC_FORCE") {
		t.Errorf("warns of what is overruled: %s", log)
	}
}

// Log rotation renames the file and says so by SIGHUP: what comes after is in a new one.
// When there is no place for that, the old one stays.
func TestHangupOpensTheLogFileAnew(t *testing.T) {
	e := newEnv(t)
	file := filepath.Join(t.TempDir(), "log")
	p := start(t, e.options("--logfile", file)...)
	has := func(name string, words ...string) {
		t.Helper()
		var text []byte
		if !eventually(func() bool {
			text, _ = os.ReadFile(name) // it may not be there yet
			return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(string(text), w) })
		}) {
			t.Fatalf("%s does not have %q:\n%s", name, words, text)
		}
	}
	hangup := func() { e.must(syscall.Kill(os.Getpid(), syscall.SIGHUP)) }
	has(file, "connected")
	e.must(os.Rename(file, file+".1"))
	hangup()
	has(file, "log file opened anew")
	e.shop().converges()
	has(file, `"message":"registered"`)
	if old := read(t, file+".1"); !strings.Contains(old, "consular starts") || strings.Contains(old, `"message":"registered"`) {
		t.Errorf("the old file has\n%s", old)
	}
	e.must(errors.Join(os.Rename(file, file+".2"), os.Mkdir(file, 0o700)))
	hangup()
	has(file+".2", "not opened anew", "is a directory")
	e.must(e.marathon.Suspend("/db"))
	has(file+".2", `"message":"deregistered"`)
	if code := p.stop(); code != 0 || read(t, p.log) != "" {
		t.Errorf("exit code %d, on stderr: %s", code, read(t, p.log))
	}
}

// A terminal that is closed sends SIGHUP too: it ends nobody.
func TestHangupEndsNobody(t *testing.T) {
	e := newEnv(t)
	for _, command := range []string{"run", "events"} {
		p := start(t, e.options("--debug", "--logfile", "-", command)...)
		p.says("connected")
		e.must(syscall.Kill(os.Getpid(), syscall.SIGHUP))
		p.says("SIGHUP", "no --logfile")
		if code := p.stop(); code != 0 {
			t.Errorf("%s: exit code %d", command, code)
		}
	}
	if _, err := os.Stat("-"); err == nil {
		t.Error("--logfile - made a file")
	}
}

// What is wrong with where Consul is said to be is said by plan, with exit code 1.
func TestWrongConsul(t *testing.T) {
	e := newEnv(t).shop()
	host := e.agents[0].Host
	for consul, want := range map[string]string{
		"http://" + host: "Consul's own is 8500",
		e.consul + "/ui": `the path \"/ui\" of --consul`,
	} {
		e.consul = consul
		if code, out, log := once(t, e.options("plan", "--format", "json")...); code != 1 || !strings.Contains(out+log, want) {
			t.Errorf("%s: exit code %d, want %q\n%s%s", consul, code, want, out, log)
		}
	}
}

// A command that a signal ends before it is done says so, in words.
func TestSignalEndsACommand(t *testing.T) {
	e := newEnv(t).shop()
	ctx, signalled := context.WithCancel(t.Context())
	signalled()
	for _, command := range []string{"sync", "plan", "explain /db", "remove"} {
		var log strings.Builder
		code := run(ctx, append([]string{"consular"}, e.options(strings.Fields(command)...)...), io.Discard, &log)
		if code != 1 || log.String() != "consular: ended by a signal before it was done\n" {
			t.Errorf("%s: exit code %d, %s", command, code, log.String())
		}
	}
}

// What the example says to consular, consular knows.
func TestMarathonAppOfTheExample(t *testing.T) {
	var app struct {
		Cmd          string
		Env          map[string]string
		HealthChecks []struct {
			Protocol string
			Command  struct{ Value string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "testdata/marathon-app.json")), &app); err != nil {
		t.Fatal(err)
	}
	_, help, _ := once(t, "--help")
	for name := range app.Env {
		if strings.HasPrefix(name, "CONSULAR_") && !strings.Contains(help, "[$"+name) {
			t.Errorf("%s is no option's", name)
		}
	}
	words := func(command, program string) []string {
		said, ours := strings.CutPrefix(command, program+" ")
		if !ours {
			t.Errorf("%s is not %s", command, program)
		}
		return strings.Fields(strings.NewReplacer(`"`, "", "$HOST", "127.0.0.1").Replace(said))
	}
	if code, _, log := once(t, append(words(app.Cmd, "exec ./consular"), "--help")...); code != 0 {
		t.Errorf("%s: %s", app.Cmd, log)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("heartbeat", []byte("ok\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	check := app.HealthChecks[0]
	if code, _, log := once(t, words(check.Command.Value, "./consular")...); code != 0 || check.Protocol != "COMMAND" {
		t.Errorf("%v: %s", check, log)
	}
}

// README's examples of shaped services, as they stand there and in testdata: with the
// options that README says, Consul has what the example is for.
func TestExamplesOfShapedServices(t *testing.T) {
	readme := read(t, "README.md")
	for file, test := range map[string]struct {
		options string
		// want are services: "name port-index tags Meta".
		want []string
	}{
		"traefik.json": {"--tag-labels traefik.*", []string{
			"shop-web 0 [traefik.enable=true traefik.http.routers.shop.entrypoints=websecure traefik.http.routers.shop.rule=Host(`shop.example.com`) || Host(`www.shop.example.com`)] map[]",
		}},
		"fabio.json": {"", []string{
			"shop-api 0 [urlprefix-shop.example.com/api strip=/api urlprefix-api.example.com/ redirect=301,https://shop.example.com/api$path] map[]",
		}},
		"metrics.json": {"", []string{
			"shop-checkout 0 [] map[]", "shop-checkout-metrics 1 [prometheus] map[path:/internal/metrics]",
		}},
	} {
		t.Run(file, func(t *testing.T) {
			definition := read(t, "testdata/services/"+file)
			indented := "    " + strings.ReplaceAll(strings.TrimSuffix(definition, "\n"), "\n", "\n    ") + "\n"
			command := "    consular … " + strings.ReplaceAll(test.options, "traefik.*", "'traefik.*' ") + "run\n"
			if _, after, found := strings.Cut(readme, indented); !found || !strings.HasPrefix(after, "\n"+command) {
				t.Errorf("README has not\n%s\n%s", indented, command)
			}
			e := newEnv(t)
			answer, err := http.Post(e.master+"/v2/apps", "application/json", strings.NewReader(definition))
			e.must(err)
			answer.Body.Close()
			if code, out, log := once(t, e.options(append(strings.Fields(test.options), "sync")...)...); code != 0 || answer.StatusCode != http.StatusCreated {
				t.Fatalf("Marathon answers %s, exit code %d\n%s%s", answer.Status, code, out, log)
			}
			if have := e.shaped(); !slices.Equal(have, test.want) {
				t.Errorf("Consul has\n\t%s\nwant\n\t%s", strings.Join(have, "\n\t"), strings.Join(test.want, "\n\t"))
			}
		})
	}
}

// shaped lists what kinds of services there are that are ours: name, index of the port, and
// the tags and Meta that are not consular's own.
func (e *env) shaped() []string {
	e.Helper()
	ports := map[string][]int{}
	for _, task := range e.marathon.Tasks("") {
		ports[task.ID] = task.Ports
	}
	kinds := map[string]bool{}
	for _, agent := range e.agents {
		client, err := api.NewClient(&api.Config{Address: agent.Address(), Transport: &http.Transport{DisableKeepAlives: true}})
		e.must(err)
		services, err := client.Agent().Services()
		e.must(err)
		for _, s := range services {
			if !slices.Contains(s.Tags, "consular-reg-id="+e.id) {
				continue
			}
			index := slices.Index(ports[s.Meta["marathon-task-id"]], s.Port)
			tags := slices.DeleteFunc(s.Tags, func(tag string) bool { return strings.HasPrefix(tag, "consular-") })
			maps.DeleteFunc(s.Meta, func(key, _ string) bool { return strings.HasPrefix(key, "marathon-") })
			kinds[fmt.Sprint(s.Service, " ", index, " ", tags, " ", s.Meta)] = true
		}
	}
	return slices.Sorted(maps.Keys(kinds))
}

var moving = flag.Bool("moving", false, "move from marathon-consul by README's own commands, which need bash, curl and jq")

// Moving from marathon-consul, as README says: its services are untouched while ours come beside
// them, by the same names, and its are gone when ours are there.
func TestMovingFromMarathonConsul(t *testing.T) {
	e := newEnv(t)
	e.must(e.marathon.Create(simulator.App{
		ID: "/shop/web", Instances: 3, Labels: map[string]string{"consul": "", "public": "tag"},
		Ports: []simulator.Port{{Name: "http"}, {Name: "admin"}},
	}))
	e.must(e.marathon.Create(simulator.App{ID: "/unlabelled", Instances: 1}))
	for i, task := range e.marathon.Tasks("/shop/web") {
		id := fmt.Sprintf("%s_shop.web_%d", task.ID, task.Ports[0])
		if i == 0 { // as its early versions called it
			id = task.ID
		}
		e.must(e.agentOn(task.Host).ServiceRegister(&api.AgentServiceRegistration{
			ID: id, Name: "shop.web", Address: task.Host, Port: task.Ports[0], Tags: []string{"marathon", "public", "marathon-task:" + task.ID},
		}))
	}
	_, page, _ := strings.Cut(read(t, "README.md"), "ours are there before its go.\n\n")
	commands, _, _ := strings.Cut(page, "\n\n")
	before, after, found := strings.Cut(commands, "    for host in")
	if !found {
		t.Fatalf("README's commands are\n%s", commands)
	}
	if out := e.move(before, nil); !strings.Contains(out, "2 to register, 0 to update, 0 to deregister") || !strings.HasSuffix(out, "exit code 1\n") {
		t.Errorf("plan, and a sync that leaves a conflict:\n%s", out)
	}
	if theirs := e.theirs(); len(theirs) != 3 {
		t.Errorf("of theirs are there %q, want all three", theirs)
	}
	if have, want := e.shaped(), []string{"shop.web 0 [public] map[]"}; !slices.Equal(have, want) {
		t.Errorf("ours are %q, want %q", have, want)
	}
	out := e.move("    for host in"+strings.Replace(after, "--no-kv run", "--no-kv plan", 1), e.theirs())
	if !strings.Contains(out, "3 services and 0 keys are ours: in sync") || strings.Count(out, "exit code 0\n") != 2 {
		t.Errorf("their end, a sync, and a plan that has nothing to do:\n%s", out)
	}
	if theirs := e.theirs(); len(theirs) > 0 {
		t.Errorf("of theirs are there %q, want none", theirs)
	}
}

// move carries out some of README's commands, of which ending does away with theirs, and returns
// what consular prints, with its exit codes. Without -moving it does as they say, without a shell.
func (e *env) move(commands string, ending map[string]string) (out string) {
	e.Helper()
	if *moving {
		return e.bash(commands)
	}
	for id, host := range ending {
		e.must(e.agentOn(host).ServiceDeregister(id))
	}
	commands = strings.ReplaceAll(commands, "\\\n", " ")
	for line := range strings.Lines(commands) {
		_, words, is := strings.Cut(line, "--labels")
		if !is {
			continue
		}
		words, _, _ = strings.Cut("--labels"+words, "#")
		code, said, _ := once(e, e.options(strings.Fields(words)...)...)
		out += said + fmt.Sprintf("exit code %d\n", code)
	}
	return out
}

// agentOn is a client of the agent of a host.
func (e *env) agentOn(host string) *api.Agent {
	e.Helper()
	at := slices.IndexFunc(e.agents, func(a *devconsul.Agent) bool { return a.Host == host })
	client, err := api.NewClient(&api.Config{Address: e.agents[at].Address(), Transport: &http.Transport{DisableKeepAlives: true}})
	e.must(err)
	return client.Agent()
}

// theirs are the services that marathon-consul has registered: the host of each, by ID.
func (e *env) theirs() map[string]string {
	e.Helper()
	hosts := map[string]string{}
	for _, agent := range e.agents {
		services, err := e.agentOn(agent.Host).Services()
		e.must(err)
		for id, s := range services {
			if slices.ContainsFunc(s.Tags, func(tag string) bool { return strings.HasPrefix(tag, "marathon-task:") }) {
				hosts[id] = agent.Host
			}
		}
	}
	return hosts
}

// bash runs commands of README in this env, and returns what they print, with the exit code
// of each consular.
func (e *env) bash(commands string) string {
	e.Helper()
	dir := e.TempDir()
	if out, err := exec.CommandContext(e.Context(), "go", "build", "-o", dir+"/consular", ".").CombinedOutput(); err != nil {
		e.Fatalf("%v: %s", err, out)
	}
	script := "set -u -o pipefail\nconsular() { " + dir + "/consular \"$@\"; echo \"exit code $?\"; }\n" + strings.NewReplacer(
		"--marathon http://marathon:8080 --consul http://consul:8500", strings.Join(e.options(), " "), "…", strings.Join(e.options(), " "),
		"http://consul:8500", e.consul,
	).Replace(commands)
	out, err := exec.CommandContext(e.Context(), "bash", "-c", script).CombinedOutput()
	if err != nil {
		e.Fatalf("%v\n%s\n%s", err, script, out)
	}
	return string(out)
}

func TestAnswersTooLarge(t *testing.T) {
	e := newEnv(t).shop()
	if code, out, log := once(t, e.options("--max-answer", "100", "plan")...); code != 1 || !strings.Contains(out+log, "--max-answer") {
		t.Errorf("exit code %d\n%s%s", code, out, log)
	}
}

// One label that Consul will not have keeps none of the others back, and is named.
func TestRefusedLabel(t *testing.T) {
	e := newEnv(t)
	e.must(e.marathon.Create(simulator.App{ID: "/web", Instances: 1, Labels: map[string]string{"a": "1", "big": strings.Repeat("x", 5000), "c": "3"}}))
	for _, want := range []string{"keys set 2", "keys set 0"} {
		code, out, log := once(t, e.options("sync")...)
		if code != 1 || !strings.Contains(out, want) || !strings.Contains(log, `\"big\" refused, all else done: answered 413`) {
			t.Errorf("exit code %d\n%s%s", code, out, log)
		}
	}
	have := strings.Join(e.have(), "\n")
	if !strings.Contains(have, e.id+"/web/a=1") || !strings.Contains(have, e.id+"/web/c=3") {
		t.Errorf("Consul has\n%s", have)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for args, want := range map[string][]string{
		"--help":      {"sync", "plan", "events", "demo", "--marathon URL[,URL…]", "--purge-confirm time", "CONSULAR_KV_PREFIX", "5m0s"},
		"plan --help": {"--format", "exit 0: in sync, 2: drift"},
		"--version":   {"consular version ", "commit ", "go1."},
	} {
		code, out, log := once(t, strings.Fields(args)...)
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("%s does not mention %q:\n%s", args, text, out)
			}
		}
		if code != 0 || log != "" {
			t.Errorf("%s: exit code %d, %s", args, code, log)
		}
	}
}

// Packages ship what is printed here; what the help hides is in none of it.
func TestGenerate(t *testing.T) {
	for kind, want := range map[string][]string{
		"man":  {".SH NAME", ".SH SIGNALS", `\fB--purge-confirm\fP \fIvalue\fP: `, "sync", "--adopt-from"},
		"fish": {"-l purge-confirm -r", "-n '__fish_consular_no_subcommand' -l logfile -r", "-a 'sync'", "-f -l adopt-from"},
		"bash": {"complete ", "--generate-bash-completion"},
		"zsh":  {"#compdef consular", "--generate-bash-completion"},
	} {
		code, out, log := once(t, "generate", kind)
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("%s does not mention %q:\n%s", kind, text, out)
			}
		}
		if code != 0 || log != "" || strings.Contains(out, "generate ") || strings.Contains(out, "-scheme") || strings.Contains(out, "-l scheme") || strings.Contains(out, "no-debug") {
			t.Errorf("%s: exit code %d, %s, or what is hidden is told:\n%s", kind, code, log, out)
		}
	}
	if _, help, _ := once(t, "--help"); strings.Contains(help, "generate") {
		t.Error("the help mentions generate")
	}
}

func TestBadInput(t *testing.T) {
	for line := range strings.Lines(read(t, "testdata/bad-input.txt")) {
		words, want, listed := strings.Cut(line, "=>")
		if !listed || strings.HasPrefix(line, "#") {
			continue
		}
		t.Run(words, func(t *testing.T) {
			args := strings.Fields(words)
			for len(args) > 0 && strings.HasPrefix(args[0], "CONSUL") {
				name, value, _ := strings.Cut(args[0], "=")
				t.Setenv(name, value)
				args = args[1:]
			}
			code, out, log := once(t, args...)
			if code != 1 || out != "" {
				t.Errorf("exit code %d, stdout: %s", code, out)
			}
			if !strings.HasPrefix(log, "consular: ") || strings.Count(log, "\n") != 1 || strings.Contains(log, "secret") {
				t.Errorf("not one clear line: %s", log)
			}
			for word := range strings.FieldsSeq(want) {
				if !strings.Contains(log, word) {
					t.Errorf("does not name %s: %s", word, log)
				}
			}
		})
	}
}

// parrot returns the URL of a server that answers every request with a text, in which
// each @ is all forms of the secret that came with the request.
func parrot(t *testing.T, answer string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secret := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") + r.Header.Get("X-Consul-Token")
		forms := strings.Join([]string{
			secret, strings.ToUpper(secret), url.QueryEscape(secret), url.QueryEscape(url.QueryEscape(secret)),
			base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte("Bearer " + secret)),
		}, "~")
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, strings.ReplaceAll(answer, "@", forms))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Nothing of what a Marathon, a Consul or a proxy repeats of our credentials gets out, by
// whatever part of an answer it comes back and in whatever form, nor does a long line.
func TestSecretsThatComeBackStayInside(t *testing.T) {
	const token = "s3cr=t/pa+ss\"wörd"
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	// What libraries print by themselves.
	stray, err := os.Create(filepath.Join(t.TempDir(), "stray"))
	if err != nil {
		t.Fatal(err)
	}
	log.SetOutput(stray)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	stream := "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
	for name, answer := range map[string]string{
		"reason phrase":     "HTTP/1.1 401 you sent @\r\nContent-Length: 0\r\n\r\n",
		"long reason":       "HTTP/1.1 500 " + strings.Repeat("x", 200_000) + "@\r\nContent-Length: 0\r\n\r\n",
		"message":           "HTTP/1.1 500 no\r\nContent-Type: application/json\r\n\r\n{\"message\":\"@\"}",
		"page":              "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<html>@",
		"Location":          "HTTP/1.1 302 Found\r\nLocation: /@\r\nContent-Length: 0\r\n\r\n",
		"Location of a URL": "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/@/v2/events\r\nContent-Length: 0\r\n\r\n",
		"Location's host":   "HTTP/1.1 302 Found\r\nLocation: http://@/v2/events\r\nContent-Length: 0\r\n\r\n",
		"media type":        "HTTP/1.1 200 OK\r\nContent-Type: @\r\n\r\n",
		"media subtype":     "HTTP/1.1 200 OK\r\nContent-Type: text/x-s3cr=t\r\n\r\n",
		"status line":       "@ HTTP/1.1 200 OK\r\n\r\n",
		"status":            "HTTP/1.1 @\r\n\r\n",
		"header":            "HTTP/1.1 200 OK\r\n@\r\n\r\n",
		"length":            "HTTP/1.1 200 OK\r\nContent-Length: @\r\n\r\n",
		"encoding":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: @\r\n\r\n",
		"chunk":             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n@\r\n",
		"trailer":           "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n@\r\n\r\n",
		"not asked for":     "HTTP/1.1 500 no\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 @\r\n",
		"leader":            stream + "X-Marathon-Leader: http://@\r\nX-Marathon-Via: a\r\n\r\n",
		"leader's name":     stream + "X-Marathon-Leader: http://@\r\n\r\nevent: event_stream_attached\ndata: {}\n\n",
		"event":             stream + "\r\nevent: @\ndata: {\"a\n\nevent: status_update_event\ndata: @\n\n",
		"type of an event":  stream + "\r\ndata: {\"eventType\":\"@\"\n\n",
	} {
		server := parrot(t, answer)
		for _, command := range []string{"plan", "sync", "run", "events", "remove"} {
			t.Run(name+"/"+command, func(t *testing.T) {
				p := start(t, "--marathon", server, "--marathon-token-file", file, "--marathon-token-type", "bearer",
					"--consul", server, "--consul-token-file", file, "--log-format", "json", "--debug", command)
				if command == "run" || command == "events" {
					p.says(`"master":"` + server)
					p.says(`"cause":`)
					p.stop()
				} else if code := p.wait(); code != 1 {
					t.Errorf("exit code %d", code)
				}
				printed := read(t, p.log) + read(t, stray.Name())
				if command != "events" { // which prints what it is sent
					printed += read(t, p.out)
				}
				for _, part := range []string{"s3cr", "S3CR", "czNjc", "czNjcj10", "MzY3I"} {
					if strings.Contains(printed, part) {
						t.Errorf("%s is in\n%.2000s", part, printed)
					}
				}
				for line := range strings.Lines(printed) {
					if len(line) > 2000 {
						t.Errorf("a line of %d bytes: %.200s", len(line), line)
					}
				}
			})
		}
	}
}

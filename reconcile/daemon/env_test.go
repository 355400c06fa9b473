package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"consular/consul/devconsul"
	"consular/marathon/simulator"
)

// These tests run copies of the program itself, between a simulated Marathon and a real
// Consul, and count what each of them writes.

var built struct {
	once   sync.Once
	folder string
	err    error
}

func TestMain(m *testing.M) {
	built.folder, built.err = os.MkdirTemp("", "consular-")
	code := m.Run()
	if err := errors.Join(os.RemoveAll(built.folder), goleak.Find()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// binary builds consular once for all tests.
func binary(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		out, err := exec.Command("go", "build", "-o", filepath.Join(built.folder, "consular"), "../..").CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("build consular: %w: %s", err, out)
		}
	})
	must(t, built.err)
	return filepath.Join(built.folder, "consular")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// patience is more than anything takes, but for what is told with it.
const patience = 90 * time.Second

// eventually waits until something is.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); ; <-tick.C {
		if is() {
			return
		}
		if time.Since(began) > patience {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// site is a Consul, a Marathon whose tasks come and go, and copies of consular.
type site struct {
	testing.TB
	consul   *devconsul.Cluster
	marathon *simulator.Marathon
	master   string

	mu     sync.Mutex
	writes []write
}

// write is a request of a copy that changes something in Consul, as its agent saw it; those
// for the lock are none.
type write struct {
	by, what string
	at       time.Time
}

func (w write) String() string {
	return fmt.Sprintf("%s %s %s", w.at.Format("15:04:05.000"), w.by, w.what)
}

// newSite has two agents beside the server, and room for two copies.
func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{TB: t, consul: devconsul.Run(t, 2)}
	var hosts []string
	for _, agent := range s.consul.Clients() {
		hosts = append(hosts, agent.Host)
	}
	s.marathon = simulator.New(simulator.Config{Hosts: hosts, TaskKilling: true, Heartbeat: time.Second})
	server := httptest.NewServer(s.marathon.Handler())
	t.Cleanup(func() {
		s.marathon.CloseStreams()
		server.Close()
	})
	s.master = server.URL
	must(t, s.marathon.Create(simulator.App{ID: "/steady", Instances: 10, Labels: map[string]string{"role": "web"}}))
	must(t, s.marathon.Create(simulator.App{ID: "/churn", Instances: 5}))
	return s
}

// churns kills a task every 20 ms, in whose place Marathon starts another, until stop.
func (s *site) churns() (stop func()) {
	ctx, cancel := context.WithCancel(s.Context())
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			if tasks := s.marathon.Tasks("/churn"); len(tasks) > 0 { // on every host in turn
				_ = s.marathon.Kill(tasks[n%len(tasks)].ID, false) // it may be dying already
			}
			<-tick.C
		}
	})
	stop = func() { cancel(); running.Wait() }
	s.Cleanup(stop)
	return stop
}

// instance is a running copy of consular.
type instance struct {
	*site
	name  string
	agent *devconsul.Agent
	cmd   *exec.Cmd
	// folder is where it runs, and log the file that it writes.
	folder, log string
	exited      chan struct{}
}

// starts starts the nth copy, at the nth agent. Every agent has a port of its own for each
// copy, so that its writes are known.
func (s *site) starts(n int) *instance {
	s.Helper()
	port := s.proxies(n)
	agent := s.consul.Clients()[n]
	return s.runs(n, exec.Command(binary(s), "--marathon", s.master, "--consul", "http://"+net.JoinHostPort(agent.Host, port), "--ha", "run"))
}

// runs starts a command that is the nth copy.
func (s *site) runs(n int, cmd *exec.Cmd) *instance {
	s.Helper()
	c := &instance{site: s, name: name(n), agent: s.consul.Clients()[n], cmd: cmd, folder: s.TempDir(), exited: make(chan struct{})}
	if cmd.Dir == "" {
		cmd.Dir = c.folder
	}
	c.log = filepath.Join(c.folder, "log")
	log, err := os.Create(c.log)
	must(s, err)
	cmd.Stdout, cmd.Stderr = log, log
	must(s, cmd.Start())
	go func() {
		_ = cmd.Wait()
		log.Close()
		close(c.exited)
	}()
	s.Cleanup(func() {
		c.signal(syscall.SIGCONT)
		c.signal(syscall.SIGKILL)
		<-c.exited
		if s.Failed() {
			s.Logf("log of %s:\n%s", c.name, c.tail())
		}
	})
	return c
}

func name(n int) string { return fmt.Sprintf("copy %d", n) }

// tail is the end of its log.
func (c *instance) tail() string {
	lines := strings.Split(c.read(), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

func (c *instance) read() string {
	text, err := os.ReadFile(c.log)
	must(c, err)
	return string(text)
}

// says reports whether a line of the log has all the words.
func (c *instance) says(words ...string) bool {
	return slices.ContainsFunc(strings.Split(c.read(), "\n"), func(line string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
	})
}

// signal may be sent to one that has ended.
func (c *instance) signal(sig syscall.Signal) { _ = c.cmd.Process.Signal(sig) }

// ends is its SIGTERM.
func (c *instance) ends() {
	c.signal(syscall.SIGTERM)
	<-c.exited
}

// proxies listens for a copy on every agent's host, and returns the port.
func (s *site) proxies(n int) (port string) {
	s.Helper()
	port = fmt.Sprint(9500 + n)
	for _, agent := range s.consul.Clients() {
		listener, err := net.Listen("tcp", net.JoinHostPort(agent.Host, port))
		if errors.Is(err, syscall.EADDRINUSE) {
			return port // of this copy's earlier life
		}
		must(s, err)
		proxy := httputil.NewSingleHostReverseProxy(agent.URL())
		transport := &http.Transport{MaxIdleConnsPerHost: 32}
		proxy.Transport = transport
		proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.note(name(n), r)
			proxy.ServeHTTP(w, r)
		})}
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(listener) })
		s.Cleanup(func() {
			_ = server.Close()
			serving.Wait()
			transport.CloseIdleConnections()
		})
	}
	return port
}

// note counts a request if it changes something.
func (s *site) note(by string, r *http.Request) {
	path := r.URL.Path
	if r.Method != http.MethodPut || strings.HasPrefix(path, "/v1/session/") || strings.HasPrefix(path, "/v1/kv/consular-lock/") {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes = append(s.writes, write{by: by, what: path, at: time.Now()})
}

// all returns what was written.
func (s *site) all() []write {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.writes)
}

// newest returns who wrote last since a time; "" for nobody.
func (s *site) newest(since time.Time) string {
	all := s.all()
	if len(all) == 0 || all[len(all)-1].at.Before(since) {
		return ""
	}
	return all[len(all)-1].by
}

// turns are the writes at which another copy than before wrote.
func turns(writes []write) (turns []write) {
	last := ""
	for _, w := range writes {
		if w.by != last {
			turns = append(turns, w)
		}
		last = w.by
	}
	return turns
}

// right reports whether the agents have what Marathon has, and nothing else of ours.
func (s *site) right() bool {
	want, have := map[string]bool{}, map[string]bool{}
	for _, task := range s.marathon.Tasks("") {
		if task.State == "TASK_RUNNING" {
			want[task.Host+" "+task.ID] = true
		}
	}
	for _, agent := range s.consul.Clients() {
		for _, id := range s.services(agent.URL()) {
			have[agent.Host+" "+id] = true
		}
	}
	return maps.Equal(want, have)
}

// plain keeps no connection open.
var plain = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 15 * time.Second}

// services are the IDs of those that an agent has; none when it does not answer.
func (s *site) services(agent *url.URL) (ids []string) {
	resp, err := plain.Get(agent.JoinPath("v1/agent/services").String())
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	var services map[string]any
	if json.NewDecoder(resp.Body).Decode(&services) != nil {
		return nil
	}
	return slices.Collect(maps.Keys(services))
}

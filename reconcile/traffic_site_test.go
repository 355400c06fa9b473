package reconcile_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"consular/consul/devconsul"
	"consular/marathon/simulator"
)

// trafficSite is what a user of README's "From labels to HAProxy" has: a Marathon of two
// masters, Consul on every host, consular, consul-template, HAProxy, and a client.
type trafficSite struct {
	*testing.T
	cluster  *devconsul.Cluster
	hosts    []*devconsul.Agent
	marathon *simulator.Marathon
	masters  []*simulator.Master
	urls     []string
	tasks    *trafficTasks
	client   *trafficClient
	// binaries are paths; dir has all that is rendered.
	consularBinary, templateBinary string
	dir                            string
	address                        string // what HAProxy and nginx listen on
	consular                       *devconsul.Program
	logs                           trafficLogs
	// tolerated counts the failures that a crash explains.
	tolerated int
}

// trafficPace is a Marathon in a hurry that gives tasks two seconds from TASK_KILLING on.
var trafficPace = simulator.Pace{
	Step: 10 * time.Millisecond, Swap: 20 * time.Millisecond,
	Offer: 20 * time.Millisecond, Start: 50 * time.Millisecond, Run: 100 * time.Millisecond,
	Killing: 20 * time.Millisecond, Kill: 2 * time.Second, Relaunch: 500 * time.Millisecond,
}

// trafficTemplates is where the templates are.
const trafficTemplates = "../testdata/templates"

// The ports that the proxies listen on.
const (
	trafficHTTP  = "8080"
	trafficOwn   = "10007"
	trafficNginx = "8081"
)

// newTrafficSite starts everything but the client, with the apps given, and ends it with the test.
func newTrafficSite(t *testing.T, binaries trafficBinaries, apps ...simulator.App) *trafficSite {
	t.Helper()
	dir := t.TempDir()
	// Consul waits for its disk at each write, and whoever builds something beside holds it up
	// for seconds: its data are kept in memory.
	if _, err := os.Stat("/dev/shm"); err == nil {
		t.Setenv("TMPDIR", "/dev/shm")
	}
	cluster, err := devconsul.Start(t.Context(), devconsul.Config{Binary: binaries.consul, Clients: 4})
	if err != nil {
		t.Fatal(err)
	}
	s := &trafficSite{
		T: t, cluster: cluster, hosts: cluster.Clients()[:3], tasks: newTrafficTasks(), dir: dir,
		consularBinary: binaries.consular, templateBinary: binaries.template,
		address: strings.TrimSuffix(cluster.Server().Host, "1") + "100",
	}
	t.Cleanup(func() {
		s.tellLogs()
		s.must(cluster.Stop()) // and all that runs beside
	})
	s.startMarathon()
	for _, app := range apps {
		s.must(s.marathon.Create(app))
	}
	s.startConsular()
	s.until("all services to be registered", func() string {
		if len(s.backends(s.render("haproxy.ctmpl"))) != len(apps) {
			return "not all apps are there"
		}
		return ""
	})
	s.startProxy()
	return s
}

func (s *trafficSite) startMarathon() {
	s.marathon = simulator.New(simulator.Config{
		Hosts:       []string{s.hosts[0].Host, s.hosts[1].Host, s.hosts[2].Host},
		TaskKilling: true, Pace: trafficPace, Executor: s.tasks.run,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { _ = s.marathon.Run(ctx) })
	s.Cleanup(func() {
		cancel()
		ended.Wait()
		s.tasks.servers.Close()
	})
	for range 2 {
		server := httptest.NewUnstartedServer(nil)
		master := s.marathon.Master(server.Listener.Addr().String())
		server.Config.Handler = master.Handler()
		server.Start()
		s.masters, s.urls = append(s.masters, master), append(s.urls, server.URL)
		s.Cleanup(func() {
			s.marathon.CloseStreams()
			server.Close()
		})
	}
}

// startConsular starts the binary that users run.
func (s *trafficSite) startConsular() {
	s.Helper()
	s.consular = s.start("consular", s.consularBinary, append(s.options(), "--sync-interval", "2s", "run")...)
}

func (s *trafficSite) options() []string {
	return []string{
		"--marathon", strings.Join(s.urls, ","), "--consul", s.cluster.Server().URL().String(),
		"--log-format", "json", "--poll-interval", "1s",
	}
}

// startProxy runs README's commands: HAProxy, and consul-template to reload it. Each
// configuration is kept, under the time at which HAProxy had taken it up.
func (s *trafficSite) startProxy() {
	s.Helper()
	file, history := filepath.Join(s.dir, "consular.cfg"), filepath.Join(s.dir, "history")
	s.must(os.Mkdir(history, 0o700))
	first := s.render("haproxy.ctmpl")
	s.must(os.WriteFile(file, first, 0o600))
	s.must(os.WriteFile(filepath.Join(history, "0"), first, 0o600))
	s.must(os.WriteFile(s.reloadFile(), fmt.Appendf(nil, "#!/bin/sh\nset -e\n%s/reload-haproxy \"$@\"\ncp %s %s/taken-up\nmv %s/taken-up %s/$(date +%%s%%N)\n",
		trafficTemplates, file, s.dir, s.dir, history), 0o700))
	s.start("haproxy", "sh", "-c", "exec "+s.readme("haproxy -W"))
	s.start("consul-template", "env", append(s.environment(), "sh", "-c", "exec "+s.readme("consul-template -config"))...)
}

// readme returns the command in README that begins so, with this test's files.
func (s *trafficSite) readme(beginning string) string {
	s.Helper()
	text, err := os.ReadFile("../README.md")
	s.must(err)
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", "")) {
		command, found := strings.CutPrefix(line, "    "+beginning)
		if !found {
			continue
		}
		return strings.NewReplacer(
			"consul-template -config", s.templateBinary+" -config",
			"testdata/templates/reload-haproxy", s.reloadFile(),
			"testdata/templates", trafficTemplates,
			"consular.cfg", filepath.Join(s.dir, "consular.cfg"),
			"haproxy.pid", s.pidFile(),
			"&\n", "",
		).Replace(beginning + command)
	}
	s.Fatalf("README has no command that begins with %q", beginning)
	return ""
}

func (s *trafficSite) reloadFile() string { return filepath.Join(s.dir, "reload-haproxy") }

func (s *trafficSite) pidFile() string { return filepath.Join(s.dir, "haproxy.pid") }

// awaitProxy waits until HAProxy listens.
func (s *trafficSite) awaitProxy() {
	s.Helper()
	s.until("HAProxy to listen", func() string {
		connection, err := net.Dial("tcp", s.address+":"+trafficHTTP)
		if err != nil {
			return err.Error()
		}
		connection.Close()
		return ""
	})
}

// agent is the one on the proxy's own host, which has no tasks.
func (s *trafficSite) agent() string { return s.cluster.Clients()[3].Address() }

func (s *trafficSite) environment() []string {
	return []string{
		"CONSUL_HTTP_ADDR=" + s.agent(), "HAPROXY_PIDFILE=" + s.pidFile(),
		"HAPROXY_ADDRESS=" + s.address, "HAPROXY_HTTP=" + trafficHTTP, "NGINX_LISTEN=" + s.address + ":" + trafficNginx,
	}
}

// render returns what a template makes of Consul now.
func (s *trafficSite) render(template string) []byte {
	s.Helper()
	return renderTraffic(s.T, s.templateBinary, template, s.environment()...)
}

func renderTraffic(t *testing.T, binary, template string, environment ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), template)
	cmd := exec.CommandContext(t.Context(), binary, "-once", "-template", trafficTemplates+"/"+template+":"+file)
	cmd.Env = append(os.Environ(), environment...)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("consul-template: %v: %s", err, output)
	}
	rendered, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return rendered
}

// start starts a program that ends with the site.
func (s *trafficSite) start(name, program string, args ...string) *devconsul.Program {
	s.Helper()
	running, err := s.cluster.Beside(s.logs.of(name), program, args...)
	s.must(err)
	s.Cleanup(func() {
		if err := running.End(syscall.SIGTERM); err != nil {
			s.Errorf("%s: %v", name, err)
		}
	})
	return running
}

// trafficConfiguration is one that HAProxy had, from then on.
type trafficConfiguration struct {
	at   time.Time
	text []byte
}

// configurations returns all that HAProxy has had, oldest first.
func (s *trafficSite) configurations() []trafficConfiguration {
	s.Helper()
	names, err := filepath.Glob(filepath.Join(s.dir, "history", "*"))
	s.must(err)
	var all []trafficConfiguration
	for _, name := range names { // sorted
		at, err := strconv.ParseInt(filepath.Base(name), 10, 64)
		s.must(err)
		text, err := os.ReadFile(name)
		s.must(err)
		all = append(all, trafficConfiguration{time.Unix(0, at), text})
	}
	return all
}

var (
	trafficBackend = regexp.MustCompile(`(?m)^backend (\S+)$`)
	trafficServer  = regexp.MustCompile(`(?m)^    server (\S+) `)
)

// backends returns the tasks in a configuration, sorted, by backend.
func (s *trafficSite) backends(configuration []byte) map[string][]string {
	backends := map[string][]string{}
	for section := range bytes.SplitSeq(configuration, []byte("\n\n")) {
		name := trafficBackend.FindSubmatch(section)
		for _, server := range trafficServer.FindAllSubmatch(section, -1) {
			backends[string(name[1])] = append(backends[string(name[1])], string(server[1]))
		}
		if name != nil {
			slices.Sort(backends[string(name[1])])
		}
	}
	return backends
}

// proxied returns the tasks that HAProxy knows, by backend.
func (s *trafficSite) proxied() map[string][]string {
	s.Helper()
	all := s.configurations()
	return s.backends(all[len(all)-1].text)
}

// until waits for something, which wrong tells what is missing for.
func (s *trafficSite) until(what string, wrong func() string) {
	s.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	late := time.After(time.Minute)
	for {
		why := wrong()
		if err := s.tasks.servers.Err(); err != nil {
			s.Fatal(err)
		}
		if why == "" {
			return
		}
		select {
		case <-ticker.C:
		case <-late:
			s.Fatalf("waited in vain for %s: %s", what, why)
		}
	}
}

func (s *trafficSite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

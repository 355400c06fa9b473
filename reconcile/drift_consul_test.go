package reconcile_test

import (
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/consul/api"

	"consular/consul"
	"consular/marathon/simulator"
)

// byHand registers a service as people do, on any agent.
func (s *env) byHand(host string, x consul.Service) {
	s.t.Helper()
	must(s.t, s.agents()[host].ServiceRegister(&api.AgentServiceRegistration{
		ID: x.ID, Name: x.Name, Address: x.Address, Port: x.Port, Tags: x.Tags, Meta: x.Meta,
	}))
}

func TestDriftIsNamedAndRepaired(t *testing.T) {
	dev := theCluster(t)
	s := newEnv(t, dev)
	must(t, s.marathon.Create(web("/shop/web", 6)))
	s.sync()
	flags := consul.Owner{RegistrationID: s.id}.Flags()
	tasks := s.marathon.Tasks("/shop/web")
	service := func(n int) (string, consul.Service) {
		return tasks[n].Host, s.desired().services[tasks[n].Host+" "+tasks[n].ID]
	}
	unnamed := dev.Server().Host // Marathon has no task there

	edited := []struct {
		what string
		edit func()
		why  []string
	}{
		{"port", func() { host, x := service(0); x.Port = 1; s.byHand(host, x) }, []string{"update", "port 1→"}},
		{"tag", func() { host, x := service(1); x.Tags = x.Tags[:1]; s.byHand(host, x) }, []string{"update", "tag missing: consular-app-id="}},
		{"missing", func() { host, x := service(2); must(t, s.agents()[host].ServiceDeregister(x.ID)) }, []string{"register", "not registered"}},
		{"duplicate", func() { _, x := service(3); s.byHand(unnamed, x) }, []string{"deregister", "wrong agent"}},
		{"moved", func() {
			host, x := service(4)
			must(t, s.agents()[host].ServiceDeregister(x.ID))
			s.byHand(tasks[3].Host, x)
		}, []string{"deregister", "wrong agent"}},
		{"stale on a node that Marathon does not name", func() {
			_, x := service(5)
			x.ID = "long-gone"
			s.byHand(unnamed, x)
		}, []string{"deregister long-gone", "task has ended"}},
		{"stale, and somebody removed the app's tag", func() {
			host, x := service(5)
			x.ID, x.Tags = "untagged", x.Tags[:1]
			s.byHand(host, x)
		}, []string{"deregister untagged", "task has ended"}},
		{"key edited", func() { s.put("shop-web/role", "edited", flags) }, []string{"set", "value edited"}},
		{"key extra", func() { s.put("shop-web/extra", "1", flags) }, []string{"delete", "extra (label is not on the app)"}},
	}
	for _, e := range edited {
		e.edit()
	}
	plan := s.plan()
	lines := append(whys(plan), unconfirmedOf(plan)...)
	for _, e := range edited {
		if !slices.ContainsFunc(lines, func(line string) bool { return containsAll(line, e.why) }) {
			t.Errorf("%s: no %v in\n%s", e.what, e.why, strings.Join(lines, "\n"))
		}
	}
	s.run(s.consular())
	s.converges()
}

func containsAll(line string, parts []string) bool {
	return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) })
}

func TestTwoNamesOfOneAgentAreNoDrift(t *testing.T) {
	dev := theCluster(t)
	agent := dev.Clients()[0]
	second := secondName(t, agent.Host, agent.URL().Host)
	s := newEnv(t, dev, simulator.Config{Hosts: []string{agent.Host, second}})
	must(t, s.marathon.Create(web("/web", 4)))
	if _, sum := s.sync(); sum.Registered != 4 || !sum.Clean() {
		t.Errorf("first sync: %s", sum.String())
	}
	services, err := s.api(agent).Agent().Services()
	must(t, err)
	if len(services) != 4 {
		t.Errorf("%d services on the agent, want 4", len(services))
	}
	if plan := s.plan(); !plan.InSync() {
		t.Errorf("drift: %v", whys(plan))
	}
	must(t, s.marathon.Scale("/web", 1))
	s.sync()
	if services, err = s.api(agent).Agent().Services(); err != nil || len(services) != 1 {
		t.Errorf("%d services on the agent, want 1 (%v)", len(services), err)
	}
}

// secondName returns another address, on which the same agent answers.
func secondName(t *testing.T, host, agent string) string {
	t.Helper()
	second := host + "02" // 127.53.1.2 is also 127.53.1.202
	listener, err := net.Listen("tcp", second+":8500")
	must(t, err)
	connections := &http.Transport{}
	server := &http.Server{Handler: &httputil.ReverseProxy{
		Transport: connections,
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", agent },
	}}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		must(t, server.Close())
		serving.Wait()
		connections.CloseIdleConnections()
	})
	return second
}

// A key that somebody deleted comes back when a task of its app starts, and does not
// wait for a resync.
func TestDeletedKeyComesBackWithTheNextTask(t *testing.T) {
	s := newEnv(t, theCluster(t))
	must(t, s.marathon.Create(web("/web", 2)))
	s.run(s.consular())
	s.listens()
	s.converges()
	_, err := s.api(s.dev.Server()).KV().Delete(s.prefix+"/web/role", nil)
	must(t, err)
	must(t, s.marathon.Scale("/web", 3))
	s.converges()
}

package reconcile_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"consular/consul/devconsul"
	"consular/marathon/simulator"
	"consular/reconcile"
)

// killed ends an agent as the crash of its host does; it is back after the test.
func (s *env) killed(agent *devconsul.Agent) {
	s.t.Helper()
	must(s.t, agent.Kill())
	s.t.Cleanup(func() { s.restarted(agent) })
}

// restarted starts an agent again, unless it runs.
func (s *env) restarted(agent *devconsul.Agent) {
	s.t.Helper()
	_ = agent.Restart() // it runs again already
	// Not the test's context: it may be over.
	must(s.t, s.dev.WaitReady(context.Background()))
}

// inCatalog lists the services that the servers have on a node.
func (s *env) inCatalog(node string) (ids []string) {
	s.t.Helper()
	answer, _, err := s.api(s.dev.Server()).Catalog().Node(node, nil)
	must(s.t, err)
	if answer == nil {
		return nil
	}
	for id := range answer.Services {
		ids = append(ids, id)
	}
	return ids
}

// nodeFails waits until Consul itself has given a node up.
func (s *env) nodeFails(node string) {
	s.t.Helper()
	eventually(s.t, node+" has failed", func() string {
		checks, _, err := s.api(s.dev.Server()).Health().Node(node, nil)
		if err != nil || len(checks) != 1 || checks[0].Status != api.HealthCritical {
			return fmt.Sprint(checks, err)
		}
		return ""
	})
}

func TestDeadHostsServicesGoFromTheCatalog(t *testing.T) {
	s := newEnv(t, theCluster(t))
	must(t, s.marathon.Create(web("/web", 6)))
	s.sync()
	dead := s.dev.Clients()[2]
	s.killed(dead)
	if plan := s.plan(); len(plan.Unread) != 1 || len(plan.Changes) > 0 {
		t.Errorf("just killed: unread %v, changes %v", plan.Unread, whys(plan))
	}
	s.nodeFails(dead.Name)
	if plan := s.plan(); len(plan.Skipped) != 1 || len(plan.Changes) > 0 {
		t.Errorf("Marathon has tasks there: skipped %v, changes %v", plan.Skipped, whys(plan))
	}
	must(t, s.marathon.LoseAgent(dead.Host)) // they are replaced elsewhere
	if _, sum := s.sync(); sum.Deregistered != 2 || sum.Registered != 2 {
		t.Errorf("sync: %s", sum.String())
	}
	if left := s.inCatalog(dead.Name); len(left) > 0 {
		t.Errorf("left in the catalog: %v", left)
	}
	s.want()
	must(t, s.marathon.RecoverAgent(dead.Host))
	s.restarted(dead) // with what it had: only it can forget that
	eventually(t, "the agent has told the servers", func() string {
		if len(s.inCatalog(dead.Name)) == 2 {
			return ""
		}
		return "not yet"
	})
	s.sync()
	s.want()
}

func TestFallbackAndMovingHome(t *testing.T) {
	s := newEnv(t, theCluster(t))
	s.configure = func(c *reconcile.Config) { c.Fallback = true }
	main := s.dev.Server().Host
	away := s.dev.Clients()[1]
	s.killed(away)
	must(t, s.marathon.Create(web("/web", 6)))
	_, _ = s.sync()
	if n := len(s.actual().only(on(main)).services); n != 2 {
		t.Fatalf("%d services on the main agent, want the 2 that cannot be at home", n)
	}
	s.run(s.consular())
	var fallen string
	for id := range s.actual().only(on(main)).services {
		fallen = strings.TrimPrefix(id, main+" ")
	}
	must(t, s.marathon.Kill(fallen, true))
	eventually(t, "its end reaches the main agent", func() string {
		if n := len(s.actual().only(on(main)).services); n != 1 {
			return fmt.Sprintf("%d services there", n)
		}
		return ""
	})
	s.restarted(away)
	s.converges()
}

func on(host string) func(string) bool {
	return func(id string) bool { return strings.HasPrefix(id, host+" ") }
}

// What the catalog has on a task's own node is not registered a second time.
func TestNoFallbackForWhatIsKnownOnItsNode(t *testing.T) {
	s := newEnv(t, theCluster(t))
	s.configure = func(c *reconcile.Config) { c.Fallback = true }
	must(t, s.marathon.Create(web("/web", 3)))
	s.sync()
	s.killed(s.dev.Clients()[0])
	if plan := s.plan(); len(plan.Changes) > 0 {
		t.Errorf("would change %v", whys(plan))
	}
}

func TestAnswersDoNotFallBack(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"403":  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "Permission denied", http.StatusForbidden) },
		"500":  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) },
		"slow": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			dev := theCluster(t)
			host := dev.Clients()[0].Host + "03" // an address of nobody's
			listener, err := net.Listen("tcp", host+":8500")
			must(t, err)
			server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: answer}}
			server.Start()
			t.Cleanup(server.Close)
			s := newEnv(t, dev, simulator.Config{Hosts: []string{host}})
			s.timeout = 2 * time.Second
			s.configure = func(c *reconcile.Config) { c.Fallback = true }
			must(t, s.marathon.Create(web("/web", 1)))
			_, sum := s.sync()
			if sum.Registered > 0 || sum.Unread != 1 || len(s.actual().services) > 0 {
				t.Errorf("sync: %s; there is %v", sum.String(), s.actual().services)
			}
		})
	}
}

package reconcile_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"consular/consul/devconsul"
	"consular/reconcile"
)

// What Consul may do in the middle of things: restart, forget, or do what it was
// told and not say so.

// ownCluster is for tests that break what others share.
func ownCluster(t *testing.T, config devconsul.Config) *devconsul.Cluster {
	t.Helper()
	dev, err := startCluster(config)
	must(t, err)
	t.Cleanup(func() { must(t, dev.Stop()) })
	return dev
}

func TestServerRestartsInTheMiddleOfASync(t *testing.T) {
	s := newEnv(t, ownCluster(t, devconsul.Config{Clients: 3}))
	s.timeout = 2 * time.Second
	for n := range 100 {
		app := web(fmt.Sprintf("/many/app-%d", n), 3)
		app.CPUs = 0.01
		must(t, s.marathon.Create(app))
	}
	s.run(s.consular(func(c *reconcile.Config) { c.PollInterval = time.Hour }))
	eventually(t, "the middle", func() string {
		if n := len(s.actual().services); n < 5 {
			return fmt.Sprintf("%d services", n)
		}
		return ""
	})
	server := s.dev.Server()
	must(t, server.Kill())
	if n := len(s.actual().services); n >= 300 {
		t.Fatalf("all %d services were there: this proves nothing", n)
	}
	eventually(t, "says that Consul does not answer", func() string { return s.saysNothingOf("left alone for a while") })
	s.restarted(server)
	s.converges()
	for _, agent := range s.dev.Clients() {
		eventually(t, "the servers have all of "+agent.Name, func() string {
			if n := len(s.inCatalog(agent.Name)); n != 100 {
				return fmt.Sprintf("%d services in the catalog", n)
			}
			return ""
		})
	}
	if n := s.log.count(`"message":"deregistered`); n > 0 {
		t.Errorf("deregistered %d times, though nothing has ended", n)
	}
	if plan := s.plan(); !plan.InSync() {
		t.Errorf("afterwards: %v, unread %v", whys(plan), plan.Unread)
	}
}

// newWipeable has two agents, of which the first keeps its data where a test can
// reach it.
func newWipeable(t *testing.T, data string) *env {
	t.Helper()
	s := newEnv(t, ownCluster(t, devconsul.Config{
		Clients: 2, AgentHCL: map[string]string{"client-1": fmt.Sprintf("data_dir = %q", data)},
	}))
	s.timeout = 2 * time.Second
	return s
}

// wiped ends the first agent, and all that it knew is lost.
func (s *env) wiped(data string) *devconsul.Agent {
	s.t.Helper()
	agent := s.dev.Clients()[0]
	if known, err := os.ReadDir(filepath.Join(data, "services")); err != nil || len(known) == 0 {
		s.t.Fatalf("%s keeps its services elsewhere: %v", agent.Name, err)
	}
	must(s.t, agent.Kill())
	must(s.t, os.RemoveAll(data))
	return agent
}

// Who has tried in vain to write to an agent fills it as soon as it answers.
func TestWipedAgentIsFilledWhenItAnswers(t *testing.T) {
	data := t.TempDir()
	s := newWipeable(t, data)
	s.run(s.consular(func(c *reconcile.Config) { c.PollInterval = time.Hour }))
	must(t, s.marathon.Create(web("/web", 8)))
	s.converges()
	agent := s.wiped(data)
	must(t, s.marathon.Scale("/web", 12))
	eventually(t, "says that it does not answer", func() string { return s.saysNothingOf("left alone for a while") })
	must(t, agent.Restart())
	s.converges()
}

// An agent that was away unnoticed is found empty at the next resync.
func TestWipedAgentIsFilledAtTheNextLook(t *testing.T) {
	data := t.TempDir()
	s := newWipeable(t, data)
	must(t, s.marathon.Create(web("/web", 8)))
	s.sync()
	s.want()
	must(t, s.wiped(data).Restart())
	must(t, s.dev.WaitReady(t.Context()))
	if n := len(s.actual().services); n != 4 {
		t.Fatalf("%d services after the wipe, want those 4 of the other agent", n)
	}
	if _, sum := s.sync(); sum.Registered != 4 || sum.Updated+sum.Deregistered > 0 || !sum.Clean() {
		t.Errorf("sync: %s", sum.String())
	}
	s.want()
}

// An agent that restarts without its data, with nothing to be written there, is filled
// within seconds all the same: its end is noticed.
func TestWipedAgentIsFilledSoon(t *testing.T) {
	data := t.TempDir()
	s := newWipeable(t, data)
	s.run(s.consular(func(c *reconcile.Config) { c.PollInterval, c.SyncInterval = time.Hour, time.Hour }))
	must(t, s.marathon.Create(web("/web", 8)))
	s.converges()
	for range 3 {
		agent := s.wiped(data)
		began := time.Now()
		must(t, agent.Restart())
		s.converges()
		t.Logf("filled again %v after its start", time.Since(began).Round(time.Millisecond))
	}
}

// muteDoors is a port, apart from those of other tests.
const muteDoors = 18510

// mute keeps answers back until consular has given up on them: of each agent's
// first registration, and of the first deregistration and transaction of all.
// Consul has done each of these writes.
type mute struct {
	mu     sync.Mutex
	writes map[string]int
}

func (m *mute) wrote(r *http.Request) {
	what := r.URL.Path
	switch {
	case strings.HasSuffix(what, "/register"):
		what = "register on " + strings.TrimSuffix(r.Host, fmt.Sprintf(":%d", muteDoors))
	case strings.Contains(what, "/deregister/"):
		what = "deregister"
	}
	m.mu.Lock()
	m.writes[what]++
	first := m.writes[what] == 1
	m.mu.Unlock()
	if first {
		<-r.Context().Done()
	}
}

// counted returns how many writes there were of each kind, muted ones included.
func (m *mute) counted() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.writes)
}

// A write that timed out has happened here. What it did is seen before anything is
// written again, so nothing is there twice, also not on the main agent.
func TestWriteThatTimedOutMayHaveHappened(t *testing.T) {
	s := newEnv(t, theCluster(t))
	s.timeout = time.Second
	m := &mute{writes: map[string]int{}}
	openDoors(t, s.dev, muteDoors).wrote = m.wrote
	must(t, s.marathon.Create(web("/web", 6)))
	must(t, s.marathon.Create(web("/api", 3)))
	s.run(s.between(s.client(), s.through(muteDoors), func(c *reconcile.Config) {
		c.Fallback, c.PollInterval, c.Patience = true, time.Hour, 10*time.Second
	}))
	s.converges()
	s.answeredAgain(4) // three agents and the keys
	before := s.log.count("works again")
	ended := s.marathon.Tasks("/web")[0]
	must(t, s.marathon.Kill(ended.ID, true))
	s.answeredAgain(before + 1)
	s.converges()

	writes := m.counted()
	delete(writes, "deregister") // once more, to be sure, is harmless
	once := map[string]int{"/v1/txn": 2}
	for _, agent := range s.dev.Clients() {
		once["register on "+agent.Host] = 3
	}
	if !maps.Equal(writes, once) {
		t.Errorf("wrote %v, want each thing once: %v", writes, once)
	}
	if plan := s.plan(); !plan.InSync() {
		t.Errorf("afterwards: %v", whys(plan))
	}
}

// answeredAgain waits until so many silences of agents and keys have ended.
func (s *env) answeredAgain(times int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d silences have ended", times), func() string {
		if n := s.log.count("works again"); n < times {
			return fmt.Sprintf("%d have", n)
		}
		return ""
	})
}

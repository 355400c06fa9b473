package reconcile_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"consular/consul"
	"consular/consul/devconsul"
	"consular/marathon"
	"consular/marathon/transport"
	"consular/reconcile"
)

// What an operator sees of trouble: Marathon's wrong answers, what is down at
// start, agents that die, and how little is written when nothing is wrong.

// doors are proxies before all agents: they tell what is written to Consul.
type doors struct {
	// wrote is told of each write that Consul has done, before the client is. A
	// transaction that came too late for its check-and-set is none.
	wrote func(*http.Request)

	mu     sync.Mutex
	writes []string
}

// openDoors takes one port on every agent's address, the server's included.
func openDoors(t testing.TB, dev *devconsul.Cluster, port int) *doors {
	t.Helper()
	d := &doors{}
	d.wrote = func(r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.writes = append(d.writes, r.Method+" "+r.URL.Path)
	}
	for _, agent := range append(dev.Clients(), dev.Server()) {
		listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", agent.Host, port))
		must(t, err)
		proxy := httputil.NewSingleHostReverseProxy(agent.URL())
		connections := &http.Transport{MaxIdleConnsPerHost: 16}
		proxy.Transport = connections
		proxy.ErrorLog = log.New(io.Discard, "", 0) // of clients that went away
		proxy.ModifyResponse = d.answered
		server := &http.Server{Handler: proxy}
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(listener) })
		t.Cleanup(func() {
			must(t, server.Close())
			serving.Wait()
			connections.CloseIdleConnections()
		})
	}
	return d
}

func (d *doors) answered(r *http.Response) error {
	if r.Request.Method != http.MethodGet && r.StatusCode == http.StatusOK {
		d.wrote(r.Request)
	}
	return nil
}

// take returns what was written since it was last asked.
func (d *doors) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	writes := d.writes
	d.writes = nil
	return writes
}

// through is the scene's Consul behind the doors of a port, open or not.
func (s *env) through(port int) reconcile.Consul {
	s.t.Helper()
	c, err := consul.NewCluster(consul.Config{
		Address:   &url.URL{Scheme: "http", Host: fmt.Sprintf("%s:%d", s.dev.Server().Host, port)},
		Transport: s.transport(), Prefix: s.prefix, Format: s.format,
	})
	must(s.t, err)
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

// Ports of the doors, apart from each other and from what Consul uses.
const (
	countingDoors = 18500 + iota
	lateDoors
	timingDoors
)

func TestRestartWritesOnlyWhatDiffers(t *testing.T) {
	s := newEnv(t, theCluster(t))
	must(t, s.marathon.Create(web("/shop/web", 6)))
	must(t, s.marathon.Create(web("/shop/api", 2)))
	doors := openDoors(t, s.dev, countingDoors)
	first := s.run(s.between(s.client(), s.through(countingDoors)))
	s.converges()
	first.end()
	s.want() // services stay

	lost := s.marathon.Tasks("/shop/web")[0].ID
	must(t, s.marathon.Kill(lost, true))
	doors.take()
	second := s.run(s.between(s.client(), s.through(countingDoors)))
	s.converges()
	second.end()
	if got, want := doors.take(), []string{"PUT /v1/agent/service/deregister/" + lost}; !slices.Equal(got, want) {
		t.Errorf("wrote %q, want %q", got, want)
	}

	_, sum, err := s.between(s.client(), s.through(countingDoors)).Sync(t.Context())
	must(t, err)
	if got := doors.take(); got != nil || !sum.Clean() {
		t.Errorf("a sync of what is in sync wrote %q: %s", got, sum.String())
	}
}

func TestConsulIsDownAtStart(t *testing.T) {
	s := newEnv(t, theCluster(t))
	must(t, s.marathon.Create(web("/web", 4)))
	s.run(s.between(s.client(), s.through(lateDoors)))
	eventually(t, "says that Consul is down", func() string { return s.saysNothingOf("connection refused") })
	openDoors(t, s.dev, lateDoors)
	s.converges()
}

func TestMarathonIsDownAtStart(t *testing.T) {
	s := newEnv(t, theCluster(t))
	must(t, s.marathon.Create(web("/web", 4)))
	down := func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "starting", http.StatusServiceUnavailable)
		return true
	}
	s.marathon.Intercept(down)
	s.run(s.consular())
	eventually(t, "says that Marathon is down", func() string { return s.saysNothingOf("resync failed") })
	s.marathon.Intercept(nil)
	s.converges()
	if n := s.log.count("resync failed"); n != 1 {
		t.Errorf("said %d times that a resync failed", n)
	}
}

// saysNothingOf is "" when the log has a line with these words.
func (s *env) saysNothingOf(words string) string {
	if s.log.count(words) > 0 {
		return ""
	}
	return "not a word of " + words
}

// Whatever nonsense Marathon answers, nothing is removed because of it.
func TestWrongAnswersRemoveNothing(t *testing.T) {
	s := newEnv(t, theCluster(t))
	for _, id := range []string{"/a", "/b", "/c", "/d"} {
		must(t, s.marathon.Create(web(id, 4)))
	}
	s.sync()
	before := s.actual()
	for name, answer := range map[string]struct {
		status int
		body   string
	}{
		"error":     {500, `{"message":"boom"}`},
		"HTML":      {200, "<html><body>Bad gateway</body></html>"},
		"cut off":   {200, `{"apps":[{"id":"/a","tasks":[`},
		"empty":     {200, ``},
		"no apps":   {200, `{}`},
		"null apps": {200, `{"apps":null}`},
		"not found": {404, `{"message":"no such thing"}`},
		"forbidden": {403, `{"message":"no"}`},
	} {
		t.Run(name, func(t *testing.T) {
			s.answerApps(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(answer.status)
				fmt.Fprint(w, answer.body)
			})
			if _, sum, err := s.consular().Sync(t.Context()); err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("no clear error: %v, %s", err, sum.String())
			}
			if diff := s.actual().diff(before); diff != "" {
				t.Error(diff)
			}
		})
	}
	s.answerApps(s.without("/a", "/b", "/c", "/d"))
	if _, sum := s.sync(); sum.Held != 16+4 || sum.Clean() {
		t.Errorf("no app at all: %s", sum.String())
	}
	if diff := s.actual().diff(before); diff != "" {
		t.Error(diff)
	}
}

// answerApps answers the snapshot, and nothing else, in Marathon's place.
func (s *env) answerApps(answer http.HandlerFunc) {
	s.marathon.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v2/apps" {
			return false
		}
		answer(w, r)
		return true
	})
}

// A snapshot that leaves apps out (a token that has lost rights gets such ones)
// removes nothing of an app that still answers for itself.
func TestShortSnapshot(t *testing.T) {
	s := newEnv(t, theCluster(t))
	for _, id := range []string{"/a", "/b", "/c", "/d"} {
		must(t, s.marathon.Create(web(id, 4)))
	}
	s.sync()
	before := s.actual()
	s.answerApps(s.without("/d"))
	if _, sum := s.sync(); sum.Deregistered != 0 {
		t.Errorf("removed an app that still answers: %s", sum.String())
	}
	s.answerApps(s.without("/b", "/c", "/d"))
	if _, sum := s.sync(); sum.Deregistered+sum.KeysDeleted != 0 {
		t.Errorf("removed apps that still answer: %s", sum.String())
	}
	if diff := s.actual().diff(before); diff != "" {
		t.Error(diff)
	}

	must(t, s.marathon.Destroy("/d"))
	s.answerApps(s.without())
	if _, sum := s.sync(); sum.Deregistered != 4 || sum.KeysDeleted != 1 || !sum.Clean() {
		t.Errorf("the app is gone: %s", sum.String())
	}
	s.want()
}

// without answers the snapshot as it is now, without some apps.
func (s *env) without(apps ...string) http.HandlerFunc {
	s.t.Helper()
	s.marathon.Intercept(nil)
	whole := httptest.NewRecorder()
	s.marathon.Handler().ServeHTTP(whole, httptest.NewRequest(http.MethodGet, "/v2/apps?embed=apps.tasks", nil))
	var snapshot struct {
		Apps []map[string]any `json:"apps"`
	}
	must(s.t, json.Unmarshal(whole.Body.Bytes(), &snapshot))
	snapshot.Apps = slices.DeleteFunc(snapshot.Apps, func(app map[string]any) bool {
		return slices.ContainsFunc(apps, func(id string) bool { return app["id"] == id })
	})
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(snapshot)
	}
}

// client reads the scene's Marathon.
func (s *env) client() *marathon.Client {
	s.t.Helper()
	rest, err := transport.New(transport.Config{Connect: s.timeout, Head: 3 * s.timeout, Silence: s.timeout})
	must(s.t, err)
	s.t.Cleanup(rest.CloseIdleConnections)
	masters, err := marathon.ParseURLs(s.master)
	must(s.t, err)
	c, err := marathon.NewClient(marathon.Config{URLs: masters, Timeout: s.timeout, MaxAnswer: 1 << 28, Transport: rest})
	must(s.t, err)
	return c
}

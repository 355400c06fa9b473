package reconcile_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// BenchmarkEventToAgent measures the time from the moment at which Marathon is
// told to replace a task, and so writes the events of it, to the agent's answer
// to the registration of the new one; and beside it, in the same run, the bare
// request to the same agent.
func BenchmarkEventToAgent(b *testing.B) {
	s := newEnv(b, theCluster(b))
	must(b, s.marathon.Create(web("/web", 1)))
	doors := openDoors(b, s.dev, timingDoors)
	answered := make(chan time.Time, 10)
	doors.wrote = func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/agent/service/register") {
			answered <- time.Now()
		}
	}
	s.run(s.between(s.client(), s.through(timingDoors)))
	<-answered
	s.converges()

	var event, bare []time.Duration
	defer reportTimes(b, &event, &bare)
	for i := 0; b.Loop(); i++ {
		task := s.marathon.Tasks("/web")[0].ID
		start := time.Now()
		must(b, s.marathon.Kill(task, false))
		event = append(event, (<-answered).Sub(start))

		start = time.Now()
		must(b, s.bare(timingDoors).Agent().ServiceRegister(&api.AgentServiceRegistration{
			ID: fmt.Sprintf("bare-%d", i), Name: "bare", Address: "10.0.0.1", Port: 80,
		}))
		bare = append(bare, (<-answered).Sub(start))
	}
}

// BenchmarkFlip measures the time from the moment at which Marathon's probe of a task comes
// to another verdict, and so writes the events of it, to the agent's answer to the new status;
// and beside it the bare request to the same agent.
func BenchmarkFlip(b *testing.B) {
	s := newEnv(b, theCluster(b))
	s.configure = mirrors
	must(b, s.marathon.Create(checkedWeb("/web", 1)))
	doors := openDoors(b, s.dev, timingDoors)
	answered := make(chan time.Time, 10)
	doors.wrote = func(r *http.Request) {
		if strings.Contains(r.URL.Path, "/agent/check/update/") {
			answered <- time.Now()
		}
	}
	s.marathon.Probe()
	s.run(s.between(s.client(), s.through(timingDoors)))
	<-answered
	task := s.marathon.Tasks("/web")[0].ID
	eventually(b, "it passes", func() string { return missing(s.passing("web"), task) })
	agent := s.bare(timingDoors).Agent()
	must(b, agent.CheckRegister(&api.AgentCheckRegistration{ID: "bare", Name: "bare", AgentServiceCheck: api.AgentServiceCheck{TTL: "1h"}}))
	b.Cleanup(func() { _ = agent.CheckDeregister("bare") })

	var event, bare []time.Duration
	defer reportTimes(b, &event, &bare)
	for healthy := false; b.Loop(); healthy = !healthy {
		turn, status := s.marathon.Break, "critical"
		if healthy {
			turn, status = s.marathon.Mend, "passing"
		}
		must(b, turn(task))
		start := time.Now()
		s.marathon.Probe(task)
		event = append(event, (<-answered).Sub(start))

		start = time.Now()
		must(b, agent.UpdateTTL("bare", "bare", status))
		bare = append(bare, (<-answered).Sub(start))
	}
}

// missing says that a task is not there.
func missing(passing map[string]bool, task string) string {
	if passing[task] {
		return ""
	}
	return task + " does not"
}

// reportTimes reports those of events, and of bare requests.
func reportTimes(b *testing.B, event, bare *[]time.Duration) {
	for name, times := range map[string][]time.Duration{"event": *event, "bare": *bare} {
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, name+"-p50-ms")
		b.ReportMetric(float64(times[len(times)*95/100].Microseconds())/1000, name+"-p95-ms")
	}
}

// bare is Consul's own client, through the doors of a port.
func (s *env) bare(port int) *api.Client {
	s.t.Helper()
	client, err := api.NewClient(&api.Config{
		Address: fmt.Sprintf("%s:%d", s.dev.Clients()[0].Host, port), HttpClient: plainHTTP,
	})
	must(s.t, err)
	return client
}

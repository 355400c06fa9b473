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
	for name, times := range map[string][]time.Duration{"event": event, "bare": bare} {
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

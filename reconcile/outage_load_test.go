package reconcile_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"consular/marathon/simulator"
	"consular/reconcile"
)

// What much of the same does to consular: nothing that grows.

// usage is what a process can run out of.
type usage struct {
	goroutines, descriptors int
	heap                    uint64
}

func used(t *testing.T) usage {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return usage{runtime.NumGoroutine(), len(open), memory.HeapAlloc}
}

// moreThan checks that there is not more in use than before, but for some noise.
func (u usage) moreThan(before usage) string {
	if u.goroutines > before.goroutines+10 || u.descriptors > before.descriptors+10 || u.heap > before.heap+16<<20 {
		return fmt.Sprintf("in use %+v, before %+v", u, before)
	}
	return ""
}

// 20,000 events while no Consul agent answers: the stream is read as fast as it
// comes, what waits is one job for each service, and Consul is right when the
// agents are back.
func TestBurstWhileConsulIsAway(t *testing.T) {
	b := newStreamEnv(t, 1, simulator.Config{Hosts: chaosHosts, TaskKilling: true, Queue: 1 << 20})
	b.level = zerolog.InfoLevel
	memory := b.onMemory(chaosHosts...)
	must(t, b.marathon.Create(web("/big", 1000)))
	b.start(memory.consul())
	b.converges(patience)
	for _, host := range chaosHosts {
		memory.breakAgent(host, silent)
	}
	before, began := used(t), time.Now()
	const restarts = 5 // of 1,000 tasks: KILLING, KILLED, STARTING and RUNNING of each
	for range restarts {
		must(t, b.marathon.Restart("/big"))
	}
	published := time.Since(began)
	b.marathon.Inject([]byte("event: status_update_event\r\ndata: {\r\n\r\n"))
	b.logs(`"undecodable"`, 1) // all that came before it has been read
	t.Logf("published in %v, read after %v", published, time.Since(began))
	if n := b.log.count(`"disconnected"`); n > 0 {
		t.Errorf("%d disconnects", n)
	}
	eventually(t, "memory is bounded", func() string { return used(t).moreThan(before) })
	memory.heal()
	b.converges(patience)
}

// Masters that accept a stream and end it at once, 500 times.
func TestFiveHundredDisconnects(t *testing.T) {
	b := newStreamEnv(t, 1, simulator.Config{Hosts: chaosHosts})
	memory := b.onMemory(chaosHosts...)
	// The masters of one round are tried without a wait.
	drops := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/events" {
			b.marathon.Handler().ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
	}))
	t.Cleanup(drops.Close)
	b.urls = strings.Repeat(drops.URL+",", 250) + b.urls
	b.configure = func(c *reconcile.Config) { c.PollInterval = time.Second }
	must(t, b.marathon.Create(web("/a", 3)))
	b.marathon.RefuseStreams(true)
	b.start(memory.consul())
	b.converges(patience)
	b.logs(`"attempt":250`, 1)
	before := used(t)
	b.logs(`"attempt":750`, 1)
	after := used(t)
	t.Logf("before %+v, after 500 more %+v", before, after)
	eventually(t, "nothing grows", func() string { return used(t).moreThan(before) })
	b.marathon.RefuseStreams(false)
	must(t, b.marathon.Scale("/a", 5))
	b.converges(patience)
}

// A KV store that cannot be listed at the only resync there is leaves no job
// behind, and is right all the same when it answers again.
func TestKeysThatCouldNotBeListed(t *testing.T) {
	b := newStreamEnv(t, 1, simulator.Config{Hosts: chaosHosts})
	memory := b.onMemory(chaosHosts...)
	memory.breakKeys(failing)
	must(t, b.marathon.Create(web("/a", 3)))
	b.start(memory.consul())
	b.resyncs("connect", 1)
	memory.heal()
	b.converges(2 * soon)
}

package reconcile_test

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"text/tabwriter"
	"time"

	"consular/consul/devconsul"
	"consular/marathon/simulator"
)

// What TestScale does; it takes minutes, and a machine that does nothing else:
//
//	go test ./reconcile -run TestScale -scale -timeout 2h -v
var (
	atScale    = flag.Bool("scale", false, "measure consular between a simulated Marathon and five agents of a real Consul")
	scaleRuns  = flag.Int("scale.runs", 5, "how often; the table has the medians")
	scaleApps  = flag.Int("scale.apps", 1000, "apps of ten tasks and five labels each")
	scaleWidth = flag.Int("scale.width", 1, "registrations that the bare client has in flight to each agent")
)

const (
	scaleAgents = 5
	tasksPerApp = 10
	labelsOfApp = 5
	// severalPorts is how many services a task has in the scene of that name.
	severalPorts = 3
	burstTasks   = 1000
	eventCount   = 200
	idleFor      = 20 * time.Second
	idleRate     = 50 // events a second
	scalePoll    = time.Second
	// steadyResyncs is how many resyncs find nothing to do, in each such scene.
	steadyResyncs = 11
)

// figures are what one scene of one run came to.
type figures struct {
	// seconds are consular's, bare those of a client that does nothing but the
	// same writes, or, where nothing is written, the same reads.
	seconds, bare time.Duration
	// writes are what Consul was asked to change; requests and bytes are both ways.
	writes, marathonRequests, consulRequests int
	marathonBytes, consulBytes               int64
	// cpu is consular's own, user and system; peak its largest resident set.
	cpu  time.Duration
	peak int64
}

// scenes are what is measured, in the order of the table.
var scenes = []string{
	"cold start", coldStartOfSeveral, coldStartOfChecked, "steady resync", steadyOfChecked, steadyOfUnasked, "burst", "burst, an agent dead", "idle, other types", "idle, pods", "event, median", "event, p99",
}

const (
	// coldStartOfSeveral is a cold start of tasks that have three services each, and so of a
	// third as many.
	coldStartOfSeveral = "cold start, 3 services"
	// coldStartOfChecked is one of tasks that have one health check each, mirrored;
	// steadyOfChecked is a resync that finds nothing to do about them, and steadyOfUnasked one
	// after --health none has taken them away.
	coldStartOfChecked = "cold start, checks"
	steadyOfChecked    = "steady resync, checks"
	steadyOfUnasked    = "the same, --health none"
)

// TestScale measures what consular costs beyond what Consul itself costs. Each
// run has the bare client's turn and consular's one after the other, in turns who
// begins, for the machine is never equally fast for long.
func TestScale(t *testing.T) {
	if !*atScale {
		return
	}
	binaries := build(t)
	seen := map[string][]figures{}
	for run := range *scaleRuns {
		t.Logf("run %d of %d, load %s", run+1, *scaleRuns, load())
		for scene, f := range measure(t, binaries, run%2 == 0) {
			t.Logf("%-22s %s", scene, f)
			seen[scene] = append(seen[scene], f)
		}
	}
	printTable(os.Stdout, seen)
}

// coldStarts has the Marathon of each cold start.
var coldStarts = map[string]func(*testing.T, *devconsul.Cluster) *simulated{
	"cold start": func(t *testing.T, c *devconsul.Cluster) *simulated { return newMarathon(t, c, *scaleApps, plainApp) },
	coldStartOfSeveral: func(t *testing.T, c *devconsul.Cluster) *simulated {
		return newMarathon(t, c, *scaleApps/severalPorts, severalServices)
	},
	coldStartOfChecked: func(t *testing.T, c *devconsul.Cluster) *simulated { return newMarathon(t, c, *scaleApps, aCheck) },
}

func plainApp(*simulator.App) {}

// severalServices makes a service of each of several ports.
func severalServices(app *simulator.App) {
	app.Labels["consul.ports"] = "all"
	for n := range severalPorts {
		app.Ports = append(app.Ports, simulator.Port{Name: fmt.Sprint("p", n)})
	}
}

// aCheck has Marathon call all tasks healthy.
func aCheck(app *simulator.App) {
	app.HealthChecks = []simulator.HealthCheck{{Path: "/health", GracePeriod: time.Minute, Interval: 10 * time.Second, Timeout: time.Second}}
}

// measure is one run: a cluster for each cold start, which is on an empty one.
func measure(t *testing.T, binaries binaries, bareFirst bool) map[string]figures {
	bares := map[string]time.Duration{}
	bare := func() {
		for scene, marathon := range coldStarts {
			bares[scene] = onCluster(t, binaries, func(c *devconsul.Cluster) time.Duration {
				return newBare(c).coldStart(t, marathon(t, c))
			})
		}
	}
	if bareFirst {
		bare()
	}
	seen := map[string]figures{}
	on := func(scene string, do func(*devconsul.Cluster, *stage)) {
		onCluster(t, binaries, func(c *devconsul.Cluster) time.Duration {
			s := &stage{marathon: coldStarts[scene](t, c), cluster: c, bare: newBare(c), binary: binaries.consular}
			seen[scene] = s.coldStart(t)
			do(c, s)
			s.stop(t)
			return 0
		})
	}
	on("cold start", func(c *devconsul.Cluster, s *stage) {
		seen["steady resync"] = s.steadyResync(t)
		seen["event, median"], seen["event, p99"] = s.events(t)
		seen["idle, other types"] = s.idle(t, otherEvent)
		seen["idle, pods"] = s.idle(t, s.podEvent)
		seen["burst"] = s.burst(t, "/burst/one")
		if err := c.Clients()[scaleAgents-1].Kill(); err != nil {
			t.Fatal(err)
		}
		seen["burst, an agent dead"] = s.burst(t, "/burst/two")
	})
	on(coldStartOfSeveral, func(*devconsul.Cluster, *stage) {})
	on(coldStartOfChecked, func(_ *devconsul.Cluster, s *stage) {
		seen[steadyOfChecked] = s.steadyResync(t)
		s.stop(t)
		s.options = []string{"--health", "none"}
		s.coldStart(t)
		seen[steadyOfUnasked] = s.steadyResync(t)
	})
	if !bareFirst {
		bare()
	}
	for scene, bare := range bares {
		cold := seen[scene]
		cold.bare = bare
		seen[scene] = cold
	}
	return seen
}

func (f figures) String() string {
	return fmt.Sprintf("%.4f s, bare %.4f s, %d writes, Marathon %d requests %s, Consul %d requests %s, CPU %.2f s, peak %s",
		f.seconds.Seconds(), f.bare.Seconds(), f.writes, f.marathonRequests, megabytes(f.marathonBytes),
		f.consulRequests, megabytes(f.consulBytes), f.cpu.Seconds(), megabytes(f.peak))
}

// printTable prints the medians of all runs, as README has them.
func printTable(out io.Writer, seen map[string][]figures) {
	table := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(table, "| scene\t| seconds\t| bare client\t| bare/ours\t| writes\t| Marathon\t| Consul\t| CPU s\t| peak memory\t|")
	fmt.Fprintln(table, "| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t|")
	for _, scene := range scenes {
		f := medians(seen[scene])
		fmt.Fprintf(table, "| %s\t| %.4g\t| %.4g\t| %.2f\t| %d\t| %d, %s\t| %d, %s\t| %.2f\t| %s\t|\n",
			scene, f.seconds.Seconds(), f.bare.Seconds(), ratio(seen[scene]), f.writes,
			f.marathonRequests, megabytes(f.marathonBytes), f.consulRequests, megabytes(f.consulBytes),
			f.cpu.Seconds(), megabytes(f.peak))
	}
	if err := table.Flush(); err != nil {
		panic(err)
	}
	fmt.Fprintf(out, "medians of %d runs, load now %s\n", *scaleRuns, load())
}

// medians takes each column's median, and so need not be of one run.
func medians(runs []figures) figures {
	return figures{
		seconds:          median(runs, func(f figures) time.Duration { return f.seconds }),
		bare:             median(runs, func(f figures) time.Duration { return f.bare }),
		writes:           median(runs, func(f figures) int { return f.writes }),
		marathonRequests: median(runs, func(f figures) int { return f.marathonRequests }),
		consulRequests:   median(runs, func(f figures) int { return f.consulRequests }),
		marathonBytes:    median(runs, func(f figures) int64 { return f.marathonBytes }),
		consulBytes:      median(runs, func(f figures) int64 { return f.consulBytes }),
		cpu:              median(runs, func(f figures) time.Duration { return f.cpu }),
		peak:             median(runs, func(f figures) int64 { return f.peak }),
	}
}

// ratio is the bare client's time to consular's, run by run: 1 is as fast.
func ratio(runs []figures) float64 {
	return median(runs, func(f figures) float64 { return f.bare.Seconds() / f.seconds.Seconds() })
}

func median[T cmp.Ordered](runs []figures, column func(figures) T) T {
	var values []T
	for _, f := range runs {
		values = append(values, column(f))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// percentile returns the value below which p percent of the sorted are.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// load is what the kernel says of the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return string(text[:4])
}

package reconcile_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"text/tabwriter"
	"time"

	"consular/consul/devconsul"
	"consular/marathon/simulator"
)

// What TestTraffic does; it takes a minute and a half, and needs haproxy and nginx:
//
//	go test ./reconcile -run TestTraffic -traffic -v
var (
	inTraffic     = flag.Bool("traffic", false, "run real HAProxy and nginx on what a simulated Marathon, consular and a real Consul say")
	trafficRuns   = flag.Int("traffic.runs", 1, "how often; the table is of all runs")
	trafficUpdate = flag.Bool("traffic.update", false, "write what the templates make to testdata/traffic")
)

// trafficBinaries are the programs that are not found by their names.
type trafficBinaries struct{ consular, consul, template string }

// trafficAct is something that happens to the site while the client goes on.
type trafficAct struct {
	name string
	do   func(*trafficSite)
}

// trafficActs are what happens, in this order.
var trafficActs = []trafficAct{
	{"nothing, but resyncs", (*trafficSite).nothing},
	{"scaling 3 → 12 → 3", (*trafficSite).scale},
	{"rolling upgrades, of 20 tasks and of one", (*trafficSite).upgrade},
	{"a task crashes", (*trafficSite).crash},
	{"a virtual host moves to another app", (*trafficSite).move},
	{"an agent dies, and comes back", (*trafficSite).loseAgent},
	{"consular is killed in a rolling upgrade, and started", (*trafficSite).loseConsular},
	{"Marathon fails over", (*trafficSite).failOver},
}

// trafficFigures are what one act came to.
type trafficFigures struct {
	requests, failed, reloads int
	// served are the times from TASK_RUNNING to the first answer, for each new task,
	// drained those from TASK_KILLING until HAProxy had a configuration without it.
	served, drained []time.Duration
}

// TestTraffic is what all of this is for: from labels in Marathon to a proxy's traffic,
// with the real parts, and not one request fails, whatever happens behind the proxy, but
// for those in flight at a task that crashes.
func TestTraffic(t *testing.T) {
	if !*inTraffic {
		return
	}
	binaries := findTraffic(t)
	t.Run("templates", func(t *testing.T) { checkTemplates(t, binaries) })
	seen := map[string]trafficFigures{}
	for run := range *trafficRuns {
		t.Run(fmt.Sprintf("run %d", run+1), func(t *testing.T) { traffic(t, binaries, seen) })
	}
	printTraffic(os.Stdout, seen)
}

// findTraffic builds what is built, and names what is to be installed.
func findTraffic(t *testing.T) trafficBinaries {
	t.Helper()
	for _, program := range []string{"haproxy", "nginx"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v: apt-get install --no-install-recommends haproxy nginx-light", err)
		}
	}
	b := trafficBinaries{consular: filepath.Join(t.TempDir(), "consular")}
	var err error
	if b.consul, err = devconsul.Find(t.Context(), "", os.Stderr); err != nil {
		t.Fatal(err)
	}
	if b.template, err = devconsul.FindTemplate(t.Context(), "", os.Stderr); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", b.consular, "..").CombinedOutput(); err != nil {
		t.Fatalf("build consular: %v: %s", err, output)
	}
	return b
}

// The apps: shop.test is that of web, with the paths of api, until another app takes its
// place; old.test is old's, until new takes it over.
func trafficApps() []simulator.App {
	app := func(id string, instances int, labels map[string]string) simulator.App {
		labels["HAPROXY_GROUP"] = "external"
		return simulator.App{ID: id, Instances: instances, Labels: labels, Ports: []simulator.Port{{Name: "http"}}}
	}
	return []simulator.App{
		app("/shop/web", 3, map[string]string{"HAPROXY_0_VHOST": "shop.test,www.shop.test", "HAPROXY_0_STICKY": "true"}),
		app("/shop/api", 20, map[string]string{"HAPROXY_0_VHOST": "shop.test", "HAPROXY_0_PATH": "/api", "HAPROXY_0_BALANCE": "leastconn"}),
		app("/shop/old", 3, map[string]string{"HAPROXY_0_VHOST": "old.test"}),
		app("/shop/new", 3, map[string]string{"HAPROXY_0_VHOST": "new.test"}),
		app("/single", 1, map[string]string{"HAPROXY_0_VHOST": "single.test"}),
		app("/own", 2, map[string]string{"HAPROXY_0_PORT": trafficOwn}),
	}
}

// traffic is one run: all acts on one site, one after the other.
func traffic(t *testing.T, binaries trafficBinaries, seen map[string]trafficFigures) {
	s := newTrafficSite(t, binaries, trafficApps()...)
	for _, app := range trafficApps() {
		s.settled(app.ID, app.Instances)
	}
	s.awaitProxy()
	s.client = newTrafficClient(t.Context(), s.address+":"+trafficHTTP, s.address+":"+trafficOwn)
	defer s.client.end()
	s.allServe()
	for _, act := range trafficActs {
		f := s.perform(act)
		seen[act.name] = seen[act.name].plus(f)
		t.Logf("%s: %d requests, %d failed, %d reloads, first answers %s, drained %s",
			act.name, f.requests, f.failed, f.reloads, trafficTimes(f.served), trafficTimes(f.drained))
	}
	s.client.end()
	if _, failures := s.client.soFar(); len(failures) != s.tolerated {
		t.Errorf("%d requests failed, %d of them in flight at a crash (%s after TASK_KILLING a task ends: a machine on which draining takes about as long is too busy): %v",
			len(failures), s.tolerated, trafficPace.Kill, failures)
	}
	s.checkReloads()
	s.checkNginx()
	s.inSync()
}

// perform does something, and looks at what became of everybody's requests meanwhile.
func (s *trafficSite) perform(act trafficAct) trafficFigures {
	s.Helper()
	requests, failures := s.client.soFar()
	reloads, begun := len(s.configurations()), time.Now()
	act.do(s)
	s.allServe()
	nowRequests, nowFailures := s.client.soFar()
	f := trafficFigures{
		requests: nowRequests - requests, failed: len(nowFailures) - len(failures),
		reloads: len(s.configurations()) - reloads,
	}
	for id, running := range s.tasks.since("TASK_RUNNING", begun) {
		if first := s.client.firstServed(id); !first.IsZero() { // nobody asks for some apps
			f.served = append(f.served, first.Sub(running))
		}
	}
	for id, killing := range s.tasks.since("TASK_KILLING", begun) {
		f.drained = append(f.drained, s.drained(id, killing))
	}
	return f
}

// drained returns how long after TASK_KILLING HAProxy knew a task no more.
func (s *trafficSite) drained(id string, killing time.Time) time.Duration {
	for _, c := range s.configurations() {
		if c.at.After(killing) && !bytes.Contains(c.text, []byte(" "+id+" ")) {
			return c.at.Sub(killing)
		}
	}
	return time.Since(killing)
}

func (f trafficFigures) plus(g trafficFigures) trafficFigures {
	return trafficFigures{
		requests: f.requests + g.requests, failed: f.failed + g.failed, reloads: f.reloads + g.reloads,
		served: slices.Concat(f.served, g.served), drained: slices.Concat(f.drained, g.drained),
	}
}

// trafficTimes are the median and what 95 of 100 are below.
func trafficTimes(times []time.Duration) string {
	if len(times) == 0 {
		return ""
	}
	slices.Sort(times)
	at := func(percent int) float64 { return times[min(len(times)*percent/100, len(times)-1)].Seconds() }
	return fmt.Sprintf("%.2f s, %.2f s", at(50), at(95))
}

// printTraffic prints the table that README has.
func printTraffic(out io.Writer, seen map[string]trafficFigures) {
	table := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(table, "| what happens\t| requests\t| failed\t| reloads\t| new tasks\t| first answer: p50, p95\t| drained: p50, p95\t|")
	fmt.Fprintln(table, "| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t|")
	row := func(name string, f trafficFigures) {
		fmt.Fprintf(table, "| %s\t| %d\t| %d\t| %d\t| %d\t| %s\t| %s\t|\n",
			name, f.requests, f.failed, f.reloads, len(f.served), trafficTimes(f.served), trafficTimes(f.drained))
	}
	var all trafficFigures
	for _, act := range trafficActs {
		row(act.name, seen[act.name])
		all = all.plus(seen[act.name])
	}
	row("all", all)
	if err := table.Flush(); err != nil {
		panic(err)
	}
}

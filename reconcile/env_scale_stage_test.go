package reconcile_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"consular/consul/devconsul"
	"consular/marathon/simulator"
)

// binaries are the programs under test.
type binaries struct{ consular, consul string }

func build(t *testing.T) binaries {
	t.Helper()
	consul, err := devconsul.Find(t.Context(), "", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	consular := filepath.Join(t.TempDir(), "consular")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", consular, "..").CombinedOutput(); err != nil {
		t.Fatalf("build consular: %v: %s", err, out)
	}
	return binaries{consular: consular, consul: consul}
}

// telemetry lets agents count the requests that they serve.
const telemetry = `telemetry { prometheus_retention_time = "1h" disable_hostname = true }`

// onCluster starts a cluster for one measurement only.
func onCluster(t *testing.T, b binaries, do func(*devconsul.Cluster) time.Duration) time.Duration {
	t.Helper()
	c, err := devconsul.Start(t.Context(), devconsul.Config{Binary: b.consul, Clients: scaleAgents, HCL: telemetry})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}()
	return do(c)
}

// simulated is a Marathon whose traffic is counted.
type simulated struct {
	*simulator.Marathon
	listener *countingListener
	hosts    []string
}

// newMarathon starts the Marathon that a cluster's hosts belong to, with all apps
// running and shaped in one way. It ends with the test.
func newMarathon(t *testing.T, c *devconsul.Cluster, apps int, shape func(*simulator.App)) *simulated {
	t.Helper()
	s := &simulated{}
	for _, agent := range c.Clients() {
		s.hosts = append(s.hosts, agent.Host)
	}
	s.Marathon = simulator.New(simulator.Config{Hosts: s.hosts, TaskKilling: true, Queue: 1 << 20})
	for i := range apps {
		app := simulator.App{ID: fmt.Sprintf("/scale/app-%d", i), Instances: tasksPerApp, Labels: map[string]string{}}
		for l := range labelsOfApp {
			app.Labels[fmt.Sprintf("label-%d", l)] = fmt.Sprintf("value %d of app %d", l, i)
		}
		shape(&app)
		if err := s.Create(app); err != nil {
			t.Fatal(err)
		}
	}
	s.Probe()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.listener = &countingListener{Listener: listener}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, s.listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *simulated) url() string { return "http://" + s.listener.Addr().String() }

// requests counts what Marathon was asked for: those paths that begin so.
func (s *simulated) requests(path string) int {
	n := 0
	for asked, times := range s.Requests() {
		if strings.HasPrefix(asked, path) {
			n += times
		}
	}
	return n
}

// countingListener counts the bytes of all its connections, both ways.
type countingListener struct {
	net.Listener
	bytes atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return countingConn{conn, &l.bytes}, err
}

type countingConn struct {
	net.Conn
	bytes *atomic.Int64
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

func (c countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}

// stage is one cluster, its Marathon, and consular running between them.
type stage struct {
	marathon *simulated
	cluster  *devconsul.Cluster
	bare     *bare
	binary   string
	options  []string
	consular *child
}

// during measures what consular uses beyond before while do waits for it.
func (s *stage) during(t *testing.T, before consumed, do func() time.Duration) figures {
	t.Helper()
	writes, requests := s.bare.served(t)
	marathon, bytes := s.marathon.requests("/"), s.marathon.listener.bytes.Load()
	f := figures{seconds: do()}
	after := s.consular.usage(t)
	f.cpu, f.peak = after.cpu-before.cpu, after.peak
	f.marathonRequests, f.marathonBytes = s.marathon.requests("/")-marathon, s.marathon.listener.bytes.Load()-bytes
	f.consulBytes = after.io - before.io - f.marathonBytes
	writesNow, requestsNow := s.bare.served(t)
	f.writes, f.consulRequests = writesNow-writes, requestsNow-requests
	return f
}

// coldStart starts consular on an empty Consul, and leaves it running.
func (s *stage) coldStart(t *testing.T) figures {
	t.Helper()
	return s.during(t, consumed{}, func() time.Duration {
		s.consular = start(t, s)
		s.consular.await(t, `"message":"resync"`, 1)
		return time.Since(s.consular.started)
	})
}

// steadyResync is a resync that finds nothing to do, the median of several: the one before
// them may be the first that sees what a cold start has written.
func (s *stage) steadyResync(t *testing.T) figures {
	t.Helper()
	s.resync(t)
	var steady []figures
	for range steadyResyncs {
		steady = append(steady, s.resync(t))
	}
	return medians(steady)
}

// resync has consular find nothing to do: an event that cannot be read asks for a resync at
// once, when the last one that an event asked for is the poll interval ago. Its bare client
// reads the same, and compares nothing.
func (s *stage) resync(t *testing.T) figures {
	t.Helper()
	time.Sleep(scalePoll)
	bare := s.bare.readAll(t, s.marathon)
	f := s.during(t, s.consular.usage(t), func() time.Duration {
		resyncs := s.consular.count(`"message":"resync"`)
		begin := time.Now()
		s.marathon.Inject([]byte("event: status_update_event\r\ndata: {\r\n\r\n"))
		s.consular.await(t, `"message":"resync"`, resyncs+1)
		return time.Since(begin)
	})
	f.bare = bare
	if f.writes > 0 {
		t.Errorf("a resync of an unchanged cluster made %d writes", f.writes)
	}
	return f
}

// idle is a time in which Marathon's events are about nothing of ours.
func (s *stage) idle(t *testing.T, event func(n int) []byte) figures {
	t.Helper()
	return s.during(t, s.consular.usage(t), func() time.Duration {
		ticker := time.NewTicker(time.Second / idleRate)
		defer ticker.Stop()
		begin := time.Now()
		for i := range int(idleFor.Seconds() * idleRate) {
			<-ticker.C
			s.marathon.Inject(event(i))
		}
		return time.Since(begin)
	})
}

// otherEvent is of a type that consular does not ask for, and that a Marathon
// before 1.3.7 sends all the same.
func otherEvent(n int) []byte {
	return fmt.Appendf(nil, "event: instance_changed_event\r\ndata: "+
		`{"instanceId":"other.marathon-%d","condition":"Running","runSpecId":"/other",`+
		`"agentId":"s","host":"agent","runSpecVersion":"v",`+
		`"eventType":"instance_changed_event","timestamp":%q}`+"\r\n\r\n", n, eventTime())
}

// podEvent is of a pod, in a type that consular asks for: it has to be decoded and
// looked up.
func (s *stage) podEvent(n int) []byte {
	return taskEvent("/pod", fmt.Sprintf("pod.instance-%d.web", n), s.marathon.hosts[0], "TASK_RUNNING", "v")
}

// burst deploys an app of many tasks at once. Those on dead hosts wait.
func (s *stage) burst(t *testing.T, app string) figures {
	t.Helper()
	alive := s.bare.alive()
	bare := s.bare.burst(t, burstTasks*len(alive)/scaleAgents)
	f := s.during(t, s.consular.usage(t), func() time.Duration {
		seen := s.consular.count(`"message":"registered"`)
		begin := time.Now()
		if err := s.marathon.Create(simulator.App{ID: app, Instances: burstTasks}); err != nil {
			t.Fatal(err)
		}
		reachable := 0
		for _, task := range s.marathon.Tasks(app) {
			if slices.Contains(alive, task.Host) {
				reachable++
			}
		}
		s.consular.await(t, `"message":"registered"`, seen+reachable)
		return time.Since(begin)
	})
	f.bare = bare
	if reads := s.marathon.Requests()["/v2/apps"+app]; reads > 3 {
		t.Errorf("a burst of %d tasks: the app was read %d times, want 3 at most", burstTasks, reads)
	}
	return f
}

// events measures the way of one event to its agent, between bare writes to the
// same agent: from Marathon's write to the line that tells that it is done.
func (s *stage) events(t *testing.T) (median, p99 figures) {
	t.Helper()
	version := s.marathon.Tasks("/scale/app-0")[0].Version
	var ours, bare []time.Duration
	for i := range eventCount {
		host := s.marathon.hosts[i%scaleAgents]
		id := fmt.Sprintf("scale_app-0.instance-event-%d.%%s", i)
		bare = append(bare, s.bare.one(t, host, fmt.Sprintf(id, "bare")))
		task := fmt.Sprintf(id, "ours")
		registered, gone := s.consular.count(`"message":"registered"`), s.consular.count(`"message":"deregistered"`)
		begin := time.Now()
		s.marathon.Inject(taskEvent("/scale/app-0", task, host, "TASK_RUNNING", version))
		s.consular.await(t, `"message":"registered"`, registered+1)
		ours = append(ours, time.Since(begin))
		s.marathon.Inject(taskEvent("/scale/app-0", task, host, "TASK_KILLED", version))
		s.consular.await(t, `"message":"deregistered"`, gone+1)
	}
	slices.Sort(ours)
	slices.Sort(bare)
	return figures{seconds: percentile(ours, 50), bare: percentile(bare, 50), writes: 1},
		figures{seconds: percentile(ours, 99), bare: percentile(bare, 99), writes: 1}
}

// stop ends consular as its operator would.
func (s *stage) stop(t *testing.T) {
	t.Helper()
	if err := s.consular.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	s.consular.wait(t)
}

// taskEvent is a status_update_event as Marathon writes it.
func taskEvent(app, task, host, state, version string) []byte {
	return fmt.Appendf(nil, "event: status_update_event\r\ndata: "+
		`{"slaveId":"s","taskId":%q,"taskStatus":%q,"message":"","appId":%q,"host":%q,`+
		`"ipAddresses":[{"ipAddress":%q,"protocol":"IPv4"}],"ports":[31000],"version":%q,`+
		`"eventType":"status_update_event","timestamp":%q}`+"\r\n\r\n",
		task, state, app, host, host, version, eventTime())
}

func eventTime() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

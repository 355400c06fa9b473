package simulator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Config says what kind of Marathon to be. The zero value is a 1.11.26 with
// three hosts that does everything at once.
type Config struct {
	// Seed decides all IDs, ports, and the order of Shuffle and of Story.
	Seed uint64
	// Version is what /v2/info tells; "1.11.26" when empty, "1.3.6" with TaskEra.
	Version string
	// TaskEra plays a Marathon 1.3, or with a Version 0.x the oldest, as era.go says.
	TaskEra bool
	// FrameworkID is what /v2/info tells; empty takes that of the recordings.
	FrameworkID string
	// Hosts are the names or addresses of the machines that tasks run on;
	// agent-1.test to agent-3.test when nil.
	Hosts []string
	// TaskKilling is Marathon's feature task_killing: TASK_KILLING announces a kill.
	TaskKilling bool
	// Probes makes health and readiness checks at their intervals, which needs Run.
	// Without it Probe does.
	Probes bool
	// Pace says how long things take; zero runs each operation to its end.
	Pace Pace
	// Manual leaves everything to Step and Settle.
	Manual bool
	// Executor, if any, is told each state of each task from TASK_STARTING on, before
	// REST or an event shows it: Servers' Run, for one. It must not call the Marathon.
	Executor func(Task)
	// Shuffle lets publishers overtake each other as on a real Marathon.
	Shuffle bool
	// Heartbeat is the time between two heartbeats on a stream; 10 s when zero.
	Heartbeat time.Duration
	// Queue is how many events may wait for one stream; 1024 when zero. One
	// more closes the stream.
	Queue int
}

// Pace says how long the parts of an operation take. With any of them set,
// operations return at once and Run carries them out.
type Pace struct {
	// Step is before each deployment_info, Swap between it and the moment REST
	// shows the change.
	Step, Swap time.Duration
	// Offer is Scheduled to Provisioned, Start to TASK_STARTING, Run to TASK_RUNNING.
	Offer, Start, Run time.Duration
	// Killing is the goal change to TASK_KILLING, Kill from there to TASK_KILLED.
	Killing, Kill time.Duration
	// Relaunch is the back-off after a task has ended by itself.
	Relaunch time.Duration
	// Attach is between a stream's head and its subscription.
	Attach time.Duration
}

// Marathon is a simulated Marathon. All its methods are safe for concurrent use.
type Marathon struct {
	config Config
	mux    *http.ServeMux
	// wake tells Run that there is something new on the agenda.
	wake chan struct{}

	mu     sync.Mutex // guards everything below
	random *rand.Rand
	agenda agenda
	hosts  []*host
	load   map[*host]int // instances per host
	// root holds the definitions that REST shows, by ID; versions all there ever were.
	root        map[string]*runSpec
	versions    map[string]map[string]*runSpec
	rootVersion string
	// instances are those of an ID, oldest first; leaving counts the forgotten
	// ones whose last events are still to come.
	instances map[string][]*instance
	leaving   map[string]int
	// replacing holds the target of each rolling replacement under way.
	replacing   map[string]*runSpec
	deployments []*deployment
	failures    map[string]*taskFailure
	// expunged are unreachable instances that Marathon has given up, by task ID.
	expunged map[string]*instance
	// forgotten are instances that ForgetTasks took away, by app.
	forgotten map[string][]*instance
	// watched are the versions of an app whose health checks are made, probes what
	// makes each of them, behaviors how apps answer. cutOff are task IDs.
	watched   map[string][]*runSpec
	probes    map[string]*script
	behaviors map[string]Behavior
	cutOff    []string

	lastVersion     time.Time
	lastServicePort int
	lastInstance    uint32
	launches        int

	streams    streams
	rest       restState
	leadership leadership
}

// New returns a Marathon with no apps. It starts nothing.
func New(c Config) *Marathon {
	c = c.withDefaults()
	m := &Marathon{
		config:          c,
		wake:            make(chan struct{}, 1),
		random:          rand.New(rand.NewPCG(c.Seed, 1)),
		load:            map[*host]int{},
		root:            map[string]*runSpec{},
		versions:        map[string]map[string]*runSpec{},
		instances:       map[string][]*instance{},
		leaving:         map[string]int{},
		replacing:       map[string]*runSpec{},
		failures:        map[string]*taskFailure{},
		expunged:        map[string]*instance{},
		forgotten:       map[string][]*instance{},
		watched:         map[string][]*runSpec{},
		probes:          map[string]*script{},
		behaviors:       map[string]Behavior{},
		lastServicePort: 9999,
		rest:            restState{requests: map[string]int{}, delays: map[string]time.Duration{}},
	}
	m.lastInstance = m.random.Uint32()
	m.rootVersion = m.newVersion()
	for i, name := range c.Hosts {
		m.hosts = append(m.hosts, newHost(name, i+1, c.FrameworkID))
	}
	if c.Shuffle {
		m.agenda.random = rand.New(rand.NewPCG(c.Seed, 2))
	}
	m.mux = m.routes()
	return m
}

func (c Config) withDefaults() Config {
	if c.Version == "" && c.TaskEra {
		c.Version = "1.3.6"
	}
	if c.Version == "" {
		c.Version = "1.11.26"
	}
	if c.FrameworkID == "" {
		c.FrameworkID = "6f0e7f52-2a9e-4c4b-9c1c-0d5b8f1e7a01-0000"
	}
	if c.Hosts == nil {
		c.Hosts = []string{"agent-1.test", "agent-2.test", "agent-3.test"}
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 10 * time.Second
	}
	if c.Queue == 0 {
		c.Queue = 1024
	}
	return c
}

// Run carries out, in time, what operations with a Pace have put on the
// agenda. It returns when ctx ends, with nil.
func (m *Marathon) Run(ctx context.Context) error {
	for {
		again := m.runDue()
		var timer <-chan time.Time
		if !again.IsZero() {
			timer = time.After(time.Until(again))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-m.wake:
		case <-timer:
		}
	}
}

// Serve answers on the listener and runs the agenda until ctx ends; it closes
// the listener and returns nil then.
func (m *Marathon) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           m.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return m.Run(ctx) })
	group.Go(func() error {
		<-ctx.Done()
		return server.Close()
	})
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve marathon on %s: %w", listener.Addr(), err)
		}
		return nil
	})
	err := group.Wait()
	m.rest.requestsInFlight.Wait()
	return err
}

// Step does the next thing on the agenda and reports whether there was one
// that is possible now. For Manual.
func (m *Marathon) Step() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	next, _ := m.agenda.next(time.Now())
	if next != nil {
		next.run()
	}
	return next != nil
}

// Settle does everything on the agenda that is possible now.
func (m *Marathon) Settle() { m.runDue() }

// runDue runs what is due and returns when to look again, zero for never.
func (m *Marathon) runDue() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.drain()
}

func (m *Marathon) drain() time.Time {
	for {
		next, again := m.agenda.next(time.Now())
		if next == nil {
			return again
		}
		next.run()
	}
}

// proceed is called, under the lock, by every operation that has put something
// on the agenda.
func (m *Marathon) proceed() {
	if m.config.Manual {
		return
	}
	if (m.config.Pace == Pace{Attach: m.config.Pace.Attach}) {
		m.drain()
	}
	select {
	case m.wake <- struct{}{}:
	default: // Run knows already
	}
}

// newVersion returns the time now, later than any version before: Marathon's
// versions are times to the millisecond, and names.
func (m *Marathon) newVersion() string {
	now := time.Now().Truncate(time.Millisecond)
	if !now.After(m.lastVersion) {
		now = m.lastVersion.Add(time.Millisecond)
	}
	m.lastVersion = now
	return timestamp(now)
}

func (m *Marathon) servicePort() int {
	m.lastServicePort++
	return m.lastServicePort
}

// instanceID makes an ID as Marathon's time-based UUIDs look.
func (m *Marathon) instanceID(id string) string {
	m.lastInstance++
	return fmt.Sprintf("%s.instance-%08x-e690-11f1-88fa-02fc00000001", safePath(id), m.lastInstance)
}

func (m *Marathon) deploymentID() string {
	a, b := m.random.Uint64(), m.random.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, 0x8000|b>>50&0x3fff, b&0xffffffffffff)
}

// remember keeps a definition for /v2/apps/{id}/versions.
func (m *Marathon) remember(spec *runSpec) {
	if m.versions[spec.ID] == nil {
		m.versions[spec.ID] = map[string]*runSpec{}
	}
	m.versions[spec.ID][spec.version] = spec
}

// ids returns the IDs of what REST shows, sorted.
func (m *Marathon) ids() []string { return slices.Sorted(maps.Keys(m.root)) }

package reconcile_test

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"consular/marathon/simulator"
	"consular/reconcile"
)

var (
	chaosFor    = flag.Duration("chaos", 0, "how long TestChaos tells histories that nobody has heard; 0 is some seconds of always the same")
	chaosSeed   = flag.Uint64("chaos.seed", 0, "the seed of TestChaos's only history")
	chaosConsul = flag.Bool("chaos.consul", false, "TestChaos with a real Consul instead of stand-ins")
)

// chaosSteps is how many things happen in one history.
const chaosSteps = 250

// chaosBriefly is how long TestChaos takes unless it is told otherwise.
const chaosBriefly = 8 * time.Second

// calmSteps is how many things happen at its end.
const calmSteps = 60

// Whatever happens to Marathon, to the stream, to consular and to Consul: soon
// after it is over, Consul is what Marathon says. And never is a service
// deregistered whose task runs.
func TestChaos(t *testing.T) {
	seed, long := cmp.Or(*chaosSeed, 1), chaosBriefly
	if *chaosFor > 0 {
		seed, long = uint64(time.Now().UnixNano())%1_000_000, *chaosFor
	}
	for began, n := time.Now(), 0; ; n++ {
		ok := t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { endure(t, seed) })
		switch {
		case !ok:
			t.Fatalf("history %d failed; again: -run TestChaos -chaos.seed %d", n+1, seed)
		case *chaosSeed != 0 || time.Since(began) > long:
			t.Logf("%d histories, the last with seed %d", n+1, seed)
			return
		}
		seed++
	}
}

// endure lives through one history.
func endure(t *testing.T, seed uint64) {
	b, c := newChaos(t, seed)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the story of seed %d:\n%s", seed, strings.Join(c.told, "\n"))
		}
	})
	// Some stories are told in a hurry, some leave time to reconnect.
	pace := time.Duration([]int{1, 1, 1, 2, 2, 4, 20}[c.random.IntN(7)]) * time.Millisecond
	c.chapter(chaosSteps, pace)
	b.converges(patience)
	// A resync makes good almost everything. What events alone must make good
	// shows in a calm chapter, in which nothing but Marathon's apps and tasks, and
	// what cannot be read of them, may lead to one.
	c.tell("calm")
	c.acts = slices.Concat(appActs, taskActs, rubbishActs)
	c.chapter(calmSteps, pace)
	b.converges(patience)
	for _, wrong := range c.wrongs() {
		t.Error(wrong)
	}
}

// chapter lets so many things happen, and then ends all faults.
func (c *chaos) chapter(steps int, pace time.Duration) {
	for range steps {
		c.step()
		time.Sleep(time.Duration(c.random.Int64N(int64(pace))))
	}
	c.heal()
	c.marathon.Settle()
}

// The same seed tells the same story, whoever listens.
func TestChaosIsTheSameForASeed(t *testing.T) {
	story := func(listens bool) []string {
		b, c := newChaos(t, 42)
		if !listens {
			c.running.end()
			c.restart = func() {}
		}
		for range chaosSteps {
			c.step()
		}
		c.heal()
		if listens {
			b.marathon.Settle()
			b.converges(patience)
		}
		return c.told
	}
	alone, heard := story(false), story(true)
	if !slices.Equal(alone, heard) {
		t.Errorf("two stories of one seed:\n%s\n\n%s", strings.Join(alone, "\n"), strings.Join(heard, "\n"))
	}
}

// chaos makes things happen. What it does follows from its seed and from what
// the simulator is, never from what consular does.
type chaos struct {
	*streamEnv
	random *rand.Rand
	memory *memory
	// restart ends consular and starts another.
	restart func()
	running *running
	told    []string
	// acts is what can happen in this history.
	acts []act
	// leader is the master that leads, dead or not; -1 in an election.
	leader int
	dead   map[int]bool

	mu sync.Mutex // guards the rest
	// away are tasks that were unreachable at some time, or whose app was gone: a
	// roll-back may bring it back before its tasks have ended. They may be
	// deregistered.
	away map[string]bool
	// tasks are those that Marathon listed last, by app.
	tasks map[string][]string
	bad   []string
	// faulty is how the next snapshots are answered; 0 is as they should be.
	faulty int
	// omitted is which app a short one lacks.
	omitted int
}

var chaosHosts = []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"}

// newChaos sets the env: three masters, three hosts, some apps, consular. The
// seed also decides which Marathon it is, and how consular is told to work.
func newChaos(t testing.TB, seed uint64) (*streamEnv, *chaos) {
	random := rand.New(rand.NewPCG(seed, 7))
	config := simulator.Config{
		Seed: seed, Hosts: chaosHosts, Manual: true, Shuffle: true,
		TaskKilling: random.IntN(2) == 0, TaskEra: random.IntN(4) == 0, Heartbeat: 200 * time.Millisecond,
	}
	c := &chaos{random: random, away: map[string]bool{}, dead: map[int]bool{}}
	c.acts = slices.Concat(appActs, taskActs)
	for _, some := range [][]act{streamActs, rubbishActs, masterActs, answerActs, consulActs} {
		if random.IntN(2) == 0 {
			c.acts = append(c.acts, some...)
		}
	}
	if *chaosConsul {
		config.Hosts = hostsOf(theCluster(t).Clients())
	}
	b := newStreamEnv(t, 3, config)
	c.streamEnv = b
	b.idle, b.maxEvent = time.Second, 64<<10
	silentDrops := random.IntN(3) == 0
	b.configure = func(r *reconcile.Config) {
		r.PollInterval, r.Policy.Confirm = time.Second, 3*time.Second
		if silentDrops {
			r.SyncInterval = 2 * time.Second
		}
	}
	side := c.consulSide(config.Hosts)
	b.marathon.Intercept(c.answerWrongly)
	for _, id := range []string{"/anchor", "/shop/web", "/shop/api", "/batch"} {
		must(t, b.marathon.Create(web(id, 2)))
	}
	b.marathon.Settle()
	c.running = b.start(side)
	c.restart = func() {
		c.running.end()
		c.running = b.start(side)
	}
	c.told = append(c.told, fmt.Sprintf("task era %t, task killing %t, silent drops %t", config.TaskEra, config.TaskKilling, silentDrops))
	if silentDrops {
		c.told = append(c.told, "events may be dropped")
	}
	return b, c
}

// consulSide is the Consul of this history.
func (c *chaos) consulSide(hosts []string) reconcile.Consul {
	if *chaosConsul {
		return c.onConsul()
	}
	c.memory = c.onMemory(hosts...)
	c.memory.deregistered = c.judge
	return c.memory.consul()
}

// judge notes when a service is deregistered whose task runs.
func (c *chaos) judge(task string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.marathon.Tasks("") {
		// A task with a volume runs again under the ID of one that has ended.
		if t.ID == task && t.State == "TASK_RUNNING" && t.AppID != "/volume" && !c.away[task] {
			c.bad = append(c.bad, "deregistered though it runs: "+task)
		}
	}
}

// noteOrphans notes the tasks whose app is gone now: Marathon lists them no more,
// whether they run or not.
func (c *chaos) noteOrphans() {
	c.mu.Lock()
	defer c.mu.Unlock()
	apps := map[string][]string{}
	for _, app := range c.marathon.Apps() {
		apps[app.ID] = nil
	}
	for _, t := range c.marathon.Tasks("") {
		apps[t.AppID] = append(apps[t.AppID], t.ID)
	}
	for app, tasks := range c.tasks {
		if _, there := apps[app]; there {
			continue
		}
		for _, task := range tasks {
			c.away[task] = true
		}
	}
	c.tasks = apps
}

func (c *chaos) wrongs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bad
}

// step lets Marathon go on a little, or makes something happen.
func (c *chaos) step() {
	defer c.noteOrphans()
	if c.random.IntN(5) < 3 {
		n := 1 + c.random.IntN(12)
		for range n {
			c.marathon.Step()
			c.noteOrphans()
		}
		c.tell("on by %d", n)
		return
	}
	c.tell("%s", c.acts[c.random.IntN(len(c.acts))](c))
}

func (c *chaos) tell(format string, args ...any) {
	c.told = append(c.told, fmt.Sprintf(format, args...))
}

// heal ends all faults and leaves Marathon with a leader and all its hosts. A
// stream that lives goes on: a new one would bring a resync.
func (c *chaos) heal() {
	c.mu.Lock()
	c.faulty = 0
	c.mu.Unlock()
	m := c.marathon
	m.StallStreams(false)
	m.RefuseStreams(false)
	m.DropEvents(false)
	for _, app := range m.Apps() {
		m.SlowApp(app.ID, 0)
	}
	if c.leader < 0 || c.dead[c.leader] {
		c.masters[max(c.leader, 0)].Elect()
	}
	for _, h := range c.hosts() {
		_ = m.RecoverAgent(h)
	}
	if c.memory != nil {
		c.memory.heal()
	}
}

func (c *chaos) hosts() []string {
	if c.dev != nil {
		return hostsOf(c.dev.Clients())
	}
	return chaosHosts
}

package reconcile_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"consular/consul"
	"consular/marathon/simulator"
	"consular/reconcile"
)

var (
	driveHistories = flag.Int("drive", 0, "how many histories TestBothSidesAreDriven tells that nobody has heard; 0 is a few that are always the same")
	driveSeed      = flag.Uint64("drive.seed", 0, "the seed of the first history")
)

// paces are how long it is at most from one thing to the next: in a hurry, with time
// to repair some of it, and with time for Consul to notice that an agent is dead.
// They take turns, so that every run has each.
var paces = []time.Duration{time.Millisecond, 50 * time.Millisecond, 500 * time.Millisecond}

// driveSteps is how many things happen in one history.
const driveSteps = 30

// Whatever happens on both sides, with people who edit Consul by hand and agents
// that die: in the end Consul is what Marathon says, and what is foreign untouched.
// Where TestChaos has stand-ins, this has agents, servers and a KV store.
func TestBothSidesAreDriven(t *testing.T) {
	first, histories := cmp.Or(*driveSeed, 1), cmp.Or(*driveHistories, len(paces))
	if *driveHistories > 0 && *driveSeed == 0 {
		first = uint64(time.Now().UnixNano()) % 1_000_000
	}
	for n := range histories {
		seed := first + uint64(n)
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { drive(t, seed) }) {
			t.Fatalf("again: -run TestBothSidesAreDriven -drive 1 -drive.seed %d", seed)
		}
	}
}

// drive lives through one history, which follows from its seed, but for when
// consular and the agents get to what.
func drive(t *testing.T, seed uint64) {
	dev := theCluster(t)
	d := driver{
		env:    newEnv(t, dev, simulator.Config{Seed: seed, TaskKilling: seed%2 == 0, Hosts: hostsOf(dev.Clients())}),
		random: rand.New(rand.NewPCG(seed, 5)), dead: map[string]bool{}, disowned: map[string]bool{},
	}
	d.timeout = 2 * time.Second
	fallback := d.random.IntN(2) == 0
	d.configure = func(c *reconcile.Config) {
		c.SyncInterval, c.Policy.Confirm, c.Fallback = time.Second, time.Second, fallback
	}
	foreign := d.foreign()
	// No time confirms that a Marathon without a single app is true.
	must(t, d.marathon.Create(web(lasting, 1)))
	d.running = d.run(d.consular())
	pace := paces[seed%uint64(len(paces))]
	for range driveSteps {
		d.step()
		time.Sleep(time.Duration(d.random.Int64N(int64(pace))))
	}
	d.revive()
	d.settles(foreign)
	if plan := d.plan(); !plan.InSync() {
		t.Errorf("another consular would do more: %v; held: %v", whys(plan), plan.HeldWhy)
	}
	if t.Failed() {
		t.Logf("fallback %v, pace %v:\n%s", fallback, pace, strings.Join(d.told, "\n"))
	}
}

// lasting is the one app that is never destroyed.
const lasting = "/lasting"

// driver does random things to both sides of a consular that runs.
type driver struct {
	*env
	random  *rand.Rand
	running *running
	// told is what was done so far, and serial numbers what was made for it.
	told   []string
	serial int
	// dead are agents by host.
	dead map[string]bool
	// disowned are keys that somebody wrote without an owner. Consular takes them
	// over if it sees them while they are labels, and otherwise leaves them alone.
	disowned map[string]bool
}

func (d *driver) step() {
	name := pickOf(d, slices.Sorted(maps.Keys(actions)))
	d.told = append(d.told, name)
	actions[name](d)
}

func pickOf[T any](d *driver, of []T) T { return of[d.random.IntN(len(of))] }

// note adds to what the last step was about.
func (d *driver) note(about string) { d.told[len(d.told)-1] += " " + about }

// actions are all that can happen, by name.
var actions = map[string]func(*driver){
	"create": func(d *driver) {
		must(d.t, d.marathon.Create(web(fmt.Sprintf("/g/app-%d", d.next()), 1+d.random.IntN(3))))
	},
	"scale": func(d *driver) {
		d.app(func(id string) error { return d.marathon.Scale(id, d.random.IntN(5)) })
	},
	"restart": func(d *driver) { d.app(d.marathon.Restart) },
	"destroy": func(d *driver) {
		d.app(func(id string) error {
			if id == lasting {
				return nil
			}
			return d.marathon.Destroy(id)
		})
	},
	"relabel": func(d *driver) {
		d.app(func(id string) error {
			n := d.next()
			return d.marathon.Relabel(id, map[string]string{"role": fmt.Sprint(n), fmt.Sprintf("l%d", n%3): "x"})
		})
	},
	"crash":            func(d *driver) { d.service(func(x consul.Service) { must(d.t, d.marathon.Crash(x.ID)) }) },
	"cut streams":      func(d *driver) { d.marathon.CutStreams() },
	"restart consular": func(d *driver) { d.running.end(); d.running = d.run(d.consular()) },
	"edit a service": func(d *driver) {
		d.service(func(x consul.Service) { x.Port, x.Tags = 1, x.Tags[:1]; d.write(x.Address, x) })
	},
	"remove a service": func(d *driver) {
		d.service(func(x consul.Service) { _ = d.agents()[x.Address].ServiceDeregister(x.ID) }) // it may be dead
	},
	"copy a service": func(d *driver) {
		d.service(func(x consul.Service) { d.write(d.dev.Clients()[0].Host, x) })
	},
	"leave a stale one": func(d *driver) {
		d.service(func(x consul.Service) { x.ID = fmt.Sprintf("stale-%d", d.next()); d.write(x.Address, x) })
	},
	"edit a key":   func(d *driver) { d.key(func(k string) { d.put(k, "edited", d.flags()) }) },
	"add a key":    func(d *driver) { d.key(func(k string) { d.put(k+"-more", "1", d.flags()) }) },
	"disown a key": func(d *driver) { d.key(func(k string) { d.disowned[k] = true; d.put(k, "nobody's", 0) }) },
	"remove a key": func(d *driver) {
		d.key(func(k string) {
			_, err := d.api(d.dev.Server()).KV().Delete(d.prefix+"/"+k, &api.WriteOptions{})
			must(d.t, err)
		})
	},
	"kill an agent": func(d *driver) {
		agent := d.dev.Clients()[2] // one is enough, and its restart takes a second
		if !d.dead[agent.Host] {
			d.dead[agent.Host] = true
			must(d.t, agent.Kill())
		}
	},
	"revive": (*driver).revive,
}

func (d *driver) next() int { d.serial++; return d.serial }

// app does something to an app.
func (d *driver) app(do func(id string) error) {
	id := pickOf(d, d.marathon.Apps()).ID
	d.note(id)
	must(d.t, do(id))
}

// service does something to a service that should be there.
func (d *driver) service(do func(consul.Service)) {
	services := d.desired().services
	if len(services) > 0 {
		at := pickOf(d, slices.Sorted(maps.Keys(services)))
		d.note(at)
		do(services[at])
	}
}

// key does something to a key that should be there, named below the prefix.
func (d *driver) key(do func(string)) {
	k := strings.TrimPrefix(pickOf(d, slices.Sorted(maps.Keys(d.desired().keys))), d.prefix+"/")
	d.note(k)
	do(k)
}

// write registers by hand, where there is an agent.
func (d *driver) write(host string, x consul.Service) {
	if !d.dead[host] {
		d.byHand(host, x)
	}
}

func (d *driver) flags() uint64 { return consul.Owner{RegistrationID: d.id}.Flags() }

// revive starts all dead agents again.
func (d *driver) revive() {
	for _, agent := range d.dev.Clients() {
		if d.dead[agent.Host] {
			delete(d.dead, agent.Host)
			d.restarted(agent)
		}
	}
}

// settles waits until Consul is what it should be.
func (d *driver) settles(foreign snapshot) {
	want := d.desired().and(foreign)
	wrong := "never looked"
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); wrong != "" && time.Now().Before(deadline); <-ticker.C {
		actual := d.actual()
		maps.DeleteFunc(actual.keys, func(key, value string) bool {
			_, wanted := want.keys[key]
			return !wanted && value == "nobody's (0)" && d.disowned[strings.TrimPrefix(key, d.prefix+"/")]
		})
		wrong = actual.diff(want)
	}
	if wrong != "" {
		d.t.Errorf("not within %v:\n%s", patience, wrong)
	}
}

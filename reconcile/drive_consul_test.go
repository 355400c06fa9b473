package reconcile_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"pgregory.net/rapid"

	"consular/consul"
	"consular/reconcile"
)

// driver does random things to both sides of a consular that runs.
type driver struct {
	*scene
	rt      *rapid.T
	foreign picture
	dead    map[string]bool // agents by host
	serial  *int
}

// Whatever happens on both sides, with people who edit Consul by hand and agents
// that die: in the end Consul is what Marathon says, and what is foreign untouched.
func TestBothSidesAreDriven(t *testing.T) {
	s := newScene(t, theCluster(t))
	s.timeout = 2 * time.Second
	s.run(s.consular(func(c *reconcile.Config) {
		c.SyncInterval, c.Confirm = time.Second, time.Second
	}))
	// A hundred checks would take an hour on a real Consul.
	setFlag(t, "rapid.checks", "3")
	setFlag(t, "rapid.shrinktime", "1s")
	serial := 0
	foreign := s.foreign()
	rapid.Check(t, func(rt *rapid.T) {
		d := driver{scene: s, rt: rt, foreign: foreign, dead: map[string]bool{}, serial: &serial}
		steps := rapid.SliceOfN(rapid.SampledFrom(slices.Sorted(maps.Keys(actions))), 15, 25).Draw(rt, "steps")
		for _, step := range steps {
			actions[step](&d)
		}
		d.revive()
		if wrong := d.settles(); wrong != "" {
			rt.Fatalf("after %v:\n%s", steps, wrong)
		}
	})
}

// setFlag sets a flag of the test program until the test ends.
func setFlag(t *testing.T, name, value string) {
	t.Helper()
	before := flag.Lookup(name).Value.String()
	must(t, flag.Set(name, value))
	t.Cleanup(func() { must(t, flag.Set(name, before)) })
}

// actions are all that can happen, by name.
var actions = map[string]func(*driver){
	"create": func(d *driver) {
		*d.serial++
		must(d.t, d.marathon.Create(web(fmt.Sprintf("/g/app-%d", *d.serial), 1+*d.serial%3)))
	},
	"scale": func(d *driver) {
		d.app(func(id string) error { return d.marathon.Scale(id, rapid.IntRange(0, 4).Draw(d.rt, "n")) })
	},
	"restart": func(d *driver) { d.app(d.marathon.Restart) },
	"destroy": func(d *driver) { d.app(d.marathon.Destroy) },
	"relabel": func(d *driver) {
		d.app(func(id string) error {
			*d.serial++
			return d.marathon.Relabel(id, map[string]string{"role": fmt.Sprint(*d.serial), fmt.Sprintf("l%d", *d.serial%3): "x"})
		})
	},
	"crash":       func(d *driver) { d.service(func(x consul.Service) { must(d.t, d.marathon.Crash(x.ID)) }) },
	"cut streams": func(d *driver) { d.marathon.CutStreams() },
	"edit a service": func(d *driver) {
		d.service(func(x consul.Service) { x.Port, x.Tags = 1, x.Tags[:1]; d.write(x.Address, x) })
	},
	"remove a service": func(d *driver) {
		d.service(func(x consul.Service) { _ = d.agents()[x.Address].ServiceDeregister(x.ID) })
	},
	"copy a service": func(d *driver) {
		d.service(func(x consul.Service) { d.write(d.dev.Clients()[0].Host, x) })
	},
	"leave a stale one": func(d *driver) {
		d.service(func(x consul.Service) { *d.serial++; x.ID = fmt.Sprintf("stale-%d", *d.serial); d.write(x.Address, x) })
	},
	"edit a key":    func(d *driver) { d.key(func(k string) { d.put(k, "edited", d.flags()) }) },
	"add a key":     func(d *driver) { d.key(func(k string) { d.put(k+"-more", "1", d.flags()) }) },
	"lose an owner": func(d *driver) { d.key(func(k string) { d.put(k, "nobody's", 0) }) },
	"remove a key": func(d *driver) {
		d.key(func(k string) {
			_, err := d.api(d.dev.Server()).KV().Delete(d.prefix+"/"+k, &api.WriteOptions{})
			must(d.t, err)
		})
	},
	"kill an agent": func(d *driver) {
		agent := d.dev.Clients()[2] // one is enough, and its restart takes a second
		must(d.t, agent.Kill())
		d.dead[agent.Host] = true
	},
}

// app does something to an app, if there is one.
func (d *driver) app(do func(id string) error) {
	if apps := d.marathon.Apps(); len(apps) > 0 {
		must(d.t, do(apps[rapid.IntRange(0, len(apps)-1).Draw(d.rt, "app")].ID))
	}
}

// service does something to a service that should be there.
func (d *driver) service(do func(consul.Service)) {
	services := d.desired().services
	if len(services) > 0 {
		do(services[rapid.SampledFrom(slices.Sorted(maps.Keys(services))).Draw(d.rt, "service")])
	}
}

// key does something to a key that should be there, named below the prefix.
func (d *driver) key(do func(string)) {
	keys := d.desired().keys
	if len(keys) > 0 {
		do(strings.TrimPrefix(rapid.SampledFrom(slices.Sorted(maps.Keys(keys))).Draw(d.rt, "key"), d.prefix+"/"))
	}
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
			d.restarted(agent)
		}
	}
}

// settles returns what is still wrong when nothing gets better any more.
func (d *driver) settles() (wrong string) {
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for ; time.Now().Before(deadline); <-ticker.C {
		if wrong = d.actual().diff(d.desired().and(d.foreign)); wrong == "" {
			return ""
		}
	}
	return wrong
}

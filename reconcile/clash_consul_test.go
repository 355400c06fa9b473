package reconcile_test

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon/simulator"
	"consular/reconcile"
	"consular/reconcile/desired"
)

// Two apps of one name on real Consul: /a/b was there first, /a-b comes later. Their
// labels differ, so that each key tells whose it is.

func incumbent() simulator.App { return web("/a/b", 2) }

func newcomer() simulator.App {
	app := web("/a-b", 2)
	app.Labels = map[string]string{"weight": "2"}
	return app
}

// quarantining is what Marathon says should be there, without one app.
func (s *env) quarantining(app simulator.App) snapshot {
	want := s.desired()
	maps.DeleteFunc(want.services, func(_ string, x consul.Service) bool { return x.Meta[consul.MetaApp] == app.ID })
	for label := range app.Labels {
		delete(want.keys, s.prefix+"/"+desired.Shaping{}.ServiceName(app.ID)+"/"+label)
	}
	return want
}

// quarantines waits until Consul is right but for the app, which is not in it.
func (s *env) quarantines(app simulator.App) {
	s.t.Helper()
	eventually(s.t, "all but "+app.ID+" is in Consul", func() string {
		return s.actual().diff(s.quarantining(app))
	})
}

// wantClash checks what plan shows of the one clash.
func (s *env) wantClash() {
	s.t.Helper()
	plan := s.plan()
	want := []desired.Clash{{Name: "a-b", Apps: []string{"/a-b", "/a/b"}, Incumbent: "/a/b"}}
	if !reflect.DeepEqual(plan.Clashes, want) || plan.InSync() || len(plan.Changes) > 0 {
		s.t.Errorf("plan: clashes %+v, in sync %t, changes %v; want %+v, drift and none", plan.Clashes, plan.InSync(), whys(plan), want)
	}
}

// releases destroys the incumbent, and waits until the newcomer has its place.
func (s *env) releases() {
	s.t.Helper()
	must(s.t, s.marathon.Destroy("/a/b"))
	began := time.Now()
	s.converges()
	if took := time.Since(began); took > soon {
		s.t.Errorf("the name was free, and the newcomer there only after %v", took)
	}
	if plan := s.plan(); !plan.InSync() {
		s.t.Errorf("afterwards: clashes %+v, changes %v", plan.Clashes, whys(plan))
	}
}

// listens waits until a consular that was just started has made the resync of its
// stream: from now on it hears everything.
func (s *env) listens() {
	s.t.Helper()
	eventually(s.t, "a resync for connect", func() string {
		if n := s.log.resyncs("connect"); n == 0 {
			return "none so far"
		}
		return ""
	})
}

// registered counts the registrations of an app's tasks that the log tells of.
func (s *env) registered(app string) int {
	n := 0
	for line := range strings.Lines(s.log.String()) {
		if containsAll(line, []string{fmt.Sprintf(`"app":%q`, app), `"message":"registered"`}) {
			n++
		}
	}
	return n
}

func TestNewcomerHeardOfIsQuarantined(t *testing.T) {
	s := newEnv(t, theCluster(t))
	must(t, s.marathon.Create(incumbent()))
	s.run(s.consular(func(c *reconcile.Config) { c.PollInterval = time.Hour }))
	s.listens()
	s.converges()

	must(t, s.marathon.Create(newcomer()))
	must(t, s.marathon.Create(web("/afterwards", 3))) // one on each host: whoever was to come first is there
	must(t, s.marathon.Scale("/a/b", 4))
	s.quarantines(newcomer())
	// With no resync due, whoever waits for the newcomer must be told by its own read.
	eventually(t, "says that names clash", func() string { return s.saysNothingOf("name clash") })
	s.wantClash()
	if n := s.registered("/a-b"); n > 0 {
		t.Errorf("%d tasks were registered from quarantine", n)
	}
	s.releases()
	if n := s.registered("/a-b"); n != 2 {
		t.Errorf("%d tasks were registered when the name was free, want 2", n)
	}
}

// A task in quarantine that is in Consul all the same, by somebody's hand, stays
// as it is while it runs, and goes when it ends.
func TestQuarantinedTaskThatEnds(t *testing.T) {
	s := newEnv(t, theCluster(t))
	must(t, s.marathon.Create(incumbent()))
	s.run(s.consular(func(c *reconcile.Config) { c.SyncInterval = 200 * time.Millisecond }))
	s.converges()
	must(t, s.marathon.Create(newcomer()))
	eventually(t, "says that names clash", func() string { return s.saysNothingOf("name clash") })

	task := s.marathon.Tasks("/a-b")[0]
	x := s.desired().services[task.Host+" "+task.ID]
	x.Port = 1
	s.byHand(task.Host, x)
	want := s.quarantining(newcomer())
	want.services[task.Host+" "+task.ID] = x
	resyncs := s.log.count(`"message":"resync"`)
	eventually(t, "three looks", func() string {
		if n := s.log.count(`"message":"resync"`); n < resyncs+3 {
			return fmt.Sprint(n)
		}
		return ""
	})
	if diff := s.actual().diff(want); diff != "" {
		t.Errorf("while it runs:\n%s", diff)
	}
	must(t, s.marathon.Kill(task.ID, true))
	s.quarantines(newcomer())
	s.releases()
}

func TestNewcomerFoundAtASnapshotIsQuarantined(t *testing.T) {
	s := newEnv(t, theCluster(t))
	must(t, s.marathon.Create(incumbent()))
	s.sync()
	s.want()

	must(t, s.marathon.Create(newcomer()))
	for _, instances := range []int{2, 4, 1} { // the incumbent goes on
		must(t, s.marathon.Scale("/a/b", instances))
		if _, sum := s.sync(); sum.Quarantined != 1 || sum.Failed > 0 || sum.Clean() {
			t.Errorf("sync: %s; want a quarantined app, and so not clean", sum.String())
		}
		if diff := s.actual().diff(s.quarantining(newcomer())); diff != "" {
			t.Errorf("%d instances of the incumbent:\n%s", instances, diff)
		}
		s.wantClash()
	}
	if why := s.saysNothingOf("name clash"); why != "" {
		t.Error(why)
	}
	s.run(s.consular(func(c *reconcile.Config) { c.PollInterval = time.Hour }))
	s.listens()
	s.releases()
}

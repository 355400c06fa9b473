package reconcile_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"consular/consul"
	"consular/marathon/simulator"
	"consular/reconcile"
)

// labelsOf are n labels that all have the value of one generation.
func labelsOf(n int, generation string) map[string]string {
	labels := map[string]string{}
	for i := range n {
		labels[fmt.Sprintf("%s-%d", generation, i%2*i)] = generation
		labels[fmt.Sprintf("common-%d", i)] = generation
	}
	return labels
}

// A watcher of the prefix, as consul-template is one, sees the labels of one
// generation only, however they change.
func TestWatcherNeverSeesHalfAChange(t *testing.T) {
	s := newEnv(t, theCluster(t))
	app := web("/my-app", 1)
	app.Labels = labelsOf(10, "zero")
	neighbour := web("/my-app-2", 1)
	must(t, s.marathon.Create(app))
	must(t, s.marathon.Create(neighbour))
	s.run(s.consular())
	s.converges()

	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan []string)
	go func() { seen <- s.watch(ctx, "my-app/") }()
	for generation := range 5 {
		must(t, s.marathon.Relabel("/my-app", labelsOf(10, fmt.Sprintf("g%d", generation))))
		s.converges()
	}
	cancel()
	sights := <-seen
	if len(sights) < 3 {
		t.Errorf("the watcher was awake %d times", len(sights))
	}
	for _, sight := range sights {
		if strings.Contains(sight, ",") {
			t.Errorf("saw labels of several generations: %s", sight)
		}
	}
}

// watch follows a part of the prefix with blocking queries, and returns which
// values it saw together each time.
func (s *env) watch(ctx context.Context, below string) (sights []string) {
	kv := s.api(s.dev.Server()).KV()
	var index uint64
	for ctx.Err() == nil {
		query := (&api.QueryOptions{WaitIndex: index, WaitTime: time.Second}).WithContext(ctx)
		pairs, meta, err := kv.List(s.prefix+"/"+below, query)
		if err != nil {
			continue // ctx has ended
		}
		if index == meta.LastIndex {
			continue
		}
		index = meta.LastIndex
		values := map[string]bool{}
		for _, pair := range pairs {
			values[string(pair.Value)] = true
		}
		sights = append(sights, strings.Join(slices.Sorted(maps.Keys(values)), ","))
	}
	return sights
}

func TestFormatAndPrefix(t *testing.T) {
	s := newEnv(t, theCluster(t))
	app := web("/web", 1)
	app.Labels = map[string]string{"vhost": `a "b" ü`, "empty": ""}
	must(t, s.marathon.Create(app))
	for _, format := range []consul.Format{consul.FormatRaw, consul.FormatJSON, consul.FormatRaw} {
		s.format = format
		if _, sum := s.sync(); sum.KeysSet != 2 {
			t.Errorf("%s: %s", format, sum.String())
		}
		s.want()
	}
	s.prefix += "/deeper"
	s.sync()
	s.want()
}

// Services go on without the servers: agents answer by themselves. Keys wait.
func TestConsulWithoutServer(t *testing.T) {
	s := newEnv(t, theCluster(t))
	s.timeout = 2 * time.Second
	s.configure = func(c *reconcile.Config) { c.SyncInterval = 2 * time.Second }
	must(t, s.marathon.Create(web("/web", 3)))
	s.main = s.dev.Clients()[0]
	s.run(s.consular())
	s.converges()
	s.killed(s.dev.Server())
	must(t, s.marathon.Scale("/web", 9))
	must(t, s.marathon.Create(web("/late", 3)))
	want := s.desired()
	eventually(t, "services without a server", func() string {
		return s.actual().only(isService).diff(want.only(isService))
	})
	must(t, s.marathon.Relabel("/late", map[string]string{"role": "later"}))
	s.restarted(s.dev.Server())
	s.converges()
}

func isService(id string) bool { return strings.HasPrefix(id, "127.") }

// The Python consular 1.3 had no meta, JSON values with Flags 0, and services
// and keys of apps that are gone.
func TestMigrationFromThePythonConsular(t *testing.T) {
	s := newEnv(t, theCluster(t))
	s.format = consul.FormatJSON
	must(t, s.marathon.Create(web("/group/web", 4)))
	for _, x := range s.desired().services {
		old := consul.Service{ID: x.ID, Name: x.Name, Address: x.Address, Port: x.Port, Tags: x.Tags}
		s.byHand(x.Address, old)
	}
	stale := consul.Service{
		ID: "group_gone.1", Name: "group-gone", Address: "10.0.0.1", Port: 1,
		Tags: []string{"consular-reg-id=" + s.id, "consular-app-id=/group/gone"},
	}
	s.byHand(s.dev.Clients()[0].Host, stale)
	s.put("group-web/role", `"web"`, 0)
	s.put("group-web/stale", `"1"`, 0)
	s.put("group-gone/role", `"web"`, 0)

	absent := s.missesAny("group-web", 4)
	_, sum := s.sync()
	if sum.Registered != 0 || sum.Updated != 4 || sum.Deregistered != 1 || sum.KeysSet != 1 || sum.KeysDeleted != 0 {
		t.Errorf("takes over: %s", sum.String())
	}
	if _, sum = s.sync(adopt); sum.KeysDeleted != 2 {
		t.Errorf("sync --adopt: %s", sum.String())
	}
	s.want()
	if n := absent(); n > 0 {
		t.Errorf("the catalog lacked a service %d times", n)
	}
	if plan := s.plan(); !plan.InSync() {
		t.Errorf("afterwards: %v", whys(plan))
	}
}

// missesAny watches the catalog until it is called: it says how often a name had
// less than n services.
func (s *env) missesAny(name string, n int) func() int {
	ctx, cancel := context.WithCancel(context.Background())
	missing := make(chan int, 1)
	catalog := s.api(s.dev.Server()).Catalog()
	started := make(chan struct{})
	go func() {
		times := 0
		for first := true; ctx.Err() == nil; first = false {
			services, _, err := catalog.Service(name, "", (&api.QueryOptions{}).WithContext(ctx))
			if err == nil && len(services) < n {
				times++
			}
			if first {
				close(started)
			}
		}
		missing <- times
	}()
	<-started
	return func() int { cancel(); return <-missing }
}

// A large sync is stopped in the middle; the next one does the rest and nothing
// else.
func TestStoppedSyncIsFinishedByTheNext(t *testing.T) {
	s := newEnv(t, theCluster(t), simulator.Config{Hosts: hostsOf(theCluster(t).Clients())})
	app := web("/large", 240)
	app.CPUs = 0.01
	must(t, s.marathon.Create(app))
	running := s.run(s.consular())
	eventually(t, "some are registered", func() string {
		if n := len(s.actual().services); n < 5 {
			return fmt.Sprint(n)
		}
		return ""
	})
	start := time.Now()
	running.end()
	if took := time.Since(start); took >= s.timeout {
		t.Errorf("it took %v to end, as if it had waited for a time-out", took)
	}
	there := len(s.actual().services)
	_, sum := s.sync()
	if there == 240 || sum.Registered != 240-there || sum.Updated+sum.Deregistered > 0 {
		t.Errorf("%d were there: %s", there, sum.String())
	}
	s.want()
}

package reconcile_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"consular/marathon/simulator"
)

// What events cost of Marathon: reads of the apps that they are about, and of
// those few.

// asked is what was asked of Marathon since before, but for the stream, and for
// what desired asks itself.
func (b *streamEnv) asked(before map[string]int) map[string]int {
	since := b.marathon.Requests()
	maps.DeleteFunc(since, func(path string, n int) bool {
		return n == before[path] || path == "/v2/events" || path == "/v2/info"
	})
	for path := range since {
		since[path] -= before[path]
	}
	return since
}

// Label changes of every kind are right soon, by reads of the apps in question.
func TestLabelsAreReadWhereTheyChanged(t *testing.T) {
	relabelled := func(id string, n int) simulator.App {
		app := web(id, n)
		app.Labels = map[string]string{"role": "changed", "tier": "1"}
		return app
	}
	for name, c := range map[string]struct {
		before func(m *simulator.Marathon) error
		change func(m *simulator.Marathon) error
		apps   []string
	}{
		"an app": {nil, func(m *simulator.Marathon) error {
			return m.Relabel("/shop/api", map[string]string{"role": "changed"})
		}, []string{"/shop/api"}},
		"an app without tasks": {
			func(m *simulator.Marathon) error { return m.Suspend("/shop/api") },
			func(m *simulator.Marathon) error { return m.Relabel("/shop/api", map[string]string{"x": "y"}) },
			[]string{"/shop/api"},
		},
		"bulk": {nil, func(m *simulator.Marathon) error {
			return m.Bulk(relabelled("/shop/web", 3), relabelled("/new", 1))
		}, []string{"/new", "/shop/web"}},
		"a group": {nil, func(m *simulator.Marathon) error {
			return m.Group("/shop", relabelled("/shop/web", 1), relabelled("/shop/api", 0))
		}, []string{"/shop/api", "/shop/web"}},
		"rollback": {
			func(m *simulator.Marathon) error {
				return m.Update("/shop/api", func(a *simulator.App) {
					a.CPUs, a.Labels = simulator.HostCPUs+1, map[string]string{"role": "stuck"}
				})
			},
			func(m *simulator.Marathon) error { return m.Rollback(m.Deployments()[0].ID) },
			[]string{"/shop/api"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := connected(t, 1, nil)
			if c.before != nil {
				must(t, c.before(b.marathon))
				b.converges(soon)
			}
			before := b.marathon.Requests()
			must(t, c.change(b.marathon))
			b.converges(soon)
			for path := range b.asked(before) {
				app, _, _ := strings.Cut(strings.TrimPrefix(path, "/v2/apps"), "/versions/")
				if !slices.Contains(c.apps, app) {
					t.Errorf("asked for %s, want reads of %s only", path, c.apps)
				}
			}
		})
	}
}

// A rolling upgrade of 1,000 tasks, which takes its time, costs a handful of
// reads, and the summary tells how many.
func TestRollingUpgradeCostsAHandfulOfReads(t *testing.T) {
	const tasks = 1000
	b := newStreamEnv(t, 1, simulator.Config{Hosts: chaosHosts, TaskKilling: true, Queue: 100_000, Pace: simulator.Pace{
		Swap: 50 * time.Millisecond, Start: 30 * time.Millisecond, Run: 50 * time.Millisecond, Kill: 50 * time.Millisecond,
	}})
	b.level = zerolog.InfoLevel
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- b.marathon.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-served })
	memory := b.onMemory(chaosHosts...)
	app := web("/big", tasks)
	app.Upgrade = &simulator.Upgrade{MinimumHealthCapacity: 0.9, MaximumOverCapacity: 0.1}
	must(t, b.marathon.Create(app))
	b.settled()
	b.start(memory.consul())
	b.converges(patience)
	before := b.marathon.Requests()
	began := time.Now()
	must(t, b.marathon.Update("/big", func(a *simulator.App) { a.Cmd = "next" }))
	b.settled()
	b.converges(patience)
	took := time.Since(began)
	b.marathon.CloseStreams()
	b.resyncs("connect", 2)
	reads := b.asked(before)
	t.Logf("%d tasks in %v: %v", tasks, took, reads)
	delete(reads, "/v2/apps") // the resyncs'
	if n := reads["/v2/apps/big"]; n == 0 || n > 20 || len(reads) > 2 {
		t.Errorf("asked for %v, want a handful of reads of the app", reads)
	}
	told := 0
	for line := range strings.Lines(b.log.String()) {
		var resync struct{ Reads int }
		must(t, json.Unmarshal([]byte(line), &resync))
		told += resync.Reads
	}
	if told != reads["/v2/apps/big"] {
		t.Errorf("the summaries have %d reads, want %d:\n%s", told, reads["/v2/apps/big"], b.log)
	}
}

// settled waits until no deployment is under way.
func (b *streamEnv) settled() {
	b.t.Helper()
	eventually(b.t, "deployments have ended", func() string {
		if all := b.marathon.Deployments(); len(all) > 0 {
			return fmt.Sprint(all)
		}
		return ""
	})
}

// Pods' containers are tasks in events, and nothing to us: the plan says that it
// is a pod, and so it costs no read, however long it lives.
func TestPodsCostNoReads(t *testing.T) {
	b := connected(t, 1, nil)
	pod := simulator.Pod{ID: "/pod", Instances: 20, Containers: []simulator.PodContainer{{Name: "main"}, {Name: "side"}}}
	before := b.marathon.Requests()
	must(t, b.marathon.CreatePod(pod))
	pod.Labels = map[string]string{"changed": "yes"}
	must(t, b.marathon.UpdatePod(pod))
	pod.Instances = 40
	must(t, b.marathon.UpdatePod(pod))
	must(t, b.marathon.DeletePod("/pod"))
	must(t, b.marathon.Scale("/shop/web", 4)) // and nothing waits behind them
	b.converges(soon)
	reads := b.asked(before)
	delete(reads, "/v2/apps/shop/web")
	if len(reads) > 0 {
		t.Errorf("a pod's events cost %v, want no read", reads)
	}
}

package plan

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

// aLargeCluster has apps of 20 tasks on as many hosts, and labels on every app.
func aLargeCluster(apps, hosts, labels int) []marathon.App {
	var all []marathon.App
	for i := range apps {
		app := newApp(fmt.Sprintf("/group-%d/app-%d", i%10, i))
		app.Labels = map[string]string{}
		for l := range labels {
			app.Labels[fmt.Sprintf("label-%d", l)] = "value"
		}
		for n := range 20 {
			task := newTask(fmt.Sprintf("task.%d.%d", i, n), app.ID)
			task.Host = fmt.Sprintf("agent-%d.test", (i+n)%hosts)
			app.Tasks = append(app.Tasks, task)
		}
		all = append(all, app)
	}
	return all
}

// BenchmarkPlan is the plan of a resync of 10,000 tasks and 50,000 labels.
func BenchmarkPlan(b *testing.B) {
	apps := aLargeCluster(500, 100, 100)
	m := knowing(apps...)
	agents := map[string]*Agent{}
	var keys []consul.Key
	for _, app := range apps {
		for label, value := range app.Labels {
			keys = append(keys, keyOf(testTranslation().ServiceName(app.ID), label, value))
		}
		for _, task := range app.Tasks {
			if agents[task.Host] == nil {
				a := agentOn(task.Host)
				agents[task.Host] = &a
			}
			agents[task.Host].Services = append(agents[task.Host].Services, serviceOf(task))
		}
	}
	actual := Actual{Keys: keys}
	for _, host := range slices.Sorted(maps.Keys(agents)) {
		actual.Agents = append(actual.Agents, *agents[host])
	}
	for name, change := range map[string]func(Actual) Actual{
		"unchanged": func(a Actual) Actual { return a },
		"empty":     func(a Actual) Actual { a.Keys = nil; return withoutServices(a) },
		"no apps":   strangers,
	} {
		b.Run(name, func(b *testing.B) {
			have := change(actual)
			b.ReportAllocs()
			for b.Loop() {
				Make(m, have, desired.Alone)
			}
		})
	}
}

func withoutServices(a Actual) Actual {
	agents := a.Agents
	a.Agents = nil
	for _, agent := range agents {
		agent.Services = nil
		a.Agents = append(a.Agents, agent)
	}
	return a
}

// strangers renames all keys, so that each of 50,000 is of a name without an app.
func strangers(a Actual) Actual {
	keys := a.Keys
	a.Keys = nil
	for i, k := range keys {
		k.Service = fmt.Sprint("stranger-", i)
		a.Keys = append(a.Keys, k)
	}
	return a
}

// BenchmarkLostTasks is a lost task while 5,000 others of 50,000 were lost within the
// last minute.
func BenchmarkLostTasks(b *testing.B) {
	g := NewGuard(guarded)
	for i := range 5000 {
		allow(g, fmt.Sprint("lost-", i), desired.Lost, 45_000, start)
	}
	b.ReportAllocs()
	for b.Loop() {
		allow(g, "lost-1", desired.Lost, 45_000, start)
	}
}

// BenchmarkTurns is 10,000 tasks of 10,000 that turn critical one after the other: half of them are
// let, and the others are held back.
func BenchmarkTurns(b *testing.B) {
	for b.Loop() {
		g := NewGuard(guarded)
		for i := range 10_000 {
			now := start.Add(time.Duration(i) * time.Millisecond)
			g.AllowCritical(Turn{Task: fmt.Sprint("t", i), Services: 1, Window: 20 * time.Second}, 10_000, now)
		}
	}
}

// BenchmarkLosses is the same of tasks that are lost.
func BenchmarkLosses(b *testing.B) {
	for b.Loop() {
		g := NewGuard(guarded)
		for i := range 10_000 {
			allow(g, fmt.Sprint("t", i), desired.Lost, 10_000-i-1, start.Add(time.Duration(i)*time.Millisecond))
		}
	}
}

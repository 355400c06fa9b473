package reconcile

import (
	"fmt"
	"testing"

	"consular/consul"
	"consular/marathon"
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

// BenchmarkModel is one event, decoded and applied: of a launch and a kill in
// turn, on a cluster of 10,000 tasks.
func BenchmarkModel(b *testing.B) {
	d := knowing(aLargeCluster(500, 100, 5)...)
	var events [2][]byte
	for i, state := range []string{"TASK_RUNNING", "TASK_KILLED"} {
		events[i] = fmt.Appendf(nil, `{"slaveId":"s1","taskId":"task.new","taskStatus":%q,"message":"","appId":"/group-1/app-1",`+
			`"host":"agent-1.test","ipAddresses":[{"ipAddress":"127.0.1.1","protocol":"IPv4"}],"ports":[31001],"version":"v1",`+
			`"eventType":"status_update_event","timestamp":"2026-11-22T16:21:57.237Z"}`, state)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		e, err := marathon.Decode("status_update_event", events[n%2])
		if err != nil {
			b.Fatal(err)
		}
		delete(d.ended, "task.new")
		d.Apply(e, start)
	}
}

// BenchmarkPlan is the plan of a resync of 10,000 tasks and 50,000 labels.
func BenchmarkPlan(b *testing.B) {
	apps := aLargeCluster(500, 100, 100)
	d := knowing(apps...)
	agents := map[string]*AgentState{}
	var keys []consul.Key
	for _, app := range apps {
		for label, value := range app.Labels {
			keys = append(keys, keyOf(ServiceName(app.ID), label, value))
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
	for _, host := range sortedKeys(agents) {
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
				d.Plan(have)
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

// BenchmarkQueue is a job put and taken while 10,000 others wait, as in a first
// sync: one of a task that runs, one of a task that has ended, and one of a task
// that ends while it waits.
func BenchmarkQueue(b *testing.B) {
	for name, state := range map[string]marathon.State{"runs": marathon.TaskRunning, "ended": marathon.TaskKilled} {
		b.Run(name, func(b *testing.B) {
			q := newQueue()
			for i := range 10_000 {
				q.put(job{key: fmt.Sprint("task-", i)})
			}
			b.ReportAllocs()
			for b.Loop() {
				q.put(job{key: "task-new", cause: cause{state: state}})
				if j, _ := q.take(); j.key != "task-new" {
					q.put(job{key: j.key}) // so that as many wait
				}
			}
		})
	}
	b.Run("ends", func(b *testing.B) {
		q, keys := newQueue(), make([]string, 10_000)
		for i := range keys {
			keys[i] = fmt.Sprint("task-", i)
			q.put(job{key: keys[i]})
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			key := keys[(i+len(keys)/2)%len(keys)]
			q.put(job{key: key, cause: cause{state: marathon.TaskKilled}})
			q.take()
			q.put(job{key: key})
		}
	})
}

// BenchmarkLostTasks is a lost task while 5,000 others of 50,000 were lost within
// the last minute.
func BenchmarkLostTasks(b *testing.B) {
	r := New(Config{Policy: Policy{Purge: true, Limit: 50}}, nil, Consul{})
	r.desired = knowing(aLargeCluster(2500, 500, 0)...)
	for i := range 5000 {
		r.allowAway(fmt.Sprint("lost-", i))
	}
	b.ReportAllocs()
	for b.Loop() {
		r.allowAway("lost-1")
	}
}

package reconcile

import (
	"fmt"
	"testing"
	"time"

	"consular/marathon"
	"consular/reconcile/plan"
)

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
	r := New(Config{Policy: plan.Policy{Purge: true, Limit: 50}}, nil, Consul{})
	var apps []marathon.App
	for i := range 50_000 {
		id := fmt.Sprint("task-", i)
		apps = append(apps, marathon.App{ID: "/" + id, Tasks: []marathon.Task{{ID: id, AppID: "/" + id, Host: "h1", State: marathon.TaskRunning}}})
	}
	r.model.ApplySnapshot(r.model.BeginRead(), marathon.Snapshot{Apps: apps}, time.Now())
	for i := range 5000 {
		r.allowLost(fmt.Sprint("lost-", i))
	}
	b.ReportAllocs()
	for b.Loop() {
		r.allowLost("lost-1")
	}
}

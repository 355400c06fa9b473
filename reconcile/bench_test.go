package reconcile

import (
	"fmt"
	"testing"

	"consular/marathon"
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

package plan

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever turns and recovers in whatever order: of the services that turn critical within
// the window and are so still, no more are believed than the limit allows; what was held back
// stays so, and what was let turn is never taken back.
func TestTurnsStayWithinTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 100).Draw(t, "limit")
		g := NewGuard(Policy{Purge: true, Limit: limit, Confirm: time.Hour})
		type task struct {
			Turn
			sick, let bool
			since     time.Time
		}
		tasks, services := map[string]*task{}, 0
		for i := range rapid.IntRange(1, 60).Draw(t, "tasks") {
			id := fmt.Sprint("t", i)
			tasks[id] = &task{Turn: Turn{Task: id, Services: rapid.IntRange(1, 3).Draw(t, "services"), Window: 10 * time.Second}}
			services += tasks[id].Services
		}
		now := start
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			one := tasks[fmt.Sprint("t", rapid.IntRange(0, len(tasks)-1).Draw(t, "task"))]
			switch rapid.SampledFrom([]string{"turns", "turns", "turns", "recovers", "time"}).Draw(t, "step") {
			case "turns":
				why, first := g.AllowCritical(one.Turn, services, now)
				if one.sick && (why == "") != one.let || first && (one.sick || why == "") {
					t.Fatalf("%s was let turn: %v, and now it is %q", one.Task, one.let, why)
				}
				if !one.sick {
					one.sick, one.let, one.since = true, why == "", now
				}
			case "recovers":
				one.sick = false
				g.Recovered(one.Task)
			case "time":
				now = now.Add(time.Duration(rapid.IntRange(1, 120).Draw(t, "seconds")) * time.Second)
			}
			believed := 0
			for _, one := range tasks {
				if one.sick && one.let && now.Sub(one.since) < time.Minute {
					believed += one.Services
				}
			}
			if believed > max(guardedAbove, services*limit/100) {
				t.Fatalf("%d of %d services turned critical, with a limit of %d %%", believed, services, limit)
			}
		}
	})
}

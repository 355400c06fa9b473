package reconcile_test

import (
	"io"
	"maps"
	"net/http"
	"sync"
	"time"

	"consular/marathon/simulator"
)

// trafficTasks runs the simulated Marathon's tasks, as HTTP servers, and notes
// when each was in which state.
type trafficTasks struct {
	servers simulator.Servers
	mu      sync.Mutex
	states  map[string]map[string]time.Time // by state, by task
}

func newTrafficTasks() *trafficTasks {
	return &trafficTasks{states: map[string]map[string]time.Time{}, servers: simulator.Servers{Handler: trafficHandler}}
}

// run is the simulator's Executor.
func (t *trafficTasks) run(task simulator.Task) {
	t.servers.Run(task)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.states[task.State] == nil {
		t.states[task.State] = map[string]time.Time{}
	}
	t.states[task.State][task.ID] = time.Now()
}

// since returns when each task was in a state, of those that came to it after that.
func (t *trafficTasks) since(state string, after time.Time) map[string]time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	times := maps.Clone(t.states[state])
	maps.DeleteFunc(times, func(_ string, at time.Time) bool { return at.Before(after) })
	return times
}

// trafficSlow is how long slow answers take. HAProxy answers one more request of a
// connection from before a reload, by a task that it knew then: so twice this, and a
// client's rest, must be over before a task that is drained ends.
const trafficSlow = 300 * time.Millisecond

// trafficHandler answers with the body of the request, and says who did. With
// ?slow its second half comes later.
func trafficHandler(task simulator.Task) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client has gone
		}
		if r.Method == http.MethodGet {
			body = []byte(r.URL.Query().Get("body"))
		}
		w.Header().Set("X-App", task.AppID)
		w.Header().Set("X-Task", task.ID)
		half := len(body) / 2
		_, _ = w.Write(body[:half])
		if r.URL.Query().Has("slow") {
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(trafficSlow):
			case <-r.Context().Done():
			}
		}
		_, _ = w.Write(body[half:])
	})
}

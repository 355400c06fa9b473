package reconcile_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile"
)

// A large first sync takes a while; what ends during it goes first. Here 10,000
// registrations of 5 ms each, 2,000 on each agent, take ten seconds.
func TestEndedTaskOvertakesFirstSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(10_000, 5)
		c.writing = 5 * time.Millisecond
		r := c.reconciler()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		c.await(&c.writes, 2500) // some 500 on each agent
		dying := c.task("/scale/app-0", 0)
		if !c.has(dying) {
			t.Fatalf("%s is not registered yet", dying.ID)
		}
		dying.State = marathon.TaskKilling
		heard := time.Now()
		r.Event(marathon.TaskChanged{Meta: marathon.Meta{Type: "status_update_event"}, Task: dying})
		c.awaitGone(dying)
		if took := time.Since(heard); took > time.Second {
			t.Errorf("the task was deregistered after %v, want 1s at most", took)
		}
		if writes, _, _ := c.counted(); writes > 5000 {
			t.Errorf("%d writes were done by then: the sync was nearly over, and this proves little", writes)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// has reports whether a task's agent has its service.
func (c *crowd) has(task marathon.Task) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, is := c.agents[task.Host].services[task.ID]
	return is
}

// awaitGone waits until a task's agent does not have its service.
func (c *crowd) awaitGone(task marathon.Task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for there := true; there; _, there = c.agents[task.Host].services[task.ID] {
		c.changed.Wait()
	}
}

// An agent that is overloaded says 429 or 500. It is asked ever more seldom, and
// one thing at a time; the others go on.
func TestOverloadedAgentIsLeftAlone(t *testing.T) {
	for _, code := range []int{http.StatusTooManyRequests, http.StatusInternalServerError} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrowd(1000, 2)
				c.writing = 5 * time.Millisecond
				overloaded := &overloadedAgent{crowdAgent: c.agents[c.hosts[0]], code: code}
				r := c.reconcilerWith(func(host string) (reconcile.Agent, error) {
					if host == c.hosts[0] {
						return overloaded, nil
					}
					return c.agent(host)
				})
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- r.Run(ctx) }()
				time.Sleep(10 * time.Minute)
				// From 250 ms the pauses double to 30 s, jittered: 20 of them in ten
				// minutes, and as many again for the resyncs' looks.
				if n := overloaded.tried(); n < 10 || n > 60 {
					t.Errorf("the overloaded agent was written to %d times in ten minutes, want 10 to 60", n)
				}
				if writes, _, _ := c.counted(); writes != 500+100 {
					t.Errorf("%d writes elsewhere, want 600: the other agent and the keys", writes)
				}
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// overloadedAgent lists, and takes no writes.
type overloadedAgent struct {
	noChecks
	*crowdAgent
	code int

	mu    sync.Mutex
	tries int
}

func (a *overloadedAgent) Register(context.Context, consul.Service) error {
	a.mu.Lock()
	a.tries++
	a.mu.Unlock()
	time.Sleep(a.crowd.writing)
	return fmt.Errorf("register: %w", api.StatusError{Code: a.code, Body: "rate limit exceeded"})
}

func (a *overloadedAgent) tried() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tries
}

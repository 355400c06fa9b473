package reconcile_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile"
)

// lockAct is one thing that happens after a pause.
type lockAct struct {
	after time.Duration
	what  string
	// to is which copy or which task, and n what is needed beside.
	to, n int
}

func (a lockAct) String() string { return fmt.Sprintf("after %v %s %d %d", a.after, a.what, a.to, a.n) }

// lockActs are what happens to two copies.
var lockActs = actsOf(
	"start", "start", "kill", "kill", "lose", "relabel", "vanish", "gap", "deaf", "slow",
	"lock", "lock", "lock", "unlock", "unlock", "lapse",
)

// actsOf are histories in which these things happen, those that are named twice more often.
func actsOf(whats ...string) *rapid.Generator[[]lockAct] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) lockAct {
		return lockAct{
			after: time.Duration(rapid.SampledFrom([]int{0, 1, 1, 3, 10, 100, 1000, 9000, 40_000}).Draw(t, "after")) * time.Millisecond,
			what:  rapid.SampledFrom(whats).Draw(t, "what"),
			to:    rapid.IntRange(0, 5).Draw(t, "to"), n: rapid.IntRange(0, 2).Draw(t, "n"),
		}
	}), 5, 60)
}

// rivals are two copies between one Marathon and one Consul, of which one at most may write.
type rivals struct {
	*fakeCluster
	copies [2]*rival
	// started counts tasks, labelled the changes of labels.
	started, labelled int
	mu                sync.Mutex
	wrong             string
}

type rival struct {
	*permit
	*reconcile.Reconciler
	live bool
}

// shut closes the way, and says so later than it is. What is sent at the same moment by the
// bubble's clock has been sent before.
func (c *rival) shut() {
	synctest.Wait()
	c.permit.shut()
	c.Closed()
}

// rivalAgent is an agent as one copy sees it.
type rivalAgent struct {
	*fakeAgent
	rivals *rivals
	copy   *rival
}

func (a rivalAgent) Register(ctx context.Context, s consul.Service) error {
	return a.rivals.write(ctx, a.copy, func() error { return a.fakeAgent.Register(ctx, s) })
}

func (a rivalAgent) Deregister(ctx context.Context, id string) error {
	return a.rivals.write(ctx, a.copy, func() error { return a.fakeAgent.Deregister(ctx, id) })
}

type rivalLabels struct {
	reconcile.Labels
	rivals *rivals
	copy   *rival
}

func (l rivalLabels) Apply(ctx context.Context, name string, changes []consul.KeyChange) error {
	return l.rivals.write(ctx, l.copy, func() error { return l.Labels.Apply(ctx, name, changes) })
}

// write is a request that is sent under a sure lock or is wrong. It may arrive when the lock is
// lost, for whoever sent it can only stop waiting for it.
func (x *rivals) write(ctx context.Context, by *rival, do func() error) error {
	if !by.Sure() || ctx.Err() != nil {
		x.mu.Lock()
		x.wrong = "written without the lock"
		x.mu.Unlock()
	}
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func newRivals(t *testing.T) *rivals {
	x := &rivals{fakeCluster: newFakeCluster(t, h1, h2)}
	x.config.Policy.Limit, x.config.SyncInterval = 100, 5*time.Minute
	x.marathon.apps = []marathon.App{appOn(h1, "/a"), appOn(h2, "/b")}
	for i := range x.copies {
		c := &rival{permit: newPermit()}
		x.copies[i] = c
		config := x.config
		config.Permit = c.permit
		c.Reconciler = reconcile.New(config, x.marathon, reconcile.Consul{
			Agent: func(host string) (reconcile.Agent, error) {
				if a := x.agents[host]; a != nil {
					return rivalAgent{a, x, c}, nil
				}
				return nil, fmt.Errorf("there is no agent on %s", host)
			},
			Labels: rivalLabels{x.labels, x, c}, Catalog: x.catalog,
		})
	}
	return x
}

// hear tells all copies whose stream lives, and returns false for those that are deaf.
func (x *rivals) hear(task marathon.Task) {
	for _, c := range x.copies {
		if c.live {
			c.Event(marathon.TaskChanged{Meta: marathon.Meta{Type: "status_update_event"}, Task: task})
		}
	}
}

// do lets an act happen.
func (x *rivals) do(a lockAct) {
	app := a.to % 2
	c, other := x.copies[app], x.copies[1-app]
	var changed marathon.Task
	x.marathon.set(func(m *fakeMarathon) {
		tasks := &m.apps[app].Tasks
		switch {
		case a.what == "start":
			x.started++
			changed = taskOn([]string{h1, h2}[a.n%2], m.apps[app].ID, fmt.Sprint("task", x.started))
			*tasks = append(slices.Clone(*tasks), changed)
		case a.what == "relabel":
			x.labelled++
			m.apps[app].Labels = map[string]string{"role": fmt.Sprint("version", x.labelled)}
		case len(*tasks) == 0:
		case a.what == "kill", a.what == "vanish":
			changed = (*tasks)[a.n%len(*tasks)]
			changed.State = marathon.TaskKilled
			*tasks = slices.DeleteFunc(slices.Clone(*tasks), func(t marathon.Task) bool { return t.ID == changed.ID })
		case a.what == "lose":
			changed = (*tasks)[a.n%len(*tasks)]
			changed.State = marathon.TaskUnreachable
			*tasks = slices.Clone(*tasks)
			(*tasks)[a.n%len(*tasks)] = changed
		}
	})
	switch a.what {
	case "start", "kill", "lose":
		if changed.ID != "" {
			x.hear(changed)
		}
	case "vanish", "relabel", "gap": // nobody hears of it but by a gap
		for _, c := range x.copies {
			c.Missed("oversize")
		}
	case "deaf":
		if c.live = !c.live; c.live {
			c.Connected()
		} else {
			c.Disconnected("closed")
		}
	case "slow":
		x.agents[[]string{h1, h2}[app]].set(func(a2 *fakeAgent) { a2.slow = []time.Duration{0, time.Second, 8 * time.Second}[a.n] })
	case "unlock":
		c.shut()
	case "lapse": // it is unsure for a moment, and nobody else had it
		if c.Sure() {
			c.shut()
			time.Sleep(time.Duration(a.n) * time.Millisecond)
			c.unlock(c.Reconciler)
		}
	case "lock":
		if c.Sure() {
			return
		}
		if other.Sure() {
			other.shut()
			time.Sleep(time.Second) // a lock's delay is longer than it is sure
		}
		c.unlock(c.Reconciler)
	}
}

// amiss says what of Consul is not as Marathon has it.
func (x *rivals) amiss() string {
	var wrong []string
	for _, host := range []string{h1, h2} {
		var want []string
		for _, app := range x.marathon.apps {
			for _, t := range app.Tasks {
				if t.Host == host && t.State == marathon.TaskRunning {
					want = append(want, t.ID)
				}
			}
		}
		slices.Sort(want)
		if have := x.agents[host].tasks(); !slices.Equal(have, want) {
			wrong = append(wrong, fmt.Sprintf("%s has %v, want %v", host, have, want))
		}
	}
	for _, app := range x.marathon.apps {
		if name := app.ID[1:]; x.kv.value(name, "role") != app.Labels["role"] {
			wrong = append(wrong, fmt.Sprintf("%s is %s, want %s", name, x.kv.value(name, "role"), app.Labels["role"]))
		}
	}
	return strings.Join(wrong, "; ")
}

// However often the lock is lost and won, and whatever happens meanwhile, every write is sent
// under a sure lock, and in the end Consul is what Marathon says, though what was under way
// when the lock was lost may have arrived later than what followed it.
func TestHistoriesOfALockLostAndWon(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		acts := lockActs.Draw(rt, "acts")
		var wrong, log string
		synctest.Test(t, func(t *testing.T) {
			x := newRivals(t)
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			for _, c := range x.copies {
				running.Go(func() { _ = c.Run(ctx) })
				c.live = true
				c.Connected()
			}
			for _, a := range acts {
				time.Sleep(a.after)
				x.do(a)
			}
			for _, a := range x.agents {
				a.set(func(a *fakeAgent) { a.slow = 0 })
			}
			x.do(lockAct{what: "lock", to: len(acts)})
			// An agent that was too slow for the last resync is seen by the next regular one.
			time.Sleep(x.config.SyncInterval + time.Minute)
			x.mu.Lock()
			wrong = x.wrong
			x.mu.Unlock()
			if wrong == "" {
				wrong = x.amiss()
			}
			log = x.log.String()
			stop()
			running.Wait()
		})
		if wrong != "" {
			rt.Fatalf("%s after %v\n%s", wrong, acts, log)
		}
	})
}

package reconcile_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile"
	"consular/reconcile/desired"
)

// ward is a cluster whose tasks turn critical and recover, and whose agents are changed by
// others, start anew, and do not always do what they are told.
type ward struct {
	*fakeCluster
	end     func()
	deaf    bool
	started int

	mu sync.Mutex
	// fault is how the next writes fail, so many of them.
	fault  string
	faults int
	writes int
	wrong  []string
	// updated are the checks whose status outlives an agent's restart.
	updated map[string]consul.Check
}

func newWard(t *testing.T, limit int) *ward {
	x := &ward{fakeCluster: newFakeCluster(t, h1, h2), updated: map[string]consul.Check{}}
	x.config.Policy.Limit, x.config.SyncInterval, x.config.Translation.Health = limit, 5*time.Minute, desired.HealthMirror
	x.main = wardAgent{x.agents[""], x}
	x.replace = map[string]reconcile.Agent{h1: wardAgent{x.agents[h1], x}, h2: wardAgent{x.agents[h2], x}}
	for checks, id := range []string{"/none", "/one", "/two"} {
		app := appOn(h1, id)
		app.Definition.Ports = []marathon.Port{{OnHost: true}}
		for range checks {
			app.Definition.HealthChecks = append(app.Definition.HealthChecks, checkedApp().Definition.HealthChecks...)
		}
		x.marathon.apps = append(x.marathon.apps, app)
	}
	return x
}

// begin starts a consular.
func (x *ward) begin() {
	x.Reconciler = x.consular()
	ctx, cancel := context.WithCancel(x.Context())
	ended := make(chan error)
	go func() { ended <- x.Reconciler.Run(ctx) }()
	x.end = func() {
		cancel()
		<-ended
	}
	if !x.deaf {
		x.Connected()
	}
}

// wardAgent is an agent of the ward.
type wardAgent struct {
	*fakeAgent
	ward *ward
}

func (a wardAgent) Register(ctx context.Context, s consul.Service) error {
	return a.write(func() error { return a.fakeAgent.Register(ctx, s) })
}

func (a wardAgent) Deregister(ctx context.Context, id string) error {
	if slices.Contains(a.tasks(), id) && a.ward.runs(a.host, id) {
		a.ward.mu.Lock()
		a.ward.wrong = append(a.ward.wrong, "deregistered though it runs: "+id)
		a.ward.mu.Unlock()
	}
	return a.write(func() error {
		a.forget(consul.CheckID(id))
		return a.fakeAgent.Deregister(ctx, id)
	})
}

func (a wardAgent) RegisterCheck(ctx context.Context, service string, c consul.Check) error {
	return a.write(func() error { return a.fakeAgent.RegisterCheck(ctx, service, c) })
}

func (a wardAgent) UpdateCheck(ctx context.Context, id string, status consul.Status, output string) error {
	return a.write(func() error {
		err := a.fakeAgent.UpdateCheck(ctx, id, status, output)
		if err == nil {
			a.ward.mu.Lock()
			a.ward.updated[a.host+id] = consul.Check{Status: status, Output: output}
			a.ward.mu.Unlock()
		}
		return err
	})
}

func (a wardAgent) DeregisterCheck(ctx context.Context, id string) error {
	return a.write(func() error {
		a.forget(id)
		return a.fakeAgent.DeregisterCheck(ctx, id)
	})
}

func (a wardAgent) forget(check string) {
	a.ward.mu.Lock()
	delete(a.ward.updated, a.host+check)
	a.ward.mu.Unlock()
}

var errCut = errors.New("connection reset by peer")

// write does a write, or fails as it is to.
func (a wardAgent) write(do func() error) error {
	a.ward.mu.Lock()
	a.ward.writes++
	fault := ""
	if a.ward.faults > 0 {
		a.ward.faults--
		fault = a.ward.fault
	}
	a.ward.mu.Unlock()
	failed := api.StatusError{Code: 500, Body: "internal error"}
	switch fault {
	case "fails":
		time.Sleep(time.Millisecond)
		return failed
	case "lies":
		return errors.Join(do(), failed)
	case "cut":
		return errors.Join(do(), errCut)
	case "late": // it arrives when nobody waits for it any more
		go func() {
			time.Sleep(3 * time.Second)
			_ = do()
		}()
		time.Sleep(time.Second)
		return context.DeadlineExceeded
	default:
		return do()
	}
}

// runs reports whether Marathon says that a task runs on a host.
func (x *ward) runs(host, id string) (runs bool) {
	x.marathon.set(func(m *fakeMarathon) {
		for _, app := range m.apps {
			runs = runs || slices.ContainsFunc(app.Tasks, func(t marathon.Task) bool {
				return t.ID == id && t.Host == host && t.State == marathon.TaskRunning
			})
		}
	})
	return runs
}

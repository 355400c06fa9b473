package reconcile_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
)

// A service that its agent has and the catalog has not, in two looks, is registered once
// more, and again every three minutes at most. Where no token is known, nobody looks.
func TestServiceThatTheCatalogLacksIsRegisteredAnew(t *testing.T) {
	for name, test := range map[string]struct {
		token       func(context.Context) (string, error)
		least, most int
	}{
		"with ACLs":    {func(context.Context) (string, error) { return "accessor", nil }, 4, 7},
		"without ACLs": {nil, 1, 1},
		"ACLs are off": {func(context.Context) (string, error) { return "", nil }, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				x.config.SyncInterval, x.token = time.Minute, test.token
				x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1", "a.2")}
				x.catalog.lacks = map[string]bool{"a.1": true}
				x.connect()
				if _, n := x.agents[h1].asked("a.1"); n != 1 {
					t.Errorf("registered %d times at once", n)
				}
				time.Sleep(15 * time.Minute)
				if _, n := x.agents[h1].asked("a.1"); n < test.least || n > test.most {
					t.Errorf("registered %d times in a quarter of an hour, want %d to %d", n, test.least, test.most)
				}
				if _, n := x.agents[h1].asked("a.2"); n != 1 {
					t.Errorf("the other one is registered %d times", n)
				}
				x.catalog.set(func(c *fakeCatalog) { c.lacks = nil })
				time.Sleep(2 * time.Minute)
				_, before := x.agents[h1].asked("a.1")
				time.Sleep(time.Hour)
				if _, n := x.agents[h1].asked("a.1"); n != before {
					t.Errorf("registered %d times more when the catalog has it", n-before)
				}
			}, h1)
		})
	}
}

// Another token is drift, once; a command that does not say which token it has leaves
// alone what is there.
func TestAnotherTokenIsDrift(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		var accessor atomic.Value
		accessor.Store("first")
		x.token = func(context.Context) (string, error) { return accessor.Load().(string), nil }
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.connect()
		accessor.Store("second")
		x.TryAgain()
		time.Sleep(20 * time.Second)
		x.agents[h1].set(func(a *fakeAgent) {
			if token := a.services["a.1"].Meta[consul.MetaToken]; token != "second" || a.registers["a.1"] != 2 {
				t.Errorf("its token is %q after %d registrations", token, a.registers["a.1"])
			}
		})
		x.token = nil
		p, err := x.consular().Plan(x.Context())
		must(t, err)
		if !p.InSync() {
			t.Errorf("plan of a command: %v", whys(p))
		}
	}, h1)
}

package consul

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"consular/consul/devconsul"
)

// realCopy is a copy with a lock in a real Consul.
type realCopy struct {
	*Lock
	stop func()
	// pulled cuts its connection, as a kill -9 does.
	pulled atomic.Bool
	next   Transport

	mu   sync.Mutex
	told []LockChange
}

func (c *realCopy) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.pulled.Load() {
		return nil, errors.New("killed")
	}
	return c.next.RoundTrip(r)
}

func (c *realCopy) Conceal(err error) error { return c.next.Conceal(err) }

func (c *realCopy) newest() LockChange {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.told) == 0 {
		return LockChange{}
	}
	return c.told[len(c.told)-1]
}

func (c *realCopy) is(state LockState) func() bool {
	return func() bool { return c.newest().State == state }
}

// runLock starts a copy at an agent until the test ends, or stop is called.
func runLock(t *testing.T, address *url.URL, key, name string, change ...func(*Config)) *realCopy {
	t.Helper()
	c := &realCopy{}
	cluster := connect(t, address, append(change, func(config *Config) {
		c.next, config.Transport = config.Transport, c
	})...)
	c.Lock = NewLock(cluster.Main(), LockConfig{Key: key, Name: name, Told: func(change LockChange) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.told = append(c.told, change)
	}})
	ctx, cancel := context.WithCancel(t.Context())
	var end sync.WaitGroup
	end.Go(func() { c.Run(ctx) })
	c.stop = func() {
		cancel()
		end.Wait()
	}
	t.Cleanup(c.stop)
	return c
}

func (c *realCopy) sure() bool { return c.Sure() }

// takesReal returns how long it takes until something is true, and sees to it that never are two
// copies sure meanwhile.
func takesReal(t *testing.T, what string, is func() bool, copies ...*realCopy) time.Duration {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for began := time.Now(); ; <-ticker.C {
		if is() {
			t.Logf("%s: %v", what, time.Since(began).Round(time.Millisecond))
			return time.Since(began)
		}
		sure := 0
		for _, c := range copies {
			if c.sure() {
				sure++
			}
		}
		if sure > 1 {
			t.Fatalf("%s: two are sure at once", what)
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%s: not within a minute; last told %+v", what, copies[0].newest())
		}
	}
}

func TestLockIsHandedOver(t *testing.T) {
	t.Parallel()
	address := open.get(t).Server().URL()
	first := runLock(t, address, "consular-lock/handover", "first")
	takesReal(t, "getting it", first.sure, first)
	second := runLock(t, address, "consular-lock/handover", "second")
	takesReal(t, "standby", second.is(LockStandby), first, second)
	if by := second.newest().Holder; by != "first" {
		t.Errorf("stands by for %q", by)
	}
	first.stop()
	if first.sure() {
		t.Error("the first is sure after its end")
	}
	within(t, "takeover after SIGTERM", takesReal(t, "takeover after SIGTERM", second.sure, second, first), 0, 2*time.Second)

	if n := sessionsFor(t, connect(t, address), "consular-lock/handover"); n != 1 {
		t.Errorf("%d sessions are left", n)
	}
}

// sessionsFor counts the sessions that want a lock, or have it.
func sessionsFor(t *testing.T, c *Cluster, key string) (n int) {
	t.Helper()
	sessions, _, err := c.Main().client.Session().List(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sessions {
		if s.Name == "consular "+key {
			n++
		}
	}
	return n
}

func TestLockOfAKilledCopy(t *testing.T) {
	t.Parallel()
	address := open.get(t).Server().URL()
	first := runLock(t, address, "consular-lock/killed", "first")
	takesReal(t, "getting it", first.sure, first)
	second := runLock(t, address, "consular-lock/killed", "second")
	takesReal(t, "standby", second.is(LockStandby), first, second)
	first.pulled.Store(true)
	first.stop()
	within(t, "takeover after a kill", takesReal(t, "takeover after a kill", second.sure, second, first), 20*time.Second, 28*time.Second)
}

// What has been done with the key by hand is noticed at once.
func TestLockWhoseKeyIsDeleted(t *testing.T) {
	t.Parallel()
	address := open.get(t).Server().URL()
	first := runLock(t, address, "consular-lock/deleted", "first")
	takesReal(t, "getting it", first.sure, first)
	kv := connect(t, address).Main().client.KV()
	if _, err := kv.Delete("consular-lock/deleted", nil); err != nil {
		t.Fatal(err)
	}
	lost := func() bool {
		first.mu.Lock()
		defer first.mu.Unlock()
		return len(first.told) > 1 && first.told[1].State == LockLost
	}
	within(t, "losing it", takesReal(t, "losing it", lost, first), 0, time.Second)
	takesReal(t, "having it again", first.is(LockHeld), first)
}

// A key that holds something else is not overwritten.
func TestLockOnAKeyThatIsInUse(t *testing.T) {
	t.Parallel()
	address := open.get(t).Server().URL()
	agent := connect(t, address).Main()
	if err := connect(t, address, func(c *Config) { c.Prefix = "other" }).Labels().Apply(t.Context(), "team",
		[]KeyChange{{Key: Key{Service: "team", Label: "config", Value: "precious"}}}); err != nil {
		t.Fatal(err)
	}
	c := runLock(t, address, "other/team/config", "c")
	takesReal(t, "refusal", c.is(LockWaiting), c)
	if err := c.newest().Err; err == nil || !strings.Contains(err.Error(), "other/team/config") || !strings.Contains(err.Error(), "--lock-key") {
		t.Errorf("told %v", err)
	}
	if pair, _, err := agent.client.KV().Get("other/team/config", nil); err != nil || string(pair.Value) != "precious" {
		t.Errorf("the key has %s, %v", pair.Value, err)
	}
}

// Each permission that is missing is named by the rule that gives it.
func TestLockWithoutPermission(t *testing.T) {
	address := protected.get(t).Server().URL()
	admin := connect(t, address, withToken(management))
	const (
		session = `session_prefix "" { policy = "write" }`
		key     = `key_prefix "consular-lock/" { policy = "write" }`
	)
	for name, test := range map[string]struct{ rules, missing string }{
		"no session": {key, session},
		"no key":     {session, key},
		"read only":  {session + ` key_prefix "" { policy = "read" }`, key},
		"enough":     {session + key, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := runLock(t, address, "consular-lock/x", "c", withToken(token(t, admin, test.rules)))
			if test.missing == "" {
				takesReal(t, "getting it", c.sure, c)
				c.stop()
				return
			}
			takesReal(t, "three refusals", func() bool { return c.newest().Attempt > 2 }, c)
			if err := c.newest().Err; err == nil || !strings.Contains(err.Error(), test.missing) {
				t.Errorf("does not name %s: %v", test.missing, err)
			}
			c.stop()
			if n := sessionsFor(t, admin, "consular-lock/x"); n > 0 {
				t.Errorf("%d sessions are left behind", n)
			}
		})
	}
	t.Run("anonymous", func(t *testing.T) {
		c := runLock(t, address, "consular-lock/x", "c")
		takesReal(t, "a refusal", c.is(LockWaiting), c)
		if err := c.newest().Err; err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("told %v", err)
		}
	})
}

// A Consul that takes no sessions as short as ours is told from one that fails.
func TestLockWhereSessionsMustBeLonger(t *testing.T) {
	t.Parallel()
	address := devconsul.RunConfig(t, devconsul.Config{HCL: `session_ttl_min = "30s"`}).Server().URL()
	c := runLock(t, address, "consular-lock/x", "c")
	takesReal(t, "a refusal", c.is(LockWaiting), c)
	if err := c.newest().Err; err == nil || !strings.Contains(err.Error(), "session_ttl_min") || !strings.Contains(err.Error(), "--ha") {
		t.Errorf("told %v", err)
	}
}

// Agents and servers that stop, die and come back.
func TestLockWhileConsulFails(t *testing.T) {
	t.Parallel()
	consul := devconsul.Run(t, 2)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	first := runLock(t, consul.Clients()[0].URL(), "consular-lock/x", "first")
	takesReal(t, "getting it", first.sure, first)
	second := runLock(t, consul.Clients()[1].URL(), "consular-lock/x", "second")
	takesReal(t, "standby", second.is(LockStandby), first, second)

	must(consul.Server().Pause())
	within(t, "doubt", takesReal(t, "doubt while the server is stopped", first.is(LockUnsure), first, second), 2*time.Second, 5*time.Second)
	takesReal(t, "a while", after(8*time.Second), first, second)
	must(consul.Server().Resume())
	takesReal(t, "being sure again", first.sure, first, second)
	if second.newest().State == LockHeld {
		t.Error("the second has it")
	}

	must(consul.Server().Kill())
	takesReal(t, "doubt while the server is down", first.is(LockUnsure), first, second)
	must(consul.Server().Restart())
	takesReal(t, "being sure again", func() bool { return first.sure() != second.sure() }, first, second)
	must(consul.WaitReady(t.Context()))
	takesReal(t, "one of them stands by", func() bool { return first.is(LockStandby)() != second.is(LockStandby)() }, first, second)

	leader, standby, agent := first, second, consul.Clients()[0]
	if second.sure() {
		leader, standby, agent = second, first, consul.Clients()[1]
	}
	must(agent.Kill())
	within(t, "takeover", takesReal(t, "takeover after the leader's agent died", standby.sure, standby, leader), 6*time.Second, 20*time.Second)
	if leader.sure() {
		t.Error("two are sure at once")
	}
	must(agent.Restart())
	takesReal(t, "the former leader stands by", leader.is(LockStandby), leader, standby)
}

// after is true when some time has passed.
func after(d time.Duration) func() bool {
	end := time.Now().Add(d)
	return func() bool { return time.Now().After(end) }
}

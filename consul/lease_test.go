package consul

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"
)

// A copy that was stopped may go on anywhere: also when it has looked whether it may write, and has
// not sent anything yet. (Its timers come late, too.)
func TestWhoWasStoppedSendsNothing(t *testing.T) {
	var stopped, served atomic.Int64
	l := newLease(sureFor, func() moment {
		now := time.Now().Add(time.Duration(stopped.Load()))
		return moment{monotonic: now, wall: now.Round(0)}
	})
	defer l.end()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	defer server.Close()
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	agent := connect(t, address).Main()
	for name, write := range map[string]func(context.Context) error{
		"register":   func(ctx context.Context) error { return agent.Register(ctx, Service{ID: "x", Name: "x"}) },
		"deregister": func(ctx context.Context) error { return agent.Deregister(ctx, "x") },
	} {
		l.grant(l.clocks())
		ctx, cancel, _ := l.guard(t.Context())
		before := served.Load()
		if err := write(ctx); err != nil || served.Load() != before+1 {
			t.Fatalf("%s: %v", name, err)
		}
		stopped.Add(int64(sureFor))
		if err := write(ctx); err == nil || served.Load() != before+1 || !errors.Is(context.Cause(ctx), ErrUnsure) {
			t.Errorf("%s is sent: %v", name, err)
		}
		cancel()
	}
}

// Why the lock is not sure is not what once failed, and went well since.
func TestWhyItIsNotSure(t *testing.T) {
	bubble(t, func(t *testing.T, s *standIn) {
		c := s.run(t.Context(), "c")
		defer c.stop()
		takes(t, c.sure)
		pass(500 * time.Millisecond)
		c.refuse()
		pass(time.Second)
		c.link.set(func(l *link) { l.weather = weather{} })
		pass(time.Minute)
		c.jump(sureFor)
		takes(t, func() bool { return c.states() == "held unsure held" })
		if why := c.told[1].Err; errors.Is(why, errRefusedConnection) {
			t.Errorf("told that %v", why)
		}
	})
}

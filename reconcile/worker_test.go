package reconcile

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// An agent that has refused our token for long is tried at once when the token is
// another one, and not when its rest is over.
func TestTryAgainEndsARest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Config{Log: zerolog.Nop()}, nil, Consul{})
		tried := make(chan time.Time, 1000)
		execute := func(context.Context, job) (outcome, error) {
			tried <- time.Now()
			return outcome{Failed: 1}, errors.New("permission denied")
		}
		ended := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { defer close(ended); r.keys.work(ctx, execute) }()
		r.keys.queue.put(job{key: "web"})
		time.Sleep(10 * time.Minute)
		for len(tried) > 0 {
			<-tried
		}
		changed := time.Now()
		r.TryAgain()
		if took := (<-tried).Sub(changed); took != 0 {
			t.Errorf("tried %v after the change", took)
		}
		if took := (<-tried).Sub(changed); took < 10*time.Second {
			t.Errorf("tried again %v later: the rests begin anew", took)
		}
		cancel()
		<-ended
	})
}

// closed lets nothing be written.
type closed struct{ Permit }

func (closed) Sure() bool { return false }

// While nothing may be written, no worker lists its agent, and so none is waited for.
func TestListingThatIsNotDoneIsNotWaitedFor(t *testing.T) {
	w := &worker{gate: newGate(closed{}, func(Notice) {}), queue: newQueue()}
	w.late.Store(1)
	w.drop(job{})
	if w.late.Load() != 0 {
		t.Error("its agent counts as being listed, for ever")
	}
}

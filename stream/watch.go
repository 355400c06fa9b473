package stream

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// tickEvery is how often a watch looks, unless the idle timeout is so short
	// that it must look more often.
	tickEvery = time.Second
	// lateness is how late a tick may be before it counts as a pause of our own.
	lateness = 10 * time.Second
)

// watch notices when a connection falls silent, or never brings an event: half-open
// TCP looks healthy for ever, and r3labs' client does not show heartbeats. It also
// notices when this process was stopped or the machine suspended.
type watch struct {
	idle, every time.Duration
	wall        func() time.Time

	mu    sync.Mutex
	heard time.Time // of the last byte
	tick  moment    // of the last tick
	// mute is since when a first event is waited for; zero once there was one.
	mute time.Time
}

// moment is one time on two clocks. The monotonic one stands still while the
// machine is suspended. The wall clock jumps when it is set; a jump forward is
// taken for a pause, which costs one reconnect.
type moment struct {
	monotonic, wall time.Time
}

func newWatch(idle time.Duration, wall func() time.Time) *watch {
	w := &watch{idle: idle, every: min(tickEvery, idle/4), wall: wall, heard: time.Now(), mute: time.Now()}
	w.tick = w.now()
	return w
}

func (w *watch) now() moment {
	return moment{monotonic: time.Now(), wall: w.wall().Round(0)}
}

// since returns how much time has passed, by the clock that says more.
func (m moment) since(earlier moment) time.Duration {
	return max(m.monotonic.Sub(earlier.monotonic), m.wall.Sub(earlier.wall))
}

// hear notes a sign of life.
func (w *watch) hear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = time.Now()
}

// subscribed notes the first event.
func (w *watch) subscribed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mute = time.Time{}
}

// paused reports whether a tick is overdue. What is about to be delivered asks
// too: after a pause the bytes that waited may be read before the late tick runs.
func (w *watch) paused() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now().since(w.tick) > w.every+lateness
}

// run watches until ctx ends, and returns nil, or until it finds a reason to end
// the connection, and returns that: a Gap.
func (w *watch) run(ctx context.Context) error {
	ticker := time.NewTicker(w.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := w.look(); err != nil {
			return err
		}
	}
}

// look is one tick. A pause comes first, for it makes every stream look idle.
func (w *watch) look() error {
	if w.paused() {
		return Gap{Cause: Paused}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.heard) >= w.idle {
		return Gap{Cause: Idle, Err: fmt.Errorf("no byte for %v", w.idle)}
	}
	if !w.mute.IsZero() && time.Since(w.mute) >= w.idle {
		return Gap{Cause: Mute, Err: fmt.Errorf("no event for %v, heartbeats only", w.idle)}
	}
	w.tick = w.now()
	return nil
}

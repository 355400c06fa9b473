package heartbeat

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// stuckAfter is how long one round of a loop may take: longer than any request that is
// given up by itself.
const stuckAfter = time.Minute

// Loops are the loops of a program, each of which must go round. It is safe for
// concurrent use. A nil *Loops has none, and its loops tell nobody.
type Loops struct {
	mu  sync.Mutex
	all map[*Loop]struct{}
}

// Loop is one of them. Its methods are cheap, and may be called on nil.
type Loop struct {
	loops *Loops
	name  string
	// since is when the round began, in Unix nanoseconds; 0 while there is nothing to do.
	since atomic.Int64
	began time.Time
}

// Add adds a loop that has nothing to do yet. The name is for people: "resyncs".
func (l *Loops) Add(name string) *Loop {
	if l == nil {
		return nil
	}
	loop := &Loop{loops: l, name: name, began: time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[*Loop]struct{}{}
	}
	l.all[loop] = struct{}{}
	return loop
}

// Round says that a round begins, or that a long one has got on. The next must follow within a
// minute, or a Rest.
func (l *Loop) Round() {
	if l != nil {
		l.since.Store(int64(max(time.Since(l.began), 1)))
	}
}

// Rest says that there is nothing to do: the loop waits, for however long.
func (l *Loop) Rest() {
	if l != nil {
		l.since.Store(0)
	}
}

// End says that the loop is over, as it should.
func (l *Loop) End() {
	if l == nil {
		return
	}
	l.loops.mu.Lock()
	defer l.loops.mu.Unlock()
	delete(l.loops.all, l)
}

// stuck returns the names of loops that do not go round, in order.
func (l *Loops) stuck() []string {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	count := map[string]int{}
	for loop := range l.all {
		if since := loop.since.Load(); since > 0 && time.Since(loop.began)-time.Duration(since) > stuckAfter {
			count[loop.name]++
		}
	}
	var names []string
	for name, n := range count {
		if n > 1 {
			name = fmt.Sprintf("%s (%d of them)", name, n)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

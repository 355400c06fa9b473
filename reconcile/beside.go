package reconcile

import (
	"context"
	"sync"
)

// beside runs what a resync asks of Marathon while the resync goes on: each question once
// at a time, and a few together.
type beside struct {
	mu     sync.Mutex
	asked  map[string]bool
	slots  chan struct{}
	asking sync.WaitGroup
}

func newBeside() *beside {
	return &beside{asked: map[string]bool{}, slots: make(chan struct{}, readsAtOnce)}
}

// ask runs read, which asks a question, when it is its turn; not at all when ctx ends
// before. It reports false, and does nothing, when the question is being asked already.
func (b *beside) ask(ctx context.Context, question string, read func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.asked[question] {
		return false
	}
	b.asked[question] = true
	b.asking.Go(func() {
		defer func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			delete(b.asked, question)
		}()
		select {
		case b.slots <- struct{}{}:
			defer func() { <-b.slots }()
			read()
		case <-ctx.Done():
		}
	})
	return true
}

// wait returns when nothing is asked any more.
func (b *beside) wait() { b.asking.Wait() }

package reconcile

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// Whatever a retired worker still had, the resync that asked hears of it, and
// what it does not take in, it says so: sync never hangs.
func TestRetiredWorkerFinishesItsBatch(t *testing.T) {
	for name, c := range map[string]struct {
		fails bool
		act   func(w *worker, put func(key string))
	}{
		"put later": {false, func(w *worker, put func(string)) {
			w.queue.retire()
			synctest.Wait() // it has ended
			put("t1")
		}},
		"put before": {false, func(w *worker, put func(string)) { put("t1"); w.queue.retire() }},
		"while it rests": {true, func(w *worker, put func(string)) {
			put("t1")
			synctest.Wait() // t1 has failed
			put("t2")
			w.queue.retire()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &worker{queue: newQueue(), recovered: func() {}, log: zerolog.Nop()}
				w.do = func(context.Context, job) (outcome, error) {
					if c.fails {
						return outcome{}, errors.New("no answer")
					}
					return outcome{Registered: 1}, nil
				}
				done := make(chan outcome, 1)
				b := newBatch(func(o outcome) { done <- o })
				ended := make(chan struct{})
				go func() { w.run(t.Context()); close(ended) }()
				synctest.Wait()
				c.act(w, func(key string) {
					b.expect(1)
					if !w.queue.put(job{key: key, batch: b}) {
						b.done(outcome{Failed: 1})
					}
				})
				b.done(outcome{})
				select {
				case <-done:
				case <-time.After(time.Hour):
					t.Error("its resync waits for ever")
				}
				<-ended
			})
		})
	}
}

// A job that is put just before the worker is retired is done, also when the
// worker was about to wait.
func TestNoJobIsLostInRetirement(t *testing.T) {
	for range 20_000 {
		q, lost := newQueue(), true
		first, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			for j, ok := q.next(t.Context()); ok; j, ok = q.next(t.Context()) {
				if j.key == "t1" {
					close(first)
				}
				lost = j.key != "t2"
			}
		}()
		q.put(job{key: "t1"})
		<-first // now it goes on to wait
		q.put(job{key: "t2"})
		q.retire()
		if <-ended; lost {
			t.Fatal("the worker has ended, and the last job is not done")
		}
	}
}

// deadNodes counts what is deregistered through the catalog.
type deadNodes struct {
	Catalog
	removed []string
}

func (c *deadNodes) Deregister(_ context.Context, _, task string) error {
	c.removed = append(c.removed, task)
	return nil
}

// While a removal waits for the catalog, its task can come back: it is not
// removed then. One that has moved away is.
func TestCatalogWorkerKeepsWhatIsWantedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		upTo Removal
		want Want
		goes bool
	}{
		"ended":               {Announced, Want{Verdict: Absent, Announced: true}, true},
		"lost":                {Away, Want{Verdict: Absent, Away: true}, true},
		"lost, and back":      {Away, Want{Verdict: Present, Host: "h1"}, false},
		"missing, and there":  {Missing, Want{Verdict: Present, Host: "h1"}, false},
		"ended, and running":  {Announced, Want{Verdict: Present, Host: "h1"}, false},
		"moved":               {Moved, Want{Verdict: Present, Host: "h2"}, true},
		"not known any more":  {Missing, Want{Verdict: Untouched}, false},
		"ended, then missing": {Announced, Want{Verdict: Absent}, false},
	} {
		t.Run(name, func(t *testing.T) {
			catalog := &deadNodes{}
			w := &catalogWorker{catalog: catalog, desired: func(string, string) Want { return c.want }}
			w.log = zerolog.Nop()
			if _, err := w.do(t.Context(), job{key: "t1", node: "n1", upTo: c.upTo}); err != nil {
				t.Fatal(err)
			}
			if gone := len(catalog.removed) > 0; gone != c.goes {
				t.Errorf("removed: %v, want %v", gone, c.goes)
			}
		})
	}
}

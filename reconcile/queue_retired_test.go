package reconcile

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"consular/consul"
	"consular/reconcile/desired"
)

// Whatever a retired worker still had, the resync that asked hears of it, and
// what it does not take in, it says so: sync never hangs.
func TestRetiredWorkerFinishesItsTally(t *testing.T) {
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
				w := &worker{queue: newQueue(), gate: newGate(nil, nil), recovered: func() {}, tell: func(Notice) {}}
				execute := func(context.Context, job) (outcome, error) {
					if c.fails {
						return outcome{}, errors.New("no answer")
					}
					return outcome{Registered: 1}, nil
				}
				done := make(chan outcome, 1)
				b := newTally(func(o outcome) { done <- o })
				ended := make(chan struct{})
				go func() { w.work(t.Context(), execute); close(ended) }()
				synctest.Wait()
				c.act(w, func(key string) {
					b.expect()
					if !w.queue.put(job{key: key, tally: b}) {
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
	absent := func(g desired.Grounds) desired.Want { return desired.Want{Grounds: g} }
	present := func(host string) desired.Want {
		return desired.Want{Verdict: desired.Present, Host: host, Services: []consul.Service{{ID: "t1"}}}
	}
	for name, c := range map[string]struct {
		allowed desired.Grounds
		want    desired.Want
		goes    bool
	}{
		"ended":               {desired.Ended, absent(desired.Ended), true},
		"lost":                {desired.Lost, absent(desired.Lost), true},
		"lost, and back":      {desired.Lost, present("h1"), false},
		"missing, and there":  {desired.Missing, present("h1"), false},
		"ended, and running":  {desired.Ended, present("h1"), false},
		"moved":               {desired.Moved, present("h2"), true},
		"not known any more":  {desired.Missing, desired.Want{Verdict: desired.Untouched}, false},
		"ended, then missing": {desired.Ended, absent(desired.Missing), false},
	} {
		t.Run(name, func(t *testing.T) {
			catalog := &deadNodes{}
			w := &catalogWorker{catalog: catalog, want: func(string, string) desired.Want { return c.want }}
			w.tell = func(Notice) {}
			if _, err := w.execute(t.Context(), job{key: "t1", node: "n1", ids: []string{"t1"}, allowed: c.allowed}); err != nil {
				t.Fatal(err)
			}
			if gone := len(catalog.removed) > 0; gone != c.goes {
				t.Errorf("removed: %v, want %v", gone, c.goes)
			}
		})
	}
}

// A job that is put off may meet a later resync's: whoever asked is told, once for each time
// that it expects.
func TestPutBackTellsEveryResyncThatAsked(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Second} {
		q, finished := newQueue(), 0
		first, second := newTally(func(outcome) { finished++ }), newTally(func(outcome) { finished++ })
		q.put(job{key: "t1", tally: second})
		q.putBack(job{key: "t1", tally: first}, wait)
		j, ok := q.take()
		if !ok {
			time.AfterFunc(0, q.hurry)
			j, ok = q.next(t.Context())
		}
		if !ok {
			t.Fatal("nothing to do")
		}
		j.finish(outcome{})
		if finished != 2 {
			t.Errorf("put back for %s: %d of 2 resyncs have ended", wait, finished)
		}
	}
}

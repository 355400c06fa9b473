package reconcile

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

// What has failed waits by itself, and what that does to what else is heard of it.

func TestFailedJobWaitsForItsTimeAndDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, start := newQueue(), time.Now()
		for _, key := range []string{"bad", "worse", "good"} {
			q.put(job{key: key})
		}
		bad, _ := q.take()
		worse, _ := q.take()
		q.putBack(worse, 20*time.Second)
		q.putBack(bad, 10*time.Second)
		for _, want := range []struct {
			key   string
			after time.Duration
		}{{"good", 0}, {"bad", 10 * time.Second}, {"worse", 20 * time.Second}} {
			j, _ := q.next(t.Context())
			if took := time.Since(start); j.key != want.key || took != want.after {
				t.Errorf("took %q after %v, want %q after %v", j.key, took, want.key, want.after)
			}
		}
	})
}

// What an event has caused stays its doing when a resync, or a listing, finds it not done yet: the
// log says how long it took since.
func TestACauseIsTheEventThatWasHeard(t *testing.T) {
	running := cause{name: "status_update_event", state: marathon.TaskRunning, heard: time.Unix(1e9, 0)}
	verdict := cause{name: "health_status_changed_event", heard: time.Unix(1e9, 1)}
	resync, listed, read := cause{name: "resync"}, cause{name: listedAnew}, cause{name: appRead}
	for _, test := range []struct{ before, after, want cause }{
		{verdict, resync, verdict},
		{verdict, listed, verdict},
		{verdict, read, verdict},
		{running, resync, running},
		{running, verdict, running},
		{resync, verdict, verdict},
		{resync, running, running},
		{resync, listed, listed},
	} {
		if got := merge(job{cause: test.before}, job{cause: test.after}).cause; got != test.want {
			t.Errorf("%s, and then %s: the cause is %s, want %s", test.before.name, test.after.name, got.name, test.want.name)
		}
	}
}

// Only news of its subject ends the wait of what has failed.
func TestNewsOfWhatHasFailedIsNotPutOff(t *testing.T) {
	running := cause{name: "status_update_event", state: marathon.TaskRunning}
	killed := cause{name: "status_update_event", state: marathon.TaskKilled}
	verdict := cause{name: "health_status_changed_event", heard: time.Unix(1e9, 0)}
	for name, c := range map[string]struct {
		failed, heard cause
		asks          bool
		news          bool
	}{
		"a verdict on its health":  {running, verdict, false, true},
		"another verdict":          {verdict, verdict, false, true},
		"a resync, after one":      {verdict, cause{name: "resync"}, true, false},
		"the task has ended":       {running, killed, false, true},
		"the same again":           {running, running, false, false},
		"its app was read":         {running, cause{name: appRead}, false, true},
		"its agent was listed":     {running, cause{name: listedAnew}, false, false},
		"a resync":                 {running, cause{name: "resync"}, true, false},
		"it runs, after a resync":  {cause{name: "resync"}, running, false, true},
		"it was killed once more":  {killed, cause{name: "status_update_event", state: marathon.TaskFailed}, false, false},
		"a resync, after its kill": {killed, cause{name: "resync"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, during := range []bool{false, true} { // the attempt that fails
				q := newQueue()
				q.put(job{key: "t1", cause: c.failed, allowed: desired.Ended})
				failed, _ := q.take()
				failed.failures++
				heard := job{key: "t1", cause: c.heard}
				var told []outcome
				if c.asks {
					heard.tally = newTally(func(o outcome) { told = append(told, o) })
				}
				if during {
					q.put(heard)
				}
				q.putBack(failed, time.Minute)
				if !during {
					q.put(heard)
				}
				j, now := q.take()
				if now != c.news || now && (j.allowed != desired.Ended || j.failures != 1) {
					t.Errorf("during the attempt: %v; taken at once: %v, %+v", during, now, j)
				}
				if c.asks && !during && len(told) != 1 {
					t.Error("the resync that asked waits")
				}
			}
		})
	}
}

// What the domain did not answer is behind all else, and waits by itself for a moment when
// it answers again: that may be why it did not.
func TestJobWithoutAnswerIsTriedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		q.put(job{key: "bad", cause: cause{state: marathon.TaskKilled}})
		bad, _ := q.take()
		q.put(job{key: "good"})
		bad.suspect = true
		q.putBack(bad, 0)
		if j, _ := q.take(); j.key != "good" {
			t.Errorf("took %q first", j.key)
		}
		q.settle()
		if j, some := q.take(); some {
			t.Errorf("took %q at once", j.key)
		}
		q.put(job{key: "later"})
		time.Sleep(firstBackoff * 3 / 2)
		if j, _ := q.take(); j.key != "bad" {
			t.Errorf("took %q, want what is about an end", j.key)
		}
	})
}

// A domain that was away and is not asked, for there is nothing to do, works no better.
func TestNothingToDoIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		nodes := &awayNodes{}
		nodes.away.Store(true)
		var back atomic.Bool // the task, so that nothing is to be removed
		w := &catalogWorker{catalog: nodes, want: func(string, string) desired.Want {
			if back.Load() {
				return desired.Want{Verdict: desired.Present, Host: "n1", Services: []consul.Service{{ID: "t1"}}}
			}
			return desired.Want{Grounds: desired.Ended}
		}}
		w.worker = worker{
			name: "catalog", queue: newQueue(), gate: newGate(nil, nil), again: make(chan struct{}, 1), recovered: func() {},
			tell: func(n Notice) { told = append(told, n.Message) },
		}
		gone := job{key: "t1", node: "n1", ids: []string{"t1"}, allowed: desired.Ended}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); w.run(ctx) }()
		w.queue.put(gone)
		synctest.Wait()
		back.Store(true)
		time.Sleep(time.Hour)
		synctest.Wait()
		if !slices.Equal(told, []string{"failed: left alone for a while"}) {
			t.Errorf("told %q, want that the catalog does not answer", told)
		}
		nodes.away.Store(false)
		back.Store(false)
		w.queue.put(gone)
		time.Sleep(time.Hour)
		synctest.Wait()
		if !slices.Contains(told, "works again") {
			t.Errorf("told %q, want that it works again", told)
		}
		cancel()
		<-ended
	})
}

// awayNodes is a catalog that does not answer while it is away.
type awayNodes struct {
	Catalog
	away atomic.Bool
}

func (c *awayNodes) Deregister(context.Context, string, string) error {
	if c.away.Load() {
		return errors.New("no answer")
	}
	return nil
}

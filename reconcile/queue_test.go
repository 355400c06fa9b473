package reconcile

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"consular/marathon"
	"consular/reconcile/desired"
)

// naiveQueue is what a queue means, slowly: one list, what has ended first.
type naiveQueue []job

func (q *naiveQueue) put(j job) {
	i := slices.IndexFunc(*q, func(other job) bool { return other.key == j.key })
	switch {
	case i < 0:
		*q = append(*q, j)
	default:
		before := (*q)[i]
		ended := before.state.Phase() == marathon.Ended
		(*q)[i] = merge(before, j)
		if !ended && (*q)[i].state.Phase() == marathon.Ended {
			*q = append(slices.Delete(*q, i, i+1), merge(before, j)) // the last of those
		}
	}
}

func (q *naiveQueue) take() (job, bool) {
	if len(*q) == 0 {
		return job{}, false
	}
	i := max(0, slices.IndexFunc(*q, func(j job) bool { return j.state.Phase() == marathon.Ended }))
	j := (*q)[i]
	*q = slices.Delete(*q, i, i+1)
	return j, true
}

func TestQueueIsWhatItMeans(t *testing.T) {
	states := []marathon.State{"", "", marathon.TaskRunning, marathon.TaskKilled}
	rapid.Check(t, func(t *rapid.T) {
		q, naive := newQueue(), naiveQueue{}
		for range rapid.SampledFrom([]int{5, 20, 100}).Draw(t, "length") {
			if rapid.Bool().Draw(t, "put") {
				j := job{
					key:     rapid.SampledFrom([]string{"t1", "t2", "t3", "t4"}).Draw(t, "key"),
					allowed: rapid.SampledFrom([]desired.Grounds{0, desired.Ended, desired.Missing}).Draw(t, "grounds"),
				}
				j.state = rapid.SampledFrom(states).Draw(t, "state")
				q.put(j)
				naive.put(j)
				continue
			}
			have, some := q.take()
			want, wanted := naive.take()
			if some != wanted || !reflect.DeepEqual(have, want) {
				t.Fatalf("took %+v (%v), want %+v (%v)", have, some, want, wanted)
			}
		}
		if q.len() != len(naive) {
			t.Fatalf("%d wait, want %d", q.len(), len(naive))
		}
	})
}

// Every resync that asked for a job hears of it once, whatever becomes of it.
func TestTalliesHearOfTheirJobsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, finished := newQueue(), map[int]outcome{}
		resyncs := rapid.SampledFrom([]int{1, 2, 5}).Draw(t, "resyncs")
		sizes := map[int]int{}
		for resync := range resyncs {
			sizes[resync] = rapid.SampledFrom([]int{0, 1, 3}).Draw(t, "jobs")
			b := &tally{open: sizes[resync] + 1, finish: func(o outcome) {
				if _, twice := finished[resync]; twice {
					t.Fatalf("resync %d finished twice", resync)
				}
				finished[resync] = o
			}}
			for i := range sizes[resync] {
				q.put(job{key: fmt.Sprint("t", i), tally: b})
			}
			b.done(outcome{}) // all of it has been handed out
			switch rapid.SampledFrom([]string{"wait", "fail", "do one", "one fails"}).Draw(t, "then") {
			case "fail":
				q.fail()
			case "do one":
				if j, ok := q.take(); ok {
					j.finish(outcome{Registered: 1})
				}
			case "one fails":
				if j, ok := q.take(); ok {
					j.finish(outcome{Failed: 1})
					j.tally, j.failures = nil, j.failures+1
					q.putBack(j, time.Hour)
				}
			}
		}
		for j, ok := q.take(); ok; j, ok = q.take() {
			j.finish(outcome{Registered: 1})
		}
		if len(finished) != resyncs {
			t.Fatalf("%d of %d resyncs finished", len(finished), resyncs)
		}
		for resync, o := range finished {
			if o.Registered+o.Failed > sizes[resync] {
				t.Fatalf("resync %d of %d jobs: %+v", resync, sizes[resync], o)
			}
		}
	})
}

func TestQueueWakesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		ctx, cancel := context.WithCancel(t.Context())
		took := make(chan job)
		go func() {
			defer close(took)
			for j, ok := q.next(ctx); ok; j, ok = q.next(ctx) {
				took <- j
			}
		}()
		synctest.Wait()
		q.put(job{key: "t1"})
		if j := <-took; j.key != "t1" {
			t.Errorf("took %+v", j)
		}
		cancel()
		if _, ok := <-took; ok {
			t.Error("took a job that nobody put")
		}
	})
}

// The log tells of the newest event, not of the one whose write failed meanwhile.
func TestFailedJobIsOlderThanWhatWaits(t *testing.T) {
	q := newQueue()
	q.put(job{key: "t1", cause: cause{name: "status_update_event", state: marathon.TaskUnreachable}})
	failed, _ := q.take()
	q.put(job{key: "t1", cause: cause{name: "status_update_event", state: marathon.TaskRunning}})
	q.putBack(failed, 0)
	if j, _ := q.take(); j.state != marathon.TaskRunning {
		t.Errorf("the job is because of %s", j.state)
	}
}

// What the guard holds back now does not go on the grounds of an older job that waits.
func TestOlderGrantEndsWithANewerRefusal(t *testing.T) {
	q := newQueue()
	q.put(job{key: "t", allowed: desired.Announced | desired.Lost, cause: cause{state: marathon.TaskUnreachable}})
	q.put(job{key: "t", allowed: desired.Announced, cause: cause{state: marathon.TaskRunning}})     // it came back
	q.put(job{key: "t", allowed: desired.Announced, cause: cause{state: marathon.TaskUnreachable}}) // held back
	if j, _ := q.take(); j.allowed.Allow(desired.Lost) {
		t.Error("the guard holds the task back, and its job may remove it all the same")
	}
}

// A resync hears of a job that waits by itself when its worker is retired.
func TestTallyEndsWhenAWorkerIsRetired(t *testing.T) {
	finished := make(chan outcome, 1)
	w := &worker{queue: newQueue(), recovered: func() {}, tell: func(Notice) {}}
	w.queue.put(job{key: "t", tally: newTally(func(o outcome) { finished <- o })}) // while the same job is in flight, and fails
	w.queue.putBack(job{key: "t", failures: 1}, time.Hour)
	w.queue.retire()
	w.work(t.Context(), func(context.Context, job) (outcome, error) { return outcome{}, nil })
	if o := <-finished; o.Failed != 1 {
		t.Errorf("the resync hears %+v", o)
	}
}

// Of two jobs of two terms the later term counts, whichever comes first: what the earlier one may
// remove was judged before others may have written.
func TestJobsOfTwoTerms(t *testing.T) {
	former := job{key: "t1", term: 1, allowed: desired.Lost | desired.Missing, cause: cause{name: listedAnew}}
	present := job{key: "t1", term: 2, allowed: desired.Ended, cause: cause{name: listedAnew}}
	for name, merged := range map[string]job{"in order": merge(former, present), "a late one": merge(present, former)} {
		if merged.term != present.term || merged.allowed != present.allowed {
			t.Errorf("%s: allows %v in term %d", name, merged.allowed, merged.term)
		}
	}
}

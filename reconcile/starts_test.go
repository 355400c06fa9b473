package reconcile

import (
	"testing"
	"time"
)

// isStarting reports whether a task of the app is about to be registered.
func (s *starts) isStarting(app string) bool { return s.last(app, time.Now()) != nil }

// What is left of a task that shows up is done later: whoever waits for the task waits for that
// too.
func TestStartEndsWithTheRest(t *testing.T) {
	starts, w := newStarts(), &agentWorker{worker: worker{queue: newQueue()}}
	first := job{key: "t1", start: starts.begin("/a", "t1", time.Now())}
	first.finish(outcome{requeued: w.requeueRest(first)})
	if !starts.isStarting("/a") {
		t.Error("nobody waits for the rest")
	}
	rest, _ := w.queue.take()
	if !rest.rest {
		t.Fatalf("%+v is no rest", rest)
	}
	rest.finish(outcome{})
	if starts.isStarting("/a") {
		t.Error("all is done, and somebody waits")
	}
}

// Of two jobs that become one, one may hold a start that is over, and the other the one that
// is not: it ends with the job, or each task of the app that is killed would wait for it, for ever.
func TestStartIsNotLost(t *testing.T) {
	starts := newStarts()
	over := starts.begin("/a", "t1", time.Now())
	over.end()
	live := starts.begin("/a", "t1", time.Now())
	for name, jobs := range map[string][2]job{
		"the older job's":  {{key: "t1", start: live}, {key: "t1", start: over}},
		"the newer job's":  {{key: "t1", start: over}, {key: "t1", start: live}},
		"the only one":     {{key: "t1"}, {key: "t1", start: live}},
		"the only one yet": {{key: "t1", start: live}, {key: "t1"}},
	} {
		if j := merge(jobs[0], jobs[1]); j.start != live {
			t.Errorf("%s is lost", name)
		}
	}
}

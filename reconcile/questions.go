package reconcile

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"consular/reconcile/desired"
)

// question is one thing to ask Marathon for: an app, or else the definition of one
// of its versions.
type question struct {
	desired.Version
	definition bool
}

// pending is when and why a question is to be asked.
type pending struct {
	// due is the earliest time for it: what failed has to wait.
	due time.Time
	// number tells it from earlier ones.
	number int
	// unprompted apps were named by tasks' events only, and by no deployment.
	unprompted bool
	// snapshot is set while a snapshot that serves for many apps is to answer it.
	snapshot bool
}

// readQueue collects what has to be read of Marathon, each thing once, however
// many events asked for it. Asking never waits.
type readQueue struct {
	mu       sync.Mutex
	wanted   map[question]pending
	requests int // the newest one's number
	// inFlight is being read. A read that began before does not count: what is
	// asked for meanwhile is wanted once more.
	inFlight map[question]pending
	// pauses are those of what failed when it was last read.
	pauses map[question]*backoff.ExponentialBackOff
	// contradicted are the pauses of apps whose last answer events contradict.
	contradicted map[question]*backoff.ExponentialBackOff
	// failures counts since all reads went well.
	failures int
	// Until rest nothing is read; until alone no snapshot serves for unprompted apps.
	rest, alone time.Time
	wake        chan struct{}
	// count is how many apps were read since the last summary said so.
	count atomic.Int64
}

func newReadQueue() *readQueue {
	return &readQueue{
		wanted: map[question]pending{}, inFlight: map[question]pending{},
		pauses: map[question]*backoff.ExponentialBackOff{}, contradicted: map[question]*backoff.ExponentialBackOff{},
		wake: make(chan struct{}, 1),
	}
}

// ask wants what events and answers have to know.
func (r *readQueue) ask(e desired.Effects) {
	if len(e.Read)+len(e.ReadUnprompted)+len(e.Definitions) == 0 {
		return
	}
	r.mu.Lock()
	for _, id := range e.Read {
		r.want(question{Version: desired.Version{App: id}}, false)
	}
	for _, id := range e.ReadUnprompted {
		r.want(question{Version: desired.Version{App: id}}, true)
	}
	for _, v := range e.Definitions {
		r.want(question{Version: v, definition: true}, false)
	}
	r.mu.Unlock()
	nudge(r.wake)
}

// want has something read at once, unless it has failed and has to wait.
func (r *readQueue) want(q question, unprompted bool) {
	before, waits := r.wanted[q]
	w := pending{unprompted: unprompted && (before.unprompted || !waits)}
	if waits && r.pauses[q] != nil {
		w.due = before.due
	}
	r.put(q, w)
}

// put makes a pending the newest one.
func (r *readQueue) put(q question, w pending) {
	r.requests++
	w.number = r.requests
	r.wanted[q] = w
}

// askAgain has apps read once more whose answers are contradicted by events that were
// heard meanwhile. What was heard holds until then, so that there is no hurry; and
// while an app's tasks start one after the other, each answer is contradicted:
// hence pauses that grow.
func (r *readQueue) askAgain(apps []string, now time.Time, limit time.Duration) {
	if len(apps) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range apps {
		q := question{Version: desired.Version{App: id}}
		if r.contradicted[q] == nil {
			r.contradicted[q] = newBackoff(limit)
		}
		w, waits := r.wanted[q]
		if !waits {
			w.due, w.unprompted = now.Add(r.contradicted[q].NextBackOff()), true
		}
		r.put(q, w)
	}
	nudge(r.wake)
}

const (
	// readsAtOnce bounds the requests in flight to Marathon.
	readsAtOnce = 8
	// snapshotInstead is from how many apps on one snapshot serves for all.
	snapshotInstead = 50
	// snapshotPatience is how long they wait for it at most: longer than it takes.
	snapshotPatience = 2 * time.Minute
)

// tooMany reports whether a snapshot is to serve for the apps that are wanted: then
// they wait for it. Contradicted ones that wait already do not count; and for unprompted
// ones alone there is one snapshot in each interval, for Marathon may hide them from
// us, and then no snapshot tells of them.
func (r *readQueue) tooMany(now time.Time, interval time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	var apps []question
	known := 0
	for q, w := range r.wanted {
		if q.definition || w.snapshot || r.contradicted[q] != nil && now.Before(w.due) {
			continue
		}
		apps = append(apps, q)
		if !w.unprompted {
			known++
		}
	}
	if len(apps) < snapshotInstead || known < snapshotInstead && now.Before(r.alone) {
		return false
	}
	r.alone = now.Add(interval)
	for _, q := range apps {
		w := r.wanted[q]
		w.due, w.snapshot = now.Add(snapshotPatience), true
		r.wanted[q] = w
	}
	return true
}

// postponed returns the apps that wait, after a failure, a contradicted answer, or for a
// snapshot: one that is asked for now answers for them.
func (r *readQueue) postponed(now time.Time) map[question]pending {
	r.mu.Lock()
	defer r.mu.Unlock()
	postponed := map[question]pending{}
	for q, w := range r.wanted {
		if !q.definition && now.Before(w.due) {
			postponed[q] = w
		}
	}
	return postponed
}

// served wants no more what a snapshot has answered for, unless it was asked for, or
// read, meanwhile. When nothing that has failed is left, the next failure is the first.
func (r *readQueue) served(postponed map[question]pending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for q, was := range postponed {
		if r.wanted[q].number == was.number {
			delete(r.wanted, q)
			delete(r.pauses, q)
			delete(r.contradicted, q)
		}
	}
	r.over()
}

// over returns how many reads had failed when nothing that has failed is left, else 0.
func (r *readQueue) over() (failures int) {
	if len(r.pauses) == 0 {
		failures, r.failures = r.failures, 0
	}
	return failures
}

// take returns what is to be read now, and when the next thing is due: zero when
// that depends on a read in flight. Which of it comes first is left to chance, so
// that none waits for ever.
func (r *readQueue) take(now time.Time) (due []question, next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for q, w := range r.wanted {
		at := latest(w.due, r.rest)
		_, reading := r.inFlight[q]
		switch {
		case len(r.inFlight) == readsAtOnce || reading:
		case !now.Before(at):
			due = append(due, q)
			r.inFlight[q] = w
			delete(r.wanted, q)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	return due, next
}

// answered ends a read that went well. When nothing that has failed is left, it
// returns how many reads had failed, else 0.
func (r *readQueue) answered(q question) (failures int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.inFlight, q)
	delete(r.pauses, q)
	if _, again := r.wanted[q]; !again {
		delete(r.contradicted, q)
	}
	return r.over()
}

// failed ends a read that did not go well, and returns how many have failed. When
// another thing fails that did not before, it may be Marathon that does, and is left
// alone for a moment.
func (r *readQueue) failed(q question, now time.Time, limit time.Duration) (failures int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	unprompted := r.inFlight[q].unprompted
	delete(r.inFlight, q)
	if r.pauses[q] == nil {
		r.pauses[q] = newBackoff(limit)
		if len(r.pauses) > 1 {
			r.rest = now.Add(failureRest)
		}
	}
	r.put(q, pending{due: now.Add(r.pauses[q].NextBackOff()), unprompted: unprompted})
	r.failures++
	return r.failures
}

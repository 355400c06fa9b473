package reconcile

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// question is one thing to ask Marathon for: an app, or else the definition of one
// of its versions.
type question struct {
	Version
	definition bool
}

// reading collects what has to be read of Marathon, each thing once, however
// many events asked for it. Asking never waits.
type reading struct {
	mu sync.Mutex
	// wanted is what is to be read, and the earliest time for each: what failed has
	// to wait.
	wanted map[question]time.Time
	// inFlight is being read. A read that began before does not count: what is
	// asked for meanwhile is wanted once more.
	inFlight map[question]bool
	// pauses are those of what failed when it was last read.
	pauses map[question]*backoff.ExponentialBackOff
	// contradicted are the pauses of apps whose last answer events contradict.
	contradicted map[question]*backoff.ExponentialBackOff
	// failures counts since all reads went well.
	failures int
	// rest is before when nothing is read, and alone before when no snapshot serves
	// for many apps, however many are wanted.
	rest, alone time.Time
	wake        chan struct{}
	// count is how many apps were read since the last summary said so.
	count atomic.Int64
}

func newReading() *reading {
	return &reading{
		wanted: map[question]time.Time{}, inFlight: map[question]bool{},
		pauses: map[question]*backoff.ExponentialBackOff{}, contradicted: map[question]*backoff.ExponentialBackOff{},
		wake: make(chan struct{}, 1),
	}
}

func (r *reading) ask(apps []string, definitions []Version) {
	if len(apps)+len(definitions) == 0 {
		return
	}
	r.mu.Lock()
	for _, id := range apps {
		r.want(question{Version: Version{App: id}})
	}
	for _, v := range definitions {
		r.want(question{Version: v, definition: true})
	}
	r.mu.Unlock()
	nudge(r.wake)
}

// want has something read at once, unless it has failed and has to wait.
func (r *reading) want(q question) {
	if _, waits := r.wanted[q]; !waits || r.pauses[q] == nil {
		r.wanted[q] = time.Time{}
	}
}

// askAgain has apps read once more whose answers are contradicted by events that were
// heard meanwhile. What was heard holds until then, so that there is no hurry; and
// while an app's tasks start one after the other, each answer is contradicted:
// hence pauses that grow.
func (r *reading) askAgain(apps []string, now time.Time, limit time.Duration) {
	if len(apps) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range apps {
		q := question{Version: Version{App: id}}
		if r.contradicted[q] == nil {
			r.contradicted[q] = newBackoff(limit)
		}
		if _, waits := r.wanted[q]; !waits {
			r.wanted[q] = now.Add(r.contradicted[q].NextBackOff())
		}
	}
	nudge(r.wake)
}

const (
	// readsAtOnce bounds the requests in flight to Marathon.
	readsAtOnce = 8
	// snapshotInstead is from how many apps on one snapshot serves for all.
	snapshotInstead = 50
)

// tooMany reports whether a snapshot is to serve for the apps that are wanted, but
// for contradicted ones that wait: then they are not wanted any more. Once per
// interval at most, for of apps that events name and Marathon does not show us no
// snapshot tells.
func (r *reading) tooMany(now time.Time, interval time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	var apps []question
	for q, at := range r.wanted {
		if pauses := r.contradicted[q] != nil && now.Before(at); !q.definition && !pauses {
			apps = append(apps, q)
		}
	}
	if len(apps) < snapshotInstead || now.Before(r.alone) {
		return false
	}
	r.alone = now.Add(interval)
	for _, q := range apps {
		delete(r.wanted, q)
		delete(r.pauses, q)
	}
	return true
}

// handOver returns the apps that wait for a pause to end, after a failure or a
// contradicted answer, and does not want them any more: a snapshot that is asked for
// now answers for them. They must be given to served, or back to takeBack.
func (r *reading) handOver(now time.Time) map[question]time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := map[question]time.Time{}
	for q, at := range r.wanted {
		if !q.definition && now.Before(at) {
			waiting[q] = at
			delete(r.wanted, q)
		}
	}
	return waiting
}

// takeBack wants again what no snapshot has answered for.
func (r *reading) takeBack(waiting map[question]time.Time) {
	r.mu.Lock()
	for q, at := range waiting {
		if _, again := r.wanted[q]; !again {
			r.wanted[q] = at
		}
	}
	r.mu.Unlock()
	nudge(r.wake)
}

// served forgets the pauses of what a snapshot has answered for.
func (r *reading) served(waiting map[question]time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for q := range waiting {
		if _, again := r.wanted[q]; !again && !r.inFlight[q] {
			delete(r.pauses, q)
			delete(r.contradicted, q)
		}
	}
}

// take returns what is to be read now, and when the next thing is due: zero when
// that depends on a read in flight. Which of it comes first is left to chance, so
// that none waits for ever.
func (r *reading) take(now time.Time) (due []question, next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for q, at := range r.wanted {
		at = latest(at, r.rest)
		switch {
		case len(r.inFlight) == readsAtOnce || r.inFlight[q]:
		case !now.Before(at):
			due = append(due, q)
			r.inFlight[q] = true
			delete(r.wanted, q)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	return due, next
}

// answered ends a read that went well. When nothing that has failed is left, it
// returns how many reads had failed, else 0.
func (r *reading) answered(q question) (failures int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.inFlight, q)
	delete(r.pauses, q)
	if _, again := r.wanted[q]; !again {
		delete(r.contradicted, q)
	}
	if len(r.pauses) == 0 {
		failures, r.failures = r.failures, 0
	}
	return failures
}

// failed ends a read that did not go well, and returns how many have failed. When
// another thing fails that did not before, it may be Marathon that does, and is left
// alone for a moment.
func (r *reading) failed(q question, now time.Time, limit time.Duration) (failures int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.inFlight, q)
	if r.pauses[q] == nil {
		r.pauses[q] = newBackoff(limit)
		if len(r.pauses) > 1 {
			r.rest = now.Add(failureRest)
		}
	}
	r.wanted[q] = now.Add(r.pauses[q].NextBackOff())
	r.failures++
	return r.failures
}

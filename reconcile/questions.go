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

// pending is a question from its first asking until it has an answer that stands.
type pending struct {
	// wanted is set while it is to be asked, and inFlight while it is being asked. A read
	// that began before does not count: what is asked for meanwhile is wanted once more.
	wanted, inFlight bool
	// due is the earliest time for it, and number tells this asking from earlier ones.
	due    time.Time
	number int
	// unprompted apps were named by tasks' events only, and by no deployment.
	unprompted bool
	// snapshot is set while a snapshot that serves for many apps is to answer it.
	snapshot bool
	// pauses grow from one try to the next, while it fails (failed is set), or else while
	// events contradict its answers.
	pauses *backoff.ExponentialBackOff
	failed bool
}

// waits reports whether it is to be asked, but not yet.
func (p *pending) waits(now time.Time) bool { return p.wanted && now.Before(p.due) }

// readQueue collects what has to be read of Marathon, each thing once, however
// many events asked for it. Asking never waits.
type readQueue struct {
	mu        sync.Mutex
	questions map[question]*pending
	requests  int // the newest one's number
	// inFlight counts what is being asked, failing what failed when it was last asked,
	// and failures all failures since that was nothing.
	inFlight, failing, failures int
	// Until rest nothing is read; until alone no snapshot serves for unprompted apps.
	rest, alone time.Time
	wake        chan struct{}
	// count is how many apps were read since the last summary said so.
	count atomic.Int64
}

func newReadQueue() *readQueue {
	return &readQueue{questions: map[question]*pending{}, wake: make(chan struct{}, 1)}
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
	p := r.pending(q)
	p.unprompted = unprompted && (p.unprompted || !p.wanted)
	if !p.wanted || !p.failed {
		p.due = time.Time{}
	}
	r.put(p)
}

// pending returns what is known of a question.
func (r *readQueue) pending(q question) *pending {
	p := r.questions[q]
	if p == nil {
		p = &pending{}
		r.questions[q] = p
	}
	return p
}

// put makes a question the newest one that is wanted.
func (r *readQueue) put(p *pending) {
	r.requests++
	p.wanted, p.number, p.snapshot = true, r.requests, false
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
		p := r.pending(question{Version: desired.Version{App: id}})
		if !p.wanted {
			p.due, p.unprompted = now.Add(p.pause(limit)), true
		}
		r.put(p)
	}
	nudge(r.wake)
}

// pause is how long the next try is to wait.
func (p *pending) pause(limit time.Duration) time.Duration {
	if p.pauses == nil {
		p.pauses = newBackoff(limit)
	}
	return p.pauses.NextBackOff()
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
	var apps []*pending
	known := 0
	for q, p := range r.questions {
		contradicted := p.pauses != nil && !p.failed
		if !p.wanted || q.definition || p.snapshot || contradicted && p.waits(now) {
			continue
		}
		apps = append(apps, p)
		if !p.unprompted {
			known++
		}
	}
	if len(apps) < snapshotInstead || known < snapshotInstead && now.Before(r.alone) {
		return false
	}
	r.alone = now.Add(interval)
	for _, p := range apps {
		p.due, p.snapshot = now.Add(snapshotPatience), true
	}
	return true
}

// postponed returns the apps that wait, after a failure, a contradicted answer, or for a
// snapshot, each with its number: a snapshot that is asked for now answers for them.
func (r *readQueue) postponed(now time.Time) map[question]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	postponed := map[question]int{}
	for q, p := range r.questions {
		if !q.definition && p.waits(now) {
			postponed[q] = p.number
		}
	}
	return postponed
}

// served wants no more what a snapshot has answered for, unless it was asked for, or
// read, meanwhile, and returns these apps. When nothing that has failed is left, the next
// failure is the first.
func (r *readQueue) served(postponed map[question]int) (apps []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for q, number := range postponed {
		if p := r.questions[q]; p != nil && p.wanted && p.number == number {
			p.wanted = false
			r.settle(q, p)
			apps = append(apps, q.App)
		}
	}
	return apps
}

// settle ends what is known of a question whose answer stands. When nothing that has
// failed is left, it returns how many reads had failed, else 0.
func (r *readQueue) settle(q question, p *pending) (failures int) {
	if p.failed {
		p.failed = false
		r.failing--
	}
	if !p.wanted {
		p.pauses = nil
		if !p.inFlight {
			delete(r.questions, q)
		}
	}
	if r.failing == 0 {
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
	for q, p := range r.questions {
		at := latest(p.due, r.rest)
		switch {
		case !p.wanted || p.inFlight || r.inFlight == readsAtOnce:
		case !now.Before(at):
			due = append(due, q)
			p.wanted, p.inFlight = false, true
			r.inFlight++
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
	p := r.questions[q]
	p.inFlight = false
	r.inFlight--
	return r.settle(q, p)
}

// failed ends a read that did not go well, and returns how many have failed. When
// another thing fails that did not before, it may be Marathon that does, and is left
// alone for a moment.
func (r *readQueue) failed(q question, now time.Time, limit time.Duration) (failures int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.questions[q]
	p.inFlight = false
	r.inFlight--
	if !p.failed {
		p.failed = true
		if r.failing++; r.failing > 1 {
			r.rest = now.Add(failureRest)
		}
	}
	p.due = now.Add(p.pause(limit))
	r.put(p)
	r.failures++
	return r.failures
}

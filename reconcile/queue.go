package reconcile

import (
	"context"
	"sync"
	"time"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

// job names one thing that a worker has to bring in line: a task with all of its
// services, or a service name with all of its keys. It never says what happened to it:
// the worker asks the model what should be there now.
type job struct {
	// key is the task's ID or the service name. A job without one only finds out
	// whether the domain answers, by listing it.
	key string
	app string
	// node is the dead one's in the catalog, for the worker there, and ids are the
	// task's services on it.
	node string
	ids  []string
	// fallback jobs may register on the main agent what belongs to an agent that
	// there is no way to.
	fallback bool
	// elsewhere jobs look whether a service is where it does not belong: no
	// deregistration is sent for what is not known to be there.
	elsewhere bool
	// allowed are the grounds on which this job may remove something: whoever made it
	// has judged these. What goes on other grounds by the time that the worker comes
	// to it stays.
	allowed desired.Grounds
	// anew are the IDs of services to register once more though they have not drifted.
	anew []string
	// keys are the name's as the resync read them, if keysRead; otherwise they have to be
	// read first. Every write to them is a check-and-set.
	keys     []consul.Key
	keysRead bool
	cause
	// tally counts the job for a resync's summary; nil when no resync asked.
	tally *tally
}

// id tells one job from another: two dead nodes may have the same service.
func (j job) id() string {
	if j.node == "" {
		return j.key
	}
	return j.node + " " + j.key
}

// cause is why a job exists, for the log.
type cause struct {
	// name is the event's type, "app read", "listed" or "resync".
	name  string
	state marathon.State
	// at is Marathon's own timestamp of the event; zero otherwise.
	at time.Time
}

// event reports whether an event named the job's subject.
func (c cause) event() bool { return c.state != "" }

// queue holds what one worker has to bring in line, each thing once, however many
// events named it. What an ended task left behind goes first, so that a large
// sync does not starve it. Putting never waits.
type queue struct {
	mu   sync.Mutex
	jobs map[string]queued
	// urgent and later are the two lines. When a job moves to the other line, its
	// old slot stays, and is skipped when it comes up: to search for it would take
	// longer with each job.
	urgent []slot
	later  []slot
	last   int // the newest slot's number
	wake   chan struct{}
	// retired is closed when the worker is not needed any more.
	retired chan struct{}
}

// queued is a job and the number of its slot.
type queued struct {
	job
	number int
}

// slot is a job's place in line, unless it has moved to another.
type slot struct {
	id     string
	number int
}

func newQueue() *queue {
	return &queue{jobs: map[string]queued{}, wake: make(chan struct{}, 1), retired: make(chan struct{})}
}

// retire ends the worker when it has nothing left to do now. Nothing is taken in
// any more.
func (q *queue) retire() {
	q.mu.Lock()
	defer q.mu.Unlock()
	close(q.retired)
}

// put adds a job, or makes it one with what waits for the same key. It reports
// false, and does nothing, when the worker is retired.
func (q *queue) put(j job) bool { return q.add(j, merge) }

// putBack is put for a job that was taken out: what waits meanwhile is newer.
func (q *queue) putBack(j job) bool {
	return q.add(j, func(waits, j job) job { return merge(j, waits) })
}

// add puts a job, combined with one that waits for the same thing.
func (q *queue) add(j job, combine func(waits, j job) job) bool {
	q.mu.Lock()
	select {
	case <-q.retired:
		q.mu.Unlock()
		return false
	default:
	}
	before, waits := q.jobs[j.id()]
	number := before.number
	if waits {
		j = combine(before.job, j)
	}
	switch ended := j.state.Phase() == marathon.Ended; {
	case ended && (!waits || before.state.Phase() != marathon.Ended):
		number = q.line(&q.urgent, j.id())
	case !waits:
		number = q.line(&q.later, j.id())
	}
	q.jobs[j.id()] = queued{j, number}
	q.mu.Unlock()
	nudge(q.wake)
	return true
}

// line adds a slot at the end of a line, and returns its number.
func (q *queue) line(l *[]slot, id string) int {
	q.last++
	*l = append(*l, slot{id, q.last})
	return q.last
}

// merge makes one job of two: the newer cause, but that the task has ended
// stands, and the grounds of both.
func merge(before, j job) job {
	j.allowed |= before.allowed
	j.anew = append(j.anew, before.anew...)
	j.fallback = j.fallback || before.fallback
	j.elsewhere = j.elsewhere && before.elsewhere
	if !before.keysRead {
		j.keys, j.keysRead = nil, false // an event may undo what was written after the listing
	}
	switch {
	case j.tally == nil:
		j.tally = before.tally
	case before.tally != nil:
		before.tally.done(outcome{})
	}
	ended := before.state.Phase() == marathon.Ended && j.state.Phase() != marathon.Ended
	if ended || !j.event() && before.event() {
		j.cause = before.cause
	}
	return j
}

// next takes a job out, or waits for one; false when ctx ends, or when nothing is
// left to do and the worker is retired.
func (q *queue) next(ctx context.Context) (job, bool) {
	for {
		if j, ok := q.take(); ok {
			return j, ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return job{}, false
		case <-q.retired:
			j, ok := q.take() // what was put at the last moment
			return j, ok && ctx.Err() == nil
		case <-q.wake:
		}
	}
}

func (q *queue) take() (job, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, line := range []*[]slot{&q.urgent, &q.later} {
		for len(*line) > 0 {
			first := (*line)[0]
			*line = (*line)[1:]
			if j := q.jobs[first.id]; j.number == first.number {
				delete(q.jobs, first.id)
				return j.job, true
			}
		}
	}
	return job{}, false
}

// len returns how many things wait.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.jobs)
}

// fail tells the resyncs that asked that nothing of theirs will be done soon.
// The jobs stay.
func (q *queue) fail() {
	q.mu.Lock()
	var tallies []*tally
	for id, j := range q.jobs {
		if j.tally != nil {
			tallies = append(tallies, j.tally)
			j.tally = nil
			q.jobs[id] = j
		}
	}
	q.mu.Unlock()
	for _, t := range tallies {
		t.done(outcome{Failed: 1})
	}
}

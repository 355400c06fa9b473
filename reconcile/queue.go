package reconcile

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

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
	// node is the dead one's in the catalog, for the worker there. ids are the task's services
	// on it; on an agent those that the task had, nil for the one that has its own ID.
	node string
	ids  []string
	// rest jobs register what others let wait, of a task whose first service is registered.
	rest bool
	// fallback jobs may register on the main agent what belongs to an agent that
	// there is no way to.
	fallback bool
	// elsewhere jobs look whether a service is where it does not belong: no
	// deregistration is sent for what is not known to be there.
	elsewhere bool
	// recovers is set when the task's check becomes passing: that goes before what is new.
	recovers bool
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
	// term is the gate's when the job was made: it is dropped in another. 0 is any, for a job
	// that writes nothing.
	term int64
	// tally counts the job for a resync's summary; nil when no resync asked.
	tally *tally
	// start is its task's, while others wait for that to be registered; nil otherwise.
	start *start

	// failures counts how often in a row it could not be done, and pauses are those after
	// each time.
	failures int
	pauses   *backoff.ExponentialBackOff
	// suspect is set when the domain did not answer it, and has answered nothing since: the
	// job may be the reason.
	suspect bool
}

// pause is how long a job that has failed is to wait, longer each time.
func (j *job) pause() time.Duration {
	if j.pauses == nil {
		j.pauses = newBackoff(maxBackoff)
	}
	return j.pauses.NextBackOff()
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
	// name is the event's type, appRead, listedAnew or "resync".
	name  string
	state marathon.State
	// at is Marathon's own timestamp of the event, and heard when we heard it; zero otherwise.
	at, heard time.Time
}

const (
	// appRead is the cause of jobs for what an app's own answer has changed, and listedAnew
	// that of jobs for all that belongs to an agent that was listed anew.
	appRead    = "app read"
	listedAnew = "listed"
)

// event reports whether an event named the job's subject.
func (c cause) event() bool { return c.state != "" }

// queue holds what one worker has to bring in line, each thing once, however many
// events named it. What an ended task left behind goes first, so that a large
// sync does not starve it. Putting never waits.
type queue struct {
	mu   sync.Mutex
	jobs map[string]queued
	// urgent and later are the two lines, and waiting has what waits by itself, the earliest
	// first. When a job moves to another, its old slot stays, and is skipped when it comes
	// up: to search for it would take longer with each job.
	urgent, later, waiting []slot
	last                   int // the newest slot's number
	wake                   chan struct{}
	// retired is closed when the worker is not needed any more.
	retired chan struct{}
}

// queued is a job, and the line and the number of its slot.
type queued struct {
	job
	line   *[]slot
	number int
}

// slot is a job's place in line, unless it has moved to another. One of a job that waits by
// itself comes up when it is due.
type slot struct {
	id     string
	number int
	due    time.Time
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
	nudge(q.wake)
}

// isRetired reports whether nothing is taken in any more.
func (q *queue) isRetired() bool {
	select {
	case <-q.retired:
		return true
	default:
		return false
	}
}

// put adds a job, or makes it one with what waits for the same key. What has failed goes on
// waiting by itself if the job is no news of it, and a resync that asks is told so. It
// reports false, and does nothing, when the worker is retired.
func (q *queue) put(j job) bool {
	taken, over, what := q.add(j)
	over.finish(what)
	return taken
}

// add is put, but for those who are to be told something: over has nothing but them.
func (q *queue) add(j job) (taken bool, over job, what outcome) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.isRetired() {
		return false, job{}, outcome{}
	}
	before, waits := q.jobs[j.id()]
	stays := before.line == &q.waiting && !j.newsOf(before.job)
	switch {
	case stays && before.failures > 0:
		over, what = job{tally: j.tally, start: j.start}, outcome{Failed: 1}
		j.tally, j.start = nil, nil
	case j.tally != nil:
		over.tally = before.tally // another resync has asked for the same
	}
	if waits {
		j = merge(before.job, j)
	}
	if stays {
		q.jobs[j.id()] = queued{j, before.line, before.number}
		return true, over, what
	}
	q.lineUp(j)
	nudge(q.wake)
	return true, over, what
}

// putBack is put for a job that was taken out and was not done: it waits for so long, unless
// there was news of it meanwhile.
func (q *queue) putBack(j job, wait time.Duration) bool {
	taken, over := q.addBack(j, wait)
	over.finish(outcome{})
	return taken
}

// addBack is putBack, but for the resync that is to be told that a later one has asked for the
// same: over has nothing but that.
func (q *queue) addBack(j job, wait time.Duration) (taken bool, over job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.isRetired() {
		return false, job{}
	}
	if newer, waits := q.jobs[j.id()]; waits {
		if newer.newsOf(j) {
			wait = 0
		}
		if newer.tally != nil {
			over.tally = j.tally
		}
		j = merge(j, newer.job)
	}
	if wait > 0 {
		q.postpone(j, wait)
	} else {
		q.lineUp(j)
	}
	return true, over
}

// lineUp puts a job into its line, where it keeps a place that it has.
func (q *queue) lineUp(j job) {
	line := &q.later
	if (j.state.Phase() == marathon.Ended || j.recovers) && !j.suspect {
		line = &q.urgent
	}
	at := q.jobs[j.id()]
	if at.line != line {
		q.last++
		at.line, at.number = line, q.last
		*line = append(*line, slot{id: j.id(), number: q.last})
	}
	at.job = j
	q.jobs[j.id()] = at
}

// postpone lets a job wait by itself.
func (q *queue) postpone(j job, wait time.Duration) {
	q.last++
	q.jobs[j.id()] = queued{j, &q.waiting, q.last}
	s := slot{j.id(), q.last, time.Now().Add(wait)}
	at, _ := slices.BinarySearchFunc(q.waiting, s, func(a, b slot) int { return a.due.Compare(b.due) })
	q.waiting = slices.Insert(q.waiting, at, s)
}

// release ends the wait of a job that was put off.
func (q *queue) release(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j, waits := q.jobs[id]; waits && j.line == &q.waiting && j.failures == 0 {
		q.lineUp(j.job)
		nudge(q.wake)
	}
}

// settle is told when the domain answers again: what it did not answer waits by itself, for
// that may be why.
func (q *queue) settle() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, j := range q.jobs {
		if j.suspect {
			j.suspect = false
			q.postpone(j.job, j.pause())
		}
	}
}

// hurry ends the wait of all that waits by itself.
func (q *queue) hurry() {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for i := range q.waiting {
		q.waiting[i].due = now
	}
	nudge(q.wake)
}

// newsOf reports whether a job says more of its subject than that it is still to be done.
func (j job) newsOf(before job) bool {
	if j.event() {
		return j.state.Phase() != before.state.Phase() || before.state == marathon.TaskKilling && j.state != before.state
	}
	return j.name == appRead
}

// merge makes one job of two: the newer cause, but that the task has ended
// stands, and the grounds of both.
func merge(before, j job) job {
	if j.tally == nil && j.name != listedAnew { // the guard has judged anew what rests on a look alone
		before.allowed &^= desired.Lost | desired.Answered
	}
	j.allowed |= before.allowed
	j.anew = union(j.anew, before.anew)
	j.fallback = j.fallback || before.fallback
	j.recovers = j.recovers || before.recovers
	j.elsewhere = j.elsewhere && before.elsewhere
	j.rest = j.rest && before.rest
	if j.ids == nil {
		j.ids = before.ids
	}
	if !before.keysRead {
		j.keys, j.keysRead = nil, false // an event may undo what was written after the listing
	}
	j.suspect = (j.suspect || before.suspect) && !j.newsOf(before)
	j.failures = max(j.failures, before.failures)
	j.pauses = cmp.Or(j.pauses, before.pauses)
	j.tally = cmp.Or(j.tally, before.tally)
	j.start = cmp.Or(j.start, before.start)
	ended := before.state.Phase() == marathon.Ended && j.state.Phase() != marathon.Ended
	if ended || !j.event() && before.event() {
		j.cause = before.cause
	}
	return j
}

// union is all that is in one of two lists, once.
func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(slices.Clip(a), s)
		}
	}
	return a
}

// next takes a job out, or waits for one; false when ctx ends, or when nothing is
// left to do now and the worker is retired.
func (q *queue) next(ctx context.Context) (job, bool) {
	for {
		last := q.isRetired() // then what is there now is all
		if j, ok := q.take(); ok {
			return j, ctx.Err() == nil
		}
		if last || ctx.Err() != nil {
			return job{}, false
		}
		sleepUntil(ctx, q.due(), q.wake)
	}
}

// take takes out what is to be done now, if anything is.
func (q *queue) take() (job, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for now := time.Now(); len(q.waiting) > 0 && !now.Before(q.waiting[0].due); {
		if j, there := q.pop(&q.waiting); there {
			q.lineUp(j)
		}
	}
	for _, line := range []*[]slot{&q.urgent, &q.later} {
		for len(*line) > 0 {
			if j, there := q.pop(line); there {
				return j, true
			}
		}
	}
	return job{}, false
}

// pop takes the first job out of a line, if it is still there.
func (q *queue) pop(line *[]slot) (job, bool) {
	first := (*line)[0]
	*line = (*line)[1:]
	j, there := q.jobs[first.id]
	if !there || j.number != first.number {
		return job{}, false
	}
	delete(q.jobs, first.id)
	return j.job, true
}

// due is when the next thing that waits by itself is to be tried; zero for never.
func (q *queue) due() time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return time.Time{}
	}
	return q.waiting[0].due
}

// len returns how many things wait.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.jobs)
}

// fail tells the resyncs that asked that nothing of theirs will be done soon, and lets
// nobody wait for it any more. The jobs stay.
func (q *queue) fail() {
	q.mu.Lock()
	var over []job
	for id, j := range q.jobs {
		if j.tally != nil || j.start != nil {
			over = append(over, j.job)
			j.tally, j.start = nil, nil
			q.jobs[id] = j
		}
	}
	q.mu.Unlock()
	for _, j := range over {
		j.finish(outcome{Failed: 1})
	}
}

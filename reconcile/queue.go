package reconcile

import (
	"context"
	"slices"
	"sync"
	"time"

	"consular/marathon"
)

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

package reconcile

import (
	"cmp"
	"slices"
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
	// unanswered is set when the domain did not answer it at any time: what it is about may have
	// been done.
	unanswered bool
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

// told reports whether an event caused it, of its subject or of that one's health.
func (c cause) told() bool { return c.event() || !c.heard.IsZero() }

// newsOf reports whether a job says more of its subject than that it is still to be done.
func (j job) newsOf(before job) bool {
	if j.event() {
		return j.state.Phase() != before.state.Phase() || before.state == marathon.TaskKilling && j.state != before.state
	}
	return j.name == appRead || j.told()
}

// merge makes one job of two: the newer cause, but that the task has ended
// stands, and the grounds of both, or of the one that is of a later term.
func merge(before, j job) job {
	switch { // others may have written between two terms: what the earlier job may remove is to be judged anew
	case before.term < j.term:
		before.allowed = 0
	case before.term > j.term:
		j.term, j.allowed = before.term, 0
	}
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
	j.unanswered = j.unanswered || before.unanswered
	j.failures = max(j.failures, before.failures)
	j.pauses = cmp.Or(j.pauses, before.pauses)
	j.tally = cmp.Or(j.tally, before.tally)
	j.start = j.start.or(before.start)
	ended := before.state.Phase() == marathon.Ended && j.state.Phase() != marathon.Ended
	if ended || !j.event() && before.event() || !j.told() && before.told() {
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

// finish tells the resync that asked for the job what came of it, and those that wait for it
// that they need not any more, unless another job does the rest.
func (j job) finish(o outcome) {
	if !o.requeued {
		j.start.end()
	}
	if j.tally != nil {
		j.tally.done(o)
	}
}

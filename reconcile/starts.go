package reconcile

import (
	"cmp"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"consular/reconcile/desired"
	"consular/reconcile/plan"
)

// starts are the tasks that are about to be registered, or to pass their checks, by app,
// whichever agents they are on; and the apps that are asked which of theirs are, each by a
// task without an ID.
// Each agent has a worker of its own, and so a task's deregistration could overtake the
// registration of the one that takes its place: plan.WaitsUntil says which waits.
type starts struct {
	mu   sync.Mutex
	apps map[string]map[string]*start // by app and task
}

// start is a job that registers a task, or calls it passing, from the event until it was done, or
// has failed once.
type start struct {
	all       *starts
	app, task string
	// heard is when its event was; zero for what a resync found.
	heard time.Time
	// waiters are told of its end.
	ended   bool
	waiters []func()
}

func newStarts() *starts { return &starts{apps: map[string]map[string]*start{}} }

// begin notes one. A task has one at a time, for it has one job: that of an event keeps what a
// resync found before, of which nobody knows whether it came before a kill, and so what is
// being killed waits for it.
func (s *starts) begin(app, task string, heard time.Time) *start {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.apps[app] == nil {
		s.apps[app] = map[string]*start{}
	}
	if s.apps[app][task] == nil {
		s.apps[app][task] = &start{all: s, app: app, task: task, heard: heard}
	}
	return s.apps[app][task]
}

// ask notes that an app is asked which of its tasks have become fit for requests: they are
// about to pass their checks.
func (s *starts) ask(app string) { s.begin(app, "", time.Time{}) }

// answered is told when an app has been read, or could not be.
func (s *starts) answered(app string) {
	s.mu.Lock()
	asked := s.apps[app][""]
	s.mu.Unlock()
	asked.end()
}

// last returns the newest of an app's that were heard of until then; nil if there is none.
func (s *starts) last(app string, until time.Time) *start {
	s.mu.Lock()
	defer s.mu.Unlock()
	var last *start
	for _, other := range s.apps[app] {
		if !other.heard.After(until) && (last == nil || other.heard.After(last.heard)) {
			last = other
		}
	}
	return last
}

// or returns the one of two jobs' that is not over. Where neither is, both are the same.
func (s *start) or(other *start) *start {
	if s == nil || other == nil {
		return cmp.Or(s, other)
	}
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	if s.ended {
		return other
	}
	return s
}

// end says that nobody needs to wait for it any more; more than once is once.
func (s *start) end() {
	if s == nil {
		return
	}
	s.all.mu.Lock()
	waiters := s.waiters
	s.ended, s.waiters = true, nil
	if s.all.apps[s.app][s.task] == s {
		delete(s.all.apps[s.app], s.task)
	}
	if len(s.all.apps[s.app]) == 0 {
		delete(s.all.apps, s.app)
	}
	s.all.mu.Unlock()
	for _, tell := range waiters {
		tell()
	}
}

// then tells of its end.
func (s *start) then(tell func()) {
	s.all.mu.Lock()
	ended := s.ended
	if !ended {
		s.waiters = append(s.waiters, tell)
	}
	s.all.mu.Unlock()
	if ended {
		tell()
	}
}

// putOff puts a job off that would deregister a task which is being killed, while other tasks
// of its app are about to be registered (see plan.WaitsUntil). What has failed has waited.
func (w *agentWorker) putOff(j job, want desired.Want) bool {
	if want.Killing.IsZero() || j.failures > 0 {
		return false
	}
	j.start.end() // nobody needs to wait for it any more
	s := w.starts.last(j.app, want.Killing)
	until := plan.WaitsUntil(want, s != nil, time.Now())
	if until.IsZero() {
		return false
	}
	if j.tally != nil {
		j.tally.expect()
	}
	if !w.queue.putBack(j, time.Until(until)) { // retired
		j.finish(outcome{})
		return false
	}
	s.then(func() { w.queue.release(j.id()) })
	w.tell(Notice{
		Level: zerolog.DebugLevel, Message: "not deregistered yet: a task of its app is about to be registered",
		Agent: w.name, App: j.app, Task: j.key, Cause: j.name,
	})
	return true
}

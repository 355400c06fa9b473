package reconcile

import (
	"sync"

	"consular/reconcile/plan"
)

// outcome counts what came of jobs.
type outcome struct {
	Registered, Updated, Deregistered int
	KeysSet, KeysDeleted              int
	// Checks counts writes of checks alone.
	Checks int
	// Failed counts jobs that failed at first try; their workers go on.
	Failed int
	// homeFirst counts services that stay where they are until they are
	// registered at home.
	homeFirst int
	// unconfirmed counts removals whose app could not be asked for, or has not answered yet, and
	// unconfirmedErr is why one could not.
	unconfirmed    int
	unconfirmedErr error
	// tooOld counts services that are not registered because what Marathon said
	// was too long ago.
	tooOld int
	// requeued is set when one job has left some of its task to another one.
	requeued bool
	// contact is what one job had to do with its failure domain.
	contact contact
}

// contact says how far a job that went well, or whose failure is its own, proves that its
// failure domain works.
type contact int

const (
	// unasked: there was nothing to ask and nothing to write.
	unasked contact = iota
	// asked: the domain has answered.
	asked
	// wrote: it has done what it was told, or said why it never will.
	wrote
)

// count counts one write.
func (o *outcome) count(op plan.Op) {
	switch op {
	case plan.Register:
		o.Registered++
	case plan.Update:
		o.Updated++
	case plan.Deregister:
		o.Deregistered++
	case plan.RegisterCheck, plan.UpdateCheck, plan.DeregisterCheck:
		o.Checks++
	}
}

func (o *outcome) add(p outcome) {
	o.Registered += p.Registered
	o.Updated += p.Updated
	o.Deregistered += p.Deregistered
	o.Checks += p.Checks
	o.KeysSet += p.KeysSet
	o.KeysDeleted += p.KeysDeleted
	o.Failed += p.Failed
	o.homeFirst += p.homeFirst
	o.unconfirmed += p.unconfirmed
	if o.unconfirmedErr == nil {
		o.unconfirmedErr = p.unconfirmedErr
	}
	o.tooOld += p.tooOld
}

// left counts what another resync may do.
func (o *outcome) left() int { return o.homeFirst + o.tooOld }

// again reports whether another resync should be made for that.
func (o *outcome) again() bool { return o.left() > 0 && o.Failed == 0 }

// wrote reports whether any service was written.
func (o *outcome) wrote() bool { return o.Registered+o.Updated+o.Deregistered+o.Checks > 0 }

// tally sums up what came of one resync's jobs. When each of them has been done, or has
// failed for the first time, it calls finish, once.
type tally struct {
	mu     sync.Mutex
	open   int
	sum    outcome
	finish func(outcome)
}

// newTally returns a tally of one job, which is to dispatch the others: it cannot
// finish before that is done.
func newTally(finish func(outcome)) *tally { return &tally{open: 1, finish: finish} }

// expect adds a job. The tally must not have finished.
func (t *tally) expect() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open++
}

// done takes in what came of one job.
func (t *tally) done(o outcome) {
	t.mu.Lock()
	t.sum.add(o)
	t.open--
	sum, last := t.sum, t.open == 0
	t.mu.Unlock()
	if last {
		t.finish(sum)
	}
}

package reconcile

import "sync"

// outcome counts what came of jobs.
type outcome struct {
	Registered, Updated, Deregistered int
	KeysSet, KeysDeleted              int
	// Failed counts jobs that failed at first try; their workers go on.
	Failed int
	// homeFirst counts services that stay where they are until they are
	// registered at home.
	homeFirst int
	// tooOld counts services that are not registered because what Marathon said
	// was too long ago.
	tooOld int
}

func (o *outcome) add(p outcome) {
	o.Registered += p.Registered
	o.Updated += p.Updated
	o.Deregistered += p.Deregistered
	o.KeysSet += p.KeysSet
	o.KeysDeleted += p.KeysDeleted
	o.Failed += p.Failed
	o.homeFirst += p.homeFirst
	o.tooOld += p.tooOld
}

// left counts what another look may do.
func (o *outcome) left() int { return o.homeFirst + o.tooOld }

// again reports whether another look should be taken for that.
func (o *outcome) again() bool { return o.left() > 0 && o.Failed == 0 }

// wrote reports whether any service was written.
func (o *outcome) wrote() bool { return o.Registered+o.Updated+o.Deregistered > 0 }

// batch is one resync's share of all workers. When each of its jobs has been
// done, or has failed for the first time, it calls finish, once.
type batch struct {
	mu      sync.Mutex
	waiting int
	sum     outcome
	finish  func(outcome)
}

// newBatch returns a batch of one job, which is to hand out the others: it cannot
// finish before that is done.
func newBatch(finish func(outcome)) *batch { return &batch{waiting: 1, finish: finish} }

// expect adds n jobs. The batch must not have finished.
func (b *batch) expect(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting += n
}

// done takes in what came of one job.
func (b *batch) done(o outcome) {
	b.mu.Lock()
	b.sum.add(o)
	b.waiting--
	sum, last := b.sum, b.waiting == 0
	b.mu.Unlock()
	if last {
		b.finish(sum)
	}
}

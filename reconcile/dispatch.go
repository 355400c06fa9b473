package reconcile

import (
	"context"
	"sync"

	"consular/consul"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
)

// dispatch gives the workers the jobs of one resync's plan: early what can be written
// while others have not answered yet, then what the guard lets pass, and what an app has to
// be asked about when its answer is there.
type dispatch struct {
	*Reconciler
	// term is the gate's when the resync began.
	term  int64
	tally *tally
	// given are the jobs that were given early.
	mu    sync.Mutex
	given map[target]bool
}

func (r *Reconciler) newDispatch(term int64, t *tally) *dispatch {
	return &dispatch{Reconciler: r, term: term, tally: t, given: map[target]bool{}}
}

// early gives what of a plan is written before all is known.
func (d *dispatch) early(p plan.Plan) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range assignments(p.Changes, p.Have, nil) {
		d.assign(a)
	}
	for i := range p.Changes {
		d.given[targetOf(&p.Changes[i])] = true
	}
}

// give gives each worker its jobs. A write that was given early is with its worker, or
// done.
func (d *dispatch) give(p *plan.Plan) {
	for _, a := range assignments(p.Changes, p.Have, d.given) {
		d.assign(a)
	}
}

// confirm asks for each app of what is merely missing from the snapshot, by itself. What
// goes is decided anew when the answer is there, on the grounds that it gives.
func (d *dispatch) confirm(ctx context.Context, p *plan.Plan) {
	for app, changes := range p.ToConfirm() {
		d.tally.expect()
		asked := d.beside.ask(ctx, "app "+app, func() {
			done := outcome{}
			err := d.readApp(ctx, app, func(effects desired.Effects) {
				// First the resync's own jobs: what a worker does for the answer's is not counted.
				d.giveConfirmed(assignments(changes, nil, nil))
				d.enqueueAnswer(effects)
			})
			if err != nil {
				done.unconfirmed = len(changes)
				if ctx.Err() == nil {
					done.unconfirmedErr = err
				}
				d.lookAgain()
			}
			d.tally.done(done)
		})
		if !asked { // since an earlier resync, whose answer may be too old for this one's snapshot
			d.lookAgain()
			d.tally.done(outcome{unconfirmed: len(changes)})
		}
	}
}

// giveConfirmed gives the jobs of an app that has been asked. An answer that a later
// snapshot has outdated confirms nothing, and one that took long is judged by what has gone
// meanwhile.
func (d *dispatch) giveConfirmed(all []assignment) {
	var tasks []desired.TaskRef
	for _, a := range all {
		if !a.ofKeys {
			tasks = append(tasks, desired.TaskRef{Task: a.key, App: a.app, Host: a.host, Services: a.removes})
		}
	}
	allowed := d.allowed(tasks)
	for _, a := range all {
		a.allowed = a.allowed&^desired.Missing | allowed[a.key] // the answer says on what grounds now
		if a.ofKeys {
			a.allowed = d.allowedOfKeys()
		}
		d.assign(a)
	}
}

// assign gives one job to its worker, and tells the tally to wait for it.
func (d *dispatch) assign(a assignment) {
	d.tally.expect()
	a.tally, a.term = d.tally, d.term
	switch {
	case a.ofKeys:
		d.keys.queue.put(a.job)
	case a.node != "":
		d.catalog.queue.put(a.job)
	default:
		if a.starts {
			a.start = d.begin(a.host, a.job)
		}
		if err := d.fleet.put(a.host, a.job); err != nil { // it had a worker when it was listed
			a.start.end()
			d.tally.done(outcome{Failed: 1})
		}
	}
}

// assignment is a job and whose it is: the KV store's, the catalog's when it names a
// node, or a host's.
type assignment struct {
	job
	host   string
	ofKeys bool
	// removes is how many services of the task are to go, and starts is set when one is to be
	// registered, or to pass its checks.
	removes int
	starts  bool
}

// target is what a change is to be brought in line, and whose that is: what tells one
// assignment from another.
type target struct {
	host, node, key  string
	ofKeys, fallback bool
}

func targetOf(c *plan.Change) target {
	if c.Key != "" {
		return target{host: c.Host, node: c.Node, key: c.Service, ofKeys: true}
	}
	return target{c.Host, c.Node, c.Task, false, c.Fallback}
}

// assignments are what workers have to bring in line for some changes: each task, and
// each name's keys, once. have are the keys of each name, as they were read. What has been given
// already is left out, but for removals.
func assignments(changes []plan.Change, have map[string][]consul.Key, given map[target]bool) []assignment {
	most := max(len(changes)-len(given), 0)
	all, at := make([]assignment, 0, most), make(map[target]int, most)
	for i := range changes {
		c := &changes[i]
		t := targetOf(c)
		if given[t] && c.Grounds == 0 {
			continue
		}
		i, known := at[t]
		if !known {
			i = len(all)
			at[t] = i
			a := assignment{host: t.host, ofKeys: t.ofKeys, job: job{key: t.key, app: c.App, node: t.node, fallback: t.fallback, cause: cause{name: "resync"}}}
			if t.ofKeys {
				a.keys, a.keysRead = have[t.key], have != nil
			}
			all = append(all, a)
		}
		all[i].starts = all[i].starts || c.Op == plan.Register || c.Recovers
		all[i].recovers = all[i].recovers || c.Recovers
		if c.Op == plan.Deregister {
			all[i].removes++
		}
		if c.Grounds != 0 { // what was merely missing may have ended meanwhile, or run elsewhere
			all[i].allowed |= c.Grounds | desired.Announced | desired.Moved
		}
		if c.Anew {
			all[i].anew = append(all[i].anew, c.ID)
		}
		if c.Node != "" {
			all[i].ids = append(all[i].ids, c.ID)
		}
	}
	return all
}

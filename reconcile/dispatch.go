package reconcile

import (
	"slices"

	"consular/reconcile/desired"
	"consular/reconcile/plan"
)

// dispatch gives the workers the jobs of one resync's plan: early what can be written
// already, and the rest when the plan is made.
type dispatch struct {
	*Reconciler
	tally *tally
	// given are the jobs that were given, and about the subjects of them, wherever
	// they were given.
	given, about map[target]bool
}

func (r *Reconciler) newDispatch(t *tally) *dispatch {
	return &dispatch{Reconciler: r, tally: t, given: map[target]bool{}, about: map[target]bool{}}
}

// early gives what of a plan needs no guard.
func (d *dispatch) early(p plan.Plan) { d.give(p.WritesOnly()) }

// give gives each worker its jobs, and tells the tally what to wait for. A write that
// was given before is with its worker, or done.
func (d *dispatch) give(p plan.Plan) {
	var jobs []assignment
	for _, a := range assignments(&p) {
		if !d.given[a.target()] || a.allowed != 0 {
			jobs = append(jobs, a)
		}
		d.given[a.target()], d.about[a.subject()] = true, true
	}
	d.tally.expect(len(jobs))
	for _, a := range jobs {
		a.tally = d.tally
		d.assign(a)
	}
}

func (d *dispatch) assign(a assignment) {
	switch {
	case a.ofKeys:
		d.keys.queue.put(a.job)
	case a.node != "":
		d.catalog.queue.put(a.job)
	default:
		if err := d.fleet.put(a.host, a.job); err != nil { // it had a worker when it was listed
			d.tally.done(outcome{Failed: 1})
		}
	}
}

// answered enqueues what an answer of Marathon has changed about what was given before
// it came: the plan, which was read before that, may not show it.
func (d *dispatch) answered(e desired.Effects) {
	e.Tasks = slices.DeleteFunc(e.Tasks, func(t desired.TaskRef) bool { return !d.about[target{key: t.Task}] })
	e.Names = slices.DeleteFunc(e.Names, func(name string) bool { return !d.about[target{ofKeys: true, key: name}] })
	d.enqueueAnswer(e)
}

// assignment is a job and whose it is: the KV store's, the catalog's when it names a
// node, or a host's.
type assignment struct {
	job
	host   string
	ofKeys bool
}

// target tells one assignment from another.
type target struct {
	host, node, key  string
	ofKeys, fallback bool
}

func (a assignment) target() target { return target{a.host, a.node, a.key, a.ofKeys, a.fallback} }

// subject is what it is about, wherever that is.
func (a assignment) subject() target { return target{key: a.key, ofKeys: a.ofKeys} }

// assignments are what workers have to look at for a plan: each task, and each name's
// keys, once.
func assignments(p *plan.Plan) []assignment {
	var all []assignment
	at := map[target]int{}
	for _, c := range p.Changes {
		a := assignment{host: c.Host, job: job{key: c.Task, app: c.App, node: c.Node, fallback: c.Fallback, cause: cause{name: "resync"}}}
		if c.Key != "" {
			a.key, a.ofKeys = c.Service, true
			a.keys, a.keysRead = p.Have[c.Service], true
		}
		i, known := at[a.target()]
		if !known {
			i = len(all)
			at[a.target()] = i
			all = append(all, a)
		}
		all[i].allowed |= c.Grounds
		if c.Node != "" {
			all[i].ids = append(all[i].ids, c.ID)
		}
	}
	for i := range all {
		if all[i].allowed != 0 {
			all[i].allowed |= desired.Announced // what was merely missing may have ended meanwhile
		}
	}
	return all
}

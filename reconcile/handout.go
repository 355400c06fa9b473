package reconcile

import "slices"

// handOut gives the workers their shares of one resync's plan: early what can be
// written already, and the rest when the plan is made.
type handOut struct {
	*Reconciler
	batch *batch
	// given has each place that got a job, and about each subject that did, at
	// whatever place.
	given, about map[place]bool
}

// early gives what of a plan needs no guard; nothing when nothing is to be written.
func (h *handOut) early(p Plan) {
	if h != nil {
		h.give(p.writesOnly())
	}
}

// give gives each worker its share of a plan, and the batch what to wait for. A
// write that was given before is with its worker, or done.
func (h *handOut) give(p Plan) {
	jobs := slices.DeleteFunc(p.jobs(), func(j share) bool {
		before := h.given[j.place()] && j.upTo == NoRemoval
		h.given[j.place()], h.about[place{keys: j.keys, key: j.key}] = true, true
		return before
	})
	h.batch.expect(len(jobs))
	for _, j := range jobs {
		j.batch = h.batch
		switch {
		case j.keys:
			h.keys.queue.put(j.job)
		case j.node != "":
			h.catalog.queue.put(j.job)
		default:
			if err := h.fleet.put(j.host, j.job); err != nil { // it had a worker when it was listed
				h.batch.done(outcome{Failed: 1})
			}
		}
	}
}

// changed leaves of an answer's effects what has to be looked at again because it
// was given before the answer came: the plan, which was read before that, may not
// show it.
func (h *handOut) changed(e Effects) Effects {
	e.Tasks = slices.DeleteFunc(e.Tasks, func(t Touch) bool { return h == nil || !h.about[place{key: t.Task}] })
	e.Names = slices.DeleteFunc(e.Names, func(name string) bool { return h == nil || !h.about[place{keys: true, key: name}] })
	return e
}

// share is a job and whose it is: the KV store's, the catalog's when it names a
// node, or a host's.
type share struct {
	job
	host string
	keys bool
}

// place tells one share from another.
type place struct {
	host, node, key string
	keys, fallback  bool
}

func (s share) place() place { return place{s.host, s.node, s.key, s.keys, s.fallback} }

// jobs names what a plan changes: each service, and each name's keys as one.
func (p *Plan) jobs() []share {
	var jobs []share
	names := map[string]int{}
	for _, c := range p.Changes {
		j := share{host: c.host, job: job{
			key: c.Task, app: c.App, node: c.node, fallback: c.fallback,
			upTo: c.removal, cause: cause{name: "resync"},
		}}
		if c.Key == "" {
			jobs = append(jobs, j)
			continue
		}
		at, known := names[c.Service]
		if !known {
			at = len(jobs)
			names[c.Service] = at
			have := p.have[c.Service]
			j.key, j.keys, j.have = c.Service, true, &have
			jobs = append(jobs, j)
		}
		jobs[at].upTo = max(jobs[at].upTo, c.removal)
	}
	return jobs
}

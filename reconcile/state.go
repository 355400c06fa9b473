package reconcile

import (
	"time"
)

// State is what a Reconciler knows of itself at one moment.
type State struct {
	// Live is whether the stream is heard, and Since since when it is, or is not.
	Live  bool
	Since time.Time
	// Heard is when Marathon last said anything, in an event or an answer; zero for never.
	Heard time.Time
	// Apps and Tasks count what Marathon has; Tasks those that run.
	Apps, Tasks int
	// Agents are Consul's agents, in the order of their hosts, Keys is the KV store and
	// Catalog the catalog.
	Agents        []Domain
	Keys, Catalog Domain
}

// Domain is one of Consul's failure domains.
type Domain struct {
	// Name is an agent's address, "kv" or "catalog".
	Name string
	// Queue counts what waits to be looked at there.
	Queue int
	// SilentSince is since when it does not answer, and Err why; zero while it does.
	SilentSince time.Time
	Err         error
}

// State returns what is known now.
func (r *Reconciler) State() State {
	s := State{Live: r.live.Load(), Since: time.Unix(0, r.turned.Load())}
	if heard := r.lastHeard.Load(); heard != 0 {
		s.Heard = time.Unix(0, heard)
	}
	r.locked(func() { s.Apps, s.Tasks = r.model.Count() })
	for _, host := range r.fleet.hosts() {
		if w := r.fleet.workerIf(host); w != nil {
			s.Agents = append(s.Agents, w.domain())
		}
	}
	s.Keys, s.Catalog = r.keys.domain(), r.catalog.domain()
	return s
}

func (w *worker) domain() Domain {
	d := Domain{Name: w.name, Queue: w.queue.len()}
	if outage := w.outage.Load(); outage != nil {
		d.SilentSince, d.Err = outage.since, outage.err
	}
	return d
}

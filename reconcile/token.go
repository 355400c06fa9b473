package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"consular/consul"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
)

// An agent syncs each service with the token that it was registered with. When that one
// is deleted, or may not do so, the agent has the service and the catalog has not, and
// nobody who asks the agent sees it. So with ACLs on services carry which token it was,
// another token is drift, and the catalog is looked at too.

// setToken finds out which token services are registered with from now on.
func (r *Reconciler) setToken(ctx context.Context) {
	if r.consul.Token == nil || !r.gate.isOpen() {
		return
	}
	r.resyncLoop.Rest()
	accessor, err := r.consul.Token(ctx)
	r.resyncLoop.Round()
	if err != nil {
		if r.firstTime("token " + err.Error()) {
			r.config.tell(Notice{Level: zerolog.WarnLevel, Message: "cannot tell which token services are registered with", Err: err})
		}
		return
	}
	r.locked(func() { r.model.SetToken(accessor) })
}

const (
	// catalogEvery is how often at most the catalog is looked at for what agents have.
	catalogEvery = time.Minute
	// anewEvery is how often at most a service is registered once more. An agent syncs what
	// has not changed at its next full sync (2 minutes at most in a small cluster, Consul 1.14).
	anewEvery = 3 * time.Minute
	// lacksAtLeast is in how many looks in a row the catalog must lack it.
	lacksAtLeast = 2
)

// unsynced remembers services that agents have and the catalog has not.
type unsynced struct {
	next time.Time
	// lacks counts looks in a row, and anew is when a service was registered once more, by
	// node ID and service ID.
	lacks map[[2]string]int
	anew  map[[2]string]time.Time
}

// findUnsynced notes on agents which of our services the catalog of their node lacks. It
// is asked only where a token is known, which is where ACLs are on.
func (r *Reconciler) findUnsynced(ctx context.Context, agents []plan.Agent) {
	var tr desired.Translation
	r.locked(func() { tr = r.model.Translation() })
	now := time.Now()
	if tr.Token == "" || now.Before(r.unsynced.next) {
		return
	}
	r.unsynced.next = now.Add(catalogEvery)
	lacking := make([][]string, len(agents))
	var all errgroup.Group
	all.SetLimit(catalogAtOnce)
	for i, a := range agents {
		if a.Err != nil {
			continue
		}
		all.Go(func() error {
			lacking[i] = r.lackedBy(ctx, tr, a)
			return nil
		})
	}
	_ = all.Wait() // what cannot be read is not lacking
	lacks := map[[2]string]int{}
	for i, a := range agents {
		for _, id := range lacking[i] {
			at := [2]string{a.Node.ID, id}
			lacks[at] = r.unsynced.lacks[at] + 1
			if lacks[at] >= lacksAtLeast && now.Sub(r.unsynced.anew[at]) >= anewEvery {
				agents[i].Unsynced = append(agents[i].Unsynced, id)
			}
		}
	}
	anew := map[[2]string]time.Time{}
	for i := range agents {
		for _, id := range agents[i].Unsynced {
			anew[[2]string{agents[i].Node.ID, id}] = now
		}
	}
	for at := range lacks {
		if before, was := r.unsynced.anew[at]; was && anew[at].IsZero() {
			anew[at] = before
		}
	}
	r.unsynced.lacks, r.unsynced.anew = lacks, anew
}

// lackedBy returns which of our services on an agent the catalog lacks.
func (r *Reconciler) lackedBy(ctx context.Context, tr desired.Translation, a plan.Agent) []string {
	ours := slices.DeleteFunc(slices.Clone(a.Services), func(s consul.Service) bool { _, is := tr.Owns(s); return !is })
	if len(ours) == 0 {
		return nil
	}
	synced, err := r.onNode(ctx, a.Node.Name)
	if err != nil {
		return nil
	}
	there := make(map[string]bool, len(synced))
	for _, s := range synced {
		there[s.ID] = true
	}
	var lacking []string
	for _, s := range ours {
		if !there[s.ID] {
			lacking = append(lacking, s.ID)
		}
	}
	return lacking
}

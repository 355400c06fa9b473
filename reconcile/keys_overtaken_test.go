package reconcile_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile"
)

// lateLabels carries out what it is told some time later, as Consul does while it
// elects a leader.
type lateLabels struct {
	reconcile.Labels
	late atomic.Int64
}

func (l *lateLabels) Apply(ctx context.Context, name string, changes []consul.KeyChange) error {
	time.Sleep(time.Duration(l.late.Load()))
	return l.Labels.Apply(ctx, name, changes)
}

// A change of labels is being written when the stream drops, and is taken back before
// it lives again: what the resync reads of the keys is older than what is written.
func TestListingOvertakesNoWriteOfKeys(t *testing.T) {
	with, without := appOn(h1, "/a", "a.1"), appOn(h1, "/a", "a.1")
	without.Labels = nil
	for name, c := range map[string]struct {
		first, second marathon.App
		keys          []string
	}{
		"a live label": {with, without, []string{"a"}}, "a stale one": {without, with, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				labels := &lateLabels{Labels: x.labels}
				x.labels = labels
				x.marathon.apps = []marathon.App{c.first}
				x.connect()
				labels.late.Store(int64(7 * time.Second))
				x.marathon.set(func(m *fakeMarathon) { m.apps[0] = c.second })
				x.ends("/a")
				time.Sleep(time.Second)
				x.Disconnected("closed")
				x.marathon.set(func(m *fakeMarathon) { m.apps[0] = c.first })
				x.Connected()
				time.Sleep(time.Minute)
				x.wantsKeys(c.keys...)
			}, h1)
		})
	}
}

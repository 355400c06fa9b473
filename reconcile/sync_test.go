package reconcile_test

import (
	"context"
	"fmt"
	"testing"

	"consular/marathon"
)

// versioned is a cluster's Marathon whose versions all are as the apps are now.
type versioned struct{ *fakeMarathon }

func (m versioned) Version(ctx context.Context, id, _ string) (marathon.Definition, error) {
	app, err := m.fakeMarathon.App(ctx, id)
	return app.Definition, err
}

// What `consular sync` says of its writes is all of them, though an answer that it waits
// for has named the same things.
func TestSyncCountsEachOfItsWrites(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		const all, gone = 200, 90
		for i := range all {
			x.marathon.apps = append(x.marathon.apps, appOn(h1, fmt.Sprint("/", i), fmt.Sprint(i, ".1")))
		}
		x.marathon.apps[0].Tasks[0].Version = "v0"
		_, sum, err := x.consularOf(versioned{x.marathon}).Sync(x.Context())
		if err != nil || !sum.Clean() || sum.Registered != all || sum.KeysSet != all {
			x.Errorf("one task has an old version: %v: %s", err, sum.String())
		}
		x.marathon.apps = x.marathon.apps[gone:]
		_, sum, err = x.consular().Sync(x.Context())
		if err != nil || !sum.Clean() || sum.Deregistered != gone || sum.KeysDeleted != gone {
			x.Errorf("many apps are gone: %v: %s", err, sum.String())
		}
	}, h1)
}

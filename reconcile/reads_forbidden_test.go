package reconcile_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"consular/marathon"
)

// reticent is a Marathon that does not say what it is.
type reticent struct{ *fakeMarathon }

func (reticent) Info(context.Context) (marathon.Info, error) {
	return marathon.Info{}, fmt.Errorf("read Marathon's info: %w: answered 403", marathon.ErrForbidden)
}

// A Marathon that refuses /v2/info, which needs a permission of its own, has an unknown
// framework: one warning, and everything else as ever.
func TestForbiddenInfoStopsNothing(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.connectTo(reticent{x.marathon})
		x.wants(h1, "a.1")
		x.Missed("oversize")
		time.Sleep(time.Minute)
		if n := x.log.count("framework ID may not be read"); n != 1 {
			t.Errorf("told %d times", n)
		}
	}, h1)
}

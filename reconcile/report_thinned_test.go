package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"consular/marathon"
)

// Apps that a snapshot omits and that cannot be asked for by themselves are looked at in each
// poll interval. The log says so as of everything that fails again and again, and when it is over.
func TestWhatCannotBeConfirmedIsToldNowAndThen(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		const apps = 3
		for i := range apps {
			x.marathon.apps = append(x.marathon.apps, appOn(h1, fmt.Sprint("/app-", i), fmt.Sprint("t.", i)))
		}
		x.connect()
		x.marathon.set(func(m *fakeMarathon) {
			for _, app := range m.apps {
				m.omits, m.broken = append(m.omits, app.ID), append(m.broken, app.ID)
			}
			m.apps = append(m.apps, appOn(h1, "/stays", "stays.1"))
		})
		before := x.marathon.count()
		x.Missed("oversize")
		time.Sleep(24*x.config.PollInterval + x.config.PollInterval/2)
		x.wants(h1, "stays.1", "t.0", "t.1", "t.2")
		looks := x.marathon.count() - before
		x.says("cannot confirm", errSilent.Error(), (looks+9)/10)
		x.marathon.set(func(m *fakeMarathon) { m.omits, m.broken = nil, nil })
		time.Sleep(2 * x.config.PollInterval)
		x.says("waits to be confirmed any more", `"level":"info"`, 1)
	}, h1)
}

// versionless is a Marathon that says nothing of old versions.
type versionless struct{ *fakeMarathon }

func (versionless) Version(context.Context, string, string) (marathon.Definition, error) {
	return marathon.Definition{}, errors.New("answered 500")
}

// So it is with a version that cannot be read, at whatever resync.
func TestVersionThatCannotBeReadIsToldNowAndThen(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = 15 * time.Second
		app := appOn(h1, "/a", "a.1")
		app.Tasks[0].Version = "v0"
		x.marathon.apps = []marathon.App{app}
		x.connectTo(versionless{x.marathon})
		time.Sleep(time.Hour)
		if n := x.log.count("cannot read the versions that some tasks run"); n != 1 {
			x.Errorf("told %d times within an hour", n)
		}
	}, h1)
}

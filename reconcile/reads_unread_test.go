package reconcile_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
)

// What of Consul has no worker of its own and could not be read is looked at
// again soon, whatever --sync-interval is; the log says what, why, and when it is
// over, without repeating itself.

// intervals are those of --sync-interval that must make no difference.
var intervals = map[string]time.Duration{"sync interval off": 0, "a day": 24 * time.Hour}

func TestUnreadableKeysAreLookedAtAgain(t *testing.T) {
	for name, interval := range intervals {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				x.config.SyncInterval = interval
				x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
				x.kv.breakKeys(failing)
				x.connect()
				time.Sleep(24*x.config.PollInterval + x.config.PollInterval/2)
				x.wants(h1, "a.1")
				x.wantsKeys()
				x.saysThinned(`"what":"keys"`, "no cluster leader")
				x.kv.heal()
				time.Sleep(2 * x.config.PollInterval)
				x.wantsKeys("a")
				x.says(`"what":"keys"`, "can be read again", 1)
				x.restsNow()
			}, h1)
		})
	}
}

// With the catalog, the look at nodes that Marathon does not name is made again,
// not at the tenth resync after it.
func TestUnreadableCatalogIsLookedAtAgain(t *testing.T) {
	for name, interval := range intervals {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				x.config.SyncInterval = interval
				x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
				x.agents[h2].services["old.1"] = consul.Service{ID: "old.1", Name: "old", Tags: clusterOwner.Tags("/old")}
				x.catalog.broken = errors.New("needs node:read")
				x.connect()
				time.Sleep(24*x.config.PollInterval + x.config.PollInterval/2)
				x.wants(h1, "a.1")
				x.wants(h2, "old.1")
				x.saysThinned(`"what":"catalog"`, "needs node:read")
				x.catalog.set(func(c *fakeCatalog) { c.broken = nil })
				time.Sleep(2 * x.config.PollInterval)
				x.wants(h2)
				x.says(`"what":"catalog"`, "can be read again", 1)
				x.restsNow()
			}, h1, h2)
		})
	}
}

// says counts lines with both words.
func (x *fakeCluster) says(what, words string, want int) {
	x.Helper()
	if n := x.log.countBoth(what, words); n != want {
		x.Errorf("%d lines of the log have %s and %q, want %d", n, what, words, want)
	}
}

// saysThinned wants a look for each of 24 poll intervals, and a line for the first
// of them and for every tenth.
func (x *fakeCluster) saysThinned(what, words string) {
	x.Helper()
	looks := x.marathon.count()
	if looks < 20 || looks > 30 {
		x.Errorf("%d looks in 24 poll intervals", looks)
	}
	x.says(what, words, (looks+9)/10)
	x.says(what, `"level":"error"`, (looks+9)/10)
}

// restsNow wants no more resyncs.
func (x *fakeCluster) restsNow() {
	x.Helper()
	before := x.marathon.count()
	time.Sleep(time.Hour)
	if n := x.marathon.count() - before; n > 0 {
		x.Errorf("%d snapshots in an hour in which nothing happens", n)
	}
}

// One app that cannot be read, and whose tasks crash over and over, delays no
// other app's read.
func TestUnreadableAppDelaysNoOther(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.marathon.broken = []string{"/bad"}
		x.connect()
		for i := range 60 {
			x.tells(taskOn(h1, "/bad", fmt.Sprint("bad.", i)))
			time.Sleep(time.Second)
		}
		x.marathon.set(func(m *fakeMarathon) { m.apps = append(m.apps, appOn(h1, "/new", "new.1")) })
		x.tells(taskOn(h1, "/bad", "bad.last"))
		time.Sleep(10 * time.Millisecond)
		x.tells(taskOn(h1, "/new", "new.1"))
		time.Sleep(time.Second)
		x.wants(h1, "a.1", "new.1")
		if n := len(x.marathon.reads("/bad")); n > 30 {
			x.Errorf("the app that cannot be read was asked for %d times in a minute", n)
		}
	}, h1)
}

// An app that fails once is read again soon, also while another goes on failing
// and others are read well.
func TestAppThatFailedOnceIsReadAgain(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1"), appOn(h1, "/b")}
		x.connect()
		x.marathon.set(func(m *fakeMarathon) {
			m.broken = []string{"/bad", "/b"}
			m.apps[1] = appOn(h1, "/b", "b.1")
		})
		task := taskOn(h1, "/b", "b.1")
		task.Version = "v2" // one that nobody has told of
		x.tells(task)
		time.Sleep(100 * time.Millisecond)
		x.marathon.set(func(m *fakeMarathon) { m.broken = []string{"/bad"} })
		for i := range 60 {
			for _, app := range []string{"/bad", "/pod"} {
				x.tells(taskOn(h1, app, fmt.Sprint(app, i)))
			}
			time.Sleep(200 * time.Millisecond)
		}
		x.wants(h1, "a.1", "b.1")
	}, h1)
}

// While Marathon answers nothing, what events ask for is not a storm of requests.
func TestSilentMarathonIsAskedAtAPace(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.connect()
		x.marathon.set(func(m *fakeMarathon) { m.silent = true })
		apps := []string{"/b", "/c", "/d", "/e", "/f"}
		for i := range 600 {
			x.tells(taskOn(h1, apps[i%len(apps)], fmt.Sprint("t.", i)))
			time.Sleep(100 * time.Millisecond)
		}
		n := 0
		for _, app := range apps {
			n += len(x.marathon.reads(app))
		}
		if n > 100 {
			x.Errorf("%d reads of %d apps in a minute of silence", n, len(apps))
		}
	}, h1)
}

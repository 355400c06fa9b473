package reconcile_test

import (
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
)

// manyDashes is the name of very many apps.
const manyDashes = "prod-eu-west-1-team-a-my-service"

// Keys of a name that no app is known by go when time has confirmed it; one snapshot is
// no proof.
func TestKeysOfAnUntraceableNameGoInTime(t *testing.T) {
	for name, others := range map[string][]string{"alone": nil, "beside another": {"other"}} {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
				x.hasKeys(append(others, "a", manyDashes)...)
				x.connect()
				all := append([]string{"a"}, append(others, manyDashes)...)
				x.wantsKeys(all...)
				time.Sleep(x.config.Policy.Confirm - x.config.PollInterval)
				x.wantsKeys(all...)
				time.Sleep(3 * x.config.PollInterval)
				x.wantsKeys("a")
				before := x.marathon.count()
				time.Sleep(time.Hour)
				if n := x.marathon.count() - before; n > 0 {
					x.Errorf("%d more snapshots when it was over", n)
				}
			}, h1)
		})
	}
}

// Of an app that a snapshot omits nothing goes before its own 404, however many
// dashes its name has.
func TestOmittedAppKeepsItsKeysUntilItsOwn404(t *testing.T) {
	for _, app := range []string{"/web", "/prod/eu-west-1/team-a/my-service", "/prod-eu-west-1-team-a-my-service"} {
		for _, tasks := range [][]string{{"t.1"}, nil} {
			t.Run(app, func(t *testing.T) {
				inFakeCluster(t, func(x *fakeCluster) {
					name := map[bool]string{true: "web", false: manyDashes}[app == "/web"]
					x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1"), appOn(h2, app, tasks...)}
					x.connect()
					look := func() {
						x.Missed("oversize")
						time.Sleep(2 * x.config.PollInterval)
					}
					stays := func() { x.Helper(); x.wantsKeys("a", name); x.wants(h2, tasks...) }
					x.marathon.set(func(m *fakeMarathon) { m.omits = []string{app} })
					look()
					stays()
					x.marathon.set(func(m *fakeMarathon) { m.broken = []string{app} })
					look()
					stays()
					x.marathon.set(func(m *fakeMarathon) { m.broken, m.apps = nil, m.apps[:1] })
					look()
					x.wantsKeys("a")
					x.wants(h2)
				}, h1, h2)
			})
		}
	}
}

// One /v2/info without a framework ID neither makes another Marathon's service
// ours nor rewrites our own.
func TestFrameworkOnceKnownStaysKnown(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.agents[h1].services["z.1"] = consul.Service{
			ID: "z.1", Name: "z", Tags: clusterOwner.Tags("/z"), Meta: map[string]string{consul.MetaFramework: "another"},
		}
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1", "a.2", "a.3")}
		x.connect()
		x.wants(h1, "a.1", "a.2", "a.3", "z.1")
		x.marathon.set(func(m *fakeMarathon) { m.framework = "" })
		x.Missed("oversize")
		time.Sleep(time.Minute)
		x.wants(h1, "a.1", "a.2", "a.3", "z.1")
		for _, task := range []string{"a.1", "a.2", "a.3"} {
			if _, n := x.agents[h1].asked(task); n != 1 {
				x.Errorf("%s was registered %d times", task, n)
			}
		}
		if x.marathon.count() < 2 {
			x.Error("there was no second look")
		}
	}, h1)
}

// An app that Marathon hides for days, and never says is gone, keeps its labels,
// however many dashes its name has, and whatever else was wrong meanwhile.
func TestHiddenAppKeepsItsLabels(t *testing.T) {
	another := consul.Service{ID: "z.1", Name: "z", Tags: clusterOwner.Tags("/z"), Meta: map[string]string{consul.MetaFramework: "another"}}
	for what, trouble := range map[string]func(x *fakeCluster, begins bool){
		"nothing else": func(*fakeCluster, bool) {},
		"another framework": func(x *fakeCluster, begins bool) {
			x.agents[h1].set(func(a *fakeAgent) {
				if delete(a.services, "z.1"); begins {
					a.services["z.1"] = another
				}
			})
		},
		"no app at all": func(x *fakeCluster, begins bool) {
			if begins {
				x.marathon.set(func(m *fakeMarathon) { m.omits = append([]string{"/a"}, m.omits...) })
			} else {
				x.marathon.set(func(m *fakeMarathon) { m.omits = m.omits[1:] })
			}
		},
	} {
		for _, name := range []string{manyDashes, "team-a"} {
			t.Run(what+", "+name, func(t *testing.T) {
				inFakeCluster(t, func(x *fakeCluster) {
					x.config.SyncInterval = 5 * time.Minute
					x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1"), appOn(h1, "/"+name)}
					x.connect()
					x.marathon.set(func(m *fakeMarathon) { m.omits, m.broken = []string{"/" + name}, []string{"/" + name} })
					trouble(x, true)
					time.Sleep(25 * time.Hour)
					x.wantsKeys("a", name)
					trouble(x, false)
					time.Sleep(25 * time.Hour)
					x.wantsKeys("a", name)
				}, h1)
			})
		}
	}
}

// What was held back stays so when its app is asked about another task of its.
func TestHeldBackWaitsAlsoWhenItsAppWasAsked(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		all := hundred(h1)
		ids := func(from, to int) (ids []string) {
			for _, task := range all.Tasks[from:to] {
				ids = append(ids, task.ID)
			}
			return ids
		}
		x.marathon.apps = []marathon.App{appOn(h1, "/a", ids(0, 22)...)}
		x.connect()
		x.marathon.set(func(m *fakeMarathon) { m.apps[0] = appOn(h1, "/a", ids(12, 22)...) })
		x.Missed("undecodable") // 12 of 22 are missing: held back
		time.Sleep(3 * time.Second)
		x.wants(h1, ids(0, 22)...)
		x.marathon.set(func(m *fakeMarathon) { m.apps[0] = appOn(h1, "/a", append(ids(9, 12), ids(13, 22)...)...) })
		time.Sleep(20 * time.Second) // 10 are, one of them another one
		x.wants(h1, append(ids(0, 12), ids(13, 22)...)...)
	}, h1)
}

package simulator_test

import (
	"testing"
	"time"

	"consular/marathon/simulator"
)

// web is the app that most scenes were recorded with.
func web() simulator.App {
	return simulator.App{
		ID: "/shop/web", Instances: 2,
		Labels: map[string]string{"role": "web", "HAPROXY_0_VHOST": "shop.example.com"},
		Ports:  []simulator.Port{{Name: "http", Labels: map[string]string{"VIP_0": "/web:80"}}, {Name: "admin"}},
	}
}

// api is web as it was in later scenes.
func api() simulator.App {
	app := web()
	app.Cmd, app.Labels = "sleep 2000", map[string]string{"role": "api", "tier": "1"}
	app.Upgrade = &simulator.Upgrade{MinimumHealthCapacity: 0.5, MaximumOverCapacity: 0.5}
	return app
}

func small(id string, instances int, labels map[string]string) simulator.App {
	return simulator.App{ID: id, Instances: instances, Labels: labels, Ports: []simulator.Port{{Name: "http"}}}
}

func overlay() simulator.App {
	return simulator.App{
		ID: "/shop/overlay", Instances: 1, Network: simulator.Container,
		Ports: []simulator.Port{{Name: "http", Container: 80}, {Name: "metrics", Container: 9090, OnHost: true}},
	}
}

// patient is an app whose unreachable tasks are not given up at once.
func patient(id string) simulator.App {
	app := small(id, 2, nil)
	app.InactiveAfter, app.ExpungeAfter = 2*time.Second, 10*time.Minute
	return app
}

// actor makes things happen; any refusal ends the test.
type actor struct {
	*simulator.Marathon
	t *testing.T
}

func (a actor) ok(err error) { a.t.Helper(); must(a.t, err) }

// first and last are an app's oldest and youngest task.
func (a actor) first(id string) string { return a.Tasks(id)[0].ID }

type scene struct {
	name           string
	config         simulator.Config
	before, during func(a actor)
}

func created(app simulator.App) func(actor) {
	return func(a actor) { a.ok(a.Create(app)) }
}

func scenes() []scene {
	killing := simulator.Config{TaskKilling: true}
	return []scene{
		{"create", killing, nil, created(web())},
		{"scale-up", killing, created(web()), func(a actor) { a.ok(a.Scale("/shop/web", 4)) }},
		{"scale-down", killing, func(a actor) {
			a.ok(a.Create(web()))
			a.ok(a.Scale("/shop/web", 4))
		}, func(a actor) { a.ok(a.Scale("/shop/web", 2)) }},
		{"relabel", killing, created(web()), func(a actor) {
			a.ok(a.Relabel("/shop/web", map[string]string{"role": "api", "tier": "1"}))
		}},
		{"upgrade", killing, func(a actor) {
			app := api()
			app.Cmd, app.Upgrade = "", nil
			a.ok(a.Create(app))
		}, func(a actor) { a.ok(a.Update("/shop/web", func(app *simulator.App) { *app = api() })) }},
		{"restart", killing, created(api()), func(a actor) { a.ok(a.Restart("/shop/web")) }},
		{"crash", killing, created(api()), func(a actor) { a.ok(a.Crash(a.first("/shop/web"))) }},
		{"states", killing, created(api()), states},
		{"unreachable", killing, created(api()), func(a actor) {
			id := a.first("/shop/web")
			a.ok(a.Unreachable(id))
			a.ok(a.Back(id))
		}},
		{"unreachable-strategy", killing, created(api()), func(a actor) {
			a.ok(a.Update("/shop/web", func(app *simulator.App) {
				app.InactiveAfter, app.ExpungeAfter = 2*time.Second, 10*time.Minute
			}))
			id := a.first("/shop/web")
			a.ok(a.Unreachable(id))
			a.ok(a.Unreachable(id))
			a.ok(a.Back(id))
		}},
		{"surplus", killing, nil, func(a actor) {
			a.ok(a.Put(patient("/x/sur")))
			id := a.first("/x/sur")
			a.ok(a.Unreachable(id))
			a.ok(a.Unreachable(id))
			a.ok(a.Back(id))
			a.ScaleCheck()
			a.ok(a.Destroy("/x/sur"))
		}},
		{"expunge", killing, nil, func(a actor) {
			a.ok(a.Put(patient("/x/exp")))
			id := a.first("/x/exp")
			a.ok(a.Unreachable(id))
			a.ok(a.Unreachable(id))
			a.ok(a.Expunge(id))
			a.ok(a.Back(id))
			a.ok(a.Destroy("/x/exp"))
		}},
		{"kill-task", killing, created(api()), func(a actor) {
			a.ok(a.Kill(a.first("/shop/web"), false))
			a.ok(a.Kill(a.first("/shop/web"), true))
			a.ok(a.Scale("/shop/web", 2))
		}},
		{"suspend", killing, created(api()), func(a actor) {
			a.ok(a.Suspend("/shop/web"))
			a.ok(a.Update("/shop/web", func(app *simulator.App) {
				app.Instances, app.Labels = 2, map[string]string{"x": "y"}
			}))
		}},
		{"relabel-suspended", killing, nil, func(a actor) {
			a.ok(a.Put(small("/x/susp", 0, map[string]string{"a": "1"})))
			a.ok(a.Relabel("/x/susp", map[string]string{"a": "2"}))
			a.ok(a.Destroy("/x/susp"))
		}},
		{"noop", killing, nil, func(a actor) {
			a.ok(a.Put(small("/x/noop", 1, map[string]string{"a": "1"})))
			a.ok(a.NoOp("/x/noop"))
		}},
		{"patch", killing, created(small("/x/noop", 1, map[string]string{"a": "1"})), func(a actor) {
			a.ok(a.NoOp("/x/noop"))
			a.ok(a.Scale("/x/noop", 2))
		}},
		{"bulk", killing, created(api()), func(a actor) {
			app := api()
			app.Instances = 3
			a.ok(a.Bulk(app, simulator.App{ID: "/bulk/one", Instances: 1}))
			a.ok(a.Destroy("/bulk/one"))
		}},
		{"group", killing, nil, group},
		{"destroy", killing, func(a actor) {
			a.ok(a.Create(web()))
			a.ok(a.Scale("/shop/web", 3))
		}, func(a actor) { a.ok(a.Destroy("/shop/web")) }},
		{"rollback", killing, nil, rollback},
		{"cancel-deployment", killing, created(small("/x/rb", 2, map[string]string{"v": "old"})), cancelDeployment},
		{"container", killing, nil, func(a actor) { a.ok(a.Put(overlay())) }},
		{"pod", killing, nil, func(a actor) {
			a.ok(a.CreatePod(simulator.Pod{ID: "/shop/cart", Instances: 2, Containers: []simulator.PodContainer{
				{Name: "main", Ports: []simulator.Port{{Name: "http"}}}, {Name: "side"},
			}}))
			a.ok(a.DeletePod("/shop/cart"))
		}},
		{"no-task-killing", simulator.Config{}, nil, func(a actor) {
			a.ok(a.Put(small("/x/nk", 2, nil)))
			a.ok(a.Scale("/x/nk", 1))
			a.ok(a.Relabel("/x/nk", map[string]string{"a": "b"}))
			a.ok(a.Destroy("/x/nk"))
		}},
	}
}

// states ends one task, then the other, in every way there is.
func states(a actor) {
	a.ok(a.Finish(a.first("/shop/web"), "TASK_FINISHED"))
	a.ok(a.Finish(a.first("/shop/web"), "TASK_LOST"))
	for _, state := range []string{
		"TASK_GONE", "TASK_GONE_BY_OPERATOR", "TASK_DROPPED", "TASK_ERROR", "TASK_UNKNOWN",
	} {
		a.ok(a.Finish(a.first("/shop/web"), state))
	}
}

func group(a actor) {
	members := func(instances int) []simulator.App {
		one, two := small("/team/a", instances, nil), small("/team/b", instances, nil)
		two.Dependencies = []string{"/team/a"}
		return []simulator.App{one, two}
	}
	a.ok(a.Group("/team", members(1)...))
	a.ok(a.Group("/team", members(2)...))
	a.ok(a.DestroyGroup("/team"))
}

// rollback makes a deployment hang, has a change refused, and rolls back.
func rollback(a actor) {
	a.ok(a.Put(small("/x/rb", 2, map[string]string{"v": "old"})))
	stuck(a, "new")
	if err := a.Scale("/x/rb", 3); err == nil {
		a.t.Error("a locked app was scaled")
	}
	a.ok(a.Rollback(a.Deployments()[0].ID))
}

func cancelDeployment(a actor) {
	stuck(a, "new2")
	a.ok(a.Cancel(a.Deployments()[0].ID))
	a.ScaleCheck()
	a.ok(a.Destroy("/x/rb"))
}

// stuck asks for more than any host has.
func stuck(a actor, label string) {
	a.ok(a.Update("/x/rb", func(app *simulator.App) {
		app.CPUs, app.Labels = simulator.HostCPUs+1, map[string]string{"v": label}
	}))
}

// Each scene that was recorded from a running Marathon is played again. The
// account of what each publisher told must be the same, in any order between
// publishers.
func TestScenesAsRecorded(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			want := accountOf(recorded(t, s.name))
			for seed := range uint64(10) {
				config := s.config
				config.Seed, config.Shuffle = seed, seed > 0
				m := simulator.New(config)
				a := actor{m, t}
				if s.before != nil {
					s.before(a)
				}
				got := accountOf(record(t, m, func() { s.during(a) }))
				for _, difference := range got.diff(want) {
					t.Errorf("seed %d: %s", seed, difference)
				}
			}
		})
	}
}

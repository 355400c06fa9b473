package reconcile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

// wardActs are what happens to tasks with checks, to their agents, and to consular.
var wardActs = actsOf(
	"start", "start", "start", "kill", "vanish", "lose", "flip", "flip", "flip", "flip unheard", "cause", "silence",
	"gap", "deaf", "omit", "gone", "slow", "their status", "their status", "their check", "their service", "their drift",
	"restart", "empty", "fails", "lies", "late", "cut", "another",
)

// change changes one of an app's tasks, or drops it, and returns it.
func (x *ward) change(app, n int, change func(*marathon.Task) (stays bool)) (changed marathon.Task) {
	x.marathon.set(func(m *fakeMarathon) {
		tasks := slices.Clone(m.apps[app].Tasks)
		if len(tasks) == 0 {
			return
		}
		at := n % len(tasks)
		stays := change(&tasks[at])
		changed = tasks[at]
		if !stays {
			tasks = slices.Delete(tasks, at, at+1)
		}
		m.apps[app].Tasks = tasks
	})
	return changed
}

// results are those of so many checks.
func results(checks int, alive bool, cause string) (all []marathon.HealthCheckResult) {
	now := time.Now().Add(time.Millisecond) // later than what is launched at the same moment
	for range checks {
		r := marathon.HealthCheckResult{Alive: alive, LastSuccess: now}
		if !alive {
			r = marathon.HealthCheckResult{LastFailure: now, LastFailureCause: cause}
		}
		all = append(all, r)
	}
	return all
}

func (x *ward) do(a lockAct) {
	app, host := a.to%3, []string{h1, h2}[a.n%2]
	switch a.what {
	case "start":
		x.started++
		x.marathon.set(func(m *fakeMarathon) {
			task := taskOn(host, m.apps[app].ID, fmt.Sprint("t", x.started))
			task.Ports = []int{31000 + x.started}
			x.hear(task)
			task.StagedAt = time.Now()
			m.apps[app].Tasks = append(slices.Clone(m.apps[app].Tasks), task)
		})
	case "kill", "vanish":
		task := x.change(app, a.n, func(t *marathon.Task) bool { t.State = marathon.TaskKilled; return false })
		if a.what == "kill" {
			x.hear(task)
		}
	case "lose": // or it is back
		x.hear(x.change(app, a.n, func(t *marathon.Task) bool {
			if t.State == marathon.TaskRunning {
				t.State = marathon.TaskUnreachable
			} else {
				t.State = marathon.TaskRunning
			}
			return true
		}))
	case "flip", "flip unheard":
		x.flip(app, a.n, a.what == "flip")
	case "cause":
		x.change(app, a.n, func(t *marathon.Task) bool {
			if rs := t.HealthCheckResults; len(rs) > 0 && !rs[0].Alive {
				t.HealthCheckResults = results(len(rs), false, fmt.Sprint("cause ", a.to))
			}
			return true
		})
	case "silence": // of a Marathon that has failed over
		for n := range 20 {
			x.change(app, n, func(t *marathon.Task) bool { t.HealthCheckResults = nil; return true })
		}
	case "gap":
		x.Missed("oversize")
	case "deaf":
		if x.deaf = !x.deaf; x.deaf {
			x.Disconnected("closed")
		} else {
			x.Connected()
		}
	case "omit":
		x.marathon.set(func(m *fakeMarathon) {
			if len(m.omits) > 0 {
				m.omits = nil
			} else {
				m.omits = []string{m.apps[app].ID}
			}
		})
	case "another":
		x.end()
		x.config.Translation.Health = []desired.HealthMode{desired.HealthMirror, desired.HealthMirror, desired.HealthChecks, desired.HealthNone}[(a.to+a.n)%4]
		x.config.Fallback = x.config.Fallback || a.n == 2
		x.begin()
	case "fails", "lies", "late", "cut":
		x.mu.Lock()
		x.fault, x.faults = a.what, a.n+1
		x.mu.Unlock()
	default:
		x.happens(a, x.agents[host])
	}
}

// flip has Marathon find a task dead, or alive again.
func (x *ward) flip(app, n int, heard bool) {
	alive := false
	task := x.change(app, n, func(t *marathon.Task) bool {
		alive = len(t.HealthCheckResults) == 0 || !t.HealthCheckResults[0].Alive
		t.HealthCheckResults = results(app, alive, "refused")
		return true
	})
	if heard && !x.deaf && task.ID != "" && app > 0 {
		x.Event(marathon.HealthStatusChanged{
			Meta: marathon.Meta{Type: "health_status_changed_event", Time: time.Now()}, AppID: task.AppID, TaskID: task.ID, Version: "v1", Alive: alive,
		})
	}
}

// hear tells of a task, which has no results and no stagedAt in an event.
func (x *ward) hear(task marathon.Task) {
	if !x.deaf && task.ID != "" {
		task.HealthCheckResults, task.StagedAt = nil, time.Time{}
		x.Event(marathon.TaskChanged{Meta: marathon.Meta{Type: "status_update_event", Time: time.Now()}, Task: task})
	}
}

// happens is what happens to an agent.
func (x *ward) happens(act lockAct, a *fakeAgent) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a.set(func(a *fakeAgent) {
		ids := sorted(a.services)
		one := ""
		if len(ids) > 0 {
			one = ids[act.to%len(ids)]
		}
		switch act.what {
		case "gone":
			a.gone = !a.gone
		case "slow":
			a.slow = []time.Duration{0, 200 * time.Millisecond, 2 * time.Second}[act.n]
		case "empty":
			a.services = map[string]consul.Service{}
		case "their service":
			delete(a.services, one)
		case "their drift":
			if s, is := a.services[one]; is {
				s.Port, s.Tags = s.Port+1, append(slices.Clone(s.Tags), "theirs")
				a.services[one] = s
			}
		case "their status", "their check":
			if _, is := a.services[one]; is {
				a.change(one, func(checks map[string]consul.Check) {
					for id, c := range checks {
						c.Status = []consul.Status{consul.Passing, consul.Warning, consul.Critical}[act.n]
						c.Output = "theirs"
						checks[id] = c
						x.updated[a.host+id] = c
						if act.what == "their check" {
							delete(checks, id)
							delete(x.updated, a.host+id)
						}
					}
				})
			}
		case "restart":
			for _, service := range ids {
				a.change(service, func(checks map[string]consul.Check) {
					for id, c := range checks {
						c.Status, c.Output = consul.Critical, ""
						if kept, is := x.updated[a.host+id]; is {
							c.Status, c.Output = kept.Status, kept.Output
						}
						checks[id] = c
					}
				})
			}
		}
	})
}

// heal ends all that is wrong, and has Marathon know of each task how it is.
func (x *ward) heal() {
	for _, a := range x.agents {
		a.set(func(a *fakeAgent) { a.gone, a.slow = false, 0 })
	}
	x.mu.Lock()
	x.faults = 0
	x.mu.Unlock()
	x.marathon.set(func(m *fakeMarathon) { m.omits = nil })
	for app := range 3 {
		for n := range 40 {
			x.change(app, n, func(t *marathon.Task) bool {
				if len(t.HealthCheckResults) == 0 {
					t.HealthCheckResults = results(app, true, "")
				}
				return true
			})
		}
	}
	if x.deaf {
		x.deaf = false
		x.Connected()
	}
	x.Missed("the end")
}

// amiss says what of Consul is not as Marathon has it.
func (x *ward) amiss() (wrong []string) {
	want := map[string]map[string]string{h1: {}, h2: {}, "": {}}
	for checks, app := range x.marathon.apps {
		for _, t := range app.Tasks {
			if t.State != marathon.TaskRunning {
				continue
			}
			status := consul.Passing
			if checks > 0 && !t.HealthCheckResults[0].Alive {
				status = consul.Critical
			}
			says := ""
			for n := range checks {
				switch x.config.Translation.Health {
				case desired.HealthMirror:
					says = fmt.Sprintf("%s %s", consul.CheckID(t.ID), status)
				case desired.HealthChecks:
					says += consul.NumberedCheckID(t.ID, n) + " "
				}
			}
			want[t.Host][t.ID] = strings.TrimSpace(says)
		}
	}
	for host, should := range want {
		a := x.agents[host]
		if have := a.tasks(); !slices.Equal(have, sorted(should)) {
			wrong = append(wrong, fmt.Sprintf("%q has %v, want %v", host, have, sorted(should)))
		}
		for _, id := range a.tasks() {
			var says []string
			for _, c := range a.checksOn(id) {
				if says = append(says, c.ID); x.config.Translation.Health == desired.HealthMirror {
					says = append(says, string(c.Status))
				}
			}
			if have := strings.Join(says, " "); have != should[id] {
				wrong = append(wrong, fmt.Sprintf("the checks of %s are %q, want %q", id, have, should[id]))
			}
		}
	}
	return wrong
}

// Whatever happens to tasks and their health, whatever others do to agents, and however these
// fail: no service is deregistered whose task runs; in the end Consul is what Marathon says, and
// then nothing is written any more.
func TestHistoriesOfHealth(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		acts, limit := wardActs.Draw(rt, "acts"), rapid.SampledFrom([]int{50, 100}).Draw(rt, "limit")
		var wrong []string
		var log string
		synctest.Test(t, func(t *testing.T) {
			x := newWard(t, limit)
			x.begin()
			for _, a := range acts {
				time.Sleep(a.after)
				x.do(a)
			}
			x.heal()
			// A write that was late, of a consular that has ended, may be where Marathon names no host: all
			// nodes are looked at by each tenth resync.
			time.Sleep(12 * x.config.SyncInterval)
			x.mu.Lock()
			wrong = slices.Concat(x.wrong, x.amiss())
			before := x.writes
			x.mu.Unlock()
			time.Sleep(3 * x.config.SyncInterval)
			x.mu.Lock()
			if n := x.writes - before; n > 0 {
				wrong = append(wrong, fmt.Sprintf("%d writes when nothing changes", n))
			}
			x.mu.Unlock()
			p, err := x.consular().Plan(x.Context())
			if err != nil || len(p.Changes) > 0 {
				wrong = append(wrong, fmt.Sprintf("another consular would change %v, %v", whys(p), err))
			}
			log = x.log.String()
			x.end()
		})
		if len(wrong) > 0 {
			rt.Fatalf("%v after %v\n%s", wrong, acts, log)
		}
	})
}

package reconcile_test

import (
	"fmt"
	"strings"

	"consular/marathon/simulator"
)

// act is one thing that can happen in a history. It returns what did, in words
// that are the same for the same seed.
type act func(*chaos) string

// said puts an operation and whether Marathon took it into words.
func said(err error, format string, args ...any) string {
	text := fmt.Sprintf(format, args...)
	if err != nil {
		return text + ": refused"
	}
	return text
}

// What people do to apps. Most acts are listed as often as they happen in life.
var appActs = []act{
	create, create, create, scale, scale, scale, relabel, relabel, relabel, upgrade, restartApp,
	func(c *chaos) string { id := c.app(); return said(c.marathon.Suspend(id), "suspend %s", id) },
	func(c *chaos) string { id := c.app(); return said(c.marathon.NoOp(id), "put %s again", id) },
	destroy, destroy, bulk, group,
	func(c *chaos) string { return said(c.marathon.DestroyGroup("/team"), "destroy the group") },
	stick, rollback, rollback, cancel,
	func(c *chaos) string { c.marathon.ScaleCheck(); return "scale check" },
	createPod, updatePod,
	func(c *chaos) string { return said(c.marathon.DeletePod("/pod"), "delete the pod") },
}

// app picks an app that REST shows.
func (c *chaos) app() string {
	apps := c.marathon.Apps()
	return apps[c.random.IntN(len(apps))].ID
}

// other picks one that may go; /anchor stays, for an empty Marathon is a case of
// its own.
func (c *chaos) other() string {
	ids := []string{"/shop/web", "/shop/api", "/batch", "/late/one", "/late/two"}
	return ids[c.random.IntN(len(ids))]
}

func (c *chaos) labels() map[string]string {
	return map[string]string{
		"role": fmt.Sprintf("role-%d", c.random.IntN(3)), fmt.Sprintf("l%d", c.random.IntN(3)): "x",
	}
}

func create(c *chaos) string {
	app := web(c.other(), c.random.IntN(4))
	app.Labels = c.labels()
	return said(c.marathon.Create(app), "create %s with %d", app.ID, app.Instances)
}

func scale(c *chaos) string {
	id, n := c.app(), c.random.IntN(5)
	return said(c.marathon.Scale(id, n), "scale %s to %d", id, n)
}

func relabel(c *chaos) string {
	id, labels := c.app(), c.labels()
	return said(c.marathon.Relabel(id, labels), "label %s %v", id, labels)
}

func upgrade(c *chaos) string {
	id := c.app()
	force := c.random.IntN(2) == 0
	edit := func(a *simulator.App) {
		a.Cmd += "+"
		a.Upgrade = &simulator.Upgrade{MinimumHealthCapacity: 0.5, MaximumOverCapacity: 0.5}
	}
	if force {
		return said(c.marathon.ForceUpdate(id, edit), "upgrade %s by force", id)
	}
	return said(c.marathon.Update(id, edit), "upgrade %s", id)
}

func restartApp(c *chaos) string {
	id := c.app()
	return said(c.marathon.Restart(id), "restart %s", id)
}

func destroy(c *chaos) string {
	id := c.other()
	return said(c.marathon.Destroy(id), "destroy %s", id)
}

func bulk(c *chaos) string {
	one, two := web(c.other(), 1), web("/anchor", 1+c.random.IntN(3))
	one.Labels, two.Labels = c.labels(), c.labels()
	if one.ID == two.ID {
		return "nothing"
	}
	return said(c.marathon.Bulk(one, two), "bulk %s and %s", one.ID, two.ID)
}

func group(c *chaos) string {
	one, two := web("/team/a", c.random.IntN(3)), web("/team/b", c.random.IntN(3))
	one.Labels, two.Dependencies = c.labels(), []string{"/team/a"}
	return said(c.marathon.Group("/team", one, two), "group of %d and %d", one.Instances, two.Instances)
}

// stick asks for more than any host has: the deployment hangs.
func stick(c *chaos) string {
	id, labels := c.other(), c.labels()
	return said(c.marathon.Update(id, func(a *simulator.App) {
		a.CPUs, a.Labels = simulator.HostCPUs+1, labels
	}), "upgrade %s to what fits nowhere", id)
}

// hanging is a deployment under way; "" without one.
func (c *chaos) hanging() string {
	all := c.marathon.Deployments()
	if len(all) == 0 {
		return ""
	}
	return all[c.random.IntN(len(all))].ID
}

func rollback(c *chaos) string {
	id := c.hanging()
	return said(c.marathon.Rollback(id), "roll back %s", id)
}

func cancel(c *chaos) string {
	id := c.hanging()
	return said(c.marathon.Cancel(id), "cancel %s", id)
}

func (c *chaos) pod() simulator.Pod {
	return simulator.Pod{ID: "/pod", Instances: 1 + c.random.IntN(2), Containers: []simulator.PodContainer{
		{Name: "main", Ports: []simulator.Port{{Name: "http"}}}, {Name: "side"},
	}}
}

func createPod(c *chaos) string { return said(c.marathon.CreatePod(c.pod()), "create a pod") }
func updatePod(c *chaos) string { return said(c.marathon.UpdatePod(c.pod()), "update the pod") }

// What happens to tasks.
var taskActs = []act{crash, crash, finish, finish, killTask, killTask, unreachable, unreachable, back, back, expunge, loseAgent, recoverAgent, recoverAgent, partition, volume, crashVolume}

// task picks one that is in a state; "" without one.
func (c *chaos) task(state string) string {
	var ids []string
	for _, t := range c.marathon.Tasks("") {
		if t.State == state {
			ids = append(ids, t.ID)
		}
	}
	if len(ids) == 0 {
		return ""
	}
	return ids[c.random.IntN(len(ids))]
}

func crash(c *chaos) string {
	id := c.task("TASK_RUNNING")
	return said(c.marathon.Crash(id), "crash %s", id)
}

func finish(c *chaos) string {
	states := []string{"TASK_FINISHED", "TASK_KILLED", "TASK_ERROR", "TASK_GONE", "TASK_GONE_BY_OPERATOR", "TASK_DROPPED", "TASK_UNKNOWN", "TASK_LOST"}
	id, state := c.task("TASK_RUNNING"), states[c.random.IntN(len(states))]
	c.mayGo(id)
	return said(c.marathon.Finish(id, state), "%s %s", state, id)
}

func killTask(c *chaos) string {
	id, scale := c.task("TASK_RUNNING"), c.random.IntN(2) == 0
	if strings.HasPrefix(id, "anchor") {
		scale = false
	}
	return said(c.marathon.Kill(id, scale), "kill %s, scale %t", id, scale)
}

func unreachable(c *chaos) string {
	id := c.task("TASK_RUNNING")
	c.mayGo(id)
	return said(c.marathon.Unreachable(id), "lose %s", id)
}

// mayGo notes that a task may be deregistered though it runs, or will again.
func (c *chaos) mayGo(tasks ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range tasks {
		c.away[id] = true
	}
}

// partition loses all tasks at once, and expunges some of them.
func partition(c *chaos) string {
	expunged := 0
	for _, t := range c.marathon.Tasks("") {
		if t.State != "TASK_RUNNING" {
			continue
		}
		c.mayGo(t.ID)
		if c.marathon.Unreachable(t.ID) == nil && c.random.IntN(2) == 0 && c.marathon.Expunge(t.ID) == nil {
			expunged++
		}
	}
	return fmt.Sprintf("a partition, %d tasks expunged", expunged)
}

// volume is an app whose tasks are started again under their old ID, where Marathon does
// so: what is heard late of an ended one looks like news of the new one.
func volume(c *chaos) string {
	app := web("/volume", 1+c.random.IntN(2))
	app.Resident = true
	return said(c.marathon.Create(app), "create %s with %d", app.ID, app.Instances)
}

func crashVolume(c *chaos) string {
	tasks := c.marathon.Tasks("/volume")
	if len(tasks) == 0 {
		return "nothing"
	}
	id := tasks[c.random.IntN(len(tasks))].ID
	return said(c.marathon.Crash(id), "crash %s", id)
}

func back(c *chaos) string {
	id := c.task([]string{"TASK_UNREACHABLE", "TASK_LOST"}[c.random.IntN(2)])
	return said(c.marathon.Back(id), "bring back %s", id)
}

func expunge(c *chaos) string {
	id := c.task("TASK_UNREACHABLE")
	return said(c.marathon.Expunge(id), "expunge %s", id)
}

func loseAgent(c *chaos) string {
	host := c.hosts()[c.random.IntN(3)]
	for _, t := range c.marathon.Tasks("") {
		if t.Host == host {
			c.mayGo(t.ID)
		}
	}
	return said(c.marathon.LoseAgent(host), "lose the agent %s", host)
}

func recoverAgent(c *chaos) string {
	host := c.hosts()[c.random.IntN(3)]
	return said(c.marathon.RecoverAgent(host), "recover the agent %s", host)
}

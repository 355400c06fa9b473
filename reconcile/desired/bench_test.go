package desired

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"consular/marathon"
)

// aLargeCluster has apps of 20 tasks on as many hosts, and labels on every app.
func aLargeCluster(apps, hosts, labels int) []marathon.App {
	var all []marathon.App
	for i := range apps {
		app := newApp(fmt.Sprintf("/group-%d/app-%d", i%10, i))
		app.Labels = map[string]string{}
		for l := range labels {
			app.Labels[fmt.Sprintf("label-%d", l)] = "value"
		}
		for n := range 20 {
			task := newTask(fmt.Sprintf("task.%d.%d", i, n), app.ID)
			task.Host = fmt.Sprintf("agent-%d.test", (i+n)%hosts)
			app.Tasks = append(app.Tasks, task)
		}
		all = append(all, app)
	}
	return all
}

// BenchmarkModel is one event, decoded and applied: of a launch and a kill in
// turn, on a cluster of 10,000 tasks.
func BenchmarkModel(b *testing.B) {
	d := knowing(aLargeCluster(500, 100, 5)...)
	var events [2][]byte
	for i, state := range []string{"TASK_RUNNING", "TASK_KILLED"} {
		events[i] = fmt.Appendf(nil, `{"slaveId":"s1","taskId":"task.new","taskStatus":%q,"message":"","appId":"/group-1/app-1",`+
			`"host":"agent-1.test","ipAddresses":[{"ipAddress":"127.0.1.1","protocol":"IPv4"}],"ports":[31001],"version":"v1",`+
			`"eventType":"status_update_event","timestamp":"2026-11-22T16:21:57.237Z"}`, state)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		e, err := marathon.Decode("status_update_event", events[n%2])
		if err != nil {
			b.Fatal(err)
		}
		delete(d.ended, "task.new")
		d.ApplyEvent(e, start)
	}
}

// BenchmarkShape is what one definition costs: without labels of ours, with some, with
// 10,000 that are there to do harm, and with as many ports.
func BenchmarkShape(b *testing.B) {
	d := marathon.Definition{Ports: shopPorts(), Labels: map[string]string{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}}
	some := labelsOf(d, "consul.ports=web,admin\nconsul.tags=a,b\nconsul.port.admin.name=x\nconsul.meta.team=shop")
	bad := d
	bad.Labels = hostile(10_000, 100)
	ports := marathon.Definition{Labels: map[string]string{"consul.ports": "all"}}
	for i := range 10_000 {
		ports.Ports = append(ports.Ports, marathon.Port{Name: fmt.Sprint("port-", i), OnHost: true})
	}
	for name, d := range map[string]marathon.Definition{"plain": d, "some": some, "hostile": bad, "10,000 ports": ports} {
		b.Run(name, func(b *testing.B) {
			tr := testTranslation()
			b.ReportAllocs()
			for b.Loop() {
				tr.shape("/group/shop", d)
			}
		})
	}
}

// BenchmarkReadiness takes in an answer about an app of thousands of tasks that are not ready yet.
func BenchmarkReadiness(b *testing.B) {
	var app marathon.App
	for n := range 8000 {
		app.Tasks = append(app.Tasks, newTask(fmt.Sprintf("ready_web.instance-71b1aca5-eadc-11f1-84db-02fc0%07d._app.1", n), "/a"))
	}
	app = newApp("/a", app.Tasks...)
	app.Definition.ReadinessChecks = []marathon.ReadinessCheck{{Name: "ready", Interval: time.Second}}
	app.Deployments = []string{"d"}
	for _, t := range app.Tasks {
		app.ReadinessCheckResults = append(app.ReadinessCheckResults, marathon.ReadinessCheckResult{Name: "ready", TaskID: t.ID})
	}
	for b.Loop() {
		m, a := mirroring(), app
		a.Tasks = slices.Clone(app.Tasks)
		m.ApplyApp(m.BeginRead(), a, start)
	}
}

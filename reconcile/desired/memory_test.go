package desired

import (
	"fmt"
	"runtime"
	"testing"

	"consular/marathon"
)

// withLabels is a definition whose labels share no text with those of any other.
func withLabels(labels int) marathon.Definition {
	d := marathon.Definition{Ports: []marathon.Port{{Name: "web", OnHost: true}}, Labels: map[string]string{}}
	for i := range labels {
		d.Labels[fmt.Sprintf("the name of label %d", i)] = fmt.Sprintf("the value of label %d, of some length", i)
	}
	return d
}

// BenchmarkMemoryOfLabels is what a model of 10,000 tasks and 50,000 labels takes, and one without
// labels: after a snapshot, when half of the tasks are known to run a version before that has one label
// more, and after a second snapshot. The labels are there once, whatever has them.
func BenchmarkMemoryOfLabels(b *testing.B) {
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	for _, labels := range []int{0, 100} {
		b.Run(fmt.Sprint(500*labels, " labels"), func(b *testing.B) {
			for b.Loop() {
				before, m := heap(), New(testTranslation())
				snapshot := func() {
					apps := aLargeCluster(500, 100, 0)
					for i := range apps {
						app := &apps[i]
						app.Version, app.Definition = "v2", withLabels(labels)
						app.Labels = app.Definition.Labels
						for n := range app.Tasks {
							app.Tasks[n].Version = fmt.Sprint("v", 1+n%2)
						}
					}
					m.ApplySnapshot(m.BeginRead(), marathonSnapshot(apps...), start, Alone)
				}
				snapshot()
				b.ReportMetric(heap()-before, "MB/snapshot")
				for _, app := range sortedKeys(m.apps) {
					m.ApplyDefinition(Version{app, "v1"}, withLabels(labels+1), false)
				}
				b.ReportMetric(heap()-before, "MB/versions")
				snapshot()
				b.ReportMetric(heap()-before, "MB/again")
				runtime.KeepAlive(m)
			}
		})
	}
}

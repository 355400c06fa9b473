package simulator_test

import (
	"testing"

	"consular/marathon/simulator"
)

// Deploying must stay cheap: other packages' benchmarks deploy thousands.
func BenchmarkDeployThousandTasks(b *testing.B) {
	for b.Loop() {
		m := simulator.New(simulator.Config{TaskKilling: true})
		app := web()
		app.Instances = 1000
		if err := m.Create(app); err != nil {
			b.Fatal(err)
		}
	}
}

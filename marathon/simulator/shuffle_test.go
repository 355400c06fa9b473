package simulator_test

import (
	"slices"
	"testing"

	"consular/marathon/simulator"
)

// Shuffle reaches the orders that were seen on a running Marathon, and never
// one that was not: a deployment is announced before its group change.
func TestShuffleReachesRecordedOrders(t *testing.T) {
	reached := map[string]bool{}
	for seed := range uint64(40) {
		m := simulator.New(simulator.Config{TaskKilling: true, Shuffle: true, Seed: seed})
		must(t, m.Create(small("/x/idle", 0, nil)))
		must(t, m.Create(small("/x/busy", 1, nil)))
		idle := names(record(t, m, func() { must(t, m.Relabel("/x/idle", map[string]string{"a": "b"})) }))
		busy := names(record(t, m, func() { must(t, m.Destroy("/x/busy")) }))
		first := slices.Index(idle, "deployment_info")
		group := slices.Index(idle, "group_change_success")
		if first < 0 || group < first {
			t.Fatalf("seed %d: group change before its deployment: %v", seed, idle)
		}
		reached["group change after success"] = reached["group change after success"] ||
			group > slices.Index(idle, "deployment_success")
		reached["group change before success"] = reached["group change before success"] ||
			group < slices.Index(idle, "deployment_success")
		reached["request before group change"] = reached["request before group change"] ||
			slices.Index(idle, "api_post_event") < group
		// The last status of all is TASK_KILLED.
		slices.Reverse(busy)
		reached["killed after termination"] = reached["killed after termination"] ||
			slices.Index(busy, "status_update_event") < slices.Index(busy, "app_terminated_event")
	}
	for _, order := range []string{
		"group change after success", "group change before success",
		"request before group change", "killed after termination",
	} {
		if !reached[order] {
			t.Errorf("no seed had %s", order)
		}
	}
}

func names(events []heard) []string {
	var all []string
	for _, h := range events {
		all = append(all, h.name)
	}
	return all
}

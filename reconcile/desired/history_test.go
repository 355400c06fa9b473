package desired

import (
	"testing"

	"pgregory.net/rapid"
)

// steps are what can happen in a history, the frequent ones several times.
var steps = []func(*modelHistory){
	(*modelHistory).change, (*modelHistory).proceed, (*modelHistory).proceed, (*modelHistory).launch, (*modelHistory).turn,
	(*modelHistory).hear, (*modelHistory).hear, (*modelHistory).hear, (*modelHistory).ask, (*modelHistory).ask,
	(*modelHistory).answer, (*modelHistory).answer, (*modelHistory).answer, (*modelHistory).defineVersions, (*modelHistory).lose, (*modelHistory).pass,
	(*modelHistory).again, (*modelHistory).again, (*modelHistory).part, (*modelHistory).forget,
}

// Whatever happens in a Marathon, in whatever order its publishers are heard,
// with what is lost and however long answers take: when all is told, the model
// says what Marathon says.
func TestModelFollowsAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newModelHistory(t)
		// SampledFrom is even where IntRange prefers small numbers.
		for range rapid.SampledFrom([]int{5, 20, 60, 200}).Draw(t, "length") {
			rapid.SampledFrom(steps).Draw(t, "step")(w)
			w.check()
		}
		w.settle()
		if diff := snapshotOf(w.model).diff(snapshotOfApps(w.rest(""), w.definition)); diff != "" {
			t.Fatal(diff)
		}
		if n := len(w.model.journal.events); n > 0 {
			t.Fatalf("no read is open, and the journal keeps %d events", n)
		}
	})
}

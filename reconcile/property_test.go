package reconcile

import (
	"testing"

	"pgregory.net/rapid"
)

// steps are what can happen in a world, the frequent ones several times.
var steps = []func(*world){
	(*world).change, (*world).proceed, (*world).proceed, (*world).launch, (*world).turn,
	(*world).hear, (*world).hear, (*world).hear, (*world).ask, (*world).ask,
	(*world).answer, (*world).answer, (*world).answer, (*world).define, (*world).lose, (*world).pass,
}

// Whatever happens in a Marathon, in whatever order its publishers are heard,
// with what is lost and however long answers take: when all is told, the model
// says what Marathon says.
func TestModelFollowsAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		// SampledFrom is even where IntRange prefers small numbers.
		for range rapid.SampledFrom([]int{5, 20, 60, 200}).Draw(t, "length") {
			rapid.SampledFrom(steps).Draw(t, "step")(w)
		}
		w.settle()
		if diff := pictureOf(w.model).diff(pictureOfApps(w.rest(""), w.definition)); diff != "" {
			t.Fatal(diff)
		}
		if n := len(w.model.journal.events); n > 0 {
			t.Fatalf("no read is open, and the journal keeps %d events", n)
		}
	})
}

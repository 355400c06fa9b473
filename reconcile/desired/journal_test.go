package desired

import (
	"slices"
	"testing"
)

// An answer knows of all that was heard before it was asked for, though the journal keeps
// that for another read.
func TestWhatWasHeardBeforeAReadIsInItsAnswer(t *testing.T) {
	m := knowing(newApp("/a"))
	other := m.BeginRead()
	m.ApplyEvent(changed(newTask("t1", "/a")), start)
	e := m.ApplyApp(m.BeginRead(), newApp("/a"), start)
	if len(e.ReadAgain) > 0 || m.Want("t1", "/a").Verdict != Absent {
		t.Errorf("an answer that omits what was heard before: %+v, asks again for %v", m.Want("t1", "/a"), e.ReadAgain)
	}
	// The other one was asked for earlier, and says nothing any more.
	m.ApplyApp(other, newApp("/a", newTask("t1", "/a")), start)
	wantVerdict(t, m, "t1", "/a", Absent)
}

// What an event tells more of a task than an answer that was asked for earlier stands: the
// addresses and ports that it lacks. Of as many, the answer's stand.
func TestMoreStandsAgainstLess(t *testing.T) {
	for name, test := range map[string]struct{ heard, answered, want []int }{
		"heard alone":    {[]int{31001}, nil, []int{31001}},
		"answered alone": {nil, []int{31001}, []int{31001}},
		"more answered":  {[]int{31001}, []int{31002, 31003}, []int{31002, 31003}},
		"more heard":     {[]int{31001, 31004}, []int{31002}, []int{31001, 31004}},
		"as many":        {[]int{31001}, []int{31002}, []int{31002}},
	} {
		heard, answered := newTask("t1", "/a"), newTask("t1", "/a")
		heard.Ports, answered.Ports = test.heard, test.answered
		m := knowing(newApp("/a"))
		asked := m.BeginRead()
		m.ApplyEvent(changed(heard), start)
		e := m.ApplyApp(asked, newApp("/a", answered), start)
		w := m.Want("t1", "/a")
		if len(w.Services) != 1 || w.Services[0].Port != test.want[0] || len(e.ReadAgain) > 0 {
			t.Errorf("%s: %+v, want the port %d; asks again for %v", name, w.Services, test.want[0], e.ReadAgain)
		}
		if got := m.tasks["t1"].task.Ports; !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

package plan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"consular/reconcile/desired"
)

// What the guard remembers from one judgement to the next.

// What is held back and not named by a plan that could not read everything may still be
// wanted: it stays held back, until the time is over that would have confirmed it.
func TestHeldBackWhileNotEverythingIsRead(t *testing.T) {
	unread, skipped := []Unread{{What: "agent-1.test:8500"}}, []string{"agent-1.test:8500"}
	for name, test := range map[string]struct {
		partial Plan
		at      time.Duration
		held    int
	}{
		"all was read":            {Plan{}, time.Minute, 0},
		"an agent is silent":      {Plan{Unread: unread}, time.Minute, 3},
		"a node has failed":       {Plan{Skipped: skipped}, time.Minute, 3},
		"both":                    {Plan{Unread: unread, Skipped: skipped}, time.Minute, 3},
		"short of the time":       {Plan{Unread: unread}, 5*time.Minute - 1, 3},
		"when the time is over":   {Plan{Unread: unread}, 5 * time.Minute, 0},
		"long after that as well": {Plan{Unread: unread}, time.Hour, 0},
	} {
		g := NewGuard(guarded)
		if _, held := resync(g, 0, 8); len(held) != 8 {
			t.Fatalf("8 of 12: holds %d", len(held))
		}
		p := test.partial
		p.another, p.Services = desired.NoAnother, 4
		g.Filter(&p, start.Add(test.at), false)
		// Three are few enough to go, if they were not held back before.
		if _, held := resync(g, test.at+1, 3); len(held) != test.held {
			t.Errorf("%s: holds %d of 3, want %d", name, len(held), test.held)
		}
	}
}

// What a plan does not name is held back once: what it does name is judged by that plan.
func TestHeldBackIsNotHeldAgainstWhatIsNamed(t *testing.T) {
	g := NewGuard(guarded)
	resync(g, 0, 8)
	for i, at := range []time.Duration{time.Minute, 4 * time.Minute, 5 * time.Minute} {
		p := Plan{another: desired.NoAnother, Services: 12, Unread: []Unread{{What: "x"}}, Changes: removalsOf(Deregister, desired.Missing, 8)}
		g.Filter(&p, start.Add(at), false)
		if confirmed := len(p.Held) == 0; confirmed != (i == 2) {
			t.Errorf("after %v: holds %d", at, len(p.Held))
		}
	}
	if n := g.heldServices(); n != 0 {
		t.Errorf("goes on holding %d that it let go", n)
	}
}

// The reason that is told is the one of this resync, as long as there is one.
func TestReasonIsTodays(t *testing.T) {
	g := NewGuard(guarded)
	for i, test := range []struct {
		lost int
		why  string
	}{
		{8, "would lose 8 of 12 services"}, {7, "would lose 7 of 12 services"}, {3, "would lose 7 of 12 services"},
	} {
		p := Plan{another: desired.NoAnother, Services: 12, Changes: removalsOf(Deregister, desired.Missing, test.lost)}
		if g.Filter(&p, start.Add(time.Duration(i)), false); !slices.Equal(p.HeldWhy, []string{test.why}) {
			t.Errorf("%d lost: %q, want %q", test.lost, p.HeldWhy, test.why)
		}
	}
}

// Keys may be another Marathon's as long as not all of Consul has been looked at, or not
// now: then those alone go whose name an app of ours has.
func TestKeysThatMayBeAnothers(t *testing.T) {
	for name, test := range map[string]struct {
		plan  Plan
		goes  desired.Grounds
		waits desired.Grounds
	}{
		"nobody has looked":            {Plan{another: desired.AnotherUnknown}, desired.LabelGone, desired.AppGone | desired.Excluded},
		"nobody has looked, nor could": {Plan{another: desired.AnotherUnknown, catalogUnread: true}, desired.LabelGone, desired.AppGone | desired.Excluded},
		"nobody could look now":        {Plan{another: desired.NoAnother, catalogUnread: true}, desired.LabelGone, desired.AppGone | desired.Excluded},
		"there is none":                {Plan{another: desired.NoAnother}, desired.LabelGone | desired.AppGone | desired.Excluded, 0},
		"there is one":                 {Plan{another: desired.AnotherSeen}, 0, desired.LabelGone | desired.AppGone | desired.Excluded},
	} {
		for _, grounds := range []desired.Grounds{desired.LabelGone, desired.AppGone, desired.Excluded} {
			p := test.plan
			p.Keys, p.Changes = 100, removalsOf(Delete, grounds, 1)
			NewGuard(guarded).Filter(&p, start, false)
			if len(p.Changes) == 1 != test.goes.Has(grounds) || len(p.Held) == 1 != test.waits.Has(grounds) {
				t.Errorf("%s: on the grounds %q %d go and %d are held back", name, grounds, len(p.Changes), len(p.Held))
			}
			p = test.plan
			p.Services, p.Changes = 100, removalsOf(Deregister, grounds, 1)
			if NewGuard(guarded).Filter(&p, start, false); len(p.Changes) != 1 {
				t.Errorf("%s: a service is held back: %q", name, p.HeldWhy)
			}
		}
	}
}

// What time has confirmed may go when its app has answered, which takes a while; when that
// takes longer than it took to confirm, it is a loss like any other.
func TestConfirmedIsRememberedForItsAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		confirm, after time.Duration
		goes           bool
	}{
		"at once":              {5 * time.Minute, 0, true},
		"just in time":         {5 * time.Minute, 5 * time.Minute, true},
		"too late":             {5 * time.Minute, 5*time.Minute + 1, false},
		"a minute at least":    {time.Second, time.Minute, true},
		"more than the minute": {time.Second, time.Minute + 1, false},
	} {
		policy := guarded
		policy.Confirm = test.confirm
		g := NewGuard(policy)
		for i := range confirmResyncs {
			if goes, _ := resync(g, time.Duration(i)*test.confirm, 12); len(goes) > 0 != (i == 2) {
				t.Fatalf("%s: %d go at resync %d", name, len(goes), i)
			}
		}
		var losses []Loss
		for i := range 12 {
			losses = append(losses, Loss{fmt.Sprint("t", i), 1, desired.Answered})
		}
		held, _ := g.Allow(losses, 0, start.Add(2*test.confirm+test.after))
		if goes := len(held) == 0; goes != test.goes {
			t.Errorf("%s: holds %d of 12", name, len(held))
		}
	}
}

// A plan counts what was removed within a minute once: what it still finds there is among
// what it removes.
func TestRemovedIsCountedOnceWhileItIsStillThere(t *testing.T) {
	again := removalsOf(Deregister, desired.Lost, 8)
	for i := range 4 {
		again[i].Task = fmt.Sprint("lost before ", i)
	}
	p := Plan{another: desired.NoAnother, Services: 16, Changes: slices.Clone(again)}
	removedBefore(t, 4).Filter(&p, start, false)
	if len(p.Held) != 0 {
		t.Errorf("8 of 16, of which 4 were let go before: %q", p.HeldWhy)
	}
	// Written anew, they are there again, and yet they went.
	p = Plan{another: desired.NoAnother, Services: 12, Changes: again[4:]}
	for i, c := range again[:3] {
		c.Op, c.Grounds, c.Service = Register, 0, fmt.Sprint("other", i)
		p.Changes = append(p.Changes, c)
	}
	p.Changes = append(p.Changes, Change{Op: Deregister, Grounds: desired.Lost, Service: "x", Task: "x", ID: "x"})
	removedBefore(t, 3).Filter(&p, start, false)
	if want := []string{"would lose 5 of 12 services, after 3 within a minute"}; !slices.Equal(p.HeldWhy, want) {
		t.Errorf("5 of 12, after 3: %q, want %q", p.HeldWhy, want)
	}
}

// Keys that went within a minute count with the keys of the next plan, and with nothing else.
func TestPlansCountKeysThatWent(t *testing.T) {
	for name, test := range map[string]struct {
		op   Op
		lost int
		held string
	}{
		"few enough":            {Delete, 4, ""},
		"too many keys":         {Delete, 5, "would lose 5 of 12 keys, after 4 within a minute"},
		"services of as many":   {Deregister, 6, ""},
		"too many, of services": {Deregister, 7, "would lose 7 of 12 services"},
	} {
		g := NewGuard(guarded)
		before := Plan{another: desired.NoAnother, Services: 12, Keys: 16, Changes: removalsOf(Delete, desired.LabelGone, 4)}
		if g.Filter(&before, start, false); len(before.Held) > 0 {
			t.Fatalf("4 of 16 keys: %q", before.HeldWhy)
		}
		p := Plan{another: desired.NoAnother, Services: 12, Keys: 12, Changes: removalsOf(test.op, desired.Lost, test.lost)}
		for i := range p.Changes {
			if p.Changes[i].Key != "" {
				p.Changes[i].Key += " of another"
			}
		}
		g.Filter(&p, start.Add(time.Minute), false)
		var want []string
		if test.held != "" {
			want = []string{test.held}
		}
		if !slices.Equal(p.HeldWhy, want) {
			t.Errorf("%s: %q, want %q", name, p.HeldWhy, want)
		}
	}
}

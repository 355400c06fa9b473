package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
)

var guarded = Policy{Purge: true, Limit: 50, Confirm: 5 * time.Minute}

// removals are n changes that remove services, or keys, of as many names.
func removalsOf(op Op, grounds desired.Grounds, n int) []Change {
	var changes []Change
	for i := range n {
		c := Change{Op: op, Grounds: grounds, App: fmt.Sprintf("/a%d", i), Service: fmt.Sprintf("a%d", i)}
		if op == Delete {
			c.Key = fmt.Sprintf("consular/a%d/k", i)
		} else {
			c.Agent, c.Task, c.ID = "agent-1.test:8500", fmt.Sprintf("t%d", i), fmt.Sprintf("t%d", i)
		}
		changes = append(changes, c)
	}
	return changes
}

func TestGuardHoldsBackExactlyAboveTheLimit(t *testing.T) {
	for _, test := range []struct {
		limit, owned, lost int
		held               bool
	}{
		{50, 12, 6, false},
		{50, 12, 7, true}, // 6 of 12 are 50 %
		{50, 13, 6, false},
		{50, 13, 7, true},
		{50, 10, 10, false},
		{50, 11, 6, true},
		{50, 11, 5, false}, // 10 are too few to judge
		{0, 11, 1, true},
		{0, 10, 1, false},
		{100, 500, 500, false},
		{33, 100, 33, false},
		{33, 100, 34, true},
	} {
		for op, owned := range map[Op]Plan{Deregister: {Services: test.owned}, Delete: {another: desired.NoAnother, Keys: test.owned}} {
			p := owned
			p.Changes = removalsOf(op, desired.Missing, test.lost)
			policy := guarded
			policy.Limit = test.limit
			NewGuard(policy).Filter(&p, start, false)
			if test.held != (len(p.Held) == test.lost) || test.held == (len(p.Unconfirmed) == test.lost) {
				t.Errorf("%s %d of %d at %d %%: held %d, done %d; want held %v",
					op, test.lost, test.owned, test.limit, len(p.Held), len(p.Changes), test.held)
			}
			if test.held && len(p.HeldWhy) != 1 {
				t.Errorf("reasons %q", p.HeldWhy)
			}
		}
	}
}

func TestGuardCountsLossesOnly(t *testing.T) {
	services := func(changes ...[]Change) Plan {
		return Plan{another: desired.NoAnother, Services: 12, Keys: 12, Changes: flat(changes)}
	}
	replaced := removalsOf(Register, 0, 4)
	edited := removalsOf(Set, 0, 12)
	for i := range edited {
		edited[i].Write = &consul.KeyChange{Key: consul.Key{ModifyIndex: 7}} // they are there
	}
	for name, test := range map[string]struct {
		plan Plan
		held int
	}{
		"missing":                      {services(removalsOf(Deregister, desired.Missing, 8)), 8},
		"announced":                    {services(removalsOf(Deregister, desired.Ended, 8)), 0},
		"moved":                        {services(removalsOf(Deregister, desired.Moved, 8)), 0},
		"half of them replaced":        {services(removalsOf(Deregister, desired.Missing, 8), replaced), 0},
		"too few replaced":             {services(removalsOf(Deregister, desired.Missing, 12), replaced), 12},
		"announced beside few missing": {services(removalsOf(Deregister, desired.Ended, 8), removalsOf(Deregister, desired.Missing, 6)), 0},
		"labels renamed":               {services(removalsOf(Delete, desired.LabelGone, 8), removalsOf(Set, 0, 8)), 0},
		"labels gone":                  {services(removalsOf(Delete, desired.LabelGone, 8)), 8},
		"labels gone, others edited":   {services(removalsOf(Delete, desired.LabelGone, 8), edited), 8},
		"keys trip, services wait too": {services(removalsOf(Delete, desired.Missing, 8), removalsOf(Deregister, desired.Missing, 1)), 9},
		"services trip, writes go on":  {services(removalsOf(Deregister, desired.Missing, 12), removalsOf(Set, 0, 3)), 12},
		"announced go on":              {services(removalsOf(Deregister, desired.Missing, 7), removalsOf(Delete, desired.Ended, 3)), 7},
	} {
		p := test.plan
		all := len(p.Changes)
		NewGuard(guarded).Filter(&p, start, false)
		if len(p.Held) != test.held || len(p.Changes)+len(p.Unconfirmed) != all-test.held {
			t.Errorf("%s: held %d and does %d of %d, want %d held", name, len(p.Held), len(p.Changes), all, test.held)
		}
	}
}

func flat(of [][]Change) []Change {
	var all []Change
	for _, changes := range of {
		all = append(all, changes...)
	}
	return all
}

// resync is one resync of an unchanged cluster of 12 services and so many missing: what
// goes, after its app was asked for, and what is held back.
func resync(g *Guard, at time.Duration, lost int) (goes, held []Change) {
	p := Plan{another: desired.NoAnother, Services: 12, Changes: removalsOf(Deregister, desired.Missing, lost)}
	g.Filter(&p, start.Add(at), false)
	return slices.Concat(p.Changes, p.Unconfirmed), p.Held
}

func TestHeldBackUntilConfirmed(t *testing.T) {
	for name, test := range map[string]struct {
		resyncs []time.Duration
		done    bool // at the last resync
	}{
		"time and resyncs":                 {[]time.Duration{0, time.Minute, 5 * time.Minute}, true},
		"time is short":                    {[]time.Duration{0, time.Minute, 5*time.Minute - 1}, false},
		"two resyncs only":                 {[]time.Duration{0, 10 * time.Minute}, false},
		"many resyncs, time is short":      {[]time.Duration{0, 1, 2, 3, 4}, false},
		"third resync long after the time": {[]time.Duration{0, time.Hour, 2 * time.Hour}, true},
	} {
		g := NewGuard(guarded)
		var goes, held []Change
		for _, at := range test.resyncs {
			goes, held = resync(g, at, 8)
		}
		if done := len(goes) == 8 && len(held) == 0; done != test.done {
			t.Errorf("%s: done %v (held %d), want %v", name, done, len(held), test.done)
		}
	}
}

// What comes back for one resync has to be confirmed from the start, and what the
// limit would let go by then still has to be confirmed.
func TestHeldBackIsForgottenWhenItReappears(t *testing.T) {
	g := NewGuard(guarded)
	resync(g, 0, 8)
	resync(g, time.Minute, 7) // t7 is back
	goes, held := resync(g, 6*time.Minute, 8)
	if len(goes) != 7 || len(held) != 1 || held[0].Task != "t7" {
		t.Errorf("does %d, holds %v; want t7 alone held", len(goes), held)
	}
	if _, held = resync(g, 7*time.Minute, 8); len(held) != 8 {
		t.Errorf("holds %d: what was carried out and is there again is new", len(held))
	}
	g = NewGuard(guarded)
	resync(g, 0, 8)
	if goes, _ = resync(g, time.Minute, 3); len(goes) != 0 {
		t.Errorf("does %d of what was held back before, unconfirmed", len(goes))
	}
}

func TestEmptySnapshotIsNeverConfirmed(t *testing.T) {
	g := NewGuard(guarded)
	for hour := range 10 {
		p := Plan{another: desired.NoAnother, Services: 3, Changes: removalsOf(Deregister, desired.Missing, 3)}
		g.Filter(&p, start.Add(time.Duration(hour)*time.Hour), true)
		if len(p.Changes)+len(p.Unconfirmed) > 0 {
			t.Fatalf("does %d after %d hours of empty snapshots", len(p.Changes), hour)
		}
	}
}

func TestForceCarriesEverythingOut(t *testing.T) {
	forced := guarded
	forced.Force, forced.Purge = true, false
	p := Plan{Services: 12, Changes: removalsOf(Deregister, desired.Missing, 12), another: desired.AnotherSeen}
	g := NewGuard(forced)
	g.Filter(&p, start, true)
	if len(p.Changes) != 12 {
		t.Errorf("does %d of 12", len(p.Changes))
	}
	for i := range 100 {
		if why, _ := allow(g, fmt.Sprint("t", i), desired.Lost, 100, start); why != "" {
			t.Fatalf("holds back: %s", why)
		}
	}
}

func TestNoPurgeKeepsWhatNobodyAnnounced(t *testing.T) {
	keeping := guarded
	keeping.Purge = false
	for grounds, kept := range map[desired.Grounds]bool{
		desired.Missing: true, desired.Answered: true, desired.Excluded: true,
		desired.Ended: false, desired.AppGone: false, desired.Moved: false, desired.LabelGone: false, desired.Lost: false,
	} {
		g := NewGuard(keeping)
		p := Plan{another: desired.NoAnother, Services: 1, Keys: 1, Changes: removalsOf(Deregister, grounds, 1)}
		g.Filter(&p, start, false)
		if len(p.Changes) == 0 != kept {
			t.Errorf("grounds %v: kept %v, want %v", grounds, len(p.Changes) == 0, kept)
		}
	}
	if why, _ := allow(NewGuard(keeping), "t1", desired.Answered, 1, start); why == "" {
		t.Error("what an app's answer omits goes")
	}
}

// While services of our registration ID are another Marathon's, no key is
// removed on any grounds, however long.
func TestNoKeyGoesWhileAnotherFrameworkIsThere(t *testing.T) {
	g := NewGuard(guarded)
	for hour := range 4 {
		p := Plan{Services: 5, Keys: 5, another: desired.AnotherSeen, Changes: flat([][]Change{
			removalsOf(Delete, desired.LabelGone, 1), removalsOf(Delete, desired.Missing, 2)[1:], removalsOf(Delete, desired.AppGone, 3)[2:],
			removalsOf(Deregister, desired.Missing, 1),
		})}
		g.Filter(&p, start.Add(time.Duration(hour)*time.Hour), false)
		if len(p.Held) != 3 || len(p.Unconfirmed) != 1 || p.Unconfirmed[0].Op != Deregister {
			t.Errorf("hour %d: holds %v, does %v", hour, p.Held, p.Unconfirmed)
		}
	}
}

func TestManyLostTasksWait(t *testing.T) {
	for _, test := range []struct {
		recent, owned int
		allowed       bool
	}{
		{0, 10, true}, {9, 10, true}, // too few to judge
		{5, 12, true}, {6, 12, false}, // the 7th of 12
		{5, 11, false}, {4, 11, true},
	} {
		g := NewGuard(guarded)
		for i := range test.recent {
			g.remember(removed{fmt.Sprint("lost before ", i), start, 1, desired.Lost})
		}
		if why, _ := allow(g, "one more", desired.Lost, test.owned-test.recent-1, start); why == "" != test.allowed {
			t.Errorf("one more after %d of %d: %q", test.recent, test.owned, why)
		}
	}
	p := Plan{another: desired.NoAnother, Services: 12, Changes: removalsOf(Deregister, desired.Lost, 7)}
	NewGuard(guarded).Filter(&p, start, false)
	if len(p.Held) != 7 {
		t.Errorf("7 of 12 lost at once: held %d", len(p.Held))
	}
}

// allow judges one task.
func allow(g *Guard, task string, grounds desired.Grounds, running int, now time.Time) (why string, first bool) {
	heldBack, first := g.Allow([]Loss{{task, 1, grounds}}, running, now)
	return heldBack[task], first
}

// removedBefore is a guard that has let so many tasks be deregistered just now.
func removedBefore(t *testing.T, n int) *Guard {
	t.Helper()
	g := NewGuard(guarded)
	for i := range n {
		if why, _ := allow(g, fmt.Sprint("lost before ", i), desired.Lost, 1000, start); why != "" {
			t.Fatal(why)
		}
	}
	return g
}

// What events have deregistered within a minute counts together with what a plan
// would, on whatever grounds, and the base is what there was before.
func TestPlansCountWhatEventsHaveRemoved(t *testing.T) {
	for lost, held := range map[int]int{4: 0, 5: 5} { // after 4 of 16
		for _, grounds := range []desired.Grounds{desired.Lost, desired.Missing, desired.Answered} {
			p := Plan{another: desired.NoAnother, Services: 12, Changes: removalsOf(Deregister, grounds, lost)}
			removedBefore(t, 4).Filter(&p, start.Add(time.Minute), false)
			if len(p.Held) != held {
				t.Errorf("%d more, %s: held %d, want %d", lost, grounds, len(p.Held), held)
			}
		}
		p := Plan{another: desired.NoAnother, Services: 12, Changes: removalsOf(Deregister, desired.Lost, lost)}
		removedBefore(t, 4).Filter(&p, start.Add(time.Minute+1), false)
		if len(p.Held) != 0 {
			t.Errorf("after more than a minute %d of 12 are held back", len(p.Held))
		}
	}
}

// A task that was held back stays so, whatever names it again and however: lost once
// more, omitted by its app's answer, missing in a snapshot. An end that is announced, or
// time, lets it go.
func TestHoldIsNotTalkedAway(t *testing.T) {
	lost := func() *Guard {
		g := NewGuard(guarded)
		for i := range 12 {
			allow(g, fmt.Sprint("t", i), desired.Lost, 11-i, start)
		}
		return g
	}
	later := start.Add(2 * time.Minute)
	g := lost()
	if n := len(g.held); n != 6 {
		t.Fatalf("holds %d of 12 lost, want 6", n)
	}
	for i := range 12 {
		if why, first := allow(g, fmt.Sprint("t", i), desired.Lost, 0, start); (why != "") != (i >= 6) || first {
			t.Errorf("t%d again: %q, %v", i, why, first)
		}
	}
	for i := range 12 {
		if why, _ := allow(g, fmt.Sprint("t", i), desired.Answered, 1000, later); i >= 6 && why == "" {
			t.Errorf("t%d goes because its app's answer omits it", i)
		}
	}
	for grounds, held := range map[desired.Grounds]int{desired.Missing: 6, desired.Answered: 6, desired.Lost: 6, desired.Ended: 0, desired.AppGone: 0} {
		p := Plan{another: desired.NoAnother, Services: 106, Changes: removalsOf(Deregister, grounds, 12)[6:]}
		lost().Filter(&p, later, false)
		if len(p.Held) != held || held > 0 && !slices.Equal(p.HeldWhy, []string{"7 of 12 services lost within a minute", "8 of 13 services lost within a minute", "9 of 14 services lost within a minute"}) && len(p.HeldWhy) == 0 {
			t.Errorf("%s: holds %d (%q), want %d", grounds, len(p.Held), p.HeldWhy, held)
		}
	}
	g = lost()
	for _, at := range []time.Duration{time.Minute, 3 * time.Minute, 5 * time.Minute} {
		p := Plan{another: desired.NoAnother, Services: 106, Changes: removalsOf(Deregister, desired.Lost, 12)[6:]}
		g.Filter(&p, start.Add(at), false)
		if done := len(p.Held) == 0; done != (at == 5*time.Minute) {
			t.Errorf("after %v: holds %d", at, len(p.Held))
		}
	}
}

// What an option excludes waits like all else when the guard trips, and no time
// confirms it: a mistyped glob is not an outage.
func TestExcludedIsNeverConfirmedByTime(t *testing.T) {
	g := NewGuard(guarded)
	for hour := range 10 {
		p := Plan{another: desired.NoAnother, Services: 12, Changes: removalsOf(Deregister, desired.Excluded, 8)}
		g.Filter(&p, start.Add(time.Duration(hour)*time.Hour), false)
		if len(p.Held) != 8 || p.Confirmable() || p.Waiting() != 0 {
			t.Fatalf("hour %d: holds %d, confirmable %v, %d wait", hour, len(p.Held), p.Confirmable(), p.Waiting())
		}
	}
}

// Nobody can be asked about a service that names no app: time confirms it.
func TestServiceOfNoAppGoesInTime(t *testing.T) {
	g := NewGuard(guarded)
	var goes, held []Change
	for _, at := range []time.Duration{0, 3 * time.Minute, 6 * time.Minute} {
		p := Plan{another: desired.NoAnother, Services: 100, Changes: []Change{{Op: Deregister, Grounds: desired.Missing, Task: "t1", ID: "t1", Service: "x"}}}
		g.Filter(&p, start.Add(at), false)
		goes, held = p.Changes, p.Held
		if at < 6*time.Minute && (len(held) != 1 || len(p.Unconfirmed) > 0) {
			t.Errorf("after %v: %+v", at, p)
		}
	}
	if len(goes) != 1 || len(held) != 0 {
		t.Errorf("does %v, holds %v", goes, held)
	}
}

func TestAppsToConfirm(t *testing.T) {
	p := Plan{another: desired.NoAnother, Changes: []Change{
		{Op: Deregister, App: "/x", Service: "x", Grounds: desired.Missing},
		{Op: Delete, App: "/a/b", Service: "a-b", Grounds: desired.Missing},
		{Op: Delete, Service: "nobody-knows", Key: "k", Grounds: desired.Missing},
		{Op: Deregister, App: "/y", Service: "y", Grounds: desired.Ended},
	}}
	NewGuard(guarded).Filter(&p, start, false)
	if got := fmt.Sprint(slices.Sorted(maps.Keys(p.ToConfirm()))); got != "[/a/b /x]" {
		t.Errorf("asks for %s", got)
	}
	if len(p.Held) != 1 || len(p.HeldWhy) != 1 || !strings.HasPrefix(p.HeldWhy[0], "nobody can be asked") {
		t.Errorf("held back %v: %q, want the name that no app is known by", p.Held, p.HeldWhy)
	}
	if len(p.Unconfirmed) != 2 || len(p.Changes) != 1 {
		t.Errorf("unconfirmed %d, does %d", len(p.Unconfirmed), len(p.Changes))
	}
}

// While several apps want a name, none adopts nobody's keys; what is marked as ours goes all the same.
func TestAdoptLeavesClashingNamesAlone(t *testing.T) {
	tr := testTranslation()
	tr.Adopt = true
	d := desired.New(tr)
	d.ApplySnapshot(d.BeginRead(), marathon.Snapshot{Apps: []marathon.App{newApp("/a/b"), newApp("/a-b"), newApp("/c")}}, start, desired.Alone)
	d.PickIncumbents(map[desired.Registered]bool{{App: "/a-b", Name: "a-b"}: true}, map[string][]consul.Key{}, true)
	p := Make(d, Actual{Keys: []consul.Key{
		{Service: "a-b", Label: "old", Value: "x"},
		{Service: "a-b", Label: "ours", Value: "x", Flags: tr.Owner.Flags()},
		{Service: "c", Label: "old", Value: "x"},
	}}, desired.Alone)
	var deleted []string
	for _, c := range p.Changes {
		if c.Op == Delete {
			deleted = append(deleted, c.Key)
		}
	}
	if fmt.Sprint(deleted) != "[consular/a-b/ours consular/c/old]" {
		t.Errorf("adopts and deletes %v", deleted)
	}
}

// What moves is no loss, and makes up for none.
func TestMovesHideNoLoss(t *testing.T) {
	p := Plan{another: desired.NoAnother, Services: 24}
	for i := range 12 {
		moved := fmt.Sprintf("moved-%d", i)
		p.Changes = append(p.Changes,
			Change{Op: Register, Agent: "home:8500", Service: "x", Task: moved, ID: moved},
			Change{Op: Deregister, Grounds: desired.Moved, Agent: "main:8500", Service: "x", Task: moved, ID: moved},
			Change{Op: Deregister, Grounds: desired.Missing, Agent: "other:8500", Service: "x", Task: fmt.Sprintf("lost-%d", i), ID: fmt.Sprintf("lost-%d", i)})
	}
	policy := guarded
	policy.Limit = 20
	NewGuard(policy).Filter(&p, start, false)
	if len(p.Held) != 12 {
		t.Errorf("12 of 24 lost: %d are held back", len(p.Held))
	}
}

// Keys that are held back are no lost tasks.
func TestHeldKeysAreNoTasks(t *testing.T) {
	g := NewGuard(guarded)
	p := Plan{another: desired.AnotherSeen, Services: 100, Keys: 110, Changes: removalsOf(Delete, desired.AppGone, 110)}
	g.Filter(&p, start, false)
	if why, _ := allow(g, "t", desired.Lost, 99, start); why != "" {
		t.Errorf("one of 100 tasks is held back: %s (%d keys are)", why, len(p.Held))
	}
}

// Many tasks that one answer omits are one set: none of them goes before the others are
// counted.
func TestLossesAreJudgedAsOneSet(t *testing.T) {
	var losses []Loss
	for i := range 100 {
		losses = append(losses, Loss{fmt.Sprint("t", i), 1, desired.Answered})
	}
	g := NewGuard(guarded)
	if held, first := g.Allow(losses[:50], 50, start); len(held) != 0 || first {
		t.Errorf("50 of 100: holds %d", len(held))
	}
	if held, first := NewGuard(guarded).Allow(losses, 0, start); len(held) != 100 || !first {
		t.Errorf("100 of 100: holds %d", len(held))
	}
	if held, _ := g.Allow(losses, 0, start); len(held) != 50 {
		t.Errorf("50 of 100, after 50: holds %d", len(held))
	}
}

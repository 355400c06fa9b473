package plan

import (
	"fmt"
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
		c := Change{Op: op, Grounds: grounds, Service: fmt.Sprintf("a%d", i)}
		if op == Delete {
			c.Key, c.Suspects = fmt.Sprintf("consular/a%d/k", i), []string{fmt.Sprintf("/a%d", i)}
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
		for op, owned := range map[Op]Plan{Deregister: {Services: test.owned}, Delete: {Keys: test.owned}} {
			p := owned
			p.Changes = removalsOf(op, desired.Missing, test.lost)
			policy := guarded
			policy.Limit = test.limit
			held := policy.Filter(&p, Judgement{Now: start})
			if test.held != (len(p.Held) == test.lost) || test.held == (len(p.Changes) == test.lost) || len(held) != len(p.Held) {
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
	services := func(changes ...[]Change) Plan { return Plan{Services: 12, Keys: 12, Changes: flat(changes)} }
	replaced := removalsOf(Register, 0, 4)
	edited := removalsOf(Set, 0, 12)
	for i := range edited {
		edited[i].Write.Key.ModifyIndex = 7 // they are there
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
		guarded.Filter(&p, Judgement{Now: start})
		if len(p.Held) != test.held || len(p.Changes) != all-test.held {
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

// resync is one resync of an unchanged cluster of 12 services and so many missing.
func resync(policy Policy, held HeldBack, at time.Duration, lost int) (Plan, HeldBack) {
	p := Plan{Services: 12, Changes: removalsOf(Deregister, desired.Missing, lost)}
	held = policy.Filter(&p, Judgement{Now: start.Add(at), Held: held})
	return p, held
}

func TestHeldBackUntilConfirmed(t *testing.T) {
	for name, test := range map[string]struct {
		resyncs []time.Duration
		done    bool // at the last resync
	}{
		"time and looks":                 {[]time.Duration{0, time.Minute, 5 * time.Minute}, true},
		"time is short":                  {[]time.Duration{0, time.Minute, 5*time.Minute - 1}, false},
		"two looks only":                 {[]time.Duration{0, 10 * time.Minute}, false},
		"many looks, time is short":      {[]time.Duration{0, 1, 2, 3, 4}, false},
		"third look long after the time": {[]time.Duration{0, time.Hour, 2 * time.Hour}, true},
	} {
		var held HeldBack
		var p Plan
		for _, at := range test.resyncs {
			p, held = resync(guarded, held, at, 8)
		}
		if done := len(p.Changes) == 8 && len(p.Held) == 0; done != test.done {
			t.Errorf("%s: done %v (held %d), want %v", name, done, len(p.Held), test.done)
		}
	}
}

// What comes back for one look has to be confirmed from the start, and what the
// limit would let go by then still has to be confirmed.
func TestHeldBackIsForgottenWhenItReappears(t *testing.T) {
	_, held := resync(guarded, nil, 0, 8)
	_, held = resync(guarded, held, time.Minute, 7) // t7 is back
	p, held := resync(guarded, held, 6*time.Minute, 8)
	if len(p.Changes) != 7 || len(p.Held) != 1 || p.Held[0].Task != "t7" {
		t.Errorf("does %d, holds %v; want t7 alone held", len(p.Changes), p.Held)
	}
	p, _ = resync(guarded, held, 7*time.Minute, 8)
	if len(p.Held) != 8 {
		t.Errorf("holds %d: what was carried out and is there again is new", len(p.Held))
	}
	_, held = resync(guarded, nil, 0, 8)
	if p, _ = resync(guarded, held, time.Minute, 3); len(p.Changes) != 0 {
		t.Errorf("does %d of what was held back before, unconfirmed", len(p.Changes))
	}
}

func TestEmptySnapshotIsNeverConfirmed(t *testing.T) {
	var held HeldBack
	for hour := range 10 {
		p := Plan{Services: 3, Changes: removalsOf(Deregister, desired.Missing, 3)}
		held = guarded.Filter(&p, Judgement{Now: start.Add(time.Duration(hour) * time.Hour), Held: held, EmptySnapshot: true})
		if len(p.Changes) > 0 {
			t.Fatalf("does %d after %d hours of empty snapshots", len(p.Changes), hour)
		}
	}
}

func TestForceCarriesEverythingOut(t *testing.T) {
	forced := guarded
	forced.Force, forced.Purge = true, false
	p := Plan{Services: 12, Changes: removalsOf(Deregister, desired.Missing, 12), otherFramework: true}
	forced.Filter(&p, Judgement{Now: start, EmptySnapshot: true})
	if len(p.Changes) != 12 || !forced.AllowLost(100, 100) {
		t.Errorf("does %d of 12", len(p.Changes))
	}
}

func TestNoPurgeKeepsWhatNobodyAnnounced(t *testing.T) {
	keeping := guarded
	keeping.Purge = false
	for grounds, kept := range map[desired.Grounds]bool{
		desired.Missing: true, desired.Excluded: true, desired.Announced: false, desired.Moved: false, desired.LabelGone: false, desired.Lost: false,
	} {
		p := Plan{Services: 1, Keys: 1, Changes: removalsOf(Deregister, grounds, 1)}
		keeping.Filter(&p, Judgement{Now: start})
		if len(p.Changes) == 0 != kept {
			t.Errorf("grounds %v: kept %v, want %v", grounds, len(p.Changes) == 0, kept)
		}
	}
}

// While services of our registration ID are another Marathon's, no key is
// removed on any grounds, however long.
func TestNoKeyGoesWhileAnotherFrameworkIsThere(t *testing.T) {
	var held HeldBack
	for hour := range 4 {
		p := Plan{Services: 5, Keys: 5, otherFramework: true, Changes: flat([][]Change{
			removalsOf(Delete, desired.LabelGone, 1), removalsOf(Delete, desired.Missing, 2)[1:], removalsOf(Delete, desired.Ended, 3)[2:],
			removalsOf(Deregister, desired.Missing, 1),
		})}
		held = guarded.Filter(&p, Judgement{Now: start.Add(time.Duration(hour) * time.Hour), Held: held})
		if len(p.Held) != 3 || len(p.Changes) != 1 || p.Changes[0].Op != Deregister {
			t.Errorf("hour %d: holds %v, does %v", hour, p.Held, p.Changes)
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
		if got := guarded.AllowLost(test.recent, test.owned); got != test.allowed {
			t.Errorf("one more after %d of %d: allowed %v", test.recent, test.owned, got)
		}
	}
	p := Plan{Services: 12, Changes: flat([][]Change{removalsOf(Deregister, desired.Lost, 7), removalsOf(Deregister, desired.Missing, 1)[:0]})}
	guarded.Filter(&p, Judgement{Now: start})
	if len(p.Held) != 7 {
		t.Errorf("7 of 12 lost at once: held %d", len(p.Held))
	}
	// Four were deregistered within the minute, by their events: 4 + 4 of 16.
	for lost, held := range map[int]int{4: 0, 5: 5} {
		p = Plan{Services: 12 - (lost - 4), Changes: removalsOf(Deregister, desired.Lost, lost)}
		recent := map[string]bool{}
		for i := range lost {
			recent[fmt.Sprint("lost before ", i)] = true
		}
		guarded.Filter(&p, Judgement{Now: start, RecentlyLost: recent})
		if len(p.Held) != held {
			t.Errorf("%d more lost: held %d, want %d", lost, len(p.Held), held)
		}
	}
}

func TestAppsToConfirm(t *testing.T) {
	p := Plan{Changes: []Change{
		{Op: Deregister, App: "/x", Service: "x", Grounds: desired.Missing},
		{Op: Delete, Service: "a-b", Grounds: desired.Missing, Suspects: []string{"/a-b", "/a/b"}},
		{Op: Delete, Service: "a-a-a-a-a-a-a-a", Grounds: desired.Missing}, // too many IDs have this name
		{Op: Deregister, App: "/y", Service: "y", Grounds: desired.Ended},
	}}
	if got := fmt.Sprint(p.ToConfirm()); got != "[/a-b /a/b /x]" {
		t.Errorf("asks for %s", got)
	}
	guarded.Filter(&p, Judgement{Now: start})
	if len(p.Held) != 1 || len(p.HeldWhy) != 1 || !strings.HasPrefix(p.HeldWhy[0], "too many apps") {
		t.Errorf("held back %v: %q, want the name that too many IDs have", p.Held, p.HeldWhy)
	}
	p.Unconfirm()
	if len(p.Unconfirmed) != 2 || len(p.Changes) != 1 {
		t.Errorf("unconfirmed %d, does %d", len(p.Unconfirmed), len(p.Changes))
	}
}

func TestAdoptLeavesClashingNamesAlone(t *testing.T) {
	tr := testTranslation()
	tr.Adopt = true
	d := desired.New(tr)
	d.ApplySnapshot(d.BeginRead(), marathon.Snapshot{Apps: []marathon.App{newApp("/a/b"), newApp("/a-b"), newApp("/c")}}, start)
	d.PickIncumbents(map[string]bool{"/a-b": true})
	p := Make(d, Actual{Keys: []consul.Key{
		{Service: "a-b", Label: "old", Value: "x"}, {Service: "c", Label: "old", Value: "x"},
	}})
	var deleted []string
	for _, c := range p.Changes {
		if c.Op == Delete {
			deleted = append(deleted, c.Key)
		}
	}
	if fmt.Sprint(deleted) != "[consular/c/old]" {
		t.Errorf("adopts and deletes %v", deleted)
	}
}

// What moves is no loss, and makes up for none.
func TestMovesHideNoLoss(t *testing.T) {
	p := Plan{Services: 24}
	for i := range 12 {
		moved := fmt.Sprintf("moved-%d", i)
		p.Changes = append(p.Changes,
			Change{Op: Register, Agent: "home:8500", Service: "x", Task: moved, ID: moved},
			Change{Op: Deregister, Grounds: desired.Moved, Agent: "main:8500", Service: "x", Task: moved, ID: moved},
			Change{Op: Deregister, Grounds: desired.Missing, Agent: "other:8500", Service: "x", Task: fmt.Sprintf("lost-%d", i), ID: fmt.Sprintf("lost-%d", i)})
	}
	policy := guarded
	policy.Limit = 20
	policy.Filter(&p, Judgement{Now: start})
	if len(p.Held) != 12 {
		t.Errorf("12 of 24 lost: %d are held back", len(p.Held))
	}
}

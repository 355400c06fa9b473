package desired

import (
	"slices"
	"testing"
)

// An app that a snapshot omits, and nothing else, keeps its name and its keys until
// Marathon's own answer says that it is gone.
func TestMissingAppKeepsItsNameAndKeys(t *testing.T) {
	m := knowing(newApp("/a/b", newTask("t1", "/a/b")))
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(newApp("/a-b", newTask("t2", "/a-b"))), start, Alone)
	if w := m.Want("t1", "/a/b"); w.Grounds != Missing {
		t.Errorf("the incumbent's task: %+v", w)
	}
	wantVerdict(t, m, "t2", "/a-b", Untouched)
	if w := m.WantKeys("a-b"); w.Verdict != Untouched || w.App != "/a/b" {
		t.Errorf("keys: %+v", w)
	}
	m.ApplyNotFound(m.BeginRead(), "/a/b", start)
	wantVerdict(t, m, "t2", "/a-b", Present)
	if w := m.WantKeys("a-b"); w.Verdict != Present || w.App != "/a-b" {
		t.Errorf("keys after a 404: %+v", w)
	}
}

// The keys of a name go on the word of the app that had it, as far as one is known.
func TestKeysOfANameWithoutAnApp(t *testing.T) {
	m := knowing(newApp("/seen"))
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(), start, Alone)
	if w := m.WantKeys("seen"); w.Verdict != Absent || w.Grounds != Missing || w.App != "/seen" {
		t.Errorf("merely missing: %+v", w)
	}
	m.ApplyNotFound(m.BeginRead(), "/seen", start)
	if w := m.WantKeys("seen"); w.Verdict != Absent || w.Grounds != AppGone || w.App != "/seen" {
		t.Errorf("gone: %+v", w)
	}
	if w := m.WantKeys("never-seen"); w.Verdict != Absent || w.Grounds != Missing || w.App != "" {
		t.Errorf("never seen: %+v", w)
	}
	m.NoteMissing([]string{"/never/seen", "/seen"}, start)
	if w := m.WantKeys("never-seen"); w.Grounds != Missing || w.App != "/never/seen" {
		t.Errorf("named by a service: %+v", w)
	}
	if w := m.WantKeys("seen"); w.Grounds != AppGone {
		t.Errorf("gone, and named by a service: %+v", w)
	}
}

func TestMissingAppIsForgottenInTime(t *testing.T) {
	m := knowing(newApp("/a"))
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(), start, Alone)
	none, all := func(string) bool { return false }, func(string) bool { return true }
	m.ForgetMissing(none, start.Add(missingLife))
	m.ForgetMissing(all, start.Add(missingLife+1))
	if w := m.WantKeys("a"); w.App != "/a" {
		t.Error("forgotten too early, or while there are keys of it")
	}
	m.ForgetMissing(none, start.Add(missingLife+1))
	if w := m.WantKeys("a"); w.App != "" {
		t.Error("never forgotten")
	}
}

// Of an app without services and keys that was destroyed unheard, nothing in Consul reminds: it
// is asked about for the sake of another one that wants its name.
func TestMissingAppIsAskedAboutWhenAnotherWantsItsName(t *testing.T) {
	idle := newApp("/a/b")
	idle.Labels = nil
	asked := func(what string, e Effects) {
		t.Helper()
		if !slices.Contains(e.ReadUnprompted, "/a/b") {
			t.Errorf("%s: /a/b is not asked about: %+v", what, e)
		}
	}
	m := knowing(idle)
	if e := m.ApplySnapshot(m.BeginRead(), marathonSnapshot(newApp("/other")), start, Alone); len(e.ReadUnprompted) > 0 {
		t.Errorf("nobody wants its name, and it is asked about: %+v", e)
	}
	other := newApp("/a-b", newTask("t2", "/a-b"))
	asked("another is read", m.ApplyApp(m.BeginRead(), other, start))
	wantVerdict(t, m, "t2", "/a-b", Untouched)
	m.ApplyNotFound(m.BeginRead(), "/a/b", start)
	wantVerdict(t, m, "t2", "/a-b", Present)

	m = knowing(idle)
	asked("another is in the snapshot that omits it", m.ApplySnapshot(m.BeginRead(), marathonSnapshot(other), start, Alone))

	m = knowing(idle, newApp("/a-b"))
	asked("another was there before", m.ApplySnapshot(m.BeginRead(), marathonSnapshot(other), start, Alone))
}

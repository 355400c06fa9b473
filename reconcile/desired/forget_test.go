package desired

import (
	"fmt"
	"slices"
	"testing"

	"consular/marathon"
)

// What becomes of IDs and names that are no app's any more.

// An app that was announced as stopped, and is omitted, is gone: late events of its tasks
// ask for nothing, until a snapshot later doubts it.
func TestStoppedAppIsGoneUntilTheNextSnapshot(t *testing.T) {
	m := knowing(newApp("/a", newTask("t1", "/a")))
	m.ApplyEvent(marathon.AppTerminated{AppID: "/a"}, start)
	late := func() []string { return m.ApplyEvent(changed(newTask("t2", "/a")), start).ReadUnprompted }
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(), start, Alone)
	if read := late(); len(read) > 0 {
		t.Errorf("a late event asks for %v", read)
	}
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(), start, Alone)
	if read := late(); !slices.Equal(read, []string{"/a"}) {
		t.Errorf("a snapshot later: asks for %v", read)
	}
}

// That the app of a name is gone allows the removal of its keys for as long as it is
// remembered, and no longer; of two that had the name, the later one's word counts.
func TestNameOfAGoneAppIsForgotten(t *testing.T) {
	const half = tombstoneLife / 2
	m := knowing(called("/a/b", ""), called("/a-b", ""), called("/c", ""))
	m.ApplyNotFound(m.BeginRead(), "/a/b", start)
	m.ApplyNotFound(m.BeginRead(), "/c", start)
	m.ApplyNotFound(m.BeginRead(), "/a-b", start.Add(half))
	say := func() string {
		ab, c := m.WantKeys("a-b"), m.WantKeys("c")
		return fmt.Sprint("a-b of ", ab.App, ": ", ab.Grounds, "; c of ", c.App, ": ", c.Grounds)
	}
	if got, want := say(), "a-b of /a-b: app is gone; c of /c: app is gone"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(), start.Add(tombstoneLife), Alone)
	if got, want := say(), "a-b of /a-b: app is gone; c of : task is not in Marathon"; got != want {
		t.Errorf("when the first two are forgotten: %s, want %s", got, want)
	}
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(), start.Add(half+tombstoneLife), Alone)
	if got, want := say(), "a-b of : task is not in Marathon; c of : task is not in Marathon"; got != want {
		t.Errorf("when all are forgotten: %s, want %s", got, want)
	}
}

// While an app keeps its keys below a name, others that leave the name do not take it along.
func TestNameStaysWhileAnAppHasKeysBelowIt(t *testing.T) {
	const elsewhere = "consul.name=x"
	port := called("/a", "consul.ports=all", "b")
	for name, test := range map[string]struct {
		apps []marathon.App
		want string
	}{
		"keys":                      {[]marathon.App{called("/a-b", elsewhere)}, "/a-b present"},
		"no keys":                   {[]marathon.App{called("/a-b", elsewhere+"\nconsul.kv=false")}, "/a-b excluded"},
		"keys, and another without": {[]marathon.App{called("/a-b", elsewhere), called("/a/b", elsewhere+"\nconsul.kv=false")}, "/a-b present"},
	} {
		m := told(append(test.apps, port)...)
		m.ApplyNotFound(m.BeginRead(), "/a", start)
		w := m.WantKeys("a-b")
		got := w.App + " present"
		if w.Verdict != Present {
			got = w.App + " " + w.Grounds.String()
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
		if !m.Has("a-b") || m.Has("a") {
			t.Errorf("%s: Marathon has an app of the name a-b: %t, a: %t", name, m.Has("a-b"), m.Has("a"))
		}
	}
}

// An app has its name before anything else is known of it: when it could not be read, and
// when only services of ours name it. Another one that comes has to wait.
func TestNameOfAnAppOfWhichNothingIsKnown(t *testing.T) {
	comes := func(m *Model) Verdict {
		m.ApplyApp(m.BeginRead(), called("/a-b", ""), start)
		return m.Want("task-of-a-b", "").Verdict
	}
	unreadable := knowing()
	snapshot := marathon.Snapshot{Unreadable: []marathon.Unreadable{{ID: "/a/b"}}}
	unreadable.ApplySnapshot(unreadable.BeginRead(), snapshot, start, Alone)
	if got := comes(unreadable); got != Untouched {
		t.Errorf("beside an app that could not be read: %v", got)
	}
	named := knowing()
	named.NoteMissing([]string{"/a/b"}, start)
	if got := comes(named); got != Untouched {
		t.Errorf("beside an app that services name: %v", got)
	}
	named.ApplyNotFound(named.BeginRead(), "/a/b", start)
	if got := named.Want("task-of-a-b", "").Verdict; got != Present {
		t.Errorf("when that one is gone: %v", got)
	}
	// What was read before keeps the names that it had.
	before := knowing(called("/shop", "consul.ports=all", "web"))
	before.ApplySnapshot(before.BeginRead(), marathonSnapshot(), start, Alone)
	again := marathon.Snapshot{Unreadable: []marathon.Unreadable{{ID: "/shop"}}}
	before.ApplySnapshot(before.BeginRead(), again, start, Alone)
	before.ApplyApp(before.BeginRead(), called("/shop/web", ""), start)
	if got := before.Want("task-of-shop_web", "").Services; len(got) > 0 {
		t.Errorf("beside a port of an app that could not be read again: %v", got)
	}
}

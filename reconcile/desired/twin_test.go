package desired

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"consular/marathon"
)

// diff compares what two models say of everything that there ever was.
func (w *twinHistory) diff(a, b *Model) (lines []string) {
	differ := func(what string, a, b any) {
		if !reflect.DeepEqual(a, b) {
			lines = append(lines, fmt.Sprintf("%s:\n  grown %+v\n  fresh %+v", what, a, b))
		}
	}
	for _, id := range sortedKeys(w.of) {
		x, y := a.Want(id, w.of[id]), b.Want(id, w.of[id])
		if x.Grounds.Has(Announced) && b.tasks[id] == nil {
			continue // its end was heard
		}
		if x.Grounds != 0 && y.Grounds != 0 {
			x.Grounds, y.Grounds = 0, 0
		}
		for _, want := range []*Want{&x, &y} { // Consul remembers verdicts, and else only who has heard
			want.Health, want.Killing = Health{Mode: want.Health.Mode, Window: want.Health.Window}, time.Time{}
		}
		differ("task "+id, x, y)
	}
	for _, name := range w.names() {
		x, y := a.WantKeys(name), b.WantKeys(name)
		if x.Verdict == Absent && y.Verdict == Absent {
			x.Grounds, y.Grounds, x.App, y.App = 0, 0, "", ""
		}
		differ("keys "+name, x, y)
	}
	differ("clashes", a.Clashes(), b.Clashes())
	differ("hosts", a.TasksOn(a.Hosts()...), b.TasksOn(b.Hosts()...))
	differ("running", a.running, b.running)
	differ("left out", a.leftOut, b.leftOut)
	differ("troubles", a.Troubles(), b.Troubles())
	differ("checks", a.hasChecks, b.hasChecks)
	differ("instances", len(a.instances), len(b.instances))
	differ("apps", presentApps(a), presentApps(b))
	for id, x := range a.apps {
		if y := b.apps[id]; y != nil {
			differ("definition "+id, x.app, y.app)
			differ("shape "+id, x.shape, y.shape)
			differ("claims "+id, append([]string{}, x.claims...), append([]string{}, y.claims...))
			differ("rest "+id, []any{x.name, x.mixed, x.unreadable, x.missing, x.explained, x.stopped}, []any{y.name, y.mixed, y.unreadable, y.missing, y.explained, y.stopped})
		}
	}
	return lines
}

func presentApps(m *Model) (all []string) {
	for id, a := range m.apps {
		if a.missing.IsZero() {
			all = append(all, id)
		}
	}
	slices.Sort(all)
	return all
}

// twinSteps are steps, and more.
var twinSteps = func() (all []func(*twinHistory)) {
	for _, step := range steps {
		all = append(all, func(w *twinHistory) { step(w.modelHistory) })
	}
	return append(all, (*twinHistory).probe, (*twinHistory).garble, (*twinHistory).podded)
}()

// live lets things happen, and then all arrive that is on its way.
func (w *twinHistory) live() {
	for range rapid.SampledFrom([]int{5, 20, 60, 200}).Draw(w.T, "length") {
		rapid.SampledFrom(twinSteps).Draw(w.T, "step")(w)
		w.check()
		w.apply(false)
		if lines := w.model.contradicts(); len(lines) > 0 {
			w.Fatal(joinLines(lines))
		}
	}
	w.settle()
}

// Whatever has happened: when all is gone in Marathon, and some time has passed, nothing is
// remembered of it.
func TestNothingIsRememberedForEver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newTwinHistory(t)
		w.live()
		clear(w.apps)
		clear(w.tasks)
		w.whole = true
		for range 3 {
			w.now = w.now.Add(missingLife + time.Minute)
			w.resync = true
			w.settle()
			w.model.HealthReads(w.now)
			w.model.ForgetMissing(func(string) bool { return false }, w.now)
		}
		m := w.model
		sizes := map[string]int{
			"apps": len(m.apps), "gone": len(m.gone), "names of gone": len(m.goneNames), "tasks": len(m.tasks), "hosts": len(m.onHost),
			"ended": len(m.ended), "definitions": len(m.definitions), "names": len(m.names), "left out": len(m.leftOut), "troubled": len(m.troubled),
			"instances": len(m.instances), "watched": len(m.watched), "failed": len(m.failed), "deferred": len(m.deferred),
			"open reads": len(m.journal.open), "events": len(m.journal.events), "events of health": len(m.journal.health),
			"running": m.running.tasks, "services": m.running.services, "mirrored": m.running.mirrored,
		}
		maps.DeleteFunc(sizes, func(_ string, size int) bool { return size == 0 })
		if len(sizes) > 0 || m.hasChecks {
			t.Fatalf("remembered: %v", sizes)
		}
	})
}

// Whatever a model has lived through: when all is told and a snapshot taken, it says of everything
// that there ever was what one says that starts then, beside the same Consul.
func TestGrownModelSaysWhatAFreshOneDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newTwinHistory(t)
		w.live()
		for _, id := range slices.Sorted(maps.Keys(w.tasks)) {
			// What is lost in a second life is ended for whoever has heard of the first alone.
			if t := w.tasks[id]; t.State.Phase() == marathon.Away {
				w.become(t, marathon.TaskRunning)
			}
		}
		w.settle()
		w.apply(false)
		w.whole = true
		for range 2 {
			w.resync = true
			w.settle()
		}
		w.apply(true)
		w.settle()
		w.apply(true)
		w.model.PickIncumbents(w.registrations(), w.consulKeys(), true)
		if lines := w.diff(w.model, w.twin()); len(lines) > 0 {
			t.Fatal(joinLines(lines))
		}
		if n := len(w.model.journal.events); n > 0 {
			t.Fatalf("no read is open, and the journal keeps %d events", n)
		}
	})
}

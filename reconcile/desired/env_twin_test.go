package desired

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"consular/consul"
	"consular/marathon"
)

// twinHistory is a history with a Consul, of apps whose names clash and whose labels say
// what they are to be.
type twinHistory struct {
	*modelHistory
	// services are what is registered, by ID, and whose it is; keys the labels, by name.
	services map[string]registration
	keys     map[string]map[string]string
	looked   Ticket
	// of has the app of every task that there ever was.
	of map[string]string
	// before and keysBefore are what the model said before the last change, seen its snapshot.
	before     map[string]Want
	keysBefore map[string]WantKeys
	seen       Ticket
}

type registration struct{ task, app, name string }

func newTwinHistory(t *rapid.T) *twinHistory {
	tr := testTranslation()
	tr.Health = HealthMirror
	tr.Shaping.AllPorts = rapid.Bool().Draw(t, "all ports")
	tr.Shaping.Labelled = rapid.SampledFrom([]bool{false, false, true}).Draw(t, "labelled")
	tr.Shaping.NoKV = rapid.SampledFrom([]bool{false, false, false, true}).Draw(t, "no kv")
	tr.Shaping.Allegro = rapid.SampledFrom([]bool{false, false, false, true}).Draw(t, "allegro")
	if rapid.SampledFrom([]bool{false, false, true}).Draw(t, "exclude") {
		tr.Shaping.ExcludeApps = Globs{"/x/**", "/a/b"}
	}
	history := newHistoryOf(t, tr, []string{"/a", "/a/b", "/a-b", "/x/y"}, defineAny)
	history.garbled = map[string]bool{}
	w := &twinHistory{
		modelHistory: history,
		services:     map[string]registration{}, keys: map[string]map[string]string{}, of: map[string]string{},
	}
	w.changed = w.follows
	return w
}

// defineAny defines an app with ports, labels and checks of all kinds.
func defineAny(w *modelHistory, app *marathon.App) {
	app.Labels = map[string]string{"role": pick(w, "label", []string{"web", "api"})}
	for _, label := range []string{
		"consul.register=false", "consul.register=true", "consul.kv=false", "consul.name=other", "consul.ports=all",
		"consul.health=none", "consul.port.b.name=a", "consul=true", "consul=bad name/",
	} {
		if rapid.IntRange(0, 7).Draw(w.T, label) == 7 {
			key, value, _ := strings.Cut(label, "=")
			app.Labels[key] = value
		}
	}
	d := &app.Definition
	d.LastConfigChangeAt = app.Version
	for _, name := range pick(w, "ports", [][]string{{}, {"web"}, {"web", "b"}, {"b", "c"}}) {
		d.Ports = append(d.Ports, marathon.Port{Name: name, OnHost: true})
	}
	if w.chance("container network") {
		d.Network = marathon.ContainerNetwork
		for i := range d.Ports {
			d.Ports[i].OnHost, d.Ports[i].Container = w.chance("host port"), 8000+w.serial
		}
	}
	for range pick(w, "checks", []int{0, 0, 1, 2}) {
		d.HealthChecks = append(d.HealthChecks, marathon.HealthCheck{Protocol: marathon.HealthTCP, GracePeriod: grace, Interval: 10 * time.Second, Timeout: time.Second})
	}
	if rapid.IntRange(0, 4).Draw(w.T, "readiness") == 4 {
		d.ReadinessChecks = []marathon.ReadinessCheck{{Name: "ready", Interval: time.Second}}
	}
}

// probe gives a task results, which REST shows and no event tells.
func (w *twinHistory) probe() {
	if len(w.tasks) == 0 {
		return
	}
	t := w.tasks[pick(w.modelHistory, "task", slices.Sorted(maps.Keys(w.tasks)))]
	t.HealthCheckResults = nil
	for range rapid.IntRange(0, 2).Draw(w.T, "results") {
		r := marathon.HealthCheckResult{Alive: w.chance("alive")}
		if r.Alive {
			r.LastSuccess = w.now
		} else {
			r.LastFailure = w.now
		}
		t.HealthCheckResults = append(t.HealthCheckResults, r)
	}
	w.tasks[t.ID] = t
	w.publish("health", "", marathon.HealthStatusChanged{Meta: marathon.Meta{Time: w.now}, AppID: t.AppID, TaskID: t.ID, Version: t.Version, Alive: w.chance("alive")})
	w.wanted[t.AppID] = true
}

// apply brings Consul in line with the model, but for what nothing announces unless all is set.
func (w *twinHistory) apply(all bool) {
	m := w.model
	for _, t := range m.tasks {
		w.of[t.task.ID] = t.task.AppID
	}
	if m.snapshot != w.looked {
		w.looked = m.snapshot
		w.confirm()
		m.PickIncumbents(w.registrations(), w.consulKeys(), true)
	}
	for _, id := range sortedKeys(w.of) {
		w.applyTask(id, all)
	}
	for _, name := range w.names() {
		switch want := m.WantKeys(name); {
		case want.Verdict == Present:
			w.keys[name] = want.Labels
		case want.Verdict == Absent && (all || want.Grounds.Has(AppGone)):
			delete(w.keys, name)
		}
	}
	w.before, w.keysBefore, w.seen = w.said(), w.saidOfKeys(), m.snapshot
}

// decoded parts apps from those that cannot be decoded.
func (w *modelHistory) decoded(apps []marathon.App) (fine []marathon.App, unreadable []marathon.Unreadable) {
	for _, app := range apps {
		if w.garbled[app.ID] && !w.whole {
			unreadable = append(unreadable, marathon.Unreadable{ID: app.ID, Err: errors.New("garbled")})
		} else {
			fine = append(fine, app)
		}
	}
	return fine, unreadable
}

// garble makes an app one that cannot be decoded, or can be again.
func (w *twinHistory) garble() {
	id := pick(w.modelHistory, "app", w.ids)
	if w.garbled[id] = !w.garbled[id]; !w.garbled[id] {
		delete(w.garbled, id)
	}
}

// podded deploys a pod of an ID that may be an app's later, or was before.
func (w *twinHistory) podded() {
	id := pick(w.modelHistory, "app", w.ids)
	_, exists := w.apps[id]
	if exists || len(w.tasksOf(id)) > 0 || slices.ContainsFunc(w.deploys, func(d *deploy) bool { return d.app == id }) {
		return
	}
	w.serial++
	version := fmt.Sprintf("v%03d", w.serial)
	w.publish("plan "+id, "", marathon.DeploymentPlanned{Version: version, Pods: []string{id}})
	w.publish("group", "plan "+id, marathon.GroupChanged{Version: version})
	w.publish("end", "plan "+id, marathon.DeploymentEnded{Version: version, Pods: []string{id}})
	w.publish("task of pod "+version, "", changed(newTask("p"+version, id)))
	w.publish("task of pod "+version, "", changed(in(marathon.TaskKilled, newTask("p"+version, id))))
}

// confirm asks for the apps that are missing and have something in Consul, as a resync does.
func (w *twinHistory) confirm() {
	for id, a := range w.model.apps {
		if a.missing.IsZero() {
			continue
		}
		if len(w.keys[a.name]) > 0 {
			w.wanted[id] = true
		}
		for _, r := range w.services {
			if r.app == id {
				w.wanted[id] = true
			}
		}
	}
}

func (w *twinHistory) applyTask(id string, all bool) {
	want := w.model.Want(id, w.of[id])
	switch {
	case want.Verdict == Present:
		for s, r := range w.services {
			if r.task == id && !want.Belongs(s) {
				delete(w.services, s)
			}
		}
		for _, s := range want.Services {
			w.services[s.ID] = registration{id, want.App, s.Name}
		}
	case want.Verdict == Absent && (all || want.Grounds.Has(Announced)):
		maps.DeleteFunc(w.services, func(_ string, r registration) bool { return r.task == id })
	}
}

func (w *twinHistory) names() []string {
	all := []string{"other", "a"}
	for _, id := range w.ids {
		all = append(all, w.tr.ServiceName(id))
	}
	return distinct(append(all, sortedKeys(w.keys)...))
}

func (w *twinHistory) registrations() map[Registered]bool {
	all := map[Registered]bool{}
	for _, r := range w.services {
		all[Registered{r.app, r.name}] = true
	}
	return all
}

func (w *twinHistory) consulKeys() map[string][]consul.Key {
	all := map[string][]consul.Key{}
	for name, labels := range w.keys {
		for _, label := range sortedKeys(labels) {
			all[name] = append(all[name], consul.Key{Service: name, Label: label, Value: labels[label]})
		}
	}
	return all
}

// twin is a model that starts now.
func (w *twinHistory) twin() *Model {
	m := New(w.tr)
	out := m.ApplySnapshot(m.BeginRead(), marathonSnapshot(w.rest("")...), w.now, Alone)
	for _, v := range out.Definitions {
		m.ApplyDefinition(v, w.definition(v), false)
	}
	m.PickIncumbents(w.registrations(), w.consulKeys(), true)
	for name, n := range m.names { // who heard of an incumbent knows it without looking at Consul
		if grown := w.model.names[name]; grown != nil {
			n.services.incumbent = cmp.Or(grown.services.incumbent, n.services.incumbent)
			n.keys.incumbent = cmp.Or(grown.keys.incumbent, n.keys.incumbent)
		}
	}
	return m
}

// said is what the model says of everything that there ever was.
func (w *twinHistory) said() map[string]Want {
	all := map[string]Want{}
	for id, t := range w.model.tasks {
		w.of[id] = t.task.AppID
	}
	for id, app := range w.of {
		want := w.model.Want(id, app)
		want.Health, want.Killing = Health{}, time.Time{}
		all[id] = want
	}
	return all
}

func (w *twinHistory) saidOfKeys() map[string]WantKeys {
	all := map[string]WantKeys{}
	for _, name := range w.names() {
		all[name] = w.model.WantKeys(name)
	}
	return all
}

// follows checks that a change names all that is to be written because of it, as far as the model
// knows where; a snapshot's need not, for a resync compares everything.
func (w *twinHistory) follows(e Effects) {
	tasks, keys := w.said(), w.saidOfKeys()
	if w.model.ready && w.model.snapshot == w.seen {
		for id, now := range tasks {
			before := w.before[id]
			known := now.Host != "" || before.Host != ""
			named := slices.ContainsFunc(e.Tasks, func(t TaskRef) bool { return t.Task == id })
			if known && !named && before.differs(now) {
				w.Fatalf("%s is not named: before %+v\nnow %+v\neffects %+v", id, before, now, e)
			}
		}
		for name, now := range keys {
			before := w.keysBefore[name]
			same := now.Verdict == Untouched || now.Verdict == Absent && before.Verdict == Absent || reflect.DeepEqual(before, now)
			if !same && !slices.Contains(e.Names, name) {
				w.Fatalf("keys %s are not named: before %+v\nnow %+v\neffects %+v", name, before, now, e)
			}
		}
	}
	w.before, w.keysBefore, w.seen = tasks, keys, w.model.snapshot
}

// differs reports whether something is to be written or removed now that was not before.
func (w *Want) differs(now Want) bool {
	switch {
	case now.Verdict == Absent:
		return w.Verdict != Absent
	case now.Verdict == Untouched:
		return false
	case w.Verdict != Present:
		return true
	}
	for _, s := range now.Services {
		if was, _ := w.Service(s.ID); !reflect.DeepEqual(s, was) {
			return true
		}
	}
	return slices.ContainsFunc(w.Services, func(s consul.Service) bool { return !now.Belongs(s.ID) })
}

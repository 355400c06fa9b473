package desired

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
)

// What the tests of the model share: short ways to say what Marathon says, and
// to see what the model makes of it.

// testTranslation is that of a cluster whose labels are stored as they are.
func testTranslation() Translation {
	return Translation{
		Owner:     consul.Owner{RegistrationID: "consular"},
		Framework: "framework-1",
		Encode:    func(value string) string { return value },
		Prefix:    "consular",
	}
}

// start is when all tests begin.
var start = time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)

// newApp is an app of version "v1" with one port on its host.
func newApp(id string, tasks ...marathon.Task) marathon.App {
	return marathon.App{
		ID: id, Version: "v1", Instances: marathon.InstancesNotTold,
		Labels:     map[string]string{"role": "web"},
		Definition: marathon.Definition{Ports: []marathon.Port{{OnHost: true}}},
		Tasks:      tasks,
	}
}

// newTask is a task of version "v1" that runs on agent-1.test.
func newTask(id, app string) marathon.Task {
	return marathon.Task{
		ID: id, AppID: app, Host: "agent-1.test", State: marathon.TaskRunning, Ports: []int{31001}, Version: "v1",
	}
}

func in(state marathon.State, t marathon.Task) marathon.Task {
	t.State = state
	return t
}

func changed(t marathon.Task) marathon.Event {
	return marathon.TaskChanged{Meta: marathon.Meta{Type: "status_update_event"}, Task: t}
}

func marathonSnapshot(apps ...marathon.App) marathon.Snapshot { return marathon.Snapshot{Apps: apps} }

// knowing returns a model that has had its first snapshot.
func knowing(apps ...marathon.App) *Model {
	d := New(testTranslation())
	d.ApplySnapshot(d.BeginRead(), marathonSnapshot(apps...), start, Alone)
	return d
}

// noKeys is that Consul has none of ours.
var noKeys = map[string][]consul.Key{}

// snapshot is what should be in Consul: what the tests compare.
type snapshot struct {
	services map[string]consul.Service
	labels   map[string]map[string]string
}

// snapshotOf is what the model says.
func snapshotOf(d *Model) snapshot {
	p := snapshot{services: map[string]consul.Service{}, labels: map[string]map[string]string{}}
	for _, task := range sortedKeys(d.tasks) {
		if w := d.Want(task, ""); w.Verdict == Present {
			for _, s := range w.Services {
				p.services[s.ID] = s
			}
		}
	}
	for _, name := range d.Names() {
		if w := d.WantKeys(name); w.Verdict == Present {
			p.labels[name] = w.Labels
		}
	}
	return p
}

// snapshotOfApps is what Marathon's own words mean, without a model. define
// returns the definition of an old version.
func snapshotOfApps(apps []marathon.App, define func(Version) marathon.Definition) snapshot {
	tr := testTranslation()
	p := snapshot{services: map[string]consul.Service{}, labels: map[string]map[string]string{}}
	for _, a := range apps {
		p.labels[tr.ServiceName(a.ID)], _, _ = tr.Labels(a.ID, a.Labels)
		for _, t := range a.Tasks {
			definition := a.Definition
			if !a.Runs(t.Version) {
				definition = define(Version{t.AppID, t.Version})
			}
			if t.State.Phase() != marathon.Running {
				continue
			}
			for _, s := range servicesOf(tr, t, definition) {
				p.services[s.ID] = s
			}
		}
	}
	return p
}

// servicesOf are a task's services, as far as they can be reached.
func servicesOf(tr Translation, t marathon.Task, d marathon.Definition) (all []consul.Service) {
	sh, r := tr.shape(t.AppID, d), reach{Task: t, definition: d}
	for i := range sh.services {
		if s, err := tr.service(&sh.services[i], &r); err == nil {
			all = append(all, s)
		}
	}
	return all
}

// diff says how p differs from want; "" when it does not.
func (p snapshot) diff(want snapshot) string {
	var lines []string
	for _, id := range slices.Sorted(maps.Keys(merged(p.services, want.services))) {
		if have, should := p.services[id], want.services[id]; !reflect.DeepEqual(have, should) {
			lines = append(lines, fmt.Sprintf("service %s:\n  have %v\n  want %v", id, have, should))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(merged(p.labels, want.labels))) {
		have, known := p.labels[name]
		if should, wanted := want.labels[name]; known != wanted || !maps.Equal(have, should) {
			lines = append(lines, fmt.Sprintf("labels of %s:\n  have %v\n  want %v", name, have, should))
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return fmt.Sprintf("%d differences:\n%s", len(lines), joinLines(lines))
}

func merged[V any](a, b map[string]V) map[string]V {
	both := maps.Clone(a)
	maps.Copy(both, b)
	return both
}

func joinLines(lines []string) string {
	text := ""
	for _, line := range lines {
		text += line + "\n"
	}
	return text
}

// wantVerdict checks what the model says about one task.
func wantVerdict(t *testing.T, d *Model, task, app string, want Verdict) Want {
	t.Helper()
	w := d.Want(task, app)
	if w.Verdict != want {
		t.Errorf("Want(%q, %q) = %v, want %v", task, app, w.Verdict, want)
	}
	return w
}

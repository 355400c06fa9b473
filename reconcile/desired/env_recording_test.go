package desired

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"consular/marathon"
)

// recordings is where the streams and answers of a real Marathon 1.11 are; see
// the README beside them.
const recordings = "../../testdata/live"

// recorded is one event of a recording, decoded and raw.
type recorded struct {
	marathon.Event
	name string
	data []byte
}

// readStream splits a recorded stream into its events. A heartbeat is an empty
// line, and what is cut off at the end is no event.
func readStream(t *testing.T, file string) []recorded {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(recordings, file))
	if err != nil {
		t.Fatal(err)
	}
	var events []recorded
	for block := range bytes.SplitSeq(raw, []byte("\r\n\r\n")) {
		name, data, whole := bytes.Cut(bytes.TrimLeft(block, "\r\n"), []byte("\r\ndata: "))
		if !whole {
			continue
		}
		r := recorded{name: strings.TrimPrefix(string(name), "event: "), data: data}
		if r.Event, err = marathon.Decode(r.name, data); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		events = append(events, r)
	}
	if len(events) == 0 {
		t.Fatalf("%s: no events", file)
	}
	return events
}

// readAnswer reads the recorded answer to GET /v2/apps or GET /v2/apps/{id}.
func readAnswer(t *testing.T, file string) []marathon.App {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(recordings, file))
	if err != nil {
		t.Fatal(err)
	}
	apps, err := decodeApps(raw)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return apps
}

func decodeApps(raw []byte) ([]marathon.App, error) {
	var one struct {
		App json.RawMessage `json:"app"`
	}
	if err := json.Unmarshal(raw, &one); err != nil {
		return nil, err
	}
	if one.App != nil {
		raw = slices.Concat([]byte(`{"apps":[`), one.App, []byte(`]}`))
	}
	s, err := marathon.ReadSnapshot(bytes.NewReader(raw))
	if err == nil && len(s.Unreadable) > 0 {
		err = s.Unreadable[0].Err
	}
	return s.Apps, err
}

// library is every app definition that was recorded anywhere, without tasks, by
// app and version: in answers, and in what api_post_event asked for.
type library map[string]map[string]marathon.App

func readLibrary(t *testing.T) library {
	t.Helper()
	l := library{}
	streams, err := filepath.Glob(filepath.Join(recordings, "*.crlf.sse"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range streams {
		for _, e := range readStream(t, filepath.Base(path)) {
			if e.name == "api_post_event" {
				l.post(t, e.data)
			}
		}
	}
	for _, stream := range sortedKeys(recordedStreams) {
		for _, answer := range answersOf(t, stream) {
			for _, app := range answer {
				l.add(app)
			}
		}
	}
	return l
}

func (l library) add(app marathon.App) {
	app.Tasks = nil
	if l[app.ID] == nil {
		l[app.ID] = map[string]marathon.App{}
	}
	l[app.ID][app.Version] = app
}

func (l library) post(t *testing.T, data []byte) {
	t.Helper()
	var e struct {
		App json.RawMessage `json:"appDefinition"`
	}
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	withTasks := slices.Concat([]byte(`{"app":{"tasks":[],`), e.App[1:], []byte(`}`))
	apps, err := decodeApps(withTasks)
	if err != nil {
		t.Fatal(err)
	}
	l.add(apps[0])
}

// at returns an app as it was in a version: as recorded, or else the newest
// version before, or else the oldest. An app that was never recorded has one
// port on its host, as those of the recordedStreams "group" and "bulk" have.
func (l library) at(id, version string) marathon.App {
	if app, exact := l[id][version]; exact {
		return app
	}
	versions := sortedKeys(l[id])
	i, _ := slices.BinarySearch(versions, version)
	app := newApp(id)
	if len(versions) > 0 {
		app = l[id][versions[max(i-1, 0)]]
	}
	app.Version = version
	return app
}

// replayed is a Marathon that says in REST what a recorded stream has told so
// far: an app changes with the group_change_success of its plan, a task with its
// status. It stands in for the one that was recorded, whose REST was asked now
// and then only; the test checks it, and the model, against those answers.
type replayed struct {
	library library
	apps    map[string]marathon.App // without tasks
	tasks   map[string]marathon.Task
	plans   map[string]marathon.DeploymentPlanned
}

// newReplayed returns the Marathon before a stream begins: with the tasks that
// the stream or the answers know of and that the stream does not launch.
func newReplayed(l library, events []recorded, answers [][]marathon.App) *replayed {
	m := &replayed{
		library: l, apps: map[string]marathon.App{}, tasks: map[string]marathon.Task{},
		plans: map[string]marathon.DeploymentPlanned{},
	}
	launched := map[string]bool{}
	for _, e := range events {
		if c, is := e.Event.(marathon.TaskChanged); is {
			if c.Task.State.Phase() == marathon.Pending {
				launched[c.Task.ID] = true
			}
			m.before(c.Task, launched)
		}
	}
	for _, answer := range answers {
		for _, app := range answer {
			for _, task := range app.Tasks {
				m.before(task, launched)
			}
		}
	}
	return m
}

// before takes in a task that ran before the stream began.
func (m *replayed) before(t marathon.Task, launched map[string]bool) {
	if _, known := m.tasks[t.ID]; known || launched[t.ID] || t.State.Phase() == marathon.Pending || t.Version == "" {
		return
	}
	t.State = marathon.TaskRunning
	m.tasks[t.ID] = t
	if app, known := m.apps[t.AppID]; !known || app.Version < t.Version {
		m.apps[t.AppID] = m.library.at(t.AppID, t.Version)
	}
}

func (m *replayed) hear(e marathon.Event) {
	switch e := e.(type) {
	case marathon.TaskChanged:
		if e.Task.State.Phase() == marathon.Ended && e.Task.State != marathon.TaskKilling {
			delete(m.tasks, e.Task.ID)
		} else {
			m.tasks[e.Task.ID] = e.Task
		}
	case marathon.DeploymentPlanned:
		m.plans[e.Version] = e
	case marathon.DeploymentEnded:
		m.plans[e.Version] = marathon.DeploymentPlanned{Apps: e.Apps, Stopped: e.Stopped}
	case marathon.GroupChanged:
		for _, id := range m.plans[e.Version].Apps {
			if slices.Contains(m.plans[e.Version].Stopped, id) {
				delete(m.apps, id)
			} else {
				m.apps[id] = m.library.at(id, e.Version)
			}
		}
	}
}

func (m *replayed) app(id string) (marathon.App, bool) {
	app, is := m.apps[id]
	for _, task := range sortedKeys(m.tasks) {
		if t := m.tasks[task]; t.AppID == id {
			app.Tasks = append(app.Tasks, t)
		}
	}
	return app, is
}

func (m *replayed) snapshot() []marathon.App {
	var apps []marathon.App
	for _, id := range sortedKeys(m.apps) {
		app, _ := m.app(id)
		apps = append(apps, app)
	}
	return apps
}

func (m *replayed) define(v Version) marathon.Definition {
	return m.library.at(v.App, v.Version).Definition
}

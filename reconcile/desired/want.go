package desired

import (
	"errors"

	"consular/consul"
	"consular/marathon"
)

// Verdict says what should be done about a task's services or a name's keys.
type Verdict int

const (
	// Absent things are removed where they are ours.
	Absent Verdict = iota
	// Present things are written where they are missing or have drifted.
	Present
	// Untouched things are left as they are, for too little is known of them, or
	// their name clashes: not written, and not removed.
	Untouched
)

// Want is what the model says about one task: all of its services.
type Want struct {
	Verdict   Verdict
	App, Task string
	// Host is where the task runs, and where its services belong.
	Host string
	// Services are what should be there, each with an ID of its own; set when Present.
	Services []consul.Service
	// VersionGone is set when Marathon has deleted the version that the task runs.
	// Services are made of the app's present definition then: good enough for a
	// service that is missing, but no reason to change one that is registered.
	VersionGone bool
	// Anew are the IDs of services that are to be registered once more though they have not
	// drifted. The model never asks for that: whoever has seen that it is needed does.
	Anew []string
	// Grounds say, on Absent, why the services go.
	Grounds Grounds
	// Unfit says why a task that runs is left out.
	Unfit error
	// Health is what the checks on Services should say.
	Health Health
}

// Service returns the one that should be there under an ID.
func (w *Want) Service(id string) (s consul.Service, wanted bool) {
	for _, s := range w.Services {
		if s.ID == id {
			return s, true
		}
	}
	return consul.Service{}, false
}

// Want returns what should be there of a task. app is the one that its services are
// tagged with, or "" when only the task is known.
func (m *Model) Want(task, app string) Want {
	t := m.tasks[task]
	if t == nil {
		return m.wantUnknown(task, app)
	}
	w := Want{App: t.task.AppID, Task: task, Host: t.task.Host}
	a := m.apps[t.task.AppID]
	switch {
	case a == nil || a.unreadable || m.quarantined(t.task.AppID):
		w.Verdict = Untouched
	case t.lost:
		w.Grounds = Lost
	case !t.running():
		w.Verdict = Untouched // REST tells a state that we do not know
	default:
		m.wantRunning(&w, a, t.task)
	}
	return w
}

// wantUnknown answers for a task that the model does not have.
func (m *Model) wantUnknown(task, app string) Want {
	w := Want{App: app, Task: task, Grounds: Missing}
	if _, ended := m.ended[task]; ended {
		w.Grounds = Ended
		return w
	}
	a := m.apps[app]
	_, gone := m.gone[app]
	switch {
	case gone:
		w.Grounds = AppGone
	case !m.ready, m.unidentified, a != nil && a.unreadable, m.quarantined(app):
		w.Verdict, w.Grounds = Untouched, 0
	case a == nil:
	case a.explained:
		w.Grounds = Ended // the answer has said what became of all others
	case a.asked > m.snapshot:
		w.Grounds = Answered // its own answer, later than the snapshot, omits the task too
	}
	return w
}

// errUnreachable is why a task has no service: it may get its address later.
var errUnreachable = errors.New("has no address or port where it can be reached")

// wantRunning answers for a task that runs.
func (m *Model) wantRunning(w *Want, a *appEntry, t marathon.Task) {
	w.Verdict = Untouched
	def := a.app.Definition
	if !a.app.Runs(t.Version) {
		old, known := m.definitions[Version{t.AppID, t.Version}]
		if !known {
			return
		}
		if w.VersionGone = old.gone; !old.gone {
			def = old.Definition
		}
	}
	if w.Unfit = consul.CheckHost(t.Host); w.Unfit != nil {
		return
	}
	services := m.tr.Services(t, def)
	if len(services) == 0 {
		w.Unfit = errUnreachable
		return
	}
	for _, s := range services {
		if err := s.Check(); err != nil {
			w.Unfit = err
			continue
		}
		w.Verdict, w.Services = Present, append(w.Services, s)
	}
	m.wantHealth(w, m.tasks[t.ID], def)
}

// WantKeys is what the model says about the keys of one service name.
type WantKeys struct {
	Verdict Verdict
	App     string
	// Labels are the values as stored, by label; set when Present.
	Labels map[string]string
	// Unfit are labels that cannot be keys.
	Unfit []error
	// Clash is set when several apps have the name: its keys are not adopted.
	Clash bool
	// Grounds say, on Absent, why the keys go. When they are Missing, App is the one to
	// ask for first; none when no app is known by the name, for then only time confirms
	// that it is gone.
	Grounds Grounds
}

// WantKeys returns what should be below <prefix>/<name>/.
func (m *Model) WantKeys(name string) WantKeys {
	apps := m.names[name]
	if len(apps) == 0 {
		return m.wantNoKeys(WantKeys{Grounds: Missing}, name)
	}
	app := apps[0]
	if len(apps) > 1 {
		if app = m.incumbents[name]; app == "" {
			return WantKeys{Verdict: Untouched}
		}
	}
	switch a := m.apps[app]; {
	case a.missing.IsZero() && !a.unreadable:
		labels, unfit := m.tr.Labels(app, a.app.Labels)
		return WantKeys{Verdict: Present, App: app, Labels: labels, Unfit: unfit, Clash: len(apps) > 1}
	case !a.missing.IsZero() && len(apps) == 1:
		return m.wantNoKeys(WantKeys{Grounds: Missing, App: app}, name)
	}
	return WantKeys{Verdict: Untouched, App: app}
}

// wantNoKeys answers for a name that no app of Marathon's has.
func (m *Model) wantNoKeys(w WantKeys, name string) WantKeys {
	if !m.ready || m.unidentified {
		w.Verdict = Untouched
	}
	if gone, was := m.goneNames[name]; was && w.App == "" {
		w.App, w.Grounds = gone, AppGone
	}
	return w
}

package desired

import (
	"errors"
	"slices"
	"strings"
	"time"

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
	// Services are what should be there, each with an ID of its own, in the order of the ports
	// that they are of; set when Present. There may be none.
	Services []consul.Service
	// Waits are services of the task that can not be written now: left as they are.
	Waits []Waiting
	// FirstPort is the name of the port that the service with the task's own ID is of.
	FirstPort string
	// VersionGone is set when Marathon has deleted the version that the task runs.
	// Services are made of the app's present definition then: good enough for a
	// service that is missing, but no reason to change one that is registered.
	VersionGone bool
	// Anew are the IDs of services that are to be registered once more though they have not
	// drifted. The model never asks for that: whoever has seen that it is needed does.
	Anew []string
	// Grounds say, on Absent, why the services go.
	Grounds Grounds
	// Killing is, on Absent, since when the task is known to be being killed, by our clock: it may
	// still serve. Zero when it has ended, or nothing of that is known.
	Killing time.Time
	// Unfit says why a task that runs is left out, and Kept which rule else leaves its services
	// as they are, or lets them go though it runs; "" for none.
	Unfit error
	Kept  Kind
	// Health is what the checks on Services should say.
	Health Health
}

// Waiting is a service that is left as it is.
type Waiting struct {
	ID string
	// Err says why; nil when the service's name clashes (see Clash).
	Err error
}

// Belongs reports whether a service with an ID is one of the task's, be it that it cannot be
// written now.
func (w *Want) Belongs(id string) bool {
	_, is := w.Service(id)
	return is || w.LeavesAlone(id)
}

// LeavesAlone reports whether a service with an ID is one of the task's that is left as it is.
func (w *Want) LeavesAlone(id string) bool {
	return slices.ContainsFunc(w.Waits, func(s Waiting) bool { return s.ID == id })
}

// PortName returns the name of the port that a service is of, as far as its ID tells: an index
// where the port has no name, and "" for the first one then.
func (w *Want) PortName(id string) string {
	port, is := strings.CutPrefix(id, w.Task+":")
	if !is {
		return w.FirstPort
	}
	port, _, _ = strings.Cut(port, ":")
	return port
}

// OffNode is what should be there on an agent that is not that of the task's host: an address
// that is left to the node would be the wrong one's.
func (w Want) OffNode() Want {
	w.Services = slices.Clone(w.Services)
	for i := range w.Services {
		if w.Services[i].Address == "" {
			w.Services[i].Address = w.Host
		}
	}
	return w
}

// notYet reports whether something of the task may be reached later.
func (w *Want) notYet() bool {
	return errors.Is(w.Unfit, errUnreachable) || slices.ContainsFunc(w.Waits, func(s Waiting) bool { return errors.Is(s.Err, errUnreachable) })
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
	case a != nil && t.out:
		w.Grounds, w.Kept = Excluded, KindExcluded
	case a == nil || a.unreadable:
		w.Verdict, w.Kept = Untouched, KindUnread
	case m.quarantined(a):
		w.Verdict, w.Kept = Untouched, KindQuarantined
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
	if stone, ended := m.ended[task]; ended {
		w.Grounds, w.Killing = Ended, stone.killing
		return w
	}
	a := m.apps[app]
	_, gone := m.gone[app]
	switch {
	case gone:
		w.Grounds = AppGone
	case !m.ready:
		w.Verdict, w.Grounds = Untouched, 0
	case app != "" && m.tr.Shaping.LeavesOut(app) != "":
		w.Grounds = Excluded
	case m.unidentified, a != nil && (a.unreadable || m.quarantined(a)):
		w.Verdict, w.Grounds = Untouched, 0
	case a == nil:
	case a.explained:
		w.Grounds = Ended // the answer has said what became of all others
	case a.asked > m.snapshot:
		w.Grounds = Answered // its own answer, later than the snapshot, omits the task too
	}
	return w
}

// errUnreachable is why a service is not there: it may get its address later.
var errUnreachable = errors.New("has no address or port where it can be reached")

// wantRunning answers for a task that runs.
func (m *Model) wantRunning(w *Want, a *appEntry, t marathon.Task) {
	w.Verdict = Untouched
	sh, def := m.shapeOf(t)
	if sh == nil || sh.leftOut != "" { // left out, and what the task runs is not known any more
		w.Kept = KindUnknownDefinition
		return
	}
	w.VersionGone = m.versionGone(t)
	if w.Unfit = consul.CheckHost(t.Host); w.Unfit != nil {
		return
	}
	r := reach{Task: t, definition: def}
	services := make([]consul.Service, 0, len(sh.services))
	for i := range sh.services {
		shaped := &sh.services[i]
		s, err := m.tr.service(shaped, &r)
		if err != nil || shaped.made && m.yields(a, shaped.name) {
			w.Waits = append(w.Waits, Waiting{ID: t.ID + shaped.suffix, Err: err})
			continue
		}
		services = append(services, s)
	}
	if len(services) == 0 {
		for _, s := range w.Waits {
			if w.Unfit = s.Err; w.Unfit != nil {
				w.Waits = nil
				return
			}
		}
	}
	w.Verdict, w.Services, w.FirstPort = Present, services, sh.firstPort
	m.wantHealth(w, m.tasks[t.ID], def, sh.healthMode(def))
}

// WantKeys is what the model says about the keys of one service name.
type WantKeys struct {
	Verdict Verdict
	App     string
	// Labels are the values as stored, by label; set when Present.
	Labels map[string]string
	// Unfit are labels that cannot be keys, and Excluded those that an option leaves out; nil
	// for none.
	Unfit    []error
	Excluded map[string]bool
	// Clash is set when several apps have the name: its keys are not adopted.
	Clash bool
	// Grounds say, on Absent, why the keys go. When they are Missing, App is the one to
	// ask for first; none when no app is known by the name, for then only time confirms
	// that it is gone.
	Grounds Grounds
}

// WantKeys returns what should be below <prefix>/<name>/.
func (m *Model) WantKeys(name string) WantKeys {
	n := m.names[name]
	if n == nil || len(n.keys.claimants) == 0 {
		if n != nil && len(n.keyless) > 0 {
			return m.wantNoKeys(WantKeys{App: n.keyless[0], Grounds: Excluded}, name)
		}
		return m.wantNoKeys(WantKeys{Grounds: Missing}, name)
	}
	app, clash := n.keys.claimants[0].app, n.keys.contested()
	if clash {
		if app = n.keys.incumbent; app == "" {
			return WantKeys{Verdict: Untouched}
		}
	}
	switch a := m.apps[app]; {
	case a.missing.IsZero() && !a.unreadable:
		labels, unfit, leftOut := m.tr.Labels(app, a.app.Definition.Labels)
		return WantKeys{Verdict: Present, App: app, Labels: labels, Unfit: unfit, Excluded: leftOut, Clash: clash}
	case !a.missing.IsZero() && !clash:
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

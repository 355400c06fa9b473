package reconcile

import (
	"errors"

	"consular/consul"
	"consular/marathon"
)

// Verdict says what should be done about a service or a name.
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

// Want is what the model says about one task's service.
type Want struct {
	Verdict Verdict
	App     string
	// Host is where the task runs, and where its service belongs.
	Host string
	// Service is what should be there; set when Present.
	Service consul.Service
	// Keep is set when Service rests on a definition that is not the task's own
	// (its version was deleted): what is registered already stays.
	Keep bool
	// Announced is set on Absent when an event or the app's own answer said so;
	// otherwise the task is merely missing.
	Announced bool
	// Gone is set with it when the whole app is.
	Gone bool
	// Away is set on Absent when the task's agent was lost: it may come back.
	Away bool
	// Unfit says why a task that runs is left out.
	Unfit error
}

// Look returns what should be of the task's service. app is the one that the
// service is tagged with, or "" when only the task is known.
func (d *Desired) Look(task, app string) Want {
	t := d.tasks[task]
	if t == nil {
		return d.lookMissing(task, app)
	}
	w := Want{App: t.task.AppID, Host: t.task.Host}
	a := d.apps[t.task.AppID]
	switch {
	case a == nil || a.unreadable || d.quarantined(t.task.AppID):
		w.Verdict = Untouched
	case t.away:
		w.Away = true
	case !t.running():
		w.Verdict = Untouched // REST tells a state that we do not know
	default:
		d.lookRunning(&w, a, t.task)
	}
	return w
}

// lookMissing answers for a task that the model does not have.
func (d *Desired) lookMissing(task, app string) Want {
	w := Want{App: app}
	if _, ended := d.ended[task]; ended {
		w.Announced = true
		return w
	}
	a := d.apps[app]
	_, gone := d.gone[app]
	switch {
	case gone:
		w.Announced, w.Gone = true, true
	case !d.ready, d.nameless, a != nil && a.unreadable, d.quarantined(app):
		w.Verdict = Untouched
	case a != nil:
		// Its own answer, later than the snapshot, omits the task too.
		w.Announced = a.asked > d.snapshot
	}
	return w
}

// errUnreachable is why a task has no service: it may get its address later.
var errUnreachable = errors.New("has no address or port where it can be reached")

// lookRunning answers for a task that runs.
func (d *Desired) lookRunning(w *Want, a *appEntry, t marathon.Task) {
	w.Verdict = Untouched
	def := a.app.Definition
	if !a.app.Runs(t.Version) {
		old, known := d.definitions[Version{t.AppID, t.Version}]
		if !known {
			return
		}
		if w.Keep = old.gone; !old.gone {
			def = old.Definition
		}
	}
	if w.Unfit = consul.CheckHost(t.Host); w.Unfit != nil {
		return
	}
	w.Unfit = errUnreachable
	for _, s := range d.tr.Translate(t, def) {
		if w.Unfit = s.Check(); w.Unfit == nil {
			w.Verdict, w.Service = Present, s
		}
	}
}

// NameWant is what the model says about the keys of one service name.
type NameWant struct {
	Verdict Verdict
	App     string
	// Labels are the values as stored, by label; set when Present.
	Labels map[string]string
	// Unfit are labels that cannot be keys.
	Unfit []error
	// Clash is set when several apps have the name: its keys are not adopted.
	Clash bool
	// Announced is set on Absent when the app of that name is known to be gone.
	// Otherwise Suspects are the apps that must be asked for first; none when
	// they are too many: then only time confirms that it is.
	Announced bool
	Suspects  []string
}

// Labels returns what should be below <prefix>/<name>/.
func (d *Desired) Labels(name string) NameWant {
	apps := d.names[name]
	if len(apps) == 0 {
		w := NameWant{Verdict: d.absentName(), Announced: d.goneName(name), Suspects: d.suspects(name)}
		if gone := d.goneNames[name]; w.Announced && len(gone) == 1 {
			w.App = gone[0]
		}
		return w
	}
	app := apps[0]
	if len(apps) > 1 {
		if app = d.incumbents[name]; app == "" {
			return NameWant{Verdict: Untouched}
		}
	}
	a := d.apps[app]
	if a.unreadable {
		return NameWant{Verdict: Untouched, App: app}
	}
	labels, unfit := d.tr.Labels(app, a.app.Labels)
	return NameWant{Verdict: Present, App: app, Labels: labels, Unfit: unfit, Clash: len(apps) > 1}
}

func (d *Desired) absentName() Verdict {
	if !d.ready || d.nameless {
		return Untouched
	}
	return Absent
}

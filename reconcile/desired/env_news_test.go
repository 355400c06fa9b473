package desired

import (
	"slices"

	"consular/marathon"
)

// news is what the model has been told that announces the end of a task, since it last
// wanted its services: nothing else may end them unannounced.
type news struct {
	ended   map[string]bool   // tasks
	stopped map[string]Ticket // apps, by a plan that nothing has taken back, and when
}

func newNews() news { return news{ended: map[string]bool{}, stopped: map[string]Ticket{}} }

func (n news) event(w *modelHistory, e marathon.Event) {
	switch e := e.(type) {
	case marathon.TaskChanged:
		if e.Task.State.Phase() == marathon.Ended {
			n.ended[e.Task.ID] = true
		}
	case marathon.DeploymentPlanned:
		for _, app := range e.Apps {
			delete(n.stopped, app)
		}
		for _, app := range e.Stopped {
			n.stopped[app] = w.model.now + 1
		}
	case marathon.AppTerminated:
		n.stopped[e.AppID] = w.model.now + 1
	}
}

// snapshot explains what it omits of an app that is in it, and all of an app that is
// not, if its end was announced.
func (n news) snapshot(w *modelHistory, asked Ticket, apps []marathon.App) {
	for _, app := range apps {
		n.app(w, asked, app)
	}
	for id := range n.stopped {
		if !slices.ContainsFunc(apps, func(a marathon.App) bool { return a.ID == id }) {
			n.gone(w, id)
		}
	}
}

func (n news) app(w *modelHistory, asked Ticket, app marathon.App) {
	if n.stopped[app.ID] < asked {
		delete(n.stopped, app.ID)
	}
	running := 0
	listed := map[string]bool{}
	for _, t := range app.Tasks {
		ended := t.State.Phase() == marathon.Ended
		listed[t.ID] = !ended
		n.ended[t.ID] = n.ended[t.ID] || ended
		if t.State.Phase() == marathon.Running {
			running++
		}
	}
	for id, t := range w.registered {
		if t.AppID == app.ID && !listed[id] && running >= app.Instances {
			n.ended[id] = true
		}
	}
}

func (n news) gone(w *modelHistory, app string) {
	for id, t := range w.registered {
		if t.AppID == app {
			n.ended[id] = true
		}
	}
}

// check fails the history if the services of a task are to go at once, past the guard
// and without a question, and nothing has announced its end.
func (w *modelHistory) check() {
	for id, t := range w.registered {
		if want := w.model.Want(id, t.AppID); want.Verdict == Absent && want.Grounds.Has(Announced) {
			if !w.told.ended[id] {
				w.Fatalf("the services of %s go: %s, which nothing has announced", id, want.Grounds)
			}
			delete(w.registered, id)
		}
	}
	for id, t := range w.model.tasks {
		if want := w.model.Want(id, ""); want.Verdict == Present {
			w.registered[id] = t.task
			delete(w.told.ended, id)
		}
	}
}

package desired

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"consular/marathon"
)

// modelHistory is a Marathon small enough for rapid to shrink its histories: what REST
// shows now, and the events that are published and not yet heard. Events of one
// publisher keep their order, those of different ones do not: a task's statuses
// are one publisher; a deployment_info comes before the group_change_success and
// the end of its deployment, which come in any order.
type modelHistory struct {
	*rapid.T
	apps  map[string]marathon.App // in REST, without tasks
	tasks map[string]marathon.Task
	// history is every definition that an app ever had, by version.
	history map[Version]marathon.App
	deploys []*deploy
	pending []published
	serial  int

	model *Model
	now   time.Time
	// What the model has asked for, and reads on their way.
	wanted      map[string]bool
	definitions map[Version]bool
	resync      bool
	reads       []*read
	// ended are tasks that have ended and may be started again under their ID.
	ended []marathon.Task
	// registered are the tasks whose services the model has wanted, by ID; see ends.
	registered map[string]marathon.Task
	told       news
	// tr is how the model writes things, ids are the apps that may be there, and define makes
	// their definitions.
	tr     Translation
	ids    []string
	define func(w *modelHistory, app *marathon.App)
	// whole is set while answers are to tell everything; garbled apps cannot be decoded else.
	whole   bool
	garbled map[string]bool
	// changed is told of each change, unless it is nil, and whole is set on those of a snapshot.
	changed func(e Effects)
}

// deploy is one deployment: REST shows it when it is swapped.
type deploy struct {
	app            string
	version        string
	target         *marathon.App // nil to stop the app
	swapped, ended bool
}

// published is an event on its way, in the chain of its publisher; it is not
// heard before any of the chain that it waits for.
type published struct {
	event        marathon.Event
	chain, waits string
}

// read is one GET: what it answers is how things are at some moment between its
// being asked for and its being told.
type read struct {
	asked    Ticket
	app      string // "" for a snapshot
	answered bool
	apps     []marathon.App
}

func newModelHistory(t *rapid.T) *modelHistory {
	return newHistoryOf(t, testTranslation(), []string{"/a", "/b", "/g/c"}, (*modelHistory).onOneNetwork)
}

func newHistoryOf(t *rapid.T, tr Translation, ids []string, define func(*modelHistory, *marathon.App)) *modelHistory {
	return &modelHistory{
		tr: tr, ids: ids, define: define,
		T: t, apps: map[string]marathon.App{}, tasks: map[string]marathon.Task{},
		history: map[Version]marathon.App{},
		model:   New(tr), now: start,
		wanted: map[string]bool{}, definitions: map[Version]bool{}, resync: true,
		registered: map[string]marathon.Task{}, told: newNews(),
	}
}

func pick[T any](w *modelHistory, what string, of []T) T {
	return rapid.SampledFrom(of).Draw(w.T, what)
}

func (w *modelHistory) chance(what string) bool { return rapid.Bool().Draw(w.T, what) }

func (w *modelHistory) publish(chain, waits string, e marathon.Event) {
	w.pending = append(w.pending, published{event: e, chain: chain, waits: waits})
}

// Changes of apps.

func (w *modelHistory) begin(id string, target *marathon.App, version string) {
	w.deploys = append(w.deploys, &deploy{app: id, version: version, target: target})
	plan := marathon.DeploymentPlanned{Version: version, Apps: []string{id}}
	if target == nil {
		plan.Stopped = plan.Apps
	} else {
		w.history[Version{id, version}] = *target
	}
	w.publish("plan "+id, "", plan)
}

// change deploys something for an app that has no deployment under way.
func (w *modelHistory) change() {
	id := pick(w, "app", w.ids)
	if slices.ContainsFunc(w.deploys, func(d *deploy) bool { return d.app == id }) {
		return
	}
	w.serial++
	version := fmt.Sprintf("v%03d", w.serial)
	app, exists := w.apps[id]
	switch {
	case !exists && len(w.tasksOf(id)) > 0: // 409: its old tasks still die
	case !exists, w.chance("new definition"):
		w.begin(id, w.redefined(id, version), version)
	case w.chance("stop"):
		w.begin(id, nil, version)
	case w.chance("roll back"):
		w.rollBack(id)
	default:
		app.Version, app.LastScalingAt = version, version
		w.begin(id, &app, version)
	}
}

func (w *modelHistory) redefined(id, version string) *marathon.App {
	app := marathon.App{ID: id, Version: version, LastScalingAt: version, LastConfigChangeAt: version}
	app.Instances = pick(w, "instances", []int{1, 2, marathon.InstancesNotTold})
	w.define(w, &app)
	return &app
}

// onOneNetwork defines an app with one port.
func (w *modelHistory) onOneNetwork(app *marathon.App) {
	app.Labels = map[string]string{"role": pick(w, "label", []string{"web", "api"})}
	app.Definition.Ports = []marathon.Port{{OnHost: true}}
	if w.chance("container network") {
		app.Definition = marathon.Definition{
			Network: marathon.ContainerNetwork, Ports: []marathon.Port{{Container: 8000 + w.serial}},
		}
	}
}

// rollBack takes an app back to what it was, and its version with it.
func (w *modelHistory) rollBack(id string) {
	var versions []string
	for v := range w.history {
		if v.App == id {
			versions = append(versions, v.Version)
		}
	}
	slices.Sort(versions)
	version := pick(w, "version", versions)
	app := w.history[Version{id, version}]
	app.LastScalingAt, app.LastConfigChangeAt = version, version
	w.begin(id, &app, version)
}

// proceed takes a deployment one step further.
func (w *modelHistory) proceed() {
	if len(w.deploys) == 0 {
		return
	}
	d := pick(w, "deployment", w.deploys)
	if !d.swapped && (d.ended || w.chance("swap")) {
		d.swapped = true
		if d.target == nil {
			delete(w.apps, d.app)
		} else {
			w.apps[d.app] = *d.target
		}
		w.publish("group", "plan "+d.app, marathon.GroupChanged{Version: d.version})
	} else if !d.ended {
		d.ended = true
		if d.target == nil {
			w.publish("terminated", "", marathon.AppTerminated{AppID: d.app})
		}
		w.publish("end", "plan "+d.app, marathon.DeploymentEnded{Version: d.version, Apps: []string{d.app}})
	}
	w.deploys = slices.DeleteFunc(w.deploys, func(d *deploy) bool { return d.swapped && d.ended })
}

// Changes of tasks.

func (w *modelHistory) tasksOf(app string) []marathon.Task {
	var tasks []marathon.Task
	for _, id := range slices.Sorted(maps.Keys(w.tasks)) {
		if w.tasks[id].AppID == app {
			tasks = append(tasks, w.tasks[id])
		}
	}
	return tasks
}

// launch starts a task of what is deployed, which REST may not show yet.
func (w *modelHistory) launch() {
	app, exists := w.apps[pick(w, "app", append(slices.Clone(w.ids), "/pod"))]
	for _, d := range w.deploys {
		if d.target != nil && w.chance("of the new version") {
			app, exists = *d.target, true
		}
	}
	if !exists {
		app = marathon.App{ID: "/pod", Version: "v0"}
	}
	w.serial++
	t := newTask(fmt.Sprintf("t%d", w.serial), app.ID)
	t.Version, t.Addresses, t.Ports = app.Version, []string{"127.9.1.1"}, []int{31000 + w.serial}
	w.become(t, marathon.TaskRunning)
}

// become gives a task a state, in REST and as an event.
func (w *modelHistory) become(t marathon.Task, state marathon.State) {
	t.State = state
	w.tasks[t.ID] = t
	told := t
	if state.Phase() == marathon.Ended {
		w.ended = append(w.ended, t)
	}
	switch {
	case state == marathon.TaskKilled || state == marathon.TaskFailed && w.chance("dead task not listed"):
		delete(w.tasks, t.ID)
	case state.Phase() == marathon.Away:
		told.Addresses = nil
	}
	w.publish("task "+t.ID, "", changed(told))
}

// again starts a task that has ended under its old ID, with another port: Marathon
// before 1.4.7 does so with persistent volumes.
func (w *modelHistory) again() {
	if len(w.ended) == 0 {
		return
	}
	t := pick(w, "ended", w.ended)
	_, exists := w.apps[t.AppID]
	if old, listed := w.tasks[t.ID]; !exists || listed && old.State.Phase() != marathon.Ended || listed && old.State == marathon.TaskKilling {
		return
	}
	w.serial++
	t.Ports = []int{31000 + w.serial}
	w.become(t, marathon.TaskStaging)
	w.become(t, marathon.TaskRunning)
}

// part is a partition: all tasks are lost, and expunged at once or not.
func (w *modelHistory) part() {
	for _, id := range slices.Sorted(maps.Keys(w.tasks)) {
		if t := w.tasks[id]; t.State.Phase() == marathon.Running {
			w.become(t, marathon.TaskUnreachable)
			if w.chance("expunged") {
				delete(w.tasks, id)
			}
		}
	}
}

// forget is a Marathon that has failed over and lost what tasks it had.
func (w *modelHistory) forget() {
	clear(w.tasks)
	w.lose()
}

// turn gives some task its next state.
func (w *modelHistory) turn() {
	if len(w.tasks) == 0 {
		return
	}
	t := w.tasks[pick(w, "task", slices.Sorted(maps.Keys(w.tasks)))]
	var next []marathon.State
	switch t.State.Phase() {
	case marathon.Running:
		next = []marathon.State{marathon.TaskRunning, marathon.TaskKilling, marathon.TaskKilled, marathon.TaskFailed, marathon.TaskUnreachable}
	case marathon.Away:
		next = []marathon.State{marathon.TaskRunning, marathon.TaskUnreachable, marathon.TaskKilled}
	default:
		next = []marathon.State{marathon.TaskKilled}
	}
	if t.State.Phase() == marathon.Away && w.chance("expunged") {
		delete(w.tasks, t.ID) // no event says so
		return
	}
	w.become(t, pick(w, "state", next))
}

// What happens between Marathon and the model.

func (w *modelHistory) hear() {
	var next []int
	for i, p := range w.pending {
		if !slices.ContainsFunc(w.pending[:i], func(q published) bool { return q.chain == p.chain || q.chain == p.waits }) {
			next = append(next, i)
		}
	}
	if len(next) == 0 {
		return
	}
	i := pick(w, "event", next)
	e := w.pending[i].event
	w.pending = slices.Delete(w.pending, i, i+1)
	w.now = w.now.Add(time.Millisecond)
	for range 1 + rapid.IntRange(0, 1).Draw(w.T, "twice") {
		w.told.event(w, e)
		w.follow(w.model.ApplyEvent(e, w.now))
	}
}

// lose drops what was published and not heard: a gap, which a resync ends.
func (w *modelHistory) lose() {
	w.pending = nil
	w.resync = true
	w.model.NoteGap()
	clear(w.told.stopped)
}

// pass lets time go by, when nothing is on its way.
func (w *modelHistory) pass() {
	if len(w.pending) == 0 {
		w.now = w.now.Add(tombstoneLife)
	}
}

// follow notes what a change asks for.
func (w *modelHistory) follow(e Effects) {
	if w.changed != nil {
		w.changed(e)
	}
	for _, id := range slices.Concat(e.Read, e.ReadUnprompted, e.ReadAgain) {
		w.wanted[id] = true
	}
	for _, v := range e.Definitions {
		w.definitions[v] = true
	}
	w.resync = w.resync || e.Resync != ""
}

// ask begins a read of what the model wants to know; one snapshot at a time.
func (w *modelHistory) ask() {
	busy := slices.ContainsFunc(w.reads, func(r *read) bool { return r.app == "" })
	if w.resync && !busy {
		w.resync = false
		w.reads = append(w.reads, &read{asked: w.model.BeginRead()})
	} else if len(w.wanted) > 0 {
		id := pick(w, "app", sortedKeys(w.wanted))
		delete(w.wanted, id)
		w.reads = append(w.reads, &read{asked: w.model.BeginRead(), app: id})
	}
}

// answer gives a read its answer, or tells the model of it.
func (w *modelHistory) answer() {
	if len(w.reads) == 0 {
		return
	}
	r := pick(w, "read", w.reads)
	if !r.answered {
		r.answered, r.apps = true, w.rest(r.app)
		return
	}
	w.reads = slices.DeleteFunc(w.reads, func(other *read) bool { return other == r })
	var unreadable []marathon.Unreadable
	r.apps, unreadable = w.decoded(r.apps)
	switch {
	case r.app != "" && len(unreadable) > 0:
		w.model.CancelRead(r.asked)
		w.resync = true // which serves for what could not be read
	case w.chance("failed"):
		w.model.CancelRead(r.asked)
		if r.app == "" {
			w.resync = true
		} else {
			w.wanted[r.app] = true
		}
	case r.app == "":
		if len(r.apps) > 0 && !w.whole && w.chance("short") {
			w.wanted[r.apps[0].ID] = true // which is what is asked before anything of it goes
			r.apps = r.apps[1:]
		}
		w.told.snapshot(w, r.asked, r.apps)
		w.follow(w.model.ApplySnapshot(r.asked, marathon.Snapshot{Apps: r.apps, Unreadable: unreadable}, w.now, Alone))
	case len(r.apps) == 0:
		w.told.gone(w, r.app)
		w.follow(w.model.ApplyNotFound(r.asked, r.app, w.now))
	default:
		w.told.app(w, r.asked, r.apps[0])
		w.follow(w.model.ApplyApp(r.asked, r.apps[0], w.now))
	}
}

// rest is what REST shows of one app, or of all.
func (w *modelHistory) rest(app string) []marathon.App {
	var apps []marathon.App
	for _, id := range slices.Sorted(maps.Keys(w.apps)) {
		if app == "" || app == id {
			a := w.apps[id]
			a.Tasks = w.tasksOf(id)
			apps = append(apps, a)
		}
	}
	return apps
}

func (w *modelHistory) defineVersions() {
	for v := range w.definitions {
		delete(w.definitions, v)
		w.follow(w.model.ApplyDefinition(v, w.definition(v), w.garbled != nil && !w.whole && w.chance("version deleted")))
	}
}

func (w *modelHistory) definition(v Version) marathon.Definition { return w.history[v].Definition }

// settle lets everything arrive that is on its way.
func (w *modelHistory) settle() {
	for range 10_000 {
		switch {
		case len(w.deploys) > 0:
			w.proceed()
		case len(w.pending) > 0:
			w.hear()
		case len(w.reads) > 0:
			w.answer()
		case w.resync || len(w.wanted) > 0:
			w.ask()
		case len(w.definitions) > 0:
			w.defineVersions()
		default:
			return
		}
	}
	w.Fatal("the model asks again and again")
}

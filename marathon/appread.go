package marathon

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// What is kept of an answer takes about so many bytes of memory, beside its texts.
const (
	appCost   = 400
	portCost  = 96
	checkCost = 128
	// mapCost is that of some labels, beside labelCost for each.
	mapCost        = 280
	labelCost      = 64
	deploymentCost = 24
	readinessCost  = 56
	taskCost       = 216
	resultCost     = 112
	// textCost is what each text takes beside its bytes.
	textCost = 88
	// freeCost is what may be kept of any answer. Beyond it, what is kept may take costLimit
	// times what has been read. With a Marathon's answers it takes about as much as these, more
	// than twice as much where each of ten ports has a label, and with {"id":"1"},{"id":"2"} and
	// so on 25 times.
	freeCost  = 64 << 20
	costLimit = 3
)

// appsReader reads apps from an answer, each of them in pieces: what its definition says,
// a label, a task. So an app may be as large as it likes.
type appsReader struct {
	json *scanner
	// one has the texts that apps have in common.
	one *texts
	// cost is what is kept of the answer, beside one.
	cost int64

	// app is being read. What of it appJSON wants is in definition, and what of one of its
	// tasks taskJSON wants in listing.
	app                 *appJSON
	definition, listing *pick
	tasks               taskList
}

// taskList is any number of tasks. However long it gets, it is not copied to grow.
type taskList struct {
	full [][]Task
	last []Task
}

// fullList is how many tasks are copied at most.
const fullList = 1024

func (l *taskList) add(t Task) {
	if len(l.last) == fullList {
		l.full, l.last = append(l.full, l.last), make([]Task, 0, fullList)
	}
	l.last = append(l.last, t)
}

// take returns all tasks, and forgets them.
func (l *taskList) take() []Task {
	all := slices.Concat(append(l.full, l.last)...)
	l.forget()
	if all == nil {
		return []Task{}
	}
	return all
}

func (l *taskList) forget() {
	clear(l.last)
	l.full, l.last = nil, l.last[:0]
}

func newAppsReader(json *scanner) *appsReader {
	return &appsReader{json: json, one: newTexts(), definition: newPick[appJSON](json, "tasks", "labels"), listing: newPick[taskJSON](json)}
}

// keep adds to what is kept.
func (r *appsReader) keep(cost int) error {
	r.cost += int64(cost)
	if all := r.cost + int64(r.one.cost); all > freeCost && all > costLimit*r.json.offset() {
		return fmt.Errorf("what it lists takes more than %d times its size in memory", costLimit)
	}
	return nil
}

// cost is what is kept of an app, beside its labels one by one and its tasks.
func (a *App) cost() int {
	d := a.Definition
	cost := appCost + len(a.ID) + portCost*len(d.Ports) + checkCost*(len(d.HealthChecks)+len(d.ReadinessChecks)) +
		deploymentCost*len(a.Deployments) + readinessCost*len(a.ReadinessCheckResults)
	if len(a.Labels) > 0 {
		cost += mapCost
	}
	for _, p := range d.Ports {
		if len(p.Labels) > 0 {
			cost += mapCost + labelCost*len(p.Labels)
		}
	}
	for _, problem := range slices.Concat(a.Problems, d.Problems) {
		cost += textCost + len(problem)
	}
	return cost
}

// read reads one app. The first error is that of the app, whose ID is there even so if it
// could be read, and the second that of the whole answer.
func (r *appsReader) read() (app *appJSON, wrong, err error) {
	r.app = &appJSON{}
	r.tasks.forget()
	if err := r.definition.read(r.member); err != nil {
		return nil, nil, err
	}
	if r.app.Tasks != nil {
		r.app.Tasks = r.tasks.take()
	}
	if id := listedTwice(r.app.Tasks); id != "" {
		r.definition.fail("tasks", fmt.Errorf("%.200q is there twice", id))
	}
	return r.app, r.definition.decode(r.app), nil
}

// listedTwice returns the ID of a task that is listed twice, "" if none is. Counted twice, it
// would explain why another one is missing.
func listedTwice(tasks []Task) string {
	ids := make([]string, len(tasks))
	for i := range tasks {
		ids[i] = tasks[i].ID
	}
	slices.Sort(ids)
	for i := 1; i < len(ids); i++ {
		if ids[i] == ids[i-1] {
			return ids[i]
		}
	}
	return ""
}

func (r *appsReader) member(name []byte) error {
	switch field := r.definition.field(name); field {
	case "tasks":
		return r.listed(field, '[', func() error {
			r.app.Tasks = []Task{}
			return r.json.array(r.task)
		})
	case "labels":
		return r.listed(field, '{', func() error {
			r.app.Labels = map[string]string{}
			return r.json.object(r.label)
		})
	default:
		return r.definition.value(field)
	}
}

// listed reads a field that is a list, or null.
func (r *appsReader) listed(field string, open byte, list func() error) error {
	c, err := r.json.peek()
	switch {
	case err != nil:
		return err
	case c == open:
		return list()
	}
	if err := unexpected(c); err != nil {
		r.definition.fail(field, err)
	}
	return r.json.value()
}

// label reads one of the app's labels.
func (r *appsReader) label(name []byte) error {
	if _, twice := r.app.Labels[string(name)]; twice {
		r.definition.fail("labels", fmt.Errorf("%.200q is there twice", name))
	}
	if name == nil {
		r.definition.fail("labels", errors.New("a name is too large, or not UTF-8"))
	}
	if r.definition.wrong != nil {
		return r.json.value()
	}
	label := r.one.bytes(name)
	raw, err := r.json.raw()
	if isUnfit(err) {
		r.definition.fail("labels", err)
		return nil
	}
	if err != nil {
		return err
	}
	var value []byte
	if raw[0] == '"' {
		value, err = unquoted(raw)
	} else if wrong := unexpected(raw[0]); wrong != nil {
		r.definition.fail("labels", wrong)
	}
	if err != nil {
		return err
	}
	r.app.Labels[label] = r.one.bytes(value)
	return r.keep(labelCost)
}

// task reads one of the app's tasks.
func (r *appsReader) task() error {
	if r.definition.wrong != nil {
		return r.json.value()
	}
	if err := r.listing.read(r.listing.member); err != nil {
		return err
	}
	var t taskJSON
	var task Task
	wrong := r.listing.decode(&t)
	if wrong == nil {
		task, wrong = t.task(r.one)
	}
	if wrong != nil {
		r.definition.note(fmt.Errorf("task %.200s: %w", cmp.Or(t.ID, "without an ID"), wrong))
		return nil
	}
	task.HealthCheckResults, wrong = healthCheckResults(t.HealthCheckResults, r.one)
	r.app.TaskProblems = withProblem(r.app.TaskProblems, wrong, "task %.200s", task.ID)
	r.tasks.add(task)
	return r.keep(taskCost + len(task.ID) + 8*len(task.Ports) + 16*len(task.Addresses) + resultCost*len(task.HealthCheckResults))
}

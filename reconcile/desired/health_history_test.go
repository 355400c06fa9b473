package desired

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"consular/consul"
	"consular/marathon"
)

// healthHistory is a Marathon that probes the tasks of one app: what it has found out, and
// what is on its way to the model. Each of its checks publishes by itself, and so does what
// sums them up; which of them is heard first is not fixed.
type healthHistory struct {
	*rapid.T
	model   *Model
	checks  int
	version string
	tasks   map[string]*patient // by instance
	// publishers have what each has published and nobody has heard.
	publishers map[string][]marathon.Event
	reads      []*read
	wanted     bool
	now        time.Time
}

// patient is one instance with its task.
type patient struct {
	id, task string
	launch   int
	staged   time.Time
	sick     map[int]bool
	results  []*marathon.HealthCheckResult
	// succeeded is that a check ever has, by index; sum the last verdict on all.
	succeeded map[int]bool
	sum       marathon.Health
}

const grace = 30 * time.Second

func newHealthHistory(t *rapid.T) *healthHistory {
	tr := testTranslation()
	tr.Health = HealthMirror
	w := &healthHistory{
		T: t, model: New(tr), checks: rapid.SampledFrom([]int{1, 1, 2}).Draw(t, "checks"), version: "v1",
		tasks: map[string]*patient{}, publishers: map[string][]marathon.Event{}, now: start,
	}
	w.wanted = true
	return w
}

func (w *healthHistory) app() marathon.App {
	app := newApp("/a")
	for i := range w.checks {
		app.Definition.HealthChecks = append(app.Definition.HealthChecks, marathon.HealthCheck{
			Protocol: marathon.HealthHTTP, Path: fmt.Sprint("/", i), GracePeriod: grace, Interval: 10 * time.Second, Timeout: time.Second,
		})
	}
	for _, id := range slices.Sorted(maps.Keys(w.tasks)) {
		p := w.tasks[id]
		task := newTask(p.task, "/a")
		task.StagedAt = p.staged
		for _, r := range p.results {
			if r != nil {
				task.HealthCheckResults = append(task.HealthCheckResults, *r)
			}
		}
		app.Tasks = append(app.Tasks, task)
	}
	return app
}

func (w *healthHistory) tick() { w.now = w.now.Add(time.Millisecond) }

func (w *healthHistory) publish(publisher string, e marathon.Event) {
	w.publishers[publisher] = append(w.publishers[publisher], e)
}

func (w *healthHistory) meta() marathon.Meta { return marathon.Meta{Time: w.now} }

// launch starts the next task of an instance, which inherits all results.
func (w *healthHistory) launch(p *patient) {
	w.tick()
	p.launch++
	p.task = fmt.Sprintf("%s._app.%d", p.id, p.launch)
	p.staged = w.now
	if p.results == nil {
		p.results = make([]*marathon.HealthCheckResult, w.checks)
	}
	p.succeeded, p.sick = map[int]bool{}, map[int]bool{}
	w.tasks[p.id] = p
	w.tick()
	w.publish(p.id, marathon.TaskChanged{Meta: w.meta(), Task: newTask(p.task, "/a")})
}

func (w *healthHistory) start() {
	if len(w.tasks) < 3 {
		w.launch(&patient{id: fmt.Sprintf("a.instance-%08d-0000-0000-0000-000000000000", len(w.tasks)+1)})
	}
}

func (w *healthHistory) one() *patient {
	if len(w.tasks) == 0 {
		return nil
	}
	return w.tasks[rapid.SampledFrom(slices.Sorted(maps.Keys(w.tasks))).Draw(w.T, "task")]
}

func (w *healthHistory) crash() {
	if p := w.one(); p != nil {
		ended := newTask(p.task, "/a")
		ended.State = marathon.TaskFailed
		w.publish(p.id, marathon.TaskChanged{Meta: w.meta(), Task: ended})
		w.launch(p)
	}
}

func (w *healthHistory) sicken() {
	if p := w.one(); p != nil {
		n := rapid.IntRange(0, w.checks-1).Draw(w.T, "check")
		p.sick[n] = !p.sick[n]
	}
}

func (w *healthHistory) probe() {
	if p := w.one(); p != nil {
		w.probeCheck(p, rapid.IntRange(0, w.checks-1).Draw(w.T, "check"))
	}
}

// probeCheck is HealthCheckActor's work, and AppHealthCheckActor's.
func (w *healthHistory) probeCheck(p *patient, n int) {
	w.tick()
	r := p.results[n]
	if r == nil {
		r = &marathon.HealthCheckResult{}
	}
	next, was := *r, r.Alive
	switch {
	case !p.sick[n]:
		next.Alive, next.LastSuccess = true, w.now
	case !p.succeeded[n] && next.LastSuccess.IsZero() && w.now.Sub(p.staged) < grace:
	default:
		next.Alive, next.LastFailure = false, w.now
	}
	p.succeeded[n] = p.succeeded[n] || next.Alive
	p.results[n] = &next
	if next.Alive != was {
		w.publish(fmt.Sprint(p.id, n), marathon.HealthStatusChanged{Meta: w.meta(), AppID: "/a", InstanceID: p.id, Version: w.version, Alive: next.Alive})
	}
	sum := marathon.Healthy
	for _, r := range p.results {
		switch {
		case r == nil:
			sum = marathon.HealthUnknown
		case !r.Alive && sum == marathon.Healthy:
			sum = marathon.Unhealthy
		}
	}
	if sum != p.sum {
		p.sum = sum
		w.publish("sum "+p.id, marathon.InstanceHealthChanged{Meta: w.meta(), AppID: "/a", InstanceID: p.id, Version: w.version, Health: sum})
	}
}

// failOver forgets all results, and ends the stream.
func (w *healthHistory) failOver() {
	for _, p := range w.tasks {
		p.results, p.sum = make([]*marathon.HealthCheckResult, w.checks), marathon.HealthUnknown
		p.succeeded = map[int]bool{}
	}
	clear(w.publishers)
	w.wanted = true
	w.model.NoteGap()
}

func (w *healthHistory) hear() {
	var some []string
	for publisher, events := range w.publishers {
		if len(events) > 0 {
			some = append(some, publisher)
		}
	}
	if len(some) == 0 {
		return
	}
	slices.Sort(some)
	publisher := rapid.SampledFrom(some).Draw(w.T, "publisher")
	e := w.publishers[publisher][0]
	w.publishers[publisher] = w.publishers[publisher][1:]
	w.tick()
	w.follow(w.model.ApplyEvent(e, w.now))
}

// follow notes what a change asks for.
func (w *healthHistory) follow(e Effects) {
	w.wanted = w.wanted || len(e.Read)+len(e.ReadUnprompted)+len(e.ReadAgain) > 0
}

func (w *healthHistory) ask() {
	w.watch()
	if w.wanted && len(w.reads) < 2 {
		w.wanted = false
		r := &read{asked: w.model.BeginRead(), app: "/a"}
		if w.model.snapshot == 0 {
			r.app = ""
		}
		w.reads = append(w.reads, r)
	}
}

func (w *healthHistory) watch() (next time.Time) {
	apps, next := w.model.HealthReads(w.now)
	w.wanted = w.wanted || len(apps) > 0
	return next
}

func (w *healthHistory) answer() {
	if len(w.reads) == 0 {
		return
	}
	r := rapid.SampledFrom(w.reads).Draw(w.T, "read")
	if !r.answered {
		r.answered, r.apps = true, []marathon.App{w.app()}
		return
	}
	w.reads = slices.DeleteFunc(w.reads, func(other *read) bool { return other == r })
	w.tick()
	if r.app == "" {
		w.follow(w.model.ApplySnapshot(r.asked, marathonSnapshot(r.apps...), w.now, Alone))
	} else {
		w.follow(w.model.ApplyApp(r.asked, r.apps[0], w.now))
	}
}

// want has the app read for another reason, such as a deployment.
func (w *healthHistory) want() { w.wanted = true }

func (w *healthHistory) pass() { w.now = w.now.Add(7 * time.Second) }

// settle lets all be heard and read that is on its way, and time go by while the model
// waits for it.
func (w *healthHistory) settle() {
	for range 10_000 {
		busy := len(w.reads) > 0 || w.wanted
		for _, events := range w.publishers {
			busy = busy || len(events) > 0
		}
		if !busy {
			next := w.watch()
			switch {
			case w.wanted:
			case next.IsZero():
				return
			default:
				w.now = latest(w.now, next)
			}
		}
		w.hear()
		w.ask()
		w.answer()
	}
	w.Fatal("the model asks again and again")
}

func (w *healthHistory) verdicts() map[string]consul.Status {
	all := map[string]consul.Status{}
	for id, t := range w.model.tasks {
		if t.health != nil {
			all[id] = t.health.status
		}
	}
	return all
}

var healthSteps = []func(*healthHistory){
	(*healthHistory).start, (*healthHistory).crash, (*healthHistory).sicken, (*healthHistory).sicken,
	(*healthHistory).probe, (*healthHistory).probe, (*healthHistory).probe, (*healthHistory).probe,
	(*healthHistory).hear, (*healthHistory).hear, (*healthHistory).hear, (*healthHistory).ask, (*healthHistory).answer,
	(*healthHistory).answer, (*healthHistory).answer, (*healthHistory).pass, (*healthHistory).failOver,
	(*healthHistory).want, (*healthHistory).ask,
}

// In whatever order results, events and answers arrive, and whenever Marathon fails over:
// when all is told, the verdict on each task is the last one that Marathon has given, and
// one that has forgotten all changes none.
func TestTheVerdictIsMarathonsLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newHealthHistory(t)
		for range rapid.SampledFrom([]int{5, 20, 60, 200}).Draw(t, "length") {
			rapid.SampledFrom(healthSteps).Draw(t, "step")(w)
		}
		w.now = w.now.Add(time.Hour) // no grace any more
		for _, id := range slices.Sorted(maps.Keys(w.tasks)) {
			for n := range w.checks {
				w.probeCheck(w.tasks[id], n)
			}
		}
		w.settle()
		for _, p := range w.tasks {
			want := consul.Passing
			for _, sick := range p.sick {
				if sick {
					want = consul.Critical
				}
			}
			if have := w.verdicts()[p.task]; have != want {
				t.Fatalf("%s is %q, want %q: %+v", p.task, have, want, *w.model.tasks[p.task].health)
			}
		}
		if n, m := w.model.MirroredServices(), len(w.tasks); n != m || len(w.model.instances) != m {
			t.Fatalf("%d tasks with checks are counted, and %d instances, want %d", n, len(w.model.instances), m)
		}
		before := w.verdicts()
		w.failOver()
		w.ask()
		w.answer()
		w.answer()
		if after := w.verdicts(); !maps.Equal(before, after) {
			t.Fatalf("a failover has changed verdicts: %v, then %v", before, after)
		}
		if n := len(w.model.journal.health); len(w.reads) == 0 && n > 0 {
			t.Fatalf("no read is open, and the journal keeps %d events", n)
		}
	})
}

package simulator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// Story is what the demo shows: a dozen apps that are created, scaled,
// relabelled and restarted, that crash, vanish and return, until told to stop.
// Its course follows from Config.Seed.
type Story struct {
	// Pause is the time between two acts; 2 s when zero.
	Pause time.Duration
	// Tell is told each act in a few words; nil for a silent story.
	Tell func(act string)
}

// HumanPace is a pace that a watcher can follow: some tenths of a second
// between STAGING and RUNNING, and between KILLING and KILLED.
func HumanPace() Pace {
	return Pace{
		Step: 50 * time.Millisecond, Swap: 80 * time.Millisecond,
		Offer: 200 * time.Millisecond, Start: 300 * time.Millisecond, Run: 500 * time.Millisecond,
		Killing: 100 * time.Millisecond, Kill: 700 * time.Millisecond, Relaunch: time.Second,
	}
}

// act is one turn of the story. It returns what it did, "" when it found
// nothing to do.
type act func(*teller) (string, error)

// teller is a story being told.
type teller struct {
	*Marathon
	random *rand.Rand
	// away are apps of the cast that are not on stage.
	away []App
}

// Run tells the story to a Marathon that is being run by Run or Serve. It
// returns nil when ctx ends.
func (s Story) Run(ctx context.Context, m *Marathon) error {
	t := &teller{Marathon: m, random: rand.New(rand.NewPCG(m.config.Seed, 3)), away: cast()}
	for len(t.away) > 0 {
		if err := s.play(t, (*teller).enter); err != nil || !pause(ctx, s.pause()/4) {
			return err
		}
	}
	for pause(ctx, s.pause()) {
		if err := s.play(t, t.choose()); err != nil {
			return err
		}
	}
	return nil
}

func (s Story) pause() time.Duration {
	if s.Pause == 0 {
		return 2 * time.Second
	}
	return s.Pause
}

// play plays one act. That an app is busy or gone spoils the act, not the story.
func (s Story) play(t *teller, a act) error {
	did, err := a(t)
	if err != nil && !errors.Is(err, ErrLocked) && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("tell the story: %w", err)
	}
	if err == nil && did != "" && s.Tell != nil {
		s.Tell(did)
	}
	return nil
}

// choose picks an act; what happens often in a cluster is listed more often.
func (t *teller) choose() act {
	acts := []act{
		(*teller).scale, (*teller).scale, (*teller).scale,
		(*teller).crash, (*teller).crash, (*teller).crash,
		(*teller).relabel, (*teller).relabel,
		(*teller).restart, (*teller).lose,
		(*teller).leave, (*teller).enter,
	}
	return acts[t.random.IntN(len(acts))]
}

func (t *teller) enter() (string, error) {
	if len(t.away) == 0 {
		return "", nil
	}
	app := t.away[0]
	t.away = t.away[1:]
	return "create " + app.ID, t.Create(app)
}

func (t *teller) leave() (string, error) {
	app, ok := t.idle()
	if !ok || len(t.away) > 2 {
		return "", nil
	}
	t.away = append(t.away, app)
	return "destroy " + app.ID, t.Destroy(app.ID)
}

func (t *teller) scale() (string, error) {
	app, ok := t.idle()
	if !ok {
		return "", nil
	}
	instances := 1 + t.random.IntN(4)
	return fmt.Sprintf("scale %s from %d to %d", app.ID, app.Instances, instances), t.Scale(app.ID, instances)
}

// relabel announces a release, as a deployment tool would.
func (t *teller) relabel() (string, error) {
	app, ok := t.idle()
	if !ok {
		return "", nil
	}
	labels := maps.Clone(app.Labels)
	labels["release"] = fmt.Sprintf("2.%d.%d", t.random.IntN(10), t.random.IntN(20))
	return fmt.Sprintf("label %s release=%s", app.ID, labels["release"]), t.Relabel(app.ID, labels)
}

func (t *teller) restart() (string, error) {
	app, ok := t.idle()
	if !ok {
		return "", nil
	}
	return "restart " + app.ID, t.Restart(app.ID)
}

func (t *teller) crash() (string, error) {
	task, ok := t.running()
	if !ok {
		return "", nil
	}
	return fmt.Sprintf("crash %s on %s", task.ID, task.Host), t.Crash(task.ID)
}

func (t *teller) lose() (string, error) {
	task, ok := t.running()
	if !ok {
		return "", nil
	}
	return fmt.Sprintf("lose %s on %s", task.ID, task.Host), t.Unreachable(task.ID)
}

// idle picks an app that no deployment is changing.
func (t *teller) idle() (App, bool) {
	busy := map[string]bool{}
	for _, d := range t.Deployments() {
		for _, id := range d.IDs {
			busy[id] = true
		}
	}
	apps := slices.DeleteFunc(t.Apps(), func(a App) bool { return busy[a.ID] })
	if len(apps) == 0 {
		return App{}, false
	}
	return apps[t.random.IntN(len(apps))], true
}

// running picks a task that runs, of an app that no deployment is changing.
func (t *teller) running() (Task, bool) {
	app, ok := t.idle()
	if !ok {
		return Task{}, false
	}
	tasks := slices.DeleteFunc(t.Tasks(app.ID), func(task Task) bool { return task.State != "TASK_RUNNING" })
	if len(tasks) == 0 {
		return Task{}, false
	}
	return tasks[t.random.IntN(len(tasks))], true
}

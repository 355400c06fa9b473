package desired

import (
	"slices"
	"testing"

	"consular/marathon"
)

// recordedStreams are the recorded streams and the answers that were recorded beside
// them, in the order in which they were asked for.
var recordedStreams = map[string][]string{
	"agent-lost":           {"agent-lost-app.json"},
	"bridge":               {"bridge-app.json"},
	"bulk":                 nil,
	"cancel-deployment":    {"cancel-deployment-app.json"},
	"container":            {"container-app.json"},
	"crash":                {"crash-app-failed.json"},
	"create":               {"create-app-no-tasks.json", "create-app-staging.json", "create-app-running.json", "create-apps.json"},
	"destroy":              nil,
	"expunge":              {"expunge-app-after.json"},
	"group":                nil,
	"kill-task":            nil,
	"killing":              {"killing-app.json"},
	"marathon-health":      {"marathon-health-app-healthy.json", "marathon-health-app-relaunched.json"},
	"mesos-health":         {"mesos-health-app-healthy.json", "mesos-health-app-unhealthy.json"},
	"no-task-killing":      nil,
	"noop":                 nil,
	"patch":                nil,
	"pod":                  nil,
	"pod-update":           nil,
	"relabel":              {"relabel-apps.json"},
	"relabel-suspended":    nil,
	"restart":              nil,
	"rollback":             {"rollback-app-stuck.json", "rollback-app-after.json"},
	"scale-down":           nil,
	"scale-up":             {"scale-up-apps.json"},
	"states":               {"states-app-finished.json", "states-app-lost.json", "states-app-gone.json", "states-app-gone-by-operator.json", "states-app-dropped.json", "states-app-error.json", "states-app-unknown.json"},
	"surplus":              {"surplus-app-three-of-two.json"},
	"suspend":              {"suspend-apps.json"},
	"unreachable":          {"unreachable-app-expunged.json"},
	"unreachable-strategy": {"unreachable-strategy-app-unreachable.json", "unreachable-strategy-app-inactive.json", "unreachable-strategy-app-back.json"},
	"upgrade":              {"upgrade-apps-during.json"},
	"utf8":                 {"utf8-app.json"},
}

// lastAnswerIsTheEnd lists the recordedStreams in which nothing happened after the last
// answer: the model must end with exactly what it says.
var lastAnswerIsTheEnd = []string{
	"create", "relabel", "scale-up", "rollback", "unreachable-strategy",
}

// player lets a model live through a recording. Reads are answered when the
// given number of events has gone by since they were asked for.
type player struct {
	*replayed
	model *Model
	delay int
	reads []pendingRead
	// snapshots counts the resyncs that the model asked for.
	snapshots int
}

// pendingRead is a read with the answer as it was when it was asked for.
type pendingRead struct {
	asked Ticket
	id    string
	app   marathon.App
	isApp bool
	wait  int
}

func newPlayer(m *replayed, delay int) *player {
	p := &player{replayed: m, model: New(testTranslation()), delay: delay}
	p.resync()
	return p
}

func (p *player) resync() {
	asked := p.model.BeginRead()
	p.follow(p.model.ApplySnapshot(asked, marathonSnapshot(p.snapshot()...), start, Alone))
	p.snapshots++
}

// follow begins what a change asks for.
func (p *player) follow(e Effects) {
	for _, v := range e.Definitions {
		p.follow(p.model.ApplyDefinition(v, p.define(v), false))
	}
	for _, id := range slices.Concat(e.Read, e.ReadUnprompted, e.ReadAgain) {
		app, isApp := p.app(id)
		p.reads = append(p.reads, pendingRead{asked: p.model.BeginRead(), id: id, app: app, isApp: isApp, wait: p.delay})
	}
	if e.Resync != "" {
		p.resync()
	}
}

func (p *player) play(e marathon.Event) {
	p.hear(e)
	p.follow(p.model.ApplyEvent(e, start))
	p.answer(1)
}

// answer lets so many events go by.
func (p *player) answer(gone int) {
	for i := range p.reads {
		p.reads[i].wait -= gone
	}
	for rounds := 0; len(p.reads) > 0 && p.reads[0].wait <= 0; rounds++ {
		r := p.reads[0]
		p.reads = p.reads[1:]
		if r.isApp {
			p.follow(p.model.ApplyApp(r.asked, r.app, start))
		} else {
			p.follow(p.model.ApplyNotFound(r.asked, r.id, start))
		}
	}
}

// settle answers everything that is asked for, however long ago.
func (p *player) settle(t *testing.T) {
	t.Helper()
	for range 100 {
		if len(p.reads) == 0 {
			return
		}
		p.answer(p.delay + 1)
	}
	t.Fatal("the model asks again and again")
}

func (p *player) check(t *testing.T, when string, apps []marathon.App) {
	t.Helper()
	if diff := snapshotOf(p.model).diff(snapshotOfApps(apps, p.define)); diff != "" {
		t.Errorf("%s: %s", when, diff)
	}
}

func answersOf(t *testing.T, stream string) [][]marathon.App {
	t.Helper()
	var answers [][]marathon.App
	for _, file := range recordedStreams[stream] {
		answers = append(answers, readAnswer(t, file))
	}
	return answers
}

// The model lives through every recorded stream, with reads answered at once and
// late, and ends with what Marathon says then.
func TestRecordedScenes(t *testing.T) {
	library := readLibrary(t)
	for _, stream := range sortedKeys(recordedStreams) {
		t.Run(stream, func(t *testing.T) {
			events, answers := readStream(t, stream+".crlf.sse"), answersOf(t, stream)
			for _, delay := range []int{0, 1, 3, 10} {
				p := newPlayer(newReplayed(library, events, answers), delay)
				for _, e := range events {
					p.play(e.Event)
				}
				p.settle(t)
				p.check(t, "end", p.snapshot())
				if slices.Contains(lastAnswerIsTheEnd, stream) {
					p.check(t, "last answer", answers[len(answers)-1])
				}
				if p.snapshots > 1 {
					t.Errorf("the model asked for %d resyncs: this stream tells everything", p.snapshots-1)
				}
			}
		})
	}
}

// For every answer that was recorded during a stream there is a moment at which
// the model says exactly that, and these moments are in the answers' order.
func TestModelPassesThroughRecordedAnswers(t *testing.T) {
	library := readLibrary(t)
	for _, stream := range sortedKeys(recordedStreams) {
		t.Run(stream, func(t *testing.T) {
			events, answers := readStream(t, stream+".crlf.sse"), answersOf(t, stream)
			p := newPlayer(newReplayed(library, events, answers), 0)
			seen := 0
			for _, e := range events {
				p.play(e.Event)
				for seen < len(answers) && snapshotOf(p.model).diff(snapshotOfApps(answers[seen], p.define)) == "" {
					seen++
				}
			}
			if seen < len(answers) {
				t.Errorf("never what %s says; at the end: %s", recordedStreams[stream][seen],
					snapshotOf(p.model).diff(snapshotOfApps(answers[seen], p.define)))
			}
		})
	}
}

// However early a stream breaks off, a resync makes good what was missed.
func TestRecordedScenesCutOff(t *testing.T) {
	library := readLibrary(t)
	for _, stream := range sortedKeys(recordedStreams) {
		t.Run(stream, func(t *testing.T) {
			events, answers := readStream(t, stream+".crlf.sse"), answersOf(t, stream)
			for cut := range events {
				p := newPlayer(newReplayed(library, events, answers), 2)
				for i, e := range events {
					if i <= cut {
						p.play(e.Event)
					} else {
						p.hear(e.Event)
					}
				}
				p.resync()
				p.settle(t)
				p.check(t, "after a resync", p.snapshot())
				if slices.Contains(lastAnswerIsTheEnd, stream) {
					p.check(t, "last answer", answers[len(answers)-1])
				}
				if t.Failed() {
					t.Fatalf("cut off after event %d", cut+1)
				}
			}
		})
	}
}

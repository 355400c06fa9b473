package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile"
)

// permit is open when a test says so.
type permit struct {
	mu    sync.Mutex
	open  bool
	while map[*context.CancelFunc]bool
}

func (p *permit) Sure() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

func (p *permit) Guard(ctx context.Context) (context.Context, context.CancelFunc, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	if !p.open {
		return ctx, cancel, false
	}
	p.while[&cancel] = true
	return ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.while, &cancel)
		cancel()
	}, true
}

func newPermit() *permit { return &permit{while: map[*context.CancelFunc]bool{}} }

func (p *permit) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = false
	for cancel := range p.while {
		(*cancel)()
	}
	clear(p.while)
}

func (p *permit) unlock(r *reconcile.Reconciler) {
	p.mu.Lock()
	p.open = true
	p.mu.Unlock()
	r.Opened()
}

// standby is a cluster whose consular may not write yet.
func (x *fakeCluster) standby() *permit {
	p := newPermit()
	x.config.Permit = p
	x.connect()
	return p
}

// dials counts the requests to all agents.
func (x *fakeCluster) dials() (n int) {
	for _, a := range x.agents {
		n += a.dialled()
	}
	return n
}

func killed(host, app, id string) marathon.Task {
	t := taskOn(host, app, id)
	t.State = marathon.TaskKilled
	return t
}

func TestStandbyListensAndAsksConsulForNothing(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = time.Minute
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a1"), appOn(h2, "/b", "b1")}
		asked := 0
		x.token = func(context.Context) (string, error) {
			asked++
			return "", errors.New("no way to Consul")
		}
		p := x.standby()
		for i := range 100 {
			x.tells(taskOn(h1, "/a", fmt.Sprint("new", i)))
			x.tells(killed(h1, "/a", fmt.Sprint("new", i)))
			time.Sleep(3 * time.Second)
		}
		x.Disconnected("closed")
		time.Sleep(time.Minute)
		if n := x.dials(); n != 0 || len(x.kv.keys) != 0 || asked != 0 {
			x.Errorf("made %d requests to agents, asked %d times for the token's name, and has %d keys", n, asked, len(x.kv.keys))
		}
		if n := x.log.count(""); n > x.marathon.count() {
			x.Errorf("said %d lines in %d resyncs:\n%s", n, x.marathon.count(), x.log)
		}
		x.Connected()
		x.marathon.set(func(m *fakeMarathon) { m.apps[0] = appOn(h1, "/a", "a1", "a2") })
		x.tells(taskOn(h1, "/a", "a2"))
		x.tells(killed(h2, "/b", "b1"))
		x.marathon.set(func(m *fakeMarathon) { m.apps[1] = appOn(h2, "/b") })
		time.Sleep(time.Minute)

		p.unlock(x.Reconciler)
		time.Sleep(time.Second)
		x.wants(h1, "a1", "a2")
		x.wants(h2)
		x.wantsKeys("a", "b")
		// And one more look, when whoever wrote before has surely ended.
		lists, _ := x.agents[h1].asked("")
		time.Sleep(28 * time.Second)
		if now, _ := x.agents[h1].asked(""); now != lists {
			x.Errorf("listed %d times in between", now-lists)
		}
		time.Sleep(2 * time.Second)
		if now, _ := x.agents[h1].asked(""); now != lists+1 {
			x.Errorf("listed %d times after 30 s", now-lists)
		}
	}, h1, h2)
}

// The look at the end comes 30 s later, however many there are before.
func TestLookAfterTakeoverIsNotServedByOneBefore(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = 7 * time.Second
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a1")}
		x.standby().unlock(x.Reconciler)
		time.Sleep(40 * time.Second)
		if x.log.count(`after takeover`) != 1 {
			x.Errorf("no resync for it:\n%s", x.log)
		}
	}, h1)
}

// What the former leader had under way may arrive on a host that nobody names any more: the look
// at the end goes there too.
func TestLookAfterTakeoverIsEverywhere(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.config.SyncInterval = 5 * time.Minute
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a1")}
		x.standby().unlock(x.Reconciler)
		time.Sleep(5 * time.Second)
		x.wants(h1, "a1")
		x.agents[h2].set(func(a *fakeAgent) {
			late := x.agents[h1].services["a1"]
			late.ID, late.Meta = "a0", maps.Clone(late.Meta)
			late.Meta[consul.MetaTask] = "a0"
			a.services["a0"] = late
		})
		time.Sleep(40 * time.Second)
		x.wants(h2)
	}, h1, h2)
}

// What was lost one by one while nothing could be written is one set when it can be:
// then it is as if all of it were heard now.
func TestTakeoverJudgesAllThatIsLostAsOne(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		var tasks []string
		for i := range 20 {
			tasks = append(tasks, fmt.Sprintf("t%02d", i))
		}
		x.marathon.apps = []marathon.App{appOn(h1, "/a", tasks...)}
		p := x.standby()
		p.unlock(x.Reconciler)
		time.Sleep(time.Minute)
		x.wants(h1, tasks...)
		p.shut()
		for i, id := range tasks[:12] {
			time.Sleep(2 * time.Minute)
			lost := taskOn(h1, "/a", id)
			lost.State = marathon.TaskUnreachable
			x.marathon.set(func(m *fakeMarathon) { m.apps[0].Tasks[i] = lost })
			x.tells(lost)
		}
		if x.log.count("held back") != 0 {
			x.Errorf("speaks of what it holds back while it writes nothing:\n%s", x.log)
		}
		p.unlock(x.Reconciler)
		time.Sleep(time.Minute)
		x.wants(h1, tasks...)
		if x.log.count("removals are held back") != 1 {
			x.Errorf("does not say so:\n%s", x.log)
		}
		time.Sleep(3 * time.Minute) // nearly confirmed
		p.shut()
		time.Sleep(2 * time.Minute)
		p.unlock(x.Reconciler)
		time.Sleep(4 * time.Minute)
		x.wants(h1, tasks...)
		time.Sleep(2 * time.Minute)
		x.wants(h1, tasks[12:]...)
	}, h1)
}

// Whoever tells that something may be written again may be slow, for he writes to the log. Before
// he has, nothing is written that waited: others may have written meanwhile.
func TestNothingThatWaitedIsWrittenBeforeTheTakeover(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a1", "a2")}
		x.agents[h1].set(func(a *fakeAgent) { a.refuses = []string{"a2"} })
		p := x.standby()
		p.unlock(x.Reconciler)
		time.Sleep(10 * time.Second) // a2 is tried again after a minute
		x.wants(h1, "a1")
		x.agents[h1].set(func(a *fakeAgent) { a.refuses = nil })
		p.shut()
		x.Closed()
		p.mu.Lock()
		p.open = true
		p.mu.Unlock()
		time.Sleep(3 * time.Minute)
		x.wants(h1, "a1")
		x.Opened()
		time.Sleep(time.Second)
		x.wants(h1, "a1", "a2")
	}, h1)
}

// What another has written meanwhile is seen, and what an agent's silence was is forgotten.
func TestTakeoverTrustsNothingThatItKnew(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a1"), appOn(h2, "/b", "b1")}
		p := x.standby()
		p.unlock(x.Reconciler)
		time.Sleep(time.Minute)
		x.agents[h2].set(func(a *fakeAgent) { a.gone = true })
		x.tells(taskOn(h2, "/b", "b2"))
		time.Sleep(10 * time.Minute) // its worker rests for up to 30 s between tries
		p.shut()
		time.Sleep(time.Minute)
		tries := x.agents[h2].dialled()
		time.Sleep(time.Minute)
		if now := x.agents[h2].dialled(); now != tries {
			x.Errorf("tried %d times while nothing may be written", now-tries)
		}
		x.marathon.set(func(m *fakeMarathon) {
			m.apps = []marathon.App{appOn(h1, "/a", "a1"), appOn(h2, "/b", "b1", "b2")}
		})
		x.agents[h1].set(func(a *fakeAgent) { clear(a.services) }) // as another copy may have
		x.agents[h2].set(func(a *fakeAgent) { a.gone = false })
		p.unlock(x.Reconciler)
		x.tells(taskOn(h1, "/a", "a1"))
		time.Sleep(time.Second)
		x.wants(h1, "a1")
		x.wants(h2, "b1", "b2")
	}, h1, h2)
}

// stuckAgent does what it is told, and answers when the request is given up.
type stuckAgent struct {
	*fakeAgent
	asked chan struct{}
}

func (a stuckAgent) Register(ctx context.Context, s consul.Service) error {
	close(a.asked)
	<-ctx.Done()
	if err := a.fakeAgent.Register(context.WithoutCancel(ctx), s); err != nil {
		return err
	}
	return ctx.Err()
}

// A write that is under way is given up, nobody is told of a failure, and the agent is not
// left alone because of it.
func TestWriteIsGivenUpWhenNothingMayBeWritten(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a1", "a2", "a3")}
		stuck := stuckAgent{x.agents[h1], make(chan struct{})}
		p := newPermit()
		x.config.Permit = p
		consulOf := func(host string) (reconcile.Agent, error) {
			if host == h1 {
				return stuck, nil
			}
			return x.agent(host)
		}
		var writes []reconcile.Write
		x.config.Listeners = []func(reconcile.Notice){func(n reconcile.Notice) {
			if n.Write != nil {
				writes = append(writes, *n.Write)
			}
		}}
		x.Reconciler = reconcile.New(x.config, x.marathon, reconcile.Consul{Agent: consulOf, Labels: x.labels, Catalog: x.catalog})
		ctx, stop := context.WithCancel(x.Context())
		ended := make(chan error)
		go func() { ended <- x.Reconciler.Run(ctx) }()
		x.Connected()
		p.unlock(x.Reconciler)
		<-stuck.asked
		time.Sleep(time.Second) // the labels are written
		p.shut()
		time.Sleep(time.Minute)
		x.wants(h1, "a1")
		for _, words := range []string{"failed: left alone", "works again", "refused"} {
			if x.log.count(words) != 0 {
				x.Errorf("says %q:\n%s", words, x.log)
			}
		}
		if x.log.count(`"failed":3`) != 1 {
			x.Errorf("the resync that was broken off does not say what it left:\n%s", x.log)
		}
		stop()
		if err := <-ended; err != nil {
			x.Error(err)
		}
		if len(writes) != 2 || writes[0].Outcome == writes[1].Outcome { // that, and the labels
			x.Errorf("told of %v", writes)
		}
	}, h1)
}

package consul

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
)

// standIn is Consul as a lock sees it, in memory and in a bubble's time: one key, and
// sessions that die as Consul's do, after twice their TTL, and leave a delay.
type standIn struct {
	mu       sync.Mutex
	serial   int
	sessions map[string]*standInSession
	// held is the session that holds the key, and name its value.
	held, name string
	index      uint64
	freeAt     time.Time
	// changed is closed with each change of the key.
	changed chan struct{}
	// answers counts what was applied, by request.
	answers map[string]int
	// stopped is a server under SIGSTOP, leaderless one without a quorum.
	stopped    *gate
	leaderless bool
}

type standInSession struct {
	ttl, delay time.Duration
	timer      *time.Timer
}

func newStandIn() *standIn {
	return &standIn{
		sessions: map[string]*standInSession{}, index: 1, changed: make(chan struct{}),
		answers: map[string]int{}, stopped: newGate(),
	}
}

// gate holds up who passes while it is shut. (Waiting for a mutex would stop the
// bubble's time.)
type gate struct {
	mu sync.Mutex
	// opened is closed when the gate is opened; nil while it is open.
	opened chan struct{}
}

func newGate() *gate { return &gate{} }

func (g *gate) pass() {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	if opened != nil {
		<-opened
	}
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		g.opened = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened != nil {
		close(g.opened)
		g.opened = nil
	}
}

func (g *gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened != nil
}

func (s *standIn) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *standIn) touch() {
	s.index++
	close(s.changed)
	s.changed = make(chan struct{})
}

// invalidate ends a session; with mu held.
func (s *standIn) invalidate(id string) {
	session, ok := s.sessions[id]
	if !ok {
		return
	}
	session.timer.Stop()
	delete(s.sessions, id)
	if s.held == id {
		s.held, s.freeAt = "", time.Now().Add(session.delay)
		s.touch()
	}
}

func (s *standIn) create(ttl, delay time.Duration) string {
	s.serial++
	id := fmt.Sprintf("session-%d", s.serial)
	s.sessions[id] = &standInSession{ttl: ttl, delay: delay, timer: time.AfterFunc(2*ttl, func() {
		s.stopped.pass()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.invalidate(id)
	})}
	return id
}

func (s *standIn) renew(id string) error {
	session, ok := s.sessions[id]
	if !ok {
		return api.StatusError{Code: 404, Body: "Session id '" + id + "' not found"}
	}
	session.timer.Reset(2 * session.ttl)
	return nil
}

func (s *standIn) acquire(id, name string) (bool, error) {
	switch {
	case s.sessions[id] == nil:
		return false, api.StatusError{Code: 500, Body: "invalid session"}
	case s.held == id:
		return true, nil
	case s.held != "" || time.Now().Before(s.freeAt):
		return false, nil
	}
	s.held, s.name = id, name
	s.touch()
	return true, nil
}

func (s *standIn) release(id string) {
	if s.held == id {
		s.held = ""
		s.touch()
	}
	s.invalidate(id)
}

// remove is somebody's `consul kv delete`: nobody holds it then, and there is no delay.
func (s *standIn) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.freeAt = "", time.Time{}
	s.touch()
}

// weather is what becomes of a copy's requests.
type weather struct {
	// there and back are how long a request and its answer are on their way.
	there, back time.Duration
	// loseRequests and loseAnswers lose them, refuse is a connection refused.
	loseRequests, loseAnswers, refuse bool
	// forbid is an ACL that was taken away.
	forbid bool
}

// link is the way from one copy to the stand-in.
type link struct {
	*standIn
	name string
	// running is shut while the copy is stopped.
	running *gate

	state   sync.Mutex
	weather weather
	// dead is set when the copy was killed: it asks nothing any more.
	dead bool
}

func (l *link) set(change func(*link)) {
	l.state.Lock()
	defer l.state.Unlock()
	change(l)
}

var (
	errKilled            = errors.New("the copy was killed")
	errRefusedConnection = errors.New("connection refused")
	errNoLeader          = api.StatusError{Code: 500, Body: "No cluster leader"}
)

// ask carries a request there and its answer back. Once sent, it is applied whether
// somebody waits for it still or not.
func (l *link) ask(ctx context.Context, what string, apply func() error) error {
	l.running.pass()
	l.state.Lock()
	w, dead := l.weather, l.dead
	l.state.Unlock()
	answer := make(chan error, 1)
	switch {
	case dead:
		return errKilled
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case w.refuse:
		return errRefusedConnection
	case w.forbid:
		return api.StatusError{Code: 403, Body: "Permission denied"}
	case !w.loseRequests:
		time.AfterFunc(w.there, func() {
			err := l.serve(what, apply)
			if !w.loseAnswers {
				time.AfterFunc(w.back, func() { answer <- err })
			}
		})
	}
	select {
	case err := <-answer:
		l.running.pass()
		return err
	case <-ctx.Done():
		l.running.pass()
		return context.Cause(ctx)
	}
}

// serve is the server's part.
func (l *link) serve(what string, apply func() error) error {
	l.stopped.pass()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leaderless {
		return errNoLeader
	}
	l.answers[what]++
	return apply()
}

func (l *link) create(ctx context.Context, ttl, delay time.Duration) (session string, err error) {
	made := make(chan string, 1)
	err = l.ask(ctx, "create", func() error {
		made <- l.standIn.create(ttl, delay)
		return nil
	})
	if err == nil {
		session = <-made
	}
	return session, err
}

func (l *link) renew(ctx context.Context, session string) error {
	return l.ask(ctx, "renew", func() error { return l.standIn.renew(session) })
}

func (l *link) acquire(ctx context.Context, session string) (bool, error) {
	made := make(chan bool, 1)
	err := l.ask(ctx, "acquire", func() error {
		ok, err := l.standIn.acquire(session, l.name)
		made <- ok
		return err
	})
	return err == nil && <-made, err
}

func (l *link) release(ctx context.Context, session string) error {
	return l.ask(ctx, "release", func() error {
		l.standIn.release(session)
		return nil
	})
}

func (l *link) look(ctx context.Context, index uint64, wait time.Duration) (holder, error) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for over := false; ; {
		seen := make(chan holder, 1)
		var changed chan struct{}
		err := l.ask(ctx, "look", func() error {
			h := holder{session: l.held, index: l.index}
			if h.session != "" {
				h.name = l.standIn.name
			}
			changed = l.changed
			seen <- h
			return nil
		})
		if err != nil {
			return holder{}, err
		}
		if h := <-seen; over || h.index > index {
			return h, nil
		}
		select {
		case <-changed:
		case <-deadline.C:
			over = true
		case <-ctx.Done():
			return holder{}, context.Cause(ctx)
		}
	}
}

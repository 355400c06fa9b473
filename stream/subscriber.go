package stream

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"consular/marathon"
	"consular/marathon/transport"
)

// Handler is told what the stream says. Its methods are called one at a time,
// from the goroutine of Run, and must not block: while one runs nothing is
// read, and Marathon drops a client that has 1,024 events outstanding.
//
// Connected and Disconnected alternate. The first of them may be either: a
// Disconnected comes first when the first attempt fails. Neither is called
// when Run ends because its context did. Whatever is passed to Disconnected and
// Missed has been logged.
type Handler interface {
	// Connected says that a subscription exists, made through the given master
	// (its configured URL, without credentials). It is called when the first
	// event has been read, before that event is delivered, even when that event
	// is not delivered at all.
	Connected(master string)
	// Event delivers one event. After Connected, and before Disconnected.
	Event(event marathon.Event)
	// Missed says that an event was missed though the connection lives
	// (Oversize, Undecodable), in its place among the events.
	Missed(gap Gap)
	// Disconnected says that nothing is heard from now on. It is called once per
	// outage: when a subscription ends, or else at the first attempt that fails.
	Disconnected(gap Gap)
}

// Subscriber keeps one subscription alive.
type Subscriber struct {
	config    Config
	masters   []master
	wanted    map[string]bool // empty: every type
	transport marathon.Transport
	handler   Handler
	// again ends the wait before the next attempt.
	again chan struct{}
	// unheard is the last leader of a standby that could not be heard.
	unheard unheard
	// wall is the wall clock.
	wall func() time.Time
}

// New returns a Subscriber, or an error that names the option that is wrong.
func New(c Config, handler Handler) (*Subscriber, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	s := &Subscriber{config: c, transport: c.Transport, handler: handler, wanted: map[string]bool{}, again: make(chan struct{}, 1), wall: time.Now}
	for _, kind := range c.EventTypes {
		s.wanted[kind] = true
	}
	for _, u := range c.URLs {
		s.masters = append(s.masters, newMaster(u, c.EventTypes))
	}
	if s.transport != nil {
		return s, nil
	}
	var err error
	s.transport, err = transport.New(transport.Config{Connect: c.Timeout, Head: 3 * c.Timeout})
	if err != nil {
		return nil, fmt.Errorf("transport for --marathon: %w", err)
	}
	return s, nil
}

// Run subscribes, and subscribes again whenever it loses the subscription,
// until ctx ends. It returns nil then, with nothing left running.
func (s *Subscriber) Run(ctx context.Context) error {
	report := newReport(s.config.Log, s.handler)
	pace := newRetry(time.Now())
	for next := 0; ; {
		next = s.round(ctx, report, pace, next)
		if !s.wait(ctx, pace.next(time.Now())) {
			return nil
		}
	}
}

// TryAgain ends the wait before the next attempt, or else the next wait: what
// Marathon has refused may be another credential now. Any goroutine may call it.
func (s *Subscriber) TryAgain() {
	select {
	case s.again <- struct{}{}:
	default:
	}
}

// wait waits for d at most. It returns false, and at once, when ctx ends.
func (s *Subscriber) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-s.again:
	}
	return true
}

// round tries the masters in turn, beginning with the given one, each at most
// once and without a wait, until one was heard. It returns the one to begin the
// next round with: the one that worked last.
func (s *Subscriber) round(ctx context.Context, report *report, pace *retry, first int) int {
	for i := range s.masters {
		at := (first + i) % len(s.masters)
		c := newConnection(s, s.masters[at], report)
		gap := c.listen(ctx)
		switch {
		case ctx.Err() != nil:
			return at
		case c.heard():
			report.disconnected(c, gap)
			pace.lost(c.connected, time.Now())
			return at
		}
		report.failed(c, gap)
	}
	return first
}

// wants reports whether events of a type are delivered. Marathon before 1.3.7
// knows no filter and sends all.
func (s *Subscriber) wants(kind string) bool {
	return len(s.wanted) == 0 || s.wanted[kind]
}

// master is one configured Marathon.
type master struct {
	// name is its URL, without credentials.
	name string
	// events is where its event stream is, without credentials.
	events *url.URL
	// authorization is the header that its URL's credentials make, or "".
	authorization string
}

func newMaster(u *url.URL, types []string) master {
	m := master{name: bare(u).String(), events: bare(u).JoinPath("v2", "events")}
	// Plans in full hold every app of the cluster twice. Versions that do not
	// know these parameters ignore them.
	query := url.Values{"plan-format": {"light"}}
	if len(types) > 0 {
		query["event_type"] = types
	}
	m.events.RawQuery = query.Encode()
	if u.User != nil {
		password, _ := u.User.Password()
		basic := http.Request{Header: http.Header{}}
		basic.SetBasicAuth(u.User.Username(), password)
		m.authorization = basic.Header.Get("Authorization")
	}
	return m
}

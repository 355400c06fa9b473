package stream

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"sync"
	"time"

	"consular/marathon"

	"github.com/cenkalti/backoff/v5"
	"github.com/r3labs/sse/v2"
)

// connection is one attempt at one master, with the stream it leads to.
type connection struct {
	*Subscriber
	master master
	report *report
	watch  *watch
	// began is when the attempt did, connected when the first event was read.
	began, connected time.Time
	// body is the stream, once one was accepted.
	body *wholeEvents
	// redirect is the Location that a standby answered, or "".
	redirect string
	// proxied is set when the master is a standby that passes its leader's stream
	// on, as those before 1.7 do.
	proxied bool
	// leader is the host and port of the leader, "" when nobody said.
	leader string
}

func newConnection(s *Subscriber, m master, report *report) *connection {
	return &connection{Subscriber: s, master: m, report: report, began: time.Now()}
}

// heard reports whether the subscription existed.
func (c *connection) heard() bool { return !c.connected.IsZero() }

// listen delivers events until the connection ends, and says why it did. A
// standby's redirect is followed by hand, one hop: net/http would drop the
// credentials, or take them where they do not belong.
func (c *connection) listen(ctx context.Context) Gap {
	gap := c.subscribe(ctx, c.master.events)
	if c.redirect != "" {
		gap = c.follow(ctx)
	}
	if c.proxied && !c.heard() && ctx.Err() == nil {
		c.unheard = unheard{c.leader, time.Now()}
		gap.Err = c.transport.Conceal(gap)
		c.report.passedOn(c, gap)
		gap = c.subscribe(ctx, c.master.events)
	}
	gap.Master, gap.Err = c.master.name, c.transport.Conceal(gap.Err)
	return gap
}

// shown returns a word of the other side's as a log may have it.
func (c *connection) shown(word string) string {
	if word == "" {
		return ""
	}
	return c.transport.Conceal(errors.New(word)).Error()
}

// missed tells of an event that was not read.
func (c *connection) missed(gap Gap) {
	gap.Master, gap.Event, gap.Err = c.master.name, c.shown(gap.Event), c.transport.Conceal(gap.Err)
	c.report.missed(gap)
}

func (c *connection) follow(ctx context.Context) Gap {
	leader, err := leaderEvents(c.master.events, c.redirect)
	if err != nil {
		return Gap{Cause: Refused, Err: err}
	}
	c.leader = c.shown(leader.Host)
	gap := c.subscribe(ctx, leader)
	if c.body == nil {
		return Gap{Cause: Standby, Err: fmt.Errorf("follow %s to its leader: %w", c.master.name, gap)}
	}
	return gap
}

// subscribe makes one connection and stays until it ends.
func (c *connection) subscribe(ctx context.Context, events *url.URL) Gap {
	c.body = nil
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	client := c.client(events)
	client.ResponseValidator = func(_ *sse.Client, resp *http.Response) error {
		c.watch = newWatch(c.config.IdleTimeout, c.wall)
		c.body = newWholeEvents(resp.Body, c.config.MaxEvent, c.watch.hear)
		resp.Body = c.body
		watching.Go(func() { cancel(c.watch.run(ctx)) })
		return nil
	}
	err := client.SubscribeRawWithContext(ctx, func(message *sse.Event) {
		if c.watch.paused() {
			cancel(Gap{Cause: Paused})
		}
		if ctx.Err() == nil {
			c.hear(message)
		}
	})
	return c.ending(context.Cause(ctx), err, events)
}

// client returns an r3labs client for one connection. It is not used again: it
// would send a Last-Event-ID, and Marathon replays nothing.
func (c *connection) client(events *url.URL) *sse.Client {
	client := sse.NewClient(events.String(), sse.ClientMaxBufferSize(c.config.MaxEvent+noteRoom))
	// Left alone, it would retry failed connects, for 15 minutes, and never
	// come back after a clean end.
	client.ReconnectStrategy = &backoff.StopBackOff{}
	// No http.Client.Timeout: it would end the stream.
	client.Connection = &http.Client{Transport: onlyStreams{c}}
	if c.master.authorization != "" {
		client.Headers["Authorization"] = c.master.authorization
	}
	return client
}

// ending says why a connection ended: because we ended it, because it was not
// accepted, or because Marathon or the network did.
func (c *connection) ending(cause, err error, events *url.URL) Gap {
	if gap, ok := errors.AsType[Gap](cause); ok {
		return gap
	}
	if gap, ok := errors.AsType[Gap](err); ok {
		return gap
	}
	// What net/http wraps around an error repeats the whole query.
	if sent, ok := errors.AsType[*url.Error](err); ok {
		err = sent.Err
	}
	switch {
	case c.body == nil:
		return Gap{Cause: NoConnection, Err: fmt.Errorf("subscribe to %s: %w", bare(events), err)}
	case c.body.cutOff():
		return Gap{Cause: CutOff, Err: err}
	default:
		return Gap{Cause: Closed, Err: err}
	}
}

// hear takes in what r3labs made of one event.
func (c *connection) hear(message *sse.Event) {
	size, oversize := noted(message.Retry)
	if len(message.Data) == 0 && !oversize {
		return // By the rules of SSE this is no event.
	}
	if !c.heard() {
		c.connected = time.Now()
		c.watch.subscribed()
		c.report.connected(c)
	}
	kind := string(message.Event)
	switch {
	case kind != "" && !c.wants(kind):
		c.report.ignored(c.shown(kind))
	case oversize:
		err := fmt.Errorf("larger than %d bytes: --max-event", c.config.MaxEvent)
		c.missed(Gap{Cause: Oversize, Err: err, Event: kind, Size: size})
	default:
		c.decode(kind, message.Data)
	}
}

// decode delivers an event. Its type may stand in its data only: Marathon 0.9
// and 0.10 send no "event:" line.
func (c *connection) decode(kind string, data []byte) {
	event, err := marathon.Decode(kind, data)
	if err != nil {
		c.missed(Gap{Cause: Undecodable, Err: err, Event: kind, Size: len(data)})
		return
	}
	if kind = event.About().Type; !c.wants(kind) {
		c.report.ignored(c.shown(kind))
		return
	}
	c.handler.Event(event)
}

// onlyStreams sends requests and lets no answer pass but an event stream. Every
// other ends here, as a Gap, so that net/http follows no redirect and no body
// is left open.
type onlyStreams struct{ connection *connection }

// RoundTrip sends one request.
func (o onlyStreams) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := o.connection.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := o.connection.accept(resp, bare(req.URL)); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// accept returns a Gap for an answer that is no event stream, such as a
// proxy's error or login page.
func (c *connection) accept(resp *http.Response, events *url.URL) error {
	location := resp.Header.Get("Location")
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	code := resp.StatusCode
	switch {
	case code/100 == 3 && location != "":
		c.redirect = location // The error is for a second one: the first is followed.
		return Gap{Cause: Standby, Err: fmt.Errorf("%s redirects again", events)}
	case code != http.StatusOK:
		return Gap{Cause: Refused, Err: fmt.Errorf("%s answered %d %s", events, code, http.StatusText(code))}
	case media != "text/event-stream":
		return Gap{Cause: Refused, Err: fmt.Errorf("%s answered with %q, not with an event stream", events, media)}
	}
	if leader, err := url.Parse(resp.Header.Get("X-Marathon-Leader")); err == nil && leader.Host != "" {
		c.leader = c.shown(leader.Host)
		return c.preferLeader(resp, leader)
	}
	return nil
}

// preferLeader leaves a stream that a standby passes on, once: before 1.7 the
// standby ends it when the leader is silent for 10 s, and heartbeats are 10 s
// apart. What it names as its leader is followed like a redirect, unless that led
// nowhere a short time ago.
func (c *connection) preferLeader(resp *http.Response, leader *url.URL) error {
	if c.proxied || c.redirect != "" || resp.Header.Get("X-Marathon-Via") == "" || c.unheard.is(c.leader) {
		return nil
	}
	c.proxied, c.redirect = true, leader.JoinPath("v2", "events").String()
	return Gap{Cause: Standby, Err: fmt.Errorf("%s passes on the stream of %s", bare(resp.Request.URL), c.leader)}
}

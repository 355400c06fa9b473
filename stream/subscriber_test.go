package stream

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"consular/marathon"

	"github.com/rs/zerolog"
)

const (
	one = "http://one.test:8080"
	two = "http://two.test:8080"
)

// sse.md, row 1: r3labs' client returns nil at a clean end, and stays away.
func TestComesBackAfterACleanEnd(t *testing.T) {
	l := listen(t, 5*time.Second, one, map[string][]answer{
		"one.test:8080": {says(head, attached("a"), changed("app.1")), stays(head, attached("b"))},
	}, nil, nil)
	l.wantTold(t, "connected "+one, "event_stream_attached", "task app.1", "disconnected closed",
		"connected "+one, "event_stream_attached")
	l.wantLogged(t, `"level":"warn"`, `"cause":"closed"`, `"message":"disconnected"`)
	l.wantLogged(t, `"level":"info"`, `"message":"connected, deaf for `)
}

// Row 2: its own backoff would count from the subscription, and give up.
func TestComesBackAfterHoursOfHealthAndHoursOfOutage(t *testing.T) {
	l := listen(t, 4*time.Hour, one, map[string][]answer{
		"one.test:8080": {beats(time.Hour, head, attached("a")), beats(2*time.Hour, head, attached("b"))},
	}, func(c *Config) {
		c.Transport = &failing{c.Transport, time.Now().Add(time.Hour), time.Now().Add(3 * time.Hour)}
	}, nil)
	l.wantTold(t, "connected "+one, "event_stream_attached", "disconnected closed",
		"connected "+one, "event_stream_attached")
	l.wantLogged(t, "connected, deaf for 72")
}

// failing is a transport that reaches nobody for a while.
type failing struct {
	marathon.Transport
	from, to time.Time
}

func (f *failing) RoundTrip(req *http.Request) (*http.Response, error) {
	if now := time.Now(); now.After(f.from) && now.Before(f.to) {
		return nil, io.ErrUnexpectedEOF
	}
	return f.Transport.RoundTrip(req)
}

// Row 3: r3labs' limit is 64 KiB unless told otherwise.
func TestReadsLargeEvents(t *testing.T) {
	large := framed("app_terminated_event", `{"appId":"/large","padding":"`+strings.Repeat("x", 1<<19)+`"}`)
	l := listen(t, time.Second, one, map[string][]answer{"one.test:8080": {stays(head, attached("a"), large)}}, nil, nil)
	l.wantTold(t, "connected "+one, "event_stream_attached", "app_terminated_event")
}

// Row 3: and beyond its limit it ends the connection, every time anew.
func TestOversizeEventCostsAGapAndNotTheConnection(t *testing.T) {
	tooLarge := framed("deployment_info", `{"padding":"`+strings.Repeat("x", 3<<20)+`"}`)
	l := listen(t, time.Second, one, map[string][]answer{
		"one.test:8080": {stays(head, attached("a"), changed("app.1"), tooLarge, changed("app.2"))},
	}, nil, nil)
	l.wantTold(t, "connected "+one, "event_stream_attached", "task app.1", "missed oversize", "task app.2")
	if gap := l.gaps[0]; gap.Event != "deployment_info" || gap.Size < 3<<20 {
		t.Errorf("gap of %d bytes of %q, want those of the event", gap.Size, gap.Event)
	}
	l.wantLogged(t, `"cause":"oversize"`, `"event":"deployment_info"`, `"bytes":3145`)
}

func TestFirstEventConnectsEvenWhenItIsNotRead(t *testing.T) {
	for name, first := range map[string]string{
		"oversize":    framed("deployment_info", strings.Repeat("x", 2<<20)),
		"undecodable": framed("deployment_info", "{"),
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, time.Second, one, map[string][]answer{"one.test:8080": {stays(head, first)}}, nil, nil)
			l.wantTold(t, "connected "+one, "missed "+name)
		})
	}
}

// Row 6: the 200 comes before the subscription; r3labs' OnConnect is of no use.
func TestIsNotConnectedBeforeTheFirstEvent(t *testing.T) {
	for name, answers := range map[string]answer{
		"nothing":                      says(head),
		"heartbeats":                   beats(40*time.Second, head),
		"an event without data":        says(head, "event: status_update_event\r\n\r\n"),
		"a comment, an id and a retry": says(head, ": hello\r\nid: 1\r\nretry: 1000\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, 2*time.Minute, one, map[string][]answer{"one.test:8080": {answers}}, nil, nil)
			l.wantTold(t, "disconnected closed")
			l.wantLogged(t, `"message":"connect failed"`, `"attempt":1,`, `"cause":"closed"`)
		})
	}
}

// Rows 7 and 8: r3labs leaves the body open, and takes any 200.
func TestRefusalsBackOffAndLeaveNoBodyOpen(t *testing.T) {
	const login = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 7\r\n\r\n<html/>"
	for name, c := range map[string]struct {
		answer answer
		cause  Cause
		err    string
	}{
		"login page":    {says(login), Refused, one + `/v2/events answered with "text/html", not with an event stream`},
		"no type":       {says("HTTP/1.1 200 OK\r\n\r\n"), Refused, `answered with "", not`},
		"502 as HTML":   {says(recorded(t, "standby-502-html.http")), Refused, one + "/v2/events answered 502 Bad Gateway"},
		"500 no body":   {says(recorded(t, "standby-500-no-body.http")), Refused, one + "/v2/events answered 500 Internal Server Error"},
		"unauthorised":  {says("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), Refused, "answered 401 Unauthorized"},
		"held, then no": {held(2750*time.Millisecond, recorded(t, "standby-502-html.http")), Refused, "answered 502"},
		"not HTTP":      {says("hello\r\n\r\n"), NoConnection, "subscribe to " + one + "/v2/events: "},
		"hangs up":      {says(), NoConnection, "subscribe to " + one + "/v2/events: "},
	} {
		t.Run(name, func(t *testing.T) {
			var bodies counter
			l := listen(t, 30*time.Second, one, map[string][]answer{"one.test:8080": {c.answer}},
				func(config *Config) { config.Transport = bodies.count(config.Transport) }, nil)
			l.wantTold(t, "disconnected "+string(c.cause))
			if got := l.gaps[0].Err.Error(); !strings.Contains(got, c.err) || strings.Contains(got, "event_type") {
				t.Errorf("error %q, want %q and not the query", got, c.err)
			}
			if bodies.opened != bodies.closed {
				t.Errorf("%d bodies closed of %d", bodies.closed, bodies.opened)
			}
			if n := len(l.dialled()); n < 8 || n > 60 {
				t.Errorf("%d attempts in 30 s, want to go on and not to hammer", n)
			}
		})
	}
}

// recorded returns an answer of a standby of Marathon 1.11 whose leader is gone.
func recorded(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../testdata/live/ha/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// held keeps the request waiting first.
func held(d time.Duration, texts ...string) answer {
	return func(conn net.Conn) {
		time.Sleep(d)
		says(texts...)(conn)
	}
}

// counter counts the bodies that a transport opens and its user closes.
type counter struct{ opened, closed int }

func (c *counter) count(inner marathon.Transport) marathon.Transport {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		resp, err := inner.RoundTrip(req)
		if err == nil {
			c.opened++
			resp.Body = &countedBody{resp.Body, c}
		}
		return resp, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return r(req) }

func (r roundTripper) Conceal(err error) error { return err }

type countedBody struct {
	io.ReadCloser
	counter *counter
}

func (b *countedBody) Close() error {
	b.counter.closed++
	return b.ReadCloser.Close()
}

// Row 9: one call at a time, in the order of the stream, none lost.
func TestDeliversInOrder(t *testing.T) {
	events, want := numbered(2000)
	l := listen(t, time.Second, one, map[string][]answer{"one.test:8080": {stays(head, attached("a"), events)}}, nil, nil)
	l.wantTold(t, slices.Concat([]string{"connected " + one, "event_stream_attached"}, want)...)
}

// Row 11: http.Client.Timeout would end the stream. This one uses the default transport.
func TestStreamOutlivesTheTimeout(t *testing.T) {
	const timeout = 100 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, attached("a"))
		_ = http.NewResponseController(w).Flush()
		select {
		case <-time.After(5 * timeout): // The head may take three times the timeout.
			_, _ = io.WriteString(w, changed("app.1"))
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	heard := &until{ear: &ear{}, want: "task app.1", met: make(chan struct{})}
	run(t, Config{
		URLs: parse(t, server.URL), IdleTimeout: time.Minute, Timeout: timeout, MaxEvent: 1 << 20, Log: zerolog.Nop(),
	}, heard, heard.met)
	want := []string{"connected " + server.URL, "event_stream_attached", "task app.1"}
	first := max(0, slices.Index(heard.told, want[0])) // an attempt on a busy machine may fail before
	if !slices.Equal(heard.told[first:][:3], want) {
		t.Errorf("told %q, want %q", heard.told, want)
	}
}

// Row 12: a new connection asks for no replay, whatever ids the last one had.
func TestEveryConnectionIsANewOne(t *testing.T) {
	l := listen(t, 5*time.Second, one, map[string][]answer{
		"one.test:8080": {says(head, "id: 17\r\n", attached("a")), stays(head, attached("b"))},
	}, nil, nil)
	l.wantTold(t, "connected "+one, "event_stream_attached", "disconnected closed", "connected "+one, "event_stream_attached")
	for _, req := range l.requests() {
		if id := req.Header.Get("Last-Event-ID"); id != "" {
			t.Errorf("asked with Last-Event-ID %q", id)
		}
	}
}

func TestAsksForWhatItWants(t *testing.T) {
	l := listen(t, time.Second, "http://one.test:8080/service/marathon/", map[string][]answer{
		"one.test:8080": {stays(head, attached("a"))},
	}, nil, nil)
	req := l.requests()[0]
	if got := req.URL.Path; got != "/service/marathon/v2/events" {
		t.Errorf("asked for %s", got)
	}
	want := url.Values{"plan-format": {"light"}, "event_type": marathon.EventTypes()}
	if got := req.URL.Query(); got.Encode() != want.Encode() {
		t.Errorf("asked for %v, want %v", got, want)
	}
	if got := req.Header["Accept"]; !slices.Equal(got, []string{"text/event-stream"}) {
		t.Errorf("accepts %q: Marathon compares the whole value", got)
	}
}

func TestFiltersAgainWhatAnOldMarathonSends(t *testing.T) {
	unwanted := framed("framework_message_event", `{"message":[1]}`) +
		"data: {\"eventType\":\"subscribe_event\"}\r\n\r\n" +
		framed("api_post_event", strings.Repeat("x", 2<<20)) // Not JSON and over the limit, and nobody cares.
	l := listen(t, time.Second, one, map[string][]answer{
		"one.test:8080": {stays(head, attached("a"), unwanted, changed("app.1"))},
	}, nil, nil)
	l.wantTold(t, "connected "+one, "event_stream_attached", "task app.1")
	l.wantLogged(t, `"level":"debug"`, `"event":"framework_message_event"`, `"count":1`)
	l.wantLogged(t, `"level":"debug"`, `"event":"subscribe_event"`)
}

func TestWithoutEventTypesEverythingIsDelivered(t *testing.T) {
	l := listen(t, time.Second, one, map[string][]answer{
		"one.test:8080": {stays(head, attached("a"), framed("framework_message_event", `{"message":[1]}`))},
	}, func(c *Config) { c.EventTypes = nil }, nil)
	l.wantTold(t, "connected "+one, "event_stream_attached", "framework_message_event")
	if query := l.requests()[0].URL.RawQuery; query != "plan-format=light" {
		t.Errorf("asked for %q, want all types", query)
	}
}

func TestUndecodableEventsAreGapsAndThinnedInTheLog(t *testing.T) {
	bad := framed("status_update_event", `{"taskId": "secret-`+strings.Repeat("y", 500)+`"`)
	l := listen(t, time.Second, one, map[string][]answer{
		"one.test:8080": {stays(head, attached("a"), strings.Repeat(bad, 25), changed("app.1"))},
	}, nil, nil)
	if len(l.gaps) != 25 || l.told[len(l.told)-1] != "task app.1" {
		t.Fatalf("told of %d gaps, %q at last, want all 25 and what comes after", len(l.gaps), l.told[len(l.told)-1])
	}
	if gap := l.gaps[0]; gap.Cause != Undecodable || gap.Event != "status_update_event" || gap.Size < 500 {
		t.Errorf("gap %+v, want cause, type and size", gap)
	}
	if n := strings.Count(l.log.String(), `"cause":"undecodable"`); n != 3 {
		t.Errorf("%d lines for 25 events, want the first and every tenth", n)
	}
	if strings.Contains(l.log.String(), "secret") {
		t.Errorf("the log repeats the event:\n%s", l.log)
	}
}

// "event: i" is how a stream ended that Marathon 1.11 gave up (slow-consumer-tail).
func TestHalfAnEventIsNeverDelivered(t *testing.T) {
	whole := changed("app.2")
	for _, half := range []string{"event: i", whole[:len(whole)-40], whole[:len(whole)-4], whole[:len(whole)-2]} {
		l := listen(t, time.Second/5, one, map[string][]answer{
			"one.test:8080": {says(head, attached("a"), changed("app.1"), half), stays(head)},
		}, nil, nil)
		l.wantTold(t, "connected "+one, "event_stream_attached", "task app.1", "disconnected cut off")
	}
}

func TestReadsRecordedStreams(t *testing.T) {
	for file, want := range map[string]struct {
		events int
		end    string
	}{
		"framed-1.3-rolling-upgrade.crlf.sse":       {27, "disconnected closed"},
		"recorded-1.3-rolling-upgrade.lf.sse":       {25, "disconnected cut off"},
		"recorded-1.4-extra-blank-lines.lf.sse":     {4, "disconnected closed"},
		"framed-1.6-heavy-deployment-info.crlf.sse": {2, "disconnected closed"},
		"framed-edge-cases.crlf.sse":                {4, "disconnected cut off"},
	} {
		t.Run(file, func(t *testing.T) {
			body, err := os.ReadFile("../testdata/sse/" + file)
			if err != nil {
				t.Fatal(err)
			}
			l := listen(t, time.Second/5, one, map[string][]answer{"one.test:8080": {says(head, string(body)), stays(head)}},
				func(c *Config) { c.EventTypes = nil }, nil)
			if l.told[0] != "connected "+one || l.told[len(l.told)-1] != want.end {
				t.Errorf("told %q first and %q last, want a connection and %q", l.told[0], l.told[len(l.told)-1], want.end)
			}
			if n := len(l.told) - 2; n != want.events || len(l.gaps) != 1 {
				t.Errorf("told of %d events and %d gaps, want %d and the end:\n%s", n, len(l.gaps), want.events,
					strings.Join(l.told, "\n"))
			}
		})
	}
}

func TestStartWithMarathonAway(t *testing.T) {
	l := listen(t, 20*time.Second, one, map[string][]answer{}, nil, nil)
	l.wantTold(t, "disconnected connect")
	l.wantLogged(t, `"attempt":1,`, "subscribe to "+one+"/v2/events: ", "connection refused")
	l.wantLogged(t, `"attempt":10,`)
	if n := strings.Count(l.log.String(), "connect failed"); n > 4 {
		t.Errorf("%d lines of log in 20 s, want the first attempt and every tenth", n)
	}
}

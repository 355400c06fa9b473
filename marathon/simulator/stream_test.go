package simulator_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"consular/marathon/simulator"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { os.Exit(code) }))
}

// dial sends a raw request and returns the connection.
func dial(t *testing.T, url, request string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(conn, request)
	must(t, err)
	return conn
}

const subscribe = "GET /v2/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"

// untilEvent reads a raw stream until what was read ends with an event.
func untilEvent(t *testing.T, conn net.Conn) string {
	t.Helper()
	var read []byte
	for !bytes.HasSuffix(read, []byte("\"}\r\n\r\n")) && !bytes.Contains(read, []byte("Z\"}\r\n\r\n")) {
		b := make([]byte, 1)
		if _, err := conn.Read(b); err != nil {
			t.Fatalf("after %q: %v", read, err)
		}
		read = append(read, b...)
	}
	return string(read)
}

// The head and the first event are the recorded ones, but for dates and hosts.
func TestStreamHeadAndFramingAsRecorded(t *testing.T) {
	url := serve(t, simulator.New(simulator.Config{}))
	got := untilEvent(t, dial(t, url, subscribe))
	head, err := os.ReadFile(filepath.Join(live, "events-head.http"))
	must(t, err)
	attached, err := os.ReadFile(filepath.Join(live, "heartbeat.crlf.sse"))
	must(t, err)
	want := string(head) + strings.TrimRight(string(attached), "\r\n") + "\r\n\r\n"
	volatile := regexp.MustCompile(`Date: [^\r]*|http://[^\r]*|\d{4}-\d\d-\d\dT[0-9:.]*Z`)
	if g, w := volatile.ReplaceAllString(got, "X"), volatile.ReplaceAllString(want, "X"); g != w {
		t.Errorf("got  %q\nwant %q", g, w)
	}
}

func TestHeartbeatsAreBareLineEnds(t *testing.T) {
	m := simulator.New(simulator.Config{Heartbeat: 5 * time.Millisecond})
	conn := dial(t, serve(t, m), subscribe)
	untilEvent(t, conn)
	beats := make([]byte, 8)
	_, err := io.ReadFull(conn, beats)
	must(t, err)
	if string(beats) != "\r\n\r\n\r\n\r\n" {
		t.Errorf("heartbeats are %q", beats)
	}
}

func TestAcceptMustBeExact(t *testing.T) {
	url := serve(t, simulator.New(simulator.Config{}))
	for accept, want := range map[string]struct {
		status int
		file   string
	}{
		"":                       {http.StatusMethodNotAllowed, "events-405-no-accept"},
		"application/json":       {http.StatusMethodNotAllowed, "events-405-json"},
		"text/event-stream, */*": {http.StatusMethodNotAllowed, "events-405-no-accept"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v2/events", nil)
		must(t, err)
		if accept != "" {
			request.Header.Set("Accept", accept)
		}
		response, err := http.DefaultClient.Do(request)
		must(t, err)
		body, err := io.ReadAll(response.Body)
		must(t, err)
		response.Body.Close()
		raw, err := os.ReadFile(filepath.Join(live, want.file+".http"))
		must(t, err)
		_, recordedBody, _ := strings.Cut(string(raw), "\r\n\r\n")
		if response.StatusCode != want.status || string(body) != recordedBody {
			t.Errorf("Accept %q: %d %q, want %d %q", accept, response.StatusCode, body, want.status, recordedBody)
		}
	}
}

func TestFilterAppliesToAttachedToo(t *testing.T) {
	m := simulator.New(simulator.Config{})
	conn := dial(t, serve(t, m), strings.Replace(subscribe, "/v2/events", "/v2/events?event_type=app_terminated_event", 1))
	// The head does not say that the subscription exists, and no event will.
	waitForStreams(t, m, 1)
	actor{m, t}.ok(m.Create(web()))
	actor{m, t}.ok(m.Destroy("/shop/web"))
	m.CloseStreams()
	all, err := io.ReadAll(conn)
	must(t, err)
	if n := strings.Count(string(all), "event: "); n != 1 || !strings.Contains(string(all), "event: app_terminated_event") {
		t.Errorf("got %d events: %s", n, all)
	}
}

// waitForStreams waits until n streams are attached, or no longer.
func waitForStreams(t *testing.T, m *simulator.Marathon, n int) {
	t.Helper()
	for start := time.Now(); m.Streams() != n; {
		if time.Since(start) > 10*time.Second {
			t.Fatalf("%d streams, want %d", m.Streams(), n)
		}
		runtime.Gosched()
	}
}

func TestSlowConsumerIsClosed(t *testing.T) {
	m := simulator.New(simulator.Config{Queue: 4})
	url := serve(t, m)
	l := listen(t, url)
	m.StallStreams(true)
	actor{m, t}.ok(m.Create(web())) // more than four events
	waitForStreams(t, m, 0)
	if rest := l.rest(t); len(rest) > 4 {
		t.Errorf("a closed stream delivered %d events", len(rest))
	}
}

func TestStalledStreamGoesOn(t *testing.T) {
	m := simulator.New(simulator.Config{})
	l := listen(t, serve(t, m))
	m.StallStreams(true)
	actor{m, t}.ok(m.Create(web()))
	m.StallStreams(false)
	m.CloseStreams()
	if rest := l.rest(t); len(rest) == 0 || rest[len(rest)-1].name != "deployment_success" {
		t.Errorf("heard %d events, the last of which is not deployment_success", len(rest))
	}
}

func TestStreamsEndAsAsked(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*simulator.Marathon)
		err  error
		tail string
	}{
		"closed": {(*simulator.Marathon).CloseStreams, nil, "\r\n\r\n"},
		"cut":    {(*simulator.Marathon).CutStreams, nil, "cut "},
		"reset":  {(*simulator.Marathon).ResetStreams, syscall.ECONNRESET, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := simulator.New(simulator.Config{})
			conn := dial(t, serve(t, m), subscribe)
			untilEvent(t, conn)
			m.Inject([]byte("event: x\r\ndata: {}\r\n\r\n"))
			c.end(m)
			all, err := io.ReadAll(conn)
			if !errors.Is(err, c.err) || !strings.HasSuffix(string(all), c.tail) {
				t.Errorf("ended with %v after %q", err, all)
			}
		})
	}
}

func TestRefusedAndSilentStreams(t *testing.T) {
	m := simulator.New(simulator.Config{})
	url := serve(t, m)
	l := listen(t, url)
	m.DropEvents(true)
	actor{m, t}.ok(m.Create(web()))
	m.DropEvents(false)
	actor{m, t}.ok(m.NoOp("/shop/web"))
	if h := l.next(t); h.name != "deployment_success" {
		t.Errorf("heard %s of what was dropped", h.name)
	}
	m.RefuseStreams(true)
	answer := make([]byte, len("HTTP/1.1 503"))
	_, err := io.ReadFull(dial(t, url, subscribe), answer)
	must(t, err)
	if string(answer) != "HTTP/1.1 503" {
		t.Errorf("a refused stream got %s", answer)
	}
}

// Non-ASCII and control characters are written as Marathon writes them.
func TestLabelsKeepTheirCharacters(t *testing.T) {
	labels := map[string]string{"name": "Größe \u2028 😀 <&> \x01 \\u2028", "empty": ""}
	m := simulator.New(simulator.Config{})
	events := record(t, m, func() { actor{m, t}.ok(m.Create(small("/x/utf8", 0, labels))) })
	for _, h := range events {
		if h.name != "api_post_event" {
			continue
		}
		got := h.data["appDefinition"].(map[string]any)["labels"].(map[string]any)
		if got["name"] != labels["name"] || got["empty"] != "" {
			t.Errorf("labels are %q", got)
		}
		if !strings.Contains(h.raw, "Größe \u2028 😀 <&> \\u0001 \\\\u2028") {
			t.Errorf("written as %s", h.raw)
		}
		return
	}
	t.Error("no api_post_event")
}

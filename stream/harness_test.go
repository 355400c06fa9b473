package stream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"consular/marathon"
	"consular/marathon/transport"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// head is the answer of Marathon 1.11 to a subscription, shortened.
const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream;charset=utf-8\r\nConnection: close\r\n\r\n"

func framed(kind, data string) string {
	return "event: " + kind + "\r\ndata: " + data + "\r\n\r\n"
}

func attached(address string) string {
	return framed("event_stream_attached", `{"remoteAddress":"`+address+`","eventType":"event_stream_attached"}`)
}

func changed(task string) string {
	return framed("status_update_event", `{"taskId":"`+task+`","appId":"/app","taskStatus":"TASK_RUNNING",`+
		`"host":"agent-1.test","ports":[31001],"version":"2026-11-22T16:49:17.681Z","eventType":"status_update_event"}`)
}

// answer is what a master does with one connection, after which it is closed.
type answer func(conn net.Conn)

// says writes texts and closes the connection.
func says(texts ...string) answer {
	return func(conn net.Conn) { _, _ = io.WriteString(conn, strings.Join(texts, "")) }
}

// stays writes texts, then keeps the connection open without a byte.
func stays(texts ...string) answer {
	return func(conn net.Conn) {
		says(texts...)(conn)
		_, _ = io.Copy(io.Discard, conn)
	}
}

// beats writes texts, and then a heartbeat every 10 s for so long.
func beats(d time.Duration, texts ...string) answer {
	return func(conn net.Conn) {
		says(texts...)(conn)
		for range d / (10 * time.Second) {
			time.Sleep(10 * time.Second)
			if _, err := io.WriteString(conn, "\r"); err != nil {
				return
			}
			_, _ = io.WriteString(conn, "\n")
		}
	}
}

func redirects(to string) answer {
	return says("HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: " + to + "\r\n\r\n")
}

// network is where masters can be reached without a socket, by host and port.
// A host answers its connections in the order of its answers, the last of them
// again and again. One that is not there refuses the connection.
type network struct {
	mu      sync.Mutex
	hosts   map[string][]answer
	dials   []dial
	asked   []*http.Request
	serving sync.WaitGroup
}

type dial struct {
	host string
	at   time.Time
}

func (n *network) dial(_ context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials = append(n.dials, dial{address, time.Now()})
	answers := n.hosts[address]
	if len(answers) == 0 {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}
	if len(answers) > 1 {
		n.hosts[address] = answers[1:]
	}
	near, far := net.Pipe()
	n.serving.Go(func() { n.serve(far, answers[0]) })
	return near, nil
}

func (n *network) serve(conn net.Conn, with answer) {
	defer conn.Close()
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	n.mu.Lock()
	n.asked = append(n.asked, req)
	n.mu.Unlock()
	with(conn)
}

// requests returns those that arrived so far.
func (n *network) requests() []*http.Request {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.asked)
}

func (n *network) dialled() []dial {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.dials)
}

// ear is a Handler that notes what it is told. Its calls are not synchronised
// on purpose: the race detector sees when two of them overlap.
type ear struct {
	told []string
	gaps []Gap
}

func (e *ear) Connected(master string) { e.told = append(e.told, "connected "+master) }
func (e *ear) Event(event marathon.Event) {
	if task, ok := event.(marathon.TaskChanged); ok {
		e.told = append(e.told, "task "+task.Task.ID)
		return
	}
	e.told = append(e.told, event.About().Type)
}
func (e *ear) Missed(gap Gap)       { e.note("missed ", gap) }
func (e *ear) Disconnected(gap Gap) { e.note("disconnected ", gap) }

func (e *ear) note(what string, gap Gap) {
	e.told = append(e.told, what+string(gap.Cause))
	e.gaps = append(e.gaps, gap)
}

// listening is a Subscriber at work on a network.
type listening struct {
	*Subscriber
	*network
	*ear
	log *bytes.Buffer
}

// listen runs a Subscriber for so long, in a synctest bubble, and returns what came
// of it. options may change its Config, prepare the Subscriber.
func listen(t *testing.T, d time.Duration, urls string, hosts map[string][]answer,
	options func(*Config), prepare func(*Subscriber),
) listening {
	t.Helper()
	l := listening{network: &network{hosts: hosts}, ear: &ear{}, log: &bytes.Buffer{}}
	synctest.Test(t, func(t *testing.T) {
		base, err := transport.New(transport.Config{Connect: 5 * time.Second, Head: 15 * time.Second, Dial: l.dial})
		if err != nil {
			t.Fatal(err)
		}
		c := Config{
			URLs: parse(t, urls), IdleTimeout: 45 * time.Second, Timeout: 5 * time.Second, MaxEvent: 1 << 20,
			EventTypes: marathon.EventTypes(), Transport: base, Log: zerolog.New(l.log).Level(zerolog.DebugLevel),
		}
		if options != nil {
			options(&c)
		}
		if l.Subscriber, err = New(c, l.ear); err != nil {
			t.Fatal(err)
		}
		if prepare != nil {
			prepare(l.Subscriber)
		}
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		start := time.Now()
		if err := l.Run(ctx); err != nil || time.Since(start) != d {
			t.Errorf("Run returned %v after %v, want nil when its context ends, after %v", err, time.Since(start), d)
		}
		base.CloseIdleConnections()
		l.serving.Wait()
	})
	return l
}

func parse(t testing.TB, urls string) []*url.URL {
	t.Helper()
	var parsed []*url.URL
	for text := range strings.SplitSeq(urls, ",") {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, u)
	}
	return parsed
}

// wantTold compares all that the Handler was told.
func (l listening) wantTold(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(l.told, want) {
		t.Errorf("told\n  %s\nwant\n  %s\nlog:\n%s", strings.Join(l.told, "\n  "), strings.Join(want, "\n  "), l.log)
	}
}

// wantLogged checks that a line of the log has all the parts.
func (l listening) wantLogged(t *testing.T, parts ...string) {
	t.Helper()
	for line := range strings.Lines(l.log.String()) {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			return
		}
	}
	t.Errorf("no line of the log has all of %q:\n%s", parts, l.log)
}

func numbered(n int) (events string, told []string) {
	var b strings.Builder
	for i := range n {
		id := fmt.Sprintf("app.%d", i)
		b.WriteString(changed(id))
		told = append(told, "task "+id)
	}
	return b.String(), told
}

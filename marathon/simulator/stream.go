package simulator

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// streams are the open /v2/events connections and what is wrong with them.
// Marathon's lock guards it.
type streams struct {
	open []*stream
	// stalled is not nil while nothing is written; closing it lets streams go on.
	stalled chan struct{}
	refused bool
	// dropping events silently is what Marathon before 1.8 did with slow clients.
	dropping bool
}

// stream is one subscription.
type stream struct {
	conn   net.Conn
	remote string
	// via is the standby that passes the stream on; "" for none.
	via   string
	types []string // empty for all
	queue chan []byte
	// end is closed, once, to make the stream end as ending says.
	end    chan struct{}
	once   sync.Once
	ending ending
}

// ending is how a stream is cut.
type ending int

const (
	// plainEnd is an EOF after the events that wait.
	plainEnd ending = iota
	// overflow is an EOF at once, wherever in an event that may be.
	overflow
	// halfEvent is an EOF in the middle of one.
	halfEvent
	// reset is half an event, then a TCP reset.
	reset
)

func (s *stream) close(how ending) {
	s.once.Do(func() {
		s.ending = how
		patience := 3 * time.Second
		if how == overflow {
			patience = 0
		}
		// A write to a client that does not read must not last forever.
		_ = s.conn.SetWriteDeadline(time.Now().Add(patience))
		close(s.end)
	})
}

// publish hands an event to all streams that want it. It never waits: a stream
// whose queue is full is closed, as since 1.8, or misses the event, as before.
func (m *Marathon) publish(e event) {
	if m.streams.dropping {
		return
	}
	framed := frame(e)
	for _, s := range m.streams.open {
		if len(s.types) == 0 || slices.Contains(s.types, e.name()) {
			s.offer(framed, m.config.TaskEra)
		}
	}
}

func (s *stream) offer(bytes []byte, dropping bool) {
	select {
	case s.queue <- bytes:
	default:
		if !dropping {
			s.close(overflow)
		}
	}
}

// events is GET /v2/events. The connection is taken over, for the body is
// neither counted nor chunked: it ends with the connection.
func (m *Marathon) events(w http.ResponseWriter, r *http.Request) {
	if !slices.Contains(r.Header.Values("Accept"), "text/event-stream") {
		methodNotSupported(w, r)
		return
	}
	if m.refusing() {
		htmlError(w, r, http.StatusServiceUnavailable, "Service Unavailable")
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, fmt.Sprintf("take over the connection: %v", err), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	if writeHead(conn, w.Header()) != nil || r.Method == http.MethodHead {
		return
	}
	if !pause(r.Context(), m.config.Pace.Attach) {
		return
	}
	s := m.attach(conn, r)
	defer m.detach(s)
	s.serve(r.Context(), buffered.Reader, m)
}

// writeHead writes the head of a stream and flushes it, before the
// subscription exists.
func writeHead(w io.Writer, header http.Header) error {
	head := bufio.NewWriter(w)
	fmt.Fprintf(head, "HTTP/1.1 200 OK\r\nDate: %s\r\n", time.Now().UTC().Format(http.TimeFormat))
	for _, name := range append(leaderHeaders, viaHeader) {
		for _, value := range header[name] {
			fmt.Fprintf(head, "%s: %s\r\n", name, value)
		}
	}
	fmt.Fprint(head, "Content-Type: text/event-stream;charset=utf-8\r\nConnection: close\r\n\r\n")
	return head.Flush()
}

func pause(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return true
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// attach subscribes and then tells all streams, the new one included.
func (m *Marathon) attach(conn net.Conn, r *http.Request) *stream {
	remote, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		remote = r.RemoteAddr
	}
	s := &stream{
		conn: conn, remote: remote, via: r.Header.Get(viaHeader), types: r.URL.Query()["event_type"],
		queue: make(chan []byte, m.config.Queue), end: make(chan struct{}),
	}
	if m.config.TaskEra {
		s.types = nil // there is no filter before 1.3.7
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.streams.open = append(m.streams.open, s)
	m.publish(streamChange{RemoteAddress: s.remote, stamp: stamped("event_stream_attached")})
	return s
}

func (m *Marathon) detach(s *stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.streams.open = slices.DeleteFunc(m.streams.open, func(other *stream) bool { return other == s })
	m.publish(streamChange{RemoteAddress: s.remote, stamp: stamped("event_stream_detached")})
}

// serve writes events and heartbeats until the stream ends, the client goes
// away or ctx ends. It waits for what it started.
func (s *stream) serve(ctx context.Context, reader io.Reader, m *Marathon) {
	var watch sync.WaitGroup
	watch.Go(func() {
		// A client sends nothing more; the end of its side is the end.
		_, _ = io.Copy(io.Discard, reader)
		s.close(plainEnd)
	})
	defer watch.Wait()
	defer s.conn.Close()
	// A write to a client that does not read blocks; closing ends it.
	stop := context.AfterFunc(ctx, func() { s.close(overflow) })
	defer stop()
	s.writeAll(m)
}

func (s *stream) writeAll(m *Marathon) {
	heartbeat := time.NewTicker(m.config.Heartbeat)
	defer heartbeat.Stop()
	for beats := 0; ; {
		var err error
		select {
		case <-s.end:
			s.finish(m)
			return
		case <-heartbeat.C:
			if !m.flowing(s) {
				continue
			}
			beats++
			err = s.beat(beats%2 == 0)
		case bytes := <-s.queue:
			if !m.flowing(s) {
				continue
			}
			_, err = s.conn.Write(bytes)
		}
		if err != nil {
			return
		}
	}
}

// beat writes a heartbeat, a bare CRLF: Marathon flushes between the two bytes.
func (s *stream) beat(apart bool) error {
	if !apart {
		_, err := s.conn.Write([]byte("\r\n"))
		return err
	}
	if _, err := s.conn.Write([]byte("\r")); err != nil {
		return err
	}
	_, err := s.conn.Write([]byte("\n"))
	return err
}

// flowing waits while streams are stalled; false means that s has ended.
func (m *Marathon) flowing(s *stream) bool {
	for {
		stalled := m.stalled()
		if stalled == nil {
			return true
		}
		select {
		case <-stalled:
		case <-s.end:
			return false
		}
	}
}

// finish writes what waits and cuts the connection in the manner asked for.
func (s *stream) finish(m *Marathon) {
	if s.ending == overflow || m.stalled() != nil {
		return
	}
	for len(s.queue) > 0 {
		if _, err := s.conn.Write(<-s.queue); err != nil {
			return
		}
	}
	if s.ending == plainEnd {
		return
	}
	_, _ = s.conn.Write([]byte("event: status_update_event\r\ndata: {\"slaveId\":\"cut "))
	if tcp, ok := s.conn.(*net.TCPConn); ok && s.ending == reset {
		_ = tcp.SetLinger(0) // closing now resets
	}
}

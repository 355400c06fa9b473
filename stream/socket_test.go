package stream

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"consular/marathon"

	"github.com/rs/zerolog"
)

// until is an ear that says when it has been told something the nth time.
type until struct {
	*ear
	want string
	nth  int
	met  chan struct{}
}

func (u *until) Event(event marathon.Event) {
	u.ear.Event(event)
	u.check()
}

func (u *until) Disconnected(gap Gap) {
	u.ear.Disconnected(gap)
	u.check()
}

func (u *until) check() {
	if u.told[len(u.told)-1] != u.want {
		return
	}
	if u.nth--; u.nth <= 0 && u.met != nil {
		close(u.met)
		u.met = nil
	}
}

// run runs a Subscriber on real sockets until met is closed.
func run(t *testing.T, c Config, handler Handler, met <-chan struct{}) {
	t.Helper()
	s, err := New(c, handler)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	select {
	case <-met:
	case <-ctx.Done():
		t.Error("waited for a minute in vain")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run returned %v, want nil when its context ends", err)
	}
	if idle, ok := s.transport.(interface{ CloseIdleConnections() }); ok {
		idle.CloseIdleConnections()
	}
}

// serve answers every connection to a port of its own, until the test ends.
func serve(t *testing.T, with answer) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{}
	n.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			n.serving.Go(func() { n.serve(conn, with) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		n.serving.Wait()
	})
	return "http://" + listener.Addr().String()
}

// usage is what a leak would make grow.
type usage struct {
	goroutines, files int
	heap              uint64
}

func used(t *testing.T) usage {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return usage{runtime.NumGoroutine(), len(files), memory.HeapAlloc}
}

// Half of them are cut off within an event, where r3labs' reader has something left to deliver.
func TestFiveHundredDisconnectsLeaveNothingBehind(t *testing.T) {
	var served atomic.Int64
	url := serve(t, func(conn net.Conn) {
		half := changed("app.2")[:40*(served.Add(1)%2)]
		says(head, attached("a"), changed("app.1"), half)(conn)
	})
	heard := &until{ear: &ear{}, want: "task app.1", nth: 500, met: make(chan struct{})}
	s, err := New(Config{
		URLs: parse(t, url), IdleTimeout: time.Minute, Timeout: 5 * time.Second, MaxEvent: 1 << 20, Log: zerolog.Nop(),
	}, heard)
	if err != nil {
		t.Fatal(err)
	}
	before := used(t)
	report := newReport(zerolog.Nop(), heard)
	pace := newRetry(time.Now())
	for range 500 {
		s.round(t.Context(), report, pace, 0) // What Run does, without the waits.
	}
	if heard.nth > 0 {
		t.Fatalf("%d connections of 500 were not heard", heard.nth)
	}
	// The sockets and goroutines of the last connections may still be on their way out.
	more := func(after usage) bool {
		return after.goroutines > before.goroutines+10 || after.files > before.files+10 || after.heap > before.heap+8<<20
	}
	after := used(t)
	for deadline := time.Now().Add(10 * time.Second); more(after) && time.Now().Before(deadline); after = used(t) {
		runtime.Gosched()
	}
	if more(after) {
		t.Errorf("%+v before and %+v after", before, after)
	}
	causes := []Cause{}
	for _, gap := range heard.gaps {
		causes = append(causes, gap.Cause)
	}
	slices.Sort(causes)
	if got := slices.Compact(causes); !slices.Equal(got, []Cause{Closed, CutOff}) {
		t.Errorf("ended as %q", got)
	}
}

// A server that dies resets its connections; what came before must have been heard.
func TestResetConnectionIsAGap(t *testing.T) {
	url := serve(t, func(conn net.Conn) {
		says(head, attached("a"))(conn)
		_ = conn.(*net.TCPConn).SetLinger(0)
	})
	heard := &until{ear: &ear{}, want: "disconnected closed", met: make(chan struct{})}
	run(t, Config{
		URLs: parse(t, url), IdleTimeout: time.Minute, Timeout: 5 * time.Second, MaxEvent: 1 << 20, Log: zerolog.Nop(),
	}, heard, heard.met)
	reset := func(gap Gap) bool { return gap.Cause == Closed && errors.Is(gap, syscall.ECONNRESET) }
	if !slices.ContainsFunc(heard.gaps, reset) {
		t.Errorf("told of %v, want a reset connection", heard.gaps)
	}
}

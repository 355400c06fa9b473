package metrics

import (
	"context"
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// listener is a statsd.
type listener struct{ net.PacketConn }

// end may be called twice.
func (l listener) end() { _ = l.Close() }

func listen(t *testing.T, address string) listener {
	t.Helper()
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	l := listener{conn}
	t.Cleanup(l.end)
	return l
}

// heard returns the datagrams that have come: on loopback they are there when they are sent.
func (l listener) heard(t *testing.T) []string {
	t.Helper()
	raw, err := l.PacketConn.(*net.UDPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	buffer := make([]byte, 64<<10)
	err = raw.Read(func(fd uintptr) bool {
		for {
			n, _, err := syscall.Recvfrom(int(fd), buffer, syscall.MSG_DONTWAIT)
			if err != nil {
				return true
			}
			all = append(all, string(buffer[:n]))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestStatsd(t *testing.T) {
	for _, format := range []StatsdFormat{StatsdPlain, StatsdDog} {
		t.Run(string(format), func(t *testing.T) {
			l := listen(t, "127.0.0.1:0")
			m := busy()
			s := NewStatsd(m, l.LocalAddr().String(), format, new(logged).log())
			defer s.hangUp()
			send := func() string {
				if err := s.send(t.Context()); err != nil {
					t.Fatal(err)
				}
				return strings.Join(l.heard(t), "\n") + "\n"
			}
			golden(t, string(format)+".txt", send())
			// Only gauges come again, and of counters what is new.
			m.Heard("status_update_event", 30*time.Millisecond)
			m.Heard("status_update_event", 100*time.Second)
			golden(t, string(format)+"-again.txt", send())
		})
	}
}

// Many observations at once are sampled, and are as many as they were, and where they were.
func TestStatsdSamplesWhatIsTooMuch(t *testing.T) {
	m := New(func() State { return State{} })
	s := NewStatsd(m, "", StatsdPlain, new(logged).log())
	for i := range 10_001 {
		took := 4 * time.Millisecond
		if i%4 == 0 {
			took = 40 * time.Millisecond
		}
		m.Wrote("register", "done", took, 0)
	}
	m.Wrote("register", "done", time.Hour, 0)
	families, err := m.gather()
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]float64{}
	n := 0
	for _, line := range s.lines(families) {
		value, found := strings.CutPrefix(line.text, "consular.write_seconds:")
		if !found {
			continue
		}
		n++
		var rate float64 = 1
		value, rest, _ := strings.Cut(value, "|ms")
		if rest != "" {
			if _, err := fmt.Sscanf(rest, "|@%g", &rate); err != nil {
				t.Fatal(line.text)
			}
		}
		count[value] += 1 / rate
	}
	for value, n := range count {
		count[value] = math.Round(n*1000) / 1000
	}
	if got := fmt.Sprint(count); got != "map[0.005:7500 0.05:2501 60:1]" || n > maxLines+1 {
		t.Errorf("%d lines for %s", n, got)
	}
}

func TestStatsdSplitsDatagrams(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	m := busy()
	for i := range maxTypes {
		m.Heard(fmt.Sprintf("a_rather_long_name_of_some_type_of_event_%d", i), 0)
	}
	s := NewStatsd(m, l.LocalAddr().String(), StatsdDog, new(logged).log())
	defer s.hangUp()
	if err := s.send(t.Context()); err != nil {
		t.Fatal(err)
	}
	heard := l.heard(t)
	for _, d := range heard {
		if len(d) > 1432 || strings.HasSuffix(d, "\n") || strings.Contains(d, "\n\n") {
			t.Errorf("a datagram of %d bytes: %q", len(d), d)
		}
	}
	if all := strings.Join(heard, "\n"); len(heard) < 3 || strings.Count(all, "consular.events:1|c|#type:a_rather") != maxTypes-2 {
		t.Errorf("%d datagrams:\n%s", len(heard), all)
	}
}

// A statsd that is away costs one line in the log, and one when it is back; nobody waits.
func TestStatsdThatIsAway(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	address := l.LocalAddr().String()
	m, log := busy(), new(logged)
	s := NewStatsd(m, address, StatsdPlain, log.log())
	var again listener
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.Run(ctx) })
		if pass(time.Minute); len(log.lines()) != 0 {
			t.Errorf("said %q", log.lines())
		}
		l.end()
		if pass(time.Hour); len(log.lines()) != 1 || !strings.Contains(log.String(), address) {
			t.Errorf("said %q", log.lines())
		}
		again = listen(t, address)
		m.Resynced("failed", time.Second)
		if pass(5 * time.Minute); len(log.lines()) != 2 || !strings.Contains(log.String(), "works again") {
			t.Errorf("said %q", log.lines())
		}
		m.Resynced("incomplete", time.Second)
		stop()
		running.Wait()
		heard := strings.Join(again.heard(t), "\n")
		for _, outcome := range []string{"failed", "incomplete"} {
			if !strings.Contains(heard, "consular.resyncs."+outcome+":1|c") {
				t.Errorf("%s was not told:\n%.500s", outcome, heard)
			}
		}
	})
}

// Neither does a name that means nothing.
func TestStatsdWithoutAnAddress(t *testing.T) {
	log := new(logged)
	s := NewStatsd(busy(), "statsd.invalid:8125", StatsdPlain, log.log())
	for range 3 {
		s.trouble.note(s.send(t.Context()))
	}
	if len(log.lines()) != 1 || !strings.Contains(log.String(), "statsd.invalid") {
		t.Errorf("said %q", log.lines())
	}
}

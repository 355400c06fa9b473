package stream

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// sse.md, row 5: a half-open connection looks healthy for ever.
func TestSilenceEndsAConnection(t *testing.T) {
	l := listen(t, 2*time.Minute, one, map[string][]answer{
		"one.test:8080": {beats(5*time.Minute, head, attached("a"))},
	}, nil, nil)
	l.wantTold(t, "connected "+one, "event_stream_attached") // Heartbeats are enough.

	l = listen(t, time.Minute, one, map[string][]answer{
		"one.test:8080": {stays(head, attached("a")), stays(head, attached("b"))},
	}, nil, nil)
	l.wantTold(t, "connected "+one, "event_stream_attached", "disconnected idle", "connected "+one, "event_stream_attached")
	if after := l.dialled()[1].at.Sub(l.dialled()[0].at); after < 45*time.Second || after > 48*time.Second {
		t.Errorf("came back after %v, want the idle timeout and little more", after)
	}
	l.wantLogged(t, `"cause":"idle"`, `"connected_ms":45000`, "no byte for 45s")
}

// Marathon writes the heartbeats of all its streams one after the other: a slow
// client makes those of the others late. The two bytes of one may be far apart.
func TestLateHeartbeatsAreEnough(t *testing.T) {
	late := func(conn net.Conn) {
		says(head, attached("a"))(conn)
		for i := range 40 {
			time.Sleep(time.Duration(15+i%6) * time.Second)
			if _, err := io.WriteString(conn, []string{"\r", "\n", "\r\n"}[i%3]); err != nil {
				return
			}
		}
		says(changed("app.1"))(conn)
		_, _ = io.Copy(io.Discard, conn)
	}
	l := listen(t, 12*time.Minute, one, map[string][]answer{"one.test:8080": {late}}, nil, nil)
	l.wantTold(t, "connected "+one, "event_stream_attached", "task app.1")
}

func TestSilenceBeforeTheFirstEventEndsAnAttempt(t *testing.T) {
	l := listen(t, time.Minute, one, map[string][]answer{"one.test:8080": {stays(head)}}, nil, nil)
	l.wantTold(t, "disconnected idle")
	if n := len(l.dialled()); n != 2 {
		t.Errorf("%d connections in a minute, want two", n)
	}
}

// A master may accept the subscription, send heartbeats, and never an event: it is
// another's turn, with the pauses of any other failure.
func TestHeartbeatsAloneAreNoSubscription(t *testing.T) {
	const two = "http://two.test:8080"
	mute := beats(time.Hour, head)
	l := listen(t, 5*time.Minute, one+","+two, map[string][]answer{
		"one.test:8080": {mute}, "two.test:8080": {stays(head, attached("a")), beats(time.Hour, head, attached("b"))},
	}, nil, nil)
	l.wantTold(t, "disconnected mute", "connected "+two, "event_stream_attached", "disconnected idle",
		"connected "+two, "event_stream_attached")
	l.wantLogged(t, `"level":"warn"`, `"master":"`+one+`"`, `"cause":"mute"`, "no event for 45s, heartbeats only", `"attempt":1`, `"message":"connect failed"`)
	if after := l.dialled()[1].at.Sub(l.dialled()[0].at); after < 45*time.Second || after > 47*time.Second {
		t.Errorf("gave up after %v, want the idle timeout and little more", after)
	}

	l = listen(t, time.Hour, one, map[string][]answer{"one.test:8080": {mute}}, nil, nil)
	l.wantTold(t, "disconnected mute")
	if n := len(l.dialled()); n < 48 || n > 80 {
		t.Errorf("%d connections in an hour, want one in 45 s and a pause", n)
	}
}

// Whatever event comes first proves that the subscription exists, wanted or not, read or
// not. Whether more of them come is up to the cluster.
func TestAnyEventIsASubscription(t *testing.T) {
	for name, event := range map[string]string{
		"not wanted": framed("pod_created_event", "{}"),
		"too large":  framed("status_update_event", strings.Repeat("x", 2<<20)),
		"not JSON":   framed("status_update_event", "{"),
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, 10*time.Minute, one, map[string][]answer{"one.test:8080": {beats(time.Hour, head, event)}}, nil, nil)
			if len(l.dialled()) != 1 || l.told[0] != "connected "+one {
				t.Errorf("told %q, %d connections", l.told, len(l.dialled()))
			}
		})
	}
	l := listen(t, time.Minute, one, map[string][]answer{"one.test:8080": {beats(time.Hour, head, ": a comment\n\nid: 1\n\n")}}, nil, nil)
	l.wantTold(t, "disconnected mute")
}

// An event whose bytes come one by one keeps the connection, and all other events away.
func TestAnEventThatNeverEnds(t *testing.T) {
	drips := func(size int) answer {
		return func(conn net.Conn) {
			says(head, attached("a"), "event: deployment_info\ndata: ")(conn)
			for range 100 {
				time.Sleep(4 * time.Second)
				if _, err := io.WriteString(conn, strings.Repeat("x", size)); err != nil {
					return
				}
			}
			says("\n\n", changed("app.1"))(conn)
			_, _ = io.Copy(io.Discard, conn)
		}
	}
	l := listen(t, 100*time.Second, one, map[string][]answer{"one.test:8080": {drips(1), stays(head, attached("b"))}}, nil, nil)
	l.wantTold(t, "connected "+one, "event_stream_attached", "disconnected cut off", "connected "+one, "event_stream_attached")
	l.wantLogged(t, `"cause":"cut off"`, "no end of the event within 1m0s")

	// As slow, but as much as it takes: it is merely too large.
	l = listen(t, 7*time.Minute, one, map[string][]answer{"one.test:8080": {drips(256 << 10)}}, nil, nil)
	l.wantTold(t, "connected "+one, "event_stream_attached", "missed oversize", "task app.1")
}

// jump is a wall clock that jumps forward, as it does over a suspend.
func jump(at time.Duration, by time.Duration) func(*Subscriber) {
	return func(s *Subscriber) {
		start := time.Now()
		s.wall = func() time.Time {
			if now := time.Now(); now.Sub(start) > at {
				return now.Add(by)
			}
			return time.Now()
		}
	}
}

func TestPauseOfOurOwnEndsAConnection(t *testing.T) {
	hosts := func() map[string][]answer {
		return map[string][]answer{"one.test:8080": {beats(time.Minute, head, attached("a"))}}
	}
	l := listen(t, 22*time.Second, one, hosts(), nil, jump(20*time.Second, 15*time.Second))
	l.wantTold(t, "connected "+one, "event_stream_attached", "disconnected paused", "connected "+one, "event_stream_attached")

	l = listen(t, 22*time.Second, one, hosts(), nil, jump(20*time.Second, 9*time.Second))
	l.wantTold(t, "connected "+one, "event_stream_attached") // Just slow.
}

// The bytes that waited during the pause may be read before the late tick.
func TestWhatWaitedDuringAPauseIsNotDelivered(t *testing.T) {
	old, _ := numbered(500)
	l := listen(t, 12*time.Second, one, map[string][]answer{"one.test:8080": {
		func(conn net.Conn) {
			says(head, attached("a"))(conn)
			time.Sleep(10*time.Second + 300*time.Millisecond) // Between two ticks.
			_, _ = io.WriteString(conn, old)
		},
		stays(head, attached("b")),
	}}, nil, jump(10*time.Second+100*time.Millisecond, time.Minute))
	l.wantTold(t, "connected "+one, "event_stream_attached", "disconnected paused",
		"connected "+one, "event_stream_attached")
}

func TestMomentSince(t *testing.T) {
	start := time.Now()
	for name, c := range map[string]struct{ monotonic, wall, want time.Duration }{
		"both run":           {time.Second, time.Second, time.Second},
		"process stopped":    {time.Minute, time.Minute, time.Minute},
		"machine suspended":  {time.Second, time.Hour, time.Hour},
		"wall clock set":     {time.Second, -time.Hour, time.Second},
		"monotonic only":     {time.Minute, 0, time.Minute},
		"nothing has passed": {0, 0, 0},
	} {
		before := moment{start, start}
		if got := (moment{start.Add(c.monotonic), start.Add(c.wall)}).since(before); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

package reconcile_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"consular/marathon/simulator"
	"consular/reconcile"
)

// What happens between Marathon and consular, seen in a real Consul: soon after
// it is over Consul is right, by one resync, and the log says what happened.

// soon is how long Consul may be wrong after there is a stream again. On an idle
// machine two seconds are plenty (-v shows what it took); here it may be busy, and
// whoever waits for the next poll needs a minute all the same.
const soon = 10 * time.Second

// connected is a bridge at work on the real Consul, with two apps.
func connected(t *testing.T, masters int, change func(*streamEnv)) *streamEnv {
	t.Helper()
	dev := theCluster(t)
	b := newStreamEnv(t, masters, simulator.Config{
		Hosts: hostsOf(dev.Clients()), TaskKilling: true, Heartbeat: 200 * time.Millisecond,
	})
	c := b.onConsul()
	if change != nil {
		change(b)
	}
	must(t, b.marathon.Create(web("/shop/web", 3)))
	must(t, b.marathon.Create(web("/shop/api", 2)))
	b.start(c)
	b.converges(patience)
	b.resyncs("connect", 1)
	return b
}

func polling(every time.Duration) func(*streamEnv) {
	return func(b *streamEnv) { b.configure = func(c *reconcile.Config) { c.PollInterval = every } }
}

// changes is what consular misses while it is deaf.
func (b *streamEnv) changes() {
	b.t.Helper()
	must(b.t, b.marathon.Scale("/shop/web", 4))
	must(b.t, b.marathon.Relabel("/shop/api", map[string]string{"role": "changed"}))
	must(b.t, b.marathon.Create(web("/late", 1)))
}

// resyncedOnce checks that a gap has ended with one resync: the next change is
// heard on the stream, and is right without another.
func (b *streamEnv) resyncedOnce(before int) {
	b.t.Helper()
	must(b.t, b.marathon.Scale("/shop/web", 1))
	b.converges(soon)
	if n := b.snapshots() - before; n != 1 {
		b.t.Errorf("%d snapshots for one gap, want 1", n)
	}
}

func TestStreamEnds(t *testing.T) {
	for cause, end := range map[string]func(*simulator.Marathon){
		"closed":  (*simulator.Marathon).CloseStreams,
		"cut off": (*simulator.Marathon).CutStreams,
		// A reset comes in the middle of an event, too.
		"cut off, reset": (*simulator.Marathon).ResetStreams,
	} {
		t.Run(cause, func(t *testing.T) {
			b := connected(t, 1, nil)
			b.marathon.RefuseStreams(true)
			end(b.marathon)
			// Deaf: the first poll is made at once.
			first, _, _ := strings.Cut(cause, ",")
			b.resyncs(first, 1)
			b.changes()
			before := b.snapshots()
			b.marathon.RefuseStreams(false)
			b.converges(soon)
			b.resyncedOnce(before)
			gap := `"cause":"` + first + `"`
			if n := b.log.count(`"disconnected"`); n != 1 || b.log.count(gap) < 2 || b.log.count("deaf for") != 1 {
				t.Errorf("the gap is logged %d times", n)
			}
		})
	}
}

func TestStreamFallsSilent(t *testing.T) {
	b := connected(t, 1, func(b *streamEnv) { b.idle = time.Second })
	b.marathon.StallStreams(true)
	stalled := time.Now()
	b.changes()
	b.logs(`"cause":"idle"`, 1)
	if took := time.Since(stalled); took > b.idle+soon {
		t.Errorf("noticed after %v, want %v", took, b.idle)
	}
	b.marathon.StallStreams(false)
	b.converges(soon)
}

// REST works, the stream does not: changes come by polling, and the stream's
// reconnects do not come faster because of it.
func TestPollsWhileDeaf(t *testing.T) {
	b := connected(t, 1, polling(time.Second))
	b.marathon.RefuseStreams(true)
	b.marathon.CloseStreams()
	b.logs(`"disconnected"`, 1)
	deaf, tried := time.Now(), b.marathon.Requests()["/v2/events"]
	before := b.snapshots()
	b.changes()
	b.converges(soon)
	b.logs(`"cause":"poll"`, 3)
	if n := b.snapshots() - before; n > mostPolls(deaf) {
		t.Errorf("%d snapshots in %v", n, time.Since(deaf))
	}
	reconnects := b.marathon.Requests()["/v2/events"] - tried
	if elapsed := time.Since(deaf); reconnects > 2+int(elapsed/(250*time.Millisecond)) {
		t.Errorf("%d reconnects in %v", reconnects, elapsed)
	}
	b.marathon.RefuseStreams(false)
	b.resyncs("connect", 2)
	polls := b.log.count(`"cause":"poll"`)
	must(t, b.marathon.Scale("/shop/web", 2))
	b.converges(soon)
	if n := b.log.count(`"cause":"poll"`); n > polls {
		t.Errorf("polls on the stream: %d after %d", n, polls)
	}
}

// mostPolls is how many there may have been since then, at --poll-interval 1s, and
// two resyncs for other causes.
func mostPolls(since time.Time) int {
	return 2 + int(time.Since(since)/(900*time.Millisecond))
}

// resyncs waits for so many resyncs that were made for a cause.
func (b *streamEnv) resyncs(cause string, n int) {
	b.t.Helper()
	eventually(b.t, "resyncs for "+cause, func() string {
		if count := b.log.resyncs(cause); count < n {
			return fmt.Sprintf("%d so far", count)
		}
		return ""
	})
}

// resyncs counts those that were made for a cause, alone or with others.
func (b *logBuffer) resyncs(cause string) int { return b.countBoth(`"message":"resync"`, cause) }

// Marathon is away altogether: nothing is deregistered, it is not hammered, and
// one resync makes good what was missed. The options of the real thing are
// fifteen times as long.
func TestMarathonAway(t *testing.T) {
	b := connected(t, 1, polling(time.Second))
	held := b.holds()
	b.marathon.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	b.marathon.CloseStreams()
	b.logs(`"disconnected"`, 1)
	before, away := b.marathon.Requests()["/v2/info"], time.Now()
	b.changes()
	eventually(t, "Marathon is away for a while", func() string {
		if diff := b.holds().diff(held); diff != "" {
			t.Fatalf("changed without Marathon:\n%s", diff)
		}
		if b.log.count(`"attempt":`) > 0 && b.marathon.Requests()["/v2/events"] >= 7 {
			return ""
		}
		return "not in the log:\n" + b.log.String()
	})
	if n := b.marathon.Requests()["/v2/info"] - before; n > mostPolls(away) {
		t.Errorf("asked %d times in %v", n, time.Since(away))
	}
	if n := strings.Count(b.log.String(), "\n"); n > 60 {
		t.Errorf("%d lines of log", n)
	}
	before = b.snapshots()
	back := time.Now()
	b.marathon.Intercept(nil)
	b.converges(soon) // a poll's, at the latest
	b.logs("deaf for", 1)
	b.logs("resyncs work again", 1)
	b.resyncs("connect", 2)
	// Reconnects are up to 1.5 s apart: one or two polls fit in between.
	if n := b.snapshots() - before; n > mostPolls(back) {
		t.Errorf("%d snapshots when it is back, want the connect's and polls'", n)
	}
}

// The leader is killed. The others go on believing in it, then hold requests,
// then one of them leads.
func TestLeaderDies(t *testing.T) {
	b := connected(t, 3, polling(time.Second))
	held := b.holds()
	b.masters[0].Kill()
	b.logs(`"disconnected"`, 1)
	b.logs("follow ", 1) // a standby's redirect to the dead leader
	b.logs("resync failed", 1)
	b.marathon.Abdicate() // the others have noticed, and hold what they are asked
	b.changes()
	if diff := b.holds().diff(held); diff != "" {
		t.Errorf("changed without a leader:\n%s", diff)
	}
	b.masters[1].Elect()
	b.converges(soon)
	b.logs(`"leader changed"`, 1)
	for _, line := range []string{`"cause":"standby"`, `"cause":"closed"`} {
		b.logs(line, 1)
	}
}

// What is no event costs a gap, not the connection, and one resync at a time.
func TestRubbishOnTheStream(t *testing.T) {
	b := connected(t, 1, polling(2*time.Second))
	before := b.snapshots()
	began := time.Now()
	b.marathon.Inject([]byte("event: deployment_info\r\ndata: {\"plan\":\"" + strings.Repeat("x", 20<<20) + "\"}\r\n\r\n"))
	for range 50 {
		b.marathon.Inject([]byte("event: status_update_event\r\ndata: {\"taskId\":\r\n\r\n"))
		b.marathon.Inject([]byte("event: status_update_event\r\ndata: {\"taskId\":7,\"eventType\":\"status_update_event\"}\r\n\r\n"))
	}
	b.logs(`"oversize"`, 1)
	b.logs(`"undecodable"`, 2)
	b.changes()
	b.converges(soon)
	b.resyncs("undecodable", 1)
	if n := b.snapshots() - before; n > 1+int(time.Since(began)/(2*time.Second)) {
		t.Errorf("%d snapshots for unreadable events in %v, want one for each poll interval", n, time.Since(began))
	}
	if n := b.log.count(`"disconnected"`); n > 0 {
		t.Errorf("%d connections lost", n)
	}
}

// Events that are not used are 5,000 a second.
func TestUnknownEvents(t *testing.T) {
	b := connected(t, 1, nil)
	before := b.snapshots()
	surprise := []byte("event: surprise_event\r\ndata: {\"eventType\":\"surprise_event\",\"x\":\"" + strings.Repeat("x", 300) + "\"}\r\n\r\n")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 100 {
		<-tick.C
		b.marathon.Inject(slices.Repeat(surprise, 50))
	}
	b.changes()
	b.converges(soon)
	if n := b.snapshots() - before; n != 0 || b.log.count(`"disconnected"`) != 0 {
		t.Errorf("%d snapshots and %d disconnects because of events that are not used", n, b.log.count(`"disconnected"`))
	}
}

// status is a task event as Marathon writes it.
func status(task, app, state, host string) []byte {
	return fmt.Appendf(nil, "event: status_update_event\r\ndata: {\"slaveId\":\"s\",\"taskId\":%q,\"taskStatus\":%q,\"message\":\"\","+
		"\"appId\":%q,\"host\":%q,\"ipAddresses\":[{\"ipAddress\":\"127.0.0.9\",\"protocol\":\"IPv4\"}],\"ports\":[31999],"+
		"\"version\":\"2026-11-22T10:00:00.000Z\",\"eventType\":\"status_update_event\",\"timestamp\":\"2026-11-22T10:00:00.000Z\"}\r\n\r\n",
		task, state, app, host)
}

// A task that has ended is not registered, in whatever order its events come,
// and whatever a snapshot says.
func TestEndedTasksStayAway(t *testing.T) {
	b := connected(t, 1, polling(time.Second))
	for n, states := range [][]string{
		{"TASK_KILLED", "TASK_RUNNING"},
		{"TASK_RUNNING", "TASK_KILLING", "TASK_RUNNING"},
		{"TASK_RUNNING", "TASK_RUNNING", "TASK_FAILED", "TASK_RUNNING"},
	} {
		for _, state := range states {
			b.marathon.Inject(status(fmt.Sprintf("shop_web.order-%d", n), "/shop/web", state, b.dev.Clients()[0].Host))
		}
	}
	// Marathon's answers list this one after its end too: the same ID lives again.
	dead := b.marathon.Tasks("/shop/web")[0]
	b.marathon.Inject(status(dead.ID, dead.AppID, "TASK_KILLED", dead.Host))
	b.marathon.CloseStreams()
	b.resyncs("connect", 2)
	eventually(t, "it lives again", func() string { return b.holds().diff(b.desired()) })
}

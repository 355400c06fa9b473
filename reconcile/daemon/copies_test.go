package daemon_test

import (
	"syscall"
	"testing"
	"time"
)

// Two copies never write at once, whatever is stopped and goes on: the Consul server, or the
// copy that writes, for longer than Consul waits for it. (What clocks that jump do to a lock
// is told in package consul, where they can be made to.)
func TestTwoCopiesNeverWriteAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	stop := s.churns()
	leader := s.starts(0)
	eventually(t, "the first copy writes", func() bool { return len(s.all()) > 100 })
	standby := s.starts(1)
	eventually(t, "the second stands by", func() bool { return standby.says(`"role":"standby"`, "holder") })
	want := 1
	turned := func() {
		t.Helper()
		if got := turns(s.all()); len(got) > want {
			t.Fatalf("they took turns %d times, want %d: %v", len(got), want, got)
		}
	}
	writesAgain := func(who *instance) {
		t.Helper()
		began := time.Now()
		eventually(t, who.name+" writes", func() bool { return s.newest(began) == who.name })
		turned()
	}

	// A server that stalls: nobody writes without a renewal.
	must(t, s.consul.Server().Pause())
	wait(t, 6*time.Second)
	before := len(s.all())
	wait(t, 9*time.Second)
	if now := len(s.all()); now != before {
		t.Errorf("%d writes without a renewal: %v", now-before, s.all()[before:])
	}
	must(t, s.consul.Server().Resume())
	// Its session may have ended meanwhile: then either of them gets the lock.
	began := time.Now()
	eventually(t, "one writes", func() bool { return s.newest(began) != "" })
	if s.newest(began) != leader.name {
		leader, standby, want = standby, leader, want+1
	}
	turned()

	// A copy that is stopped, and goes on when another leads.
	leader.signal(syscall.SIGSTOP)
	want++
	writesAgain(standby)
	leader.signal(syscall.SIGCONT)
	eventually(t, "the stopped copy knows", func() bool { return leader.says(`"role":"standby"`) })
	wait(t, 5*time.Second)
	turned()
	writesAgain(standby)

	stop()
	eventually(t, "all is right", s.right)
	turned()
	if streams := s.marathon.Streams(); streams != 2 {
		t.Errorf("%d streams for two copies", streams)
	}
	// And the lock is handed over at once when who has it is told to end.
	want++
	began = time.Now()
	standby.ends()
	s.churns()
	writesAgain(leader)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took over within %v", took)
	}
}

// wait lets real time pass: what is looked at is that nothing happens.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-t.Context().Done():
	case <-time.After(d):
	}
}

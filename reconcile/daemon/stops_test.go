package daemon_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// What TestStops does takes six seconds for each stop:
//
//	go test ./reconcile/daemon -run TestStops -stops 120 -timeout 1h -v
var stops = flag.Int("stops", 0, "stop the copy that writes so often, and count what it writes when it goes on without the lock")

// A copy that is stopped somewhere in the middle of its writes, and goes on when its lock is gone,
// writes nothing. Where it is stopped is left to chance, so that it takes many stops.
func TestStops(t *testing.T) {
	if *stops == 0 {
		return
	}
	s := newSite(t)
	s.churns()
	leader := s.starts(0)
	for n := range *stops {
		began := time.Now()
		eventually(t, "it writes", func() bool { return s.newest(began) != "" })
		wait(t, 500*time.Millisecond+time.Duration(n%37)*3*time.Millisecond)
		leader.signal(syscall.SIGSTOP)
		s.destroysSessions() // nobody gets the lock for 5 s
		wait(t, 4500*time.Millisecond)
		before := len(s.all())
		leader.signal(syscall.SIGCONT)
		wait(t, 300*time.Millisecond)
		for _, late := range s.all()[before:] {
			t.Errorf("stop %d: %v", n, late)
		}
	}
}

// destroysSessions destroys all sessions of Consul's.
func (s *site) destroysSessions() {
	s.Helper()
	server := s.consul.Server().URL()
	resp, err := plain.Get(server.JoinPath("v1/session/list").String())
	must(s, err)
	defer resp.Body.Close()
	var sessions []struct{ ID string }
	must(s, json.NewDecoder(resp.Body).Decode(&sessions))
	for _, session := range sessions {
		req, err := http.NewRequestWithContext(s.Context(), http.MethodPut, server.JoinPath("v1/session/destroy", session.ID).String(), nil)
		must(s, err)
		done, err := plain.Do(req)
		must(s, err)
		done.Body.Close()
	}
}

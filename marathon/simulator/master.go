package simulator

import (
	"fmt"
	"net/http"
	"time"
)

// electionPatience is how long a master that knows no leader holds a request:
// 11 times 250 ms.
const electionPatience = 2750 * time.Millisecond

// viaHeader names the standby that an answer has come by.
const viaHeader = "X-Marathon-Via"

// Master is one of several Marathon processes that share one state. Only the
// leader answers by itself: a standby proxies REST to it and redirects event
// streams, or, in the task era, proxies those too.
type Master struct {
	marathon *Marathon
	address  string
	dead     bool // guarded by Marathon's lock
}

// leadership is who leads, as all masters but the leader itself believe.
// Marathon's lock guards it.
type leadership struct {
	// leader is nil during an election.
	leader *Master
	// elected is closed when there is a leader again.
	elected chan struct{}
	// failures counts requests that found the leader dead: their answers alternate.
	failures int
}

// Master adds a master that others reach at host:port. The first one leads.
// Each has a Handler of its own; Marathon.Handler answers as a lone leader does.
func (m *Marathon) Master(hostPort string) *Master {
	master := &Master{marathon: m, address: hostPort}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leadership.leader == nil && m.leadership.elected == nil {
		m.leadership.leader = master
	}
	return master
}

// Kill ends a master as kill -9 does: its streams end wherever they are, its
// connections are dropped. If it led, the others go on believing in it until
// Elect or Abdicate.
func (a *Master) Kill() {
	m := a.marathon
	m.mu.Lock()
	defer m.mu.Unlock()
	a.dead = true
	for _, s := range m.streams.open {
		if m.leadership.leader == a || s.via == a.address {
			s.close(overflow)
		}
	}
}

// Abdicate makes the leader give up, as DELETE /v2/leader does: all streams
// end, and until Elect there is no leader.
func (m *Marathon) Abdicate() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endAll(plainEnd)
	m.leadership.leader = nil
	if m.leadership.elected == nil {
		m.leadership.elected = make(chan struct{})
	}
}

// Elect makes this master the leader, alive again if it was dead. Streams of
// another leader end.
func (a *Master) Elect() {
	m := a.marathon
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leadership.leader != a || a.dead {
		m.endAll(plainEnd)
		m.forgetHealth()
		m.proceed()
	}
	a.dead = false
	m.leadership.leader = a
	if m.leadership.elected != nil {
		close(m.leadership.elected)
		m.leadership.elected = nil
	}
}

// Handler answers as this master does in its present role.
func (a *Master) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := a.marathon
		m.rest.requestsInFlight.Add(1)
		defer m.rest.requestsInFlight.Done()
		leader := m.awaitLeader(r)
		switch {
		case a.isDead():
			drop(w)
		case leader == nil:
			htmlError(w, r, m.noLeaderStatus(), "Could not determine the current leader")
		case leader != a && r.URL.Path == "/v2/events" && !m.config.TaskEra:
			redirect(w, r, leader)
		case leader != a && leader.isDead():
			m.leaderFailed(w, r)
		case leader != a:
			w.Header().Set(viaHeader, "1.1 "+a.address)
			r.Header.Set(viaHeader, a.address)
			leader.serve(w, r)
		default:
			leader.serve(w, r)
		}
	})
}

// serve answers as the leader, whatever name the request came by.
func (a *Master) serve(w http.ResponseWriter, r *http.Request) {
	named := r.Clone(r.Context())
	named.Host = a.address
	a.marathon.Handler().ServeHTTP(w, named)
}

func (a *Master) isDead() bool {
	a.marathon.mu.Lock()
	defer a.marathon.mu.Unlock()
	return a.dead
}

// awaitLeader returns the leader; during an election it waits for one, and
// gives up with nil.
func (m *Marathon) awaitLeader(r *http.Request) *Master {
	m.mu.Lock()
	leader, elected := m.leadership.leader, m.leadership.elected
	m.mu.Unlock()
	if leader != nil {
		return leader
	}
	select {
	case <-elected:
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.leadership.leader
	case <-time.After(electionPatience):
	case <-r.Context().Done():
	}
	return nil
}

// redirect is what a standby does with a stream: the query is kept, and the
// leader may be dead. It has none of the usual headers.
func redirect(w http.ResponseWriter, r *http.Request, leader *Master) {
	target := "http://" + leader.address + r.URL.Path
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	w.Header().Set("Connection", "close")
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusFound)
}

// leaderFailed is what a standby says while it still proxies to a dead leader.
func (m *Marathon) leaderFailed(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	m.leadership.failures++
	refused := m.leadership.failures%2 == 1
	m.mu.Unlock()
	if refused || m.config.TaskEra {
		htmlError(w, r, m.noLeaderStatus(), "Connection to leader refused.")
		return
	}
	htmlError(w, r, http.StatusInternalServerError, "Server Error")
}

// drop closes the connection without an answer.
func drop(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, fmt.Sprintf("take over the connection: %v", err), http.StatusInternalServerError)
		return
	}
	conn.Close()
}

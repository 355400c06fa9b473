package simulator_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"consular/marathon/simulator"
)

// serveMaster starts a server for one more master of m.
func serveMaster(t *testing.T, m *simulator.Marathon) (master *simulator.Master, url string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	master = m.Master(server.Listener.Addr().String())
	server.Config.Handler = master.Handler()
	server.Start()
	t.Cleanup(func() {
		m.CloseStreams()
		server.Close()
	})
	return master, server.URL
}

// standbyAnswer returns the head of an answer, without following redirects.
func standbyAnswer(t *testing.T, url string) (status int, header http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	request.Header.Set("Accept", "text/event-stream")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	must(t, err)
	response.Body.Close()
	return response.StatusCode, response.Header
}

func TestStandbyRedirectsStreamsAndProxiesREST(t *testing.T) {
	m := simulator.New(simulator.Config{})
	_, leader := serveMaster(t, m)
	_, standby := serveMaster(t, m)
	must(t, m.Create(web()))
	query := "?event_type=status_update_event&event_type=event_stream_attached"
	code, header := standbyAnswer(t, standby+"/v2/events"+query)
	if got := header.Get("Location"); code != 302 || got != leader+"/v2/events"+query {
		t.Errorf("standby answers %d to %s, want 302 to %s", code, got, leader)
	}
	status, body := get(t, standby+"/v2/leader")
	if want := `{"leader":"` + strings.TrimPrefix(leader, "http://") + `"}`; status != 200 || string(body) != want {
		t.Errorf("standby says %d %s, want %s", status, body, want)
	}
	if l := listen(t, standby); l == nil { // follows the redirect
		t.Error("no stream through the standby")
	}
}

func TestKilledLeader(t *testing.T) {
	m := simulator.New(simulator.Config{})
	first, leader := serveMaster(t, m)
	second, standby := serveMaster(t, m)
	must(t, m.Create(web()))
	l := listen(t, leader)
	first.Kill()
	if h := l.next(t); h.name != "" {
		t.Errorf("heard %s of a dead leader", h.name)
	}
	if code, _ := standbyAnswer(t, standby+"/v2/events"); code != 302 {
		t.Errorf("standby answers %d, want 302 to the dead leader", code)
	}
	one, _ := get(t, standby+"/v2/apps")
	two, _ := get(t, standby+"/v2/apps")
	if one != 502 || two != 500 {
		t.Errorf("standby answers %d and %d, want 502 and 500", one, two)
	}
	second.Elect()
	if status, body := get(t, standby+"/v2/apps/shop/web/tasks"); status != 200 || strings.Count(string(body), "TASK_RUNNING") != 2 {
		t.Errorf("the new leader answers %d %s", status, body)
	}
}

func TestRequestsAreHeldDuringAnElection(t *testing.T) {
	m := simulator.New(simulator.Config{})
	_, leader := serveMaster(t, m)
	second, standby := serveMaster(t, m)
	l := listen(t, leader)
	m.Abdicate()
	if h := l.next(t); h.name != "" {
		t.Errorf("heard %s of a leader that abdicated", h.name)
	}
	held := make(chan int)
	go func() {
		status, _ := get(t, standby+"/ping")
		held <- status
	}()
	select {
	case status := <-held:
		t.Errorf("answered %d before there was a leader", status)
	default:
	}
	second.Elect()
	if status := <-held; status != 200 {
		t.Errorf("held request got %d", status)
	}
}

func TestDeadLeaderPageAsRecorded(t *testing.T) {
	m := simulator.New(simulator.Config{})
	first, _ := serveMaster(t, m)
	_, standby := serveMaster(t, m)
	first.Kill()
	for _, file := range []string{"standby-502-html", "standby-500-html"} {
		raw, err := os.ReadFile(filepath.Join(live, "ha", file+".http"))
		must(t, err)
		_, want, _ := strings.Cut(string(raw), "\r\n\r\n")
		_, path, _ := strings.Cut(want, "accessing ")
		path, _, _ = strings.Cut(path, ".")
		if got := page(t, standby+path); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

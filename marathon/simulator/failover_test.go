package simulator_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"consular/marathon"
	"consular/marathon/simulator"
)

// apps reads GET /v2/apps?embed=apps.tasks, and tells each app's moment.
func apps(t *testing.T, client *http.Client) map[string]string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://marathon.test/v2/apps?embed=apps.tasks", nil)
	must(t, err)
	response, err := client.Do(request)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return momentsOf(t, body)
}

func momentsOf(t *testing.T, answer []byte) map[string]string {
	t.Helper()
	var a struct{ Apps []map[string]any }
	must(t, json.Unmarshal(answer, &a))
	moments := map[string]string{}
	for _, app := range a.Apps {
		moments[app["id"].(string)] = momentOf(app)
	}
	return moments
}

// A leader was killed, recorded before and after: Marathon's own results are
// gone, those of Mesos are as new; the first probes tell of what had not changed,
// and do not tell all.
func TestFailoverAsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := simulator.New(simulator.Config{TaskKilling: true})
		client := serveByPipe(t, m)
		a := actor{m, t}
		ok := onePort("/ha/ok", probed("HTTP", 0))
		ok.Instances = 3
		for _, app := range []simulator.App{
			ok, onePort("/ha/two", probed("HTTP", 0), probed("TCP", 0)), onePort("/ha/none"),
			onePort("/ha/mesos", probed("MESOS_HTTP", 0)), onePort("/ha/mesos-bad", probed("MESOS_HTTP", 0)),
			onePort("/ha/dies", probed("HTTP", 3)), onePort("/ha/bad", probed("HTTP", 0)),
		} {
			a.ok(a.Create(app))
		}
		a.Probe()
		for _, id := range []string{"/ha/bad", "/ha/mesos-bad"} {
			a.ok(a.Break(a.first(id)))
			a.Probe(a.first(id))
		}
		compare := func(file string) {
			raw, err := os.ReadFile(filepath.Join(live, "next", file+".json"))
			must(t, err)
			got, want := apps(t, client), momentsOf(t, raw)
			for id := range want {
				if got[id] != want[id] {
					t.Errorf("%s: %s\n got  %s\n want %s", file, id, got[id], want[id])
				}
			}
		}
		compare("health-failover-apps-before")
		a.ok(a.Break(a.first("/ha/dies")))
		time.Sleep(time.Minute) // what ran before has no grace
		m.Failover()
		compare("health-failover-apps-01")
		l := listenBy(t, client, "http://marathon.test")
		for _, task := range a.Tasks("") {
			if task.AppID != "/ha/bad" {
				a.Probe(task.ID)
			}
		}
		compare("health-failover-apps-03")
		a.Probe(a.first("/ha/bad"))
		compare("health-failover-apps-04")
		m.CloseStreams()

		events := recorded(t, "next/health-failover-new-leader")
		// What follows is the second round of probes.
		again := slices.IndexFunc(events, func(h heard) bool { return strings.HasPrefix(timeOf(h), "2026-11-28T03:37") })
		for _, difference := range accountOf(l.rest(t)).diff(accountOf(events[:again])) {
			t.Error(difference)
		}
	})
}

func timeOf(h heard) string {
	text, _ := h.data["timestamp"].(string)
	return text
}

// A new leader is a failover; the one who leads already is none.
func TestElectionForgetsHealth(t *testing.T) {
	m := simulator.New(simulator.Config{})
	first, second := m.Master("127.0.0.1:1"), m.Master("127.0.0.1:2")
	must(t, m.Create(onePort("/a", probed("HTTP", 0))))
	healthy := func() bool { return m.Tasks("/a")[0].Healthy }
	for name, test := range map[string]struct {
		elect func()
		want  bool
	}{
		"the same again": {first.Elect, true},
		"another":        {func() { second.Elect(); first.Elect() }, false},
		"killed":         {func() { first.Kill(); first.Elect() }, false},
		"abdicated":      {func() { m.Abdicate(); first.Elect() }, false},
	} {
		m.Probe()
		if !healthy() {
			t.Fatalf("%s: not healthy before", name)
		}
		test.elect()
		if healthy() != test.want {
			t.Errorf("%s: healthy is %v, want %v", name, healthy(), test.want)
		}
	}
}

// In the middle of a deployment a failover erases what readiness checks said.
func TestFailoverForgetsReadiness(t *testing.T) {
	m := simulator.New(simulator.Config{})
	url := serve(t, m)
	app := onePort("/a")
	app.Instances, app.ReadinessChecks = 2, []simulator.ReadinessCheck{{}}
	must(t, m.Create(app))
	must(t, m.Ready(m.Tasks("/a")[1].ID, false))
	results := func() []marathon.ReadinessCheckResult {
		t.Helper()
		_, body := get(t, url+"/v2/apps?embed=apps.tasks&embed=apps.readiness")
		snapshot, err := marathon.ReadSnapshot(strings.NewReader(string(body)))
		must(t, err)
		return snapshot.Apps[0].ReadinessCheckResults
	}
	m.Probe()
	if r := results(); len(r) != 2 || r[0].Ready == r[1].Ready {
		t.Errorf("results are %+v", r)
	}
	m.Failover()
	if r := results(); r == nil || len(r) != 0 || len(m.Deployments()) != 1 {
		t.Errorf("after the failover results are %#v", r)
	}
}

package simulator_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"consular/marathon/simulator"
)

// keys returns all paths of keys in a JSON value, array elements under [].
// Where names are data, as in labels, they are left out.
func keys(v any) []string {
	found := map[string]bool{}
	collect(found, "", v)
	return slices.Sorted(maps.Keys(found))
}

func collect(found map[string]bool, at string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if strings.HasSuffix(at, ".labels") {
				continue
			}
			found[at+"."+key] = true
			collect(found, at+"."+key, value)
		}
	case []any:
		for _, value := range v {
			collect(found, at+"[]", value)
		}
	}
}

// shapes returns the key sets of each event type in a stream, and for those
// whose fields vary, such as an app definition's, each set once.
func shapes(events []heard) map[string][]string {
	sets := map[string][]string{}
	for _, h := range events {
		shape := strings.Join(keys(h.data), " ")
		if !slices.Contains(sets[h.name], shape) {
			sets[h.name] = append(sets[h.name], shape)
		}
	}
	for _, set := range sets {
		slices.Sort(set)
	}
	return sets
}

// Every event of a scene has the keys that the recorded one has.
func TestEventKeysAsRecorded(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			want := shapes(recorded(t, s.name))
			m := simulator.New(s.config)
			a := actor{m, t}
			if s.before != nil {
				s.before(a)
			}
			got := shapes(record(t, m, func() { s.during(a) }))
			for _, attachment := range []string{"event_stream_attached", "event_stream_detached"} {
				delete(got, attachment)
				delete(want, attachment)
			}
			for name, set := range want {
				if !slices.Equal(got[name], set) {
					t.Errorf("%s:\n got  %s\n want %s", name, strings.Join(got[name], "\n      "), strings.Join(set, "\n      "))
				}
			}
		})
	}
}

// Events are written in the recordings' order of fields, not just with them.
func TestEventFieldOrderAsRecorded(t *testing.T) {
	m := simulator.New(simulator.Config{TaskKilling: true})
	got := map[string]string{}
	for _, h := range record(t, m, func() { created(web())(actor{m, t}) }) {
		got[h.name] = fieldOrder(h.raw)
	}
	for _, h := range recorded(t, "create") {
		if order, ok := got[h.name]; ok && order != fieldOrder(h.raw) {
			t.Errorf("%s has fields %s, want %s", h.name, order, fieldOrder(h.raw))
		}
	}
}

// fieldOrder returns the top-level keys of a JSON object as they are written.
func fieldOrder(object string) string {
	decoder := json.NewDecoder(strings.NewReader(object))
	var order []string
	if _, err := decoder.Token(); err != nil {
		return err.Error()
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return err.Error()
		}
		order = append(order, key.(string))
		var skipped any
		if err := decoder.Decode(&skipped); err != nil {
			return err.Error()
		}
	}
	return strings.Join(order, " ")
}

// REST answers have the recordings' keys, at the moments they were recorded.
func TestAnswerKeysAsRecorded(t *testing.T) {
	for _, c := range []struct {
		file, path string
		happen     func(actor)
	}{
		{"create-apps", "/v2/apps?embed=apps.tasks", created(web())},
		{"create-apps-no-embed", "/v2/apps", created(web())},
		{"create-app-running", "/v2/apps/shop/web", created(web())},
		{"create-app-running", "/v2/apps//shop/web", created(web())},
		{"create-app-tasks", "/v2/apps/shop/web/tasks", created(web())},
		{"create-tasks", "/v2/tasks", created(web())},
		{"container-app", "/v2/apps/shop/overlay", created(overlay())},
		{"next/ports-host-app", "/v2/apps/ports/host", created(declared("host", simulator.Host, simulator.Port{Name: "http", Labels: map[string]string{"k": ""}}, simulator.Port{}))},
		{"next/ports-require-app", "/v2/apps/ports/require", created(declared("require", simulator.Host, simulator.Port{Name: "http", Labels: map[string]string{"k": ""}}))},
		{"next/ports-bridge-mesos-app", "/v2/apps/ports/bridge-mesos", created(declared("bridge-mesos", simulator.Bridge, simulator.Port{Name: "http", Container: 80}))},
		{"next/ports-container-mesos-app", "/v2/apps/ports/container-mesos", created(declared("container-mesos", simulator.Container, simulator.Port{Name: "http", Container: 80, OnHost: true}, simulator.Port{Name: "a", Container: 81}))},
		{"unreachable-strategy-app-inactive", "/v2/apps/shop/web", func(a actor) {
			app := patient("/shop/web")
			app.Ports = web().Ports
			a.ok(a.Create(app))
			a.ok(a.Crash(a.first("/shop/web")))
			a.ok(a.Unreachable(a.first("/shop/web")))
			a.ok(a.Unreachable(a.first("/shop/web")))
		}},
		{"bulk-app-no-ports", "/v2/apps/bp/one", func(a actor) {
			a.ok(a.Bulk(simulator.App{ID: "/bp/one", Instances: 1}))
		}},
		{"deployments-running", "/v2/deployments", func(a actor) {
			app := small("/shop/stuck", 1, nil)
			app.CPUs = simulator.HostCPUs + 1
			a.ok(a.Create(app))
		}},
	} {
		t.Run(c.file, func(t *testing.T) {
			m := simulator.New(simulator.Config{TaskKilling: true})
			c.happen(actor{m, t})
			status, body := get(t, serve(t, m)+c.path)
			if status != 200 {
				t.Fatalf("GET %s: %d %s", c.path, status, body)
			}
			want, err := os.ReadFile(filepath.Join(live, c.file+".json"))
			must(t, err)
			gotKeys, wantKeys := keys(parsed(t, body)), keys(parsed(t, want))
			if !slices.Equal(gotKeys, wantKeys) {
				t.Errorf("GET %s:\n got  %v\n want %v", c.path, gotKeys, wantKeys)
			}
		})
	}
}

// declared is an app of the recordings of ports.
func declared(name string, network simulator.Network, ports ...simulator.Port) simulator.App {
	return simulator.App{ID: "/ports/" + name, Instances: 1, Labels: map[string]string{"app": "ports-" + name}, Network: network, Ports: ports}
}

func parsed(t *testing.T, body []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return v
}

// Refusals are the recorded ones byte for byte, dates and leader aside.
func TestRefusalsAsRecorded(t *testing.T) {
	m := simulator.New(simulator.Config{})
	actor{m, t}.ok(m.Create(small("/x/two", 1, nil)))
	url := serve(t, m)
	for file, path := range map[string]string{
		"create-404":                "/v2/apps/shop/web",
		"404-version":               "/v2/apps/x/two/versions/2020-01-01T00:00:00.000Z",
		"500-unknown-uri":           "/v2/nothing",
		"events-500-trailing-slash": "/v2/events/",
	} {
		raw, err := os.ReadFile(filepath.Join(live, file+".http"))
		must(t, err)
		head, want, _ := strings.Cut(string(raw), "\r\n\r\n")
		status, body := get(t, url+path)
		if string(body) != want || !strings.HasPrefix(head, "HTTP/1.1 "+statusOf(status)) {
			t.Errorf("GET %s: %d %s, recorded %s", path, status, body, raw)
		}
	}
}

func statusOf(status int) string {
	return string([]byte{byte('0' + status/100), byte('0' + status/10%10), byte('0' + status%10)})
}

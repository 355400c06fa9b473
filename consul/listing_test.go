package consul

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"weak"

	"github.com/hashicorp/consul/api"
)

// An answer is what the agent says now: whatever it said before, whoever asks at the same
// time, and whatever was done to a list that was handed out.
func TestListingsSayWhatIsThereNow(t *testing.T) {
	var says atomic.Value
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/a proxy%3f/?/v1/agent/services" {
			t.Errorf("asked for %q", r.URL.Path)
		}
		body := says.Load().(string)
		if body == "" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, body)
	}, func(c *Config) { c.Address.Path = "/a proxy%3f/?" })
	for _, body := range []string{
		`{"a": {"ID": "a"}}`, `{"a": {"ID": "a"}}`, `{"b": {"ID": "b"}}`, ``, `{"b": {"ID": "b"}}`, `null`, `null`, `{"b": null}`, `{"b": null}`,
		`{"b": {"ID": "b"}} {}`, `{}`, `{}`, `{"b": {"ID": "b"}}`,
	} {
		says.Store(body)
		var asking sync.WaitGroup
		for range 3 {
			asking.Go(func() {
				services, err := c.Main().Services(t.Context())
				var want []Service
				switch body {
				case `{"a": {"ID": "a"}}`:
					want = []Service{{ID: "a"}}
				case `{"b": {"ID": "b"}}`:
					want = []Service{{ID: "b"}}
				}
				if !slices.EqualFunc(services, want, func(a, b Service) bool { return reflect.DeepEqual(a, b) }) || (err == nil) != (want != nil || body == "{}") {
					t.Errorf("%q is %+v, %v", body, services, err)
				}
				for i := range services {
					services[i].Checks = []Check{{ID: "changed"}}
				}
			})
		}
		asking.Wait()
	}
}

// An answer that is the one before is not decoded again. One that cannot be decoded is an error
// each time, and so is one that does not come; what was decoded before stays good.
func TestAnAnswerIsDecodedOnce(t *testing.T) {
	says, decoded := "", 0
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if says == "down" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, says+" \n")
	})
	l := listing[string]{path: "/v1/agent/services", decode: func(body []byte) (string, error) {
		if decoded++; says == "bad" {
			return "nothing", errors.New("it is bad")
		}
		return strings.TrimSpace(string(body)), nil
	}}
	for i, step := range []struct {
		says    string
		decoded int
	}{{"a", 1}, {"a", 1}, {"b", 2}, {"b", 2}, {"a", 3}, {"bad", 4}, {"bad", 5}, {"a", 5}, {"down", 5}, {"a", 5}, {"", 6}, {"", 6}} {
		says = step.says
		have, err := l.ask(t.Context(), c.Main())
		if fails := says == "bad" || says == "down"; (err != nil) != fails || !fails && have != says || decoded != step.decoded {
			t.Errorf("%d: %q is %q, %v, after decoding %d times, want %d", i, says, have, err, decoded, step.decoded)
		}
		if status, is := errors.AsType[api.StatusError](err); is != (says == "down") || is && (status.Code != 500 || status.Body != says) {
			t.Errorf("%d: %q is the error %q", i, says, err)
		}
	}
}

// An agent lists its services by their IDs, and so does the answer, in order.
func TestServicesOfAnAnswer(t *testing.T) {
	const n = 50
	services := map[string]Service{}
	for i := range n {
		id := fmt.Sprintf("%02d", i)
		services[id] = Service{ID: id, Tags: []string{id}, Meta: map[string]string{id: id}}
	}
	have, err := decodeServices(encoded(t, services))
	if len(have) != n || err != nil {
		t.Fatalf("%+v, %v", have, err)
	}
	for i, s := range have {
		if id := fmt.Sprintf("%02d", i); !reflect.DeepEqual(s, services[id]) {
			t.Errorf("%d is %+v, want %+v", i, s, services[id])
		}
	}
}

// Hosts come and go: an agent, with all that it has listed, is kept by who asked for it, and by
// nobody else.
func TestAnAgentThatNobodyHasIsForgotten(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") })
	kept := func() weak.Pointer[Agent] {
		agent, err := c.Agent("localhost")
		if err != nil {
			t.Fatal(err)
		}
		return weak.Make(agent)
	}()
	runtime.GC()
	if kept.Value() != nil {
		t.Error("the cluster keeps it")
	}
	runtime.KeepAlive(c)
}

// An agent with 2,000 services, one check each, is listed again and again, and answers the
// same, or something new each time.
func BenchmarkListing(b *testing.B) {
	services, checks := map[string]any{}, map[string]any{}
	for n := range 2000 {
		id := fmt.Sprintf("group_web-%d.instance-7c2f0a9e-6f0e-11ea-bc55-0242ac130003._app.1", n)
		services[id] = map[string]any{
			"ID": id, "Service": "group-web", "Tags": Owner{"consular"}.Tags("/group/web"), "Port": 31001, "Address": "10.0.0.1",
			"Meta":    map[string]string{MetaApp: "/group/web", MetaTask: id, MetaVersion: "2026-11-28T12:00:00.000Z"},
			"Weights": map[string]int{"Passing": 1, "Warning": 1}, "EnableTagOverride": false, "Datacenter": "dc1",
		}
		checks[CheckID(id)] = map[string]any{
			"Node": "agent-1", "CheckID": CheckID(id), "Name": "Marathon", "Status": "passing", "Notes": "Marathon's own verdict",
			"Output": "", "ServiceID": id, "ServiceName": "group-web", "ServiceTags": Owner{"consular"}.Tags("/group/web"),
			"Type": "ttl", "Interval": "", "Timeout": "", "ExposedPort": 0, "Definition": map[string]any{}, "CreateIndex": 0, "ModifyIndex": 0,
		}
	}
	for _, changes := range []bool{false, true} {
		b.Run(fmt.Sprintf("changes=%t", changes), func(b *testing.B) {
			bodies := map[string][]byte{"/v1/agent/services": encoded(b, services), "/v1/agent/checks": encoded(b, checks)}
			asked := 0
			agent := serve(b, func(w http.ResponseWriter, r *http.Request) {
				if asked++; changes {
					_, _ = fmt.Fprintf(w, "%*s", asked%512, "") // another answer that says the same
				}
				_, _ = w.Write(bodies[r.URL.Path])
			}).Main()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := agent.Services(b.Context()); err != nil {
					b.Fatal(err)
				}
				if _, err := agent.Checks(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func encoded(b testing.TB, v any) []byte {
	b.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	return body
}

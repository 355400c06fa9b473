package marathon

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestDecode(t *testing.T) {
	for file, want := range map[string]Event{
		"status_update_event-running-0.11": TaskChanged{
			Meta{"status_update_event", at("2015-09-30T12:47:11.286Z")},
			Task{
				ID: "test-app.5dd78972-6771-11e5-94e1-be5b2935a987", AppID: "/test-app",
				Host: "srv4.hw.ca1.mesosphere.com", State: TaskRunning,
				Ports: []int{31182}, Version: "2015-09-11T22:11:03.156Z",
			},
		},
		"status_update_event-running-dual-stack-1.9": TaskChanged{
			Meta{"status_update_event", at("2020-06-02T08:40:01.000Z")},
			Task{
				ID: "shop_api.instance-a94c77d3-a4ae-11ea-9f3c-02424a8c5a01._app.1", AppID: "/shop/api",
				Host: "10.20.0.11", State: TaskRunning, Ports: []int{},
				Addresses: []string{"fd01:b::1:8000:2", "9.0.3.18"}, Version: "2020-06-02T08:15:30.120Z",
			},
		},
		"deployment_failed-1.9": DeploymentEnded{
			Meta: Meta{"deployment_failed", at("2020-06-02T08:15:52.001Z")}, Version: "2020-06-02T08:15:30.120Z",
			Apps: []string{"/shop/web"}, Failed: true,
		},
		"deployment_info-1.3-heavy": DeploymentPlanned{
			Meta: Meta{"deployment_info", at("2016-10-13T13:31:39.067Z")}, Version: "2016-10-13T13:31:39.055Z",
			Apps: []string{"/zdd/base-min-over"},
		},
		"deployment_info-1.9-light-pod": DeploymentPlanned{
			Meta: Meta{"deployment_info", at("2020-06-02T10:00:00.260Z")}, Version: "2020-06-02T08:15:30.120Z",
			Pods: []string{"/shop/cart"},
		},
		"app_terminated_event-1.9": AppTerminated{
			Meta{"app_terminated_event", at("2020-06-02T12:00:05.000Z")}, "/shop/web",
		},
		"group_change_success-1.3": GroupChanged{
			Meta{"group_change_success", at("2016-10-13T13:31:39.085Z")}, "2016-10-13T13:31:39.055Z",
		},
		"event_stream_attached-0.11": Attached{
			Meta{"event_stream_attached", at("2015-09-30T12:44:30.061Z")}, "0:0:0:0:0:0:0:1",
		},
		"health_status_changed_event-1.3": HealthStatusChanged{
			Meta: Meta{"health_status_changed_event", at("2016-10-13T13:31:46.710Z")}, AppID: "/zdd/base-min-over",
			TaskID: "zdd_base-min-over.5ed13e24-9149-11e6-aae4-3a4b79075094", Version: "2016-10-13T13:31:39.055Z", Alive: true,
		},
		"health_status_changed_event-dead-1.9": HealthStatusChanged{
			Meta: Meta{"health_status_changed_event", at("2020-06-02T08:30:00.001Z")}, AppID: "/shop/web",
			InstanceID: "shop_web.instance-3e1b9a51-a4a8-11ea-9f3c-02424a8c5a01", Version: "2020-06-02T08:15:30.120Z",
		},
		"instance_health_changed_event-null-1.9": InstanceHealthChanged{
			Meta: Meta{"instance_health_changed_event", at("2020-06-02T08:31:00.002Z")}, AppID: "/shop/web",
			InstanceID: "shop_web.instance-3e1b9a51-a4a8-11ea-9f3c-02424a8c5a01", Version: "2020-06-02T08:15:30.120Z", Health: HealthUnknown,
		},
		"api_post_event-1.3": Ignored{Meta{"api_post_event", at("2016-10-13T13:31:39.085Z")}},
	} {
		t.Run(file, func(t *testing.T) {
			data := fixture(t, "events/"+file+".json")
			for _, name := range []string{"", want.About().Type} {
				got, err := Decode(name, data)
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("Decode(%q) = %+v, %v\nwant %+v", name, got, err, want)
				}
			}
		})
	}
}

// TestDecodeDestroy reads the recording of an app's end: the version joins the
// three events that tell of it.
func TestDecodeDestroy(t *testing.T) {
	var story []string
	for _, f := range frames(fixture(t, "live/destroy.crlf.sse")) {
		event, err := Decode(f.name, []byte(f.data))
		if err != nil {
			t.Fatal(err)
		}
		switch e := event.(type) {
		case DeploymentPlanned:
			story = append(story, fmt.Sprint("planned ", e.Version, e.Apps, e.Stopped))
		case DeploymentEnded:
			story = append(story, fmt.Sprint("ended ", e.Version, e.Apps, e.Stopped, e.Failed))
		case GroupChanged:
			story = append(story, "changed "+e.Version)
		case AppTerminated:
			story = append(story, "terminated "+e.AppID)
		}
	}
	want := []string{
		"planned 2026-11-22T16:27:16.759Z[/shop/web] [/shop/web]",
		"changed 2026-11-22T16:27:16.759Z",
		"terminated /shop/web",
		"ended 2026-11-22T16:27:16.759Z[/shop/web] [/shop/web] false",
	}
	if !slices.Equal(story, want) {
		t.Errorf("story is %q,\nwant %q", story, want)
	}
}

func TestDecodeEveryFixture(t *testing.T) {
	count := map[string]int{}
	used := slices.Concat(EventTypes(), HealthEventTypes())
	for _, f := range allFrames(t) {
		event, err := Decode(f.name, []byte(f.data))
		if err != nil {
			t.Errorf("%v: %s", err, f.data)
			continue
		}
		about := event.About()
		count[about.Type]++
		if about.Time.IsZero() {
			t.Errorf("no time in %s", f.data)
		}
		if !strings.Contains(f.data, fmt.Sprintf("%q", about.Type)) {
			t.Errorf("type %s of %s", about.Type, f.data)
		}
		_, ignored := event.(Ignored)
		if used := slices.Contains(used, about.Type); used == ignored {
			t.Errorf("%s is asked for: %v, and ignored: %v", about.Type, used, ignored)
		}
	}
	for _, name := range used {
		if count[name] == 0 {
			t.Errorf("no fixture has a %s", name)
		}
	}
}

func TestDecodePlans(t *testing.T) {
	const data = `{"plan":{"version":"v","steps":[
		{"actions":[{"type":"StartApplication","app":"/b"},{"action":"StopApplication","app":"/c"}]},
		{"actions":[{"action":"StopPod","pod":"/pod"},{"type":"StopApplication","app":"/a"}]},
		{"actions":[{"action":"ScaleApplication","app":"/b"}]}]}}`
	got, err := Decode("deployment_info", []byte(data))
	want := DeploymentPlanned{
		Meta: Meta{Type: "deployment_info"}, Version: "v",
		Apps: []string{"/a", "/b", "/c"}, Pods: []string{"/pod"}, Stopped: []string{"/a", "/c"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestDecodeAcceptsWhatOldVersionsLack(t *testing.T) {
	for _, test := range []struct {
		name, data string
		want       Event
	}{
		{"deployment_success", `{"id":"0.9 has no plan"}`, DeploymentEnded{Meta: Meta{Type: "deployment_success"}}},
		{"group_change_success", `{"version":"v","timestamp":"yesterday"}`, GroupChanged{Meta{Type: "group_change_success"}, "v"}},
		{"group_change_success", `{"version":"v","timestamp":7}`, GroupChanged{Meta{Type: "group_change_success"}, "v"}},
		{"new_event", `{"taskId":5,"timestamp":7}`, Ignored{Meta{Type: "new_event"}}},
		{"new_event", `{"message":"` + "\xff" + `"}`, Ignored{Meta{Type: "new_event"}}},
		{"new_event", `[]`, Ignored{Meta{Type: "new_event"}}},
		{"", `{"eventType":"new_event"}`, Ignored{Meta{Type: "new_event"}}},
		{"app_terminated_event", `{"appId":"/a","eventType":"other"}`, AppTerminated{Meta{Type: "app_terminated_event"}, "/a"}},
	} {
		got, err := Decode(test.name, []byte(test.data))
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("Decode(%q, %s) = %+v, %v\nwant %+v", test.name, test.data, got, err, test.want)
		}
	}
}

func TestDecodeErrorsNameTypeAndField(t *testing.T) {
	for _, test := range []struct{ name, data, err string }{
		{"status_update_event", `{"appId":"/a","taskStatus":"TASK_RUNNING"}`, "decode status_update_event: field taskId: missing or empty"},
		{"status_update_event", `{"taskId":"a.1","appId":"","taskStatus":"TASK_RUNNING"}`, "decode status_update_event: field appId: missing or empty"},
		{"status_update_event", `{"taskId":"a.1","appId":"/a"}`, "decode status_update_event: field taskStatus: missing or empty"},
		{"status_update_event", `{"taskId":"a.1","appId":"/a","taskStatus":"TASK_RUNNING","ports":[65536]}`, "decode status_update_event: field ports: 65536 is no port"},
		{"status_update_event", `{"taskId":"a.1","appId":"/a","taskStatus":"TASK_RUNNING","ports":[-1]}`, "decode status_update_event: field ports: -1 is no port"},
		{"status_update_event", `{"ports":"80"}`, "decode status_update_event: field ports: unexpected string"},
		{"status_update_event", `{"ports":[1e99]}`, "decode status_update_event: field ports: unexpected number"},
		{"status_update_event", `{"ipAddresses":[{"ipAddress":{}}]}`, "decode status_update_event: field ipAddresses.ipAddress: unexpected object"},
		{"status_update_event", `{"taskId":`, "decode status_update_event: unexpected end of JSON input"},
		{"status_update_event", `"text"`, "decode status_update_event: unexpected string"},
		{"status_update_event", `{"taskId":"a.` + "\xff" + `","appId":"/a","taskStatus":"TASK_KILLED"}`, "decode status_update_event: not UTF-8"},
		{"deployment_info", `{"plan":{"steps":[[]]}}`, "decode deployment_info: field plan.steps: unexpected array where { should be"},
		{"group_change_success", `{}`, "decode group_change_success: field version: missing or empty"},
		{"app_terminated_event", `null`, "decode app_terminated_event: field appId: missing or empty"},
		{"health_status_changed_event", `{"appId":"/a","version":"v","alive":true}`, "decode health_status_changed_event: field instanceId: missing or empty"},
		{"health_status_changed_event", `{"appId":"/a","taskId":"a.1","alive":null}`, "decode health_status_changed_event: field alive: missing or empty"},
		{"health_status_changed_event", `{"instanceId":"a.1","alive":true}`, "decode health_status_changed_event: field appId: missing or empty"},
		{"instance_health_changed_event", `{"instanceId":"a.1","healthy":true}`, "decode instance_health_changed_event: field runSpecId: missing or empty"},
		{"instance_health_changed_event", `{"runSpecId":"/a","healthy":true}`, "decode instance_health_changed_event: field instanceId: missing or empty"},
		{"instance_health_changed_event", `{"runSpecId":"/a","instanceId":"a.1","healthy":"yes"}`, "decode instance_health_changed_event: field healthy: unexpected string"},
		{"event_stream_attached", `{"remoteAddress":1}`, "decode event_stream_attached: field remoteAddress: unexpected number"},
		{"new_event", `{]`, "decode new_event: invalid character ']' looking for beginning of object key string"},
		{"", `{"appId":"/a"}`, "decode event without a name: field eventType: missing or empty"},
		{"", `{"eventType":{}}`, "decode event without a name: field eventType: unexpected object"},
		{"", ``, "decode event without a name: unexpected end of JSON input"},
		{"", strings.Repeat("[", 100_000), "decode event without a name: invalid character '[' exceeded max depth"},
	} {
		event, err := Decode(test.name, []byte(test.data))
		if event != nil || err == nil || err.Error() != test.err {
			t.Errorf("Decode(%q, %.60s) = %v, %v\nwant %s", test.name, test.data, event, err, test.err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, path := range fixtures(f, "events", ".json") {
		if data := fixture(f, path); len(data) < 10_000 {
			f.Add("", data)
		}
	}
	f.Add("status_update_event", []byte(`{"taskId":"a.1","appId":"/a","taskStatus":"TASK_RUNNING","ports":[1]}`))
	f.Add("health_status_changed_event", []byte(`{"appId":"/a","instanceId":"a.instance-1","alive":true}`))
	f.Add("instance_health_changed_event", []byte(`{"runSpecId":"/a","instanceId":"a.instance-1","healthy":null}`))
	f.Add("deployment_info", []byte(`{"plan":{"steps":[{"actions":[{"type":"StopApplication","app":"/a"}]}]}}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		event, err := Decode(name, data)
		if (event == nil) == (err == nil) {
			t.Fatalf("event %v and error %v", event, err)
		}
		if err != nil {
			return
		}
		if got := event.About().Type; got == "" || name != "" && got != name {
			t.Errorf("event %q has type %q", name, got)
		}
		changed, ok := event.(TaskChanged)
		if !ok {
			return
		}
		if changed.Task.ID == "" || changed.Task.AppID == "" || changed.Task.State == "" {
			t.Errorf("incomplete task %+v", changed.Task)
		}
		if err := checkPorts(changed.Task.Ports); err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkDecode is about the events that come in bursts, and the largest there are.
func BenchmarkDecode(b *testing.B) {
	for _, bench := range []struct{ name, stream, event string }{
		{"status update", "live/destroy.crlf.sse", "status_update_event"},
		{"heavy plan", "sse/framed-1.6-heavy-deployment-info.crlf.sse", "deployment_info"},
	} {
		all := frames(fixture(b, bench.stream))
		i := slices.IndexFunc(all, func(f frame) bool { return f.name == bench.event })
		data := []byte(all[i].data)
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := Decode(bench.event, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

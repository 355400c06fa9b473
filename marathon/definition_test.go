package marathon

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// declared is one port of a recorded app, and where its first task was reached.
type declared struct {
	Port
	at string
}

const nobody = "nobody reaches it"

// The recorded apps declare the same ports in every form that Marathon 1.11 has.
func recordedPorts() map[string][]declared {
	labels := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	web, admin, dns := labels("VIP_0", "/web:80", "consul", "web"), labels("consul", "admin"), labels("consul", "dns")
	mapped := func(onHost bool, at ...string) []declared {
		return []declared{
			{Port{Name: "http", Protocol: "tcp", Labels: web, Container: 80, OnHost: true}, at[0]},
			{Port{Name: "admin", Protocol: "tcp", Labels: admin, Container: 81, OnHost: onHost}, at[1]},
			{Port{Name: "dns", Protocol: "udp", Labels: dns, Container: 53, OnHost: true}, at[2]},
			{Port{Name: "any", Protocol: "tcp", OnHost: true}, at[3]},
			{Port{Name: "both", Protocol: "udp,tcp", Container: 90, OnHost: onHost}, at[4]},
		}
	}
	return map[string][]declared{
		"/ports/host": {
			{Port{Name: "http", Protocol: "tcp", Labels: labels("VIP_0", "/web:80", "consul", "web", "empty", ""), OnHost: true}, "127.0.0.2:32662"},
			{Port{Name: "admin", Protocol: "tcp", Labels: admin, OnHost: true}, "127.0.0.2:32663"},
			{Port{Name: "dns", Protocol: "udp", Labels: dns, OnHost: true}, "127.0.0.2:32664"},
			{Port{Protocol: "udp,tcp", OnHost: true}, "127.0.0.2:32665"},
		},
		"/ports/require": {
			{Port{Name: "http", Protocol: "tcp", Labels: labels("consul", "web"), OnHost: true}, "127.0.0.3:31501"},
			{Port{Name: "admin", Protocol: "tcp", OnHost: true}, "127.0.0.3:31500"},
			{Port{Name: "dns", Protocol: "udp", OnHost: true}, "127.0.0.3:31502"},
			{Port{Protocol: "tcp", OnHost: true}, "127.0.0.3:31503"},
		},
		"/ports/bridge-docker":    mapped(true, "127.0.0.1:31158", "127.0.0.1:31159", "127.0.0.1:31700", "127.0.0.1:31160", "127.0.0.1:31161"),
		"/ports/bridge-mesos":     mapped(true, "127.0.0.1:31839", "127.0.0.1:31840", "127.0.0.1:31701", "127.0.0.1:31841", "127.0.0.1:31842"),
		"/ports/container-docker": mapped(false, "127.0.0.2:32450", "127.9.64.3:81", "127.0.0.2:31702", "127.0.0.2:32451", "127.9.64.3:90"),
		"/ports/container-mesos":  mapped(false, "127.0.0.2:31757", "127.9.64.4:81", "127.0.0.2:31703", "127.0.0.2:31758", "127.9.64.4:90"),
		// Which address is which network's is told by their order alone.
		"/ports/container-two-networks": {
			{Port{Name: "http", Protocol: "tcp", Container: 80}, "127.9.64.5:80"},
			{Port{Name: "admin", Protocol: "tcp", Container: 81, Network: 1, Networks: 2, OnHost: true}, "127.0.0.2:31817"},
			{Port{Name: "other", Protocol: "tcp", Container: 82, Network: 1, Networks: 2}, "127.9.64.6:82"},
			{Port{Name: "fourth", Protocol: "tcp", Container: 83, OnHost: true}, "127.0.0.2:31818"},
		},
	}
}

func TestPortsAsRecorded(t *testing.T) {
	want := recordedPorts()
	for _, app := range readFixture(t, "live/next/ports-apps.json") {
		t.Run(app.ID, func(t *testing.T) {
			if reflect.ValueOf(app.Labels).Pointer() != reflect.ValueOf(app.Definition.Labels).Pointer() {
				t.Error("the app and its definition have a map of labels each")
			}
			if got := app.Labels["app"]; got != strings.ReplaceAll(app.ID[1:], "/", "-") && app.ID != "/ports/container-two-networks" {
				t.Errorf("labels are %v", app.Labels)
			}
			endpoints := app.Definition.Endpoints(app.Tasks[0])
			var got []declared
			for i, p := range app.Definition.Ports {
				got = append(got, declared{p, shown(endpoints[i])})
			}
			if !reflect.DeepEqual(got, want[app.ID]) {
				t.Errorf("got  %+v\nwant %+v", got, want[app.ID])
			}
			delete(want, app.ID)
		})
	}
	if len(want) > 0 {
		t.Errorf("not recorded: %v", slices.Sorted(maps.Keys(want)))
	}
}

func shown(e PortEndpoint) string {
	switch e.Reach {
	case Reachable:
		return fmt.Sprintf("%s:%d", e.Address, e.Port)
	case Unreachable:
		return nobody
	default:
		return "not yet"
	}
}

// tcp returns ports with the protocol that is meant where none is given.
func tcp(ports ...Port) []Port {
	for i := range ports {
		ports[i].Protocol = "tcp"
	}
	return ports
}

// Marathon always says how many instances an app should have. An answer that
// does not must never pass for one that lists them all.
func TestReadInstances(t *testing.T) {
	for field, want := range map[string]int{
		`"instances":3,`: 3, `"instances":0,`: 0, ``: InstancesNotTold, `"instances":null,`: InstancesNotTold, `"instances":-1,`: InstancesNotTold,
	} {
		snapshot, err := ReadSnapshot(strings.NewReader(`{"apps":[{` + field + `"id":"/a","tasks":[]}]}`))
		if err != nil || len(snapshot.Apps) != 1 || snapshot.Apps[0].Instances != want {
			t.Errorf("%q is %+v, %v, want %d", field, snapshot, err, want)
		}
	}
	for _, app := range readFixture(t, "live/next/gone-apps-zero.json") {
		if app.Instances != 0 || len(app.Tasks) != 0 {
			t.Errorf("an app that was scaled to zero is %+v", app)
		}
	}
}

func TestReadDefinition(t *testing.T) {
	host := tcp(Port{OnHost: true})
	for _, test := range []struct {
		name, app string
		want      Definition
	}{
		{"0.7 host", `"ports":[10000]`, Definition{Network: HostNetwork, Ports: host}},
		{"0.7 without ports", `"ports":[]`, Definition{Network: HostNetwork}},
		{"1.x declarations count, not service ports", `"ports":[10000,10001],"portDefinitions":[{"port":10000,"name":"http"}]`, Definition{Network: HostNetwork, Ports: tcp(Port{Name: "http", OnHost: true})}},
		{"1.x no declarations", `"ports":[10000],"portDefinitions":[]`, Definition{Network: HostNetwork}},
		{"1.x docker host", `"ports":[10000],"container":{"docker":{"network":"HOST","portMappings":[]}}`, Definition{Network: HostNetwork, Ports: host}},
		{"1.x docker without network", `"ports":[10000],"container":{"docker":{"network":null,"portMappings":null}},"ipAddress":null`, Definition{Network: HostNetwork, Ports: host}},
		{"1.x bridge", `"ports":[10000],"container":{"docker":{"network":"BRIDGE","portMappings":[{"containerPort":80,"hostPort":null}]}}`, Definition{Network: BridgeNetwork, Ports: tcp(Port{Container: 80, OnHost: true})}},
		{"1.x bridge, null mappings", `"ports":[10000],"container":{"docker":{"network":"BRIDGE","portMappings":null}}`, Definition{Network: BridgeNetwork, Ports: host}},
		{"1.x bridge, no mappings", `"ports":[],"container":{"docker":{"network":"BRIDGE","portMappings":[]}}`, Definition{Network: BridgeNetwork}},
		{"1.x user network", `"ipAddress":{"networkName":"n"},"container":{"docker":{"network":"USER","portMappings":[{"containerPort":80,"hostPort":null},{"containerPort":81,"hostPort":0}]}}`, Definition{Network: ContainerNetwork, Ports: tcp(Port{Container: 80}, Port{Container: 81, OnHost: true})}},
		{"1.x docker none", `"ports":[10000],"container":{"docker":{"network":"NONE"}}`, Definition{Network: HostNetwork}},
		{"1.x ip-per-task", `"ports":[],"ipAddress":{"discovery":{"ports":[{"number":8080,"name":"web"}]}}`, Definition{Network: ContainerNetwork, Ports: tcp(Port{Name: "web", Container: 8080})}},
		{"1.x ip-per-task without ports", `"ipAddress":{"discovery":{"ports":null}}`, Definition{Network: ContainerNetwork}},
		{"1.5 default mode", `"networks":[{"name":"n"}],"container":{"portMappings":[{"containerPort":80}]}`, Definition{Network: ContainerNetwork, Ports: tcp(Port{Container: 80})}},
		{"1.5 container without mappings", `"networks":[{"name":"n","mode":"container"}]`, Definition{Network: ContainerNetwork}},
		{"1.5 bridge", `"networks":[{"mode":"container/bridge"}],"container":{"portMappings":[{"containerPort":0}]}`, Definition{Network: BridgeNetwork, Ports: tcp(Port{OnHost: true})}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := readVersion(strings.NewReader(`{"id":"/a",`+test.app+`}`), "/a")
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, test.want)
			}
		})
	}
}

// What is not understood of a port is left out and named; it costs neither the
// port, nor the app, nor others.
func TestProblemsOfPorts(t *testing.T) {
	for app, want := range map[string]Definition{
		`"portDefinitions":[{"name":"a","labels":{"k":7},"protocol":"udp"},{"labels":[1]},{"labels":{"k":"v"},"protocol":{"tcp":true}}]`: {
			Ports: []Port{
				{Name: "a", Protocol: "udp", OnHost: true},
				{Protocol: "tcp", OnHost: true},
				{Protocol: "tcp", Labels: map[string]string{"k": "v"}, OnHost: true},
			},
			Problems: []string{
				"port 0: field labels: unexpected number; left out", "port 1: field labels: unexpected array; left out", "port 2: field protocol: unexpected object; left out",
			},
		},
		`"networks":[{"mode":"container"}],"container":{"portMappings":[{"containerPort":1,"labels":"x"},{"containerPort":2,"labels":null}]}`: {
			Network: ContainerNetwork, Ports: tcp(Port{Container: 1}, Port{Container: 2}),
			Problems: []string{"port 0: field labels: unexpected string; left out"},
		},
		`"ipAddress":{"discovery":{"ports":[{"number":1,"name":"n","labels":{"k":"v"},"protocol":"udp"},{"number":2,"labels":5}]}}`: {
			Network: ContainerNetwork, Ports: []Port{
				{Name: "n", Protocol: "udp", Labels: map[string]string{"k": "v"}, Container: 1}, {Protocol: "tcp", Container: 2},
			},
			Problems: []string{"port 1: field labels: unexpected number; left out"},
		},
	} {
		snapshot, err := ReadSnapshot(strings.NewReader(`{"apps":[{"id":"/a","tasks":[],` + app + `},{"id":"/b","tasks":[]}]}`))
		if err != nil || len(snapshot.Apps) != 2 {
			t.Errorf("%s: %+v, %v", app, snapshot, err)
			continue
		}
		if got := snapshot.Apps[0].Definition; !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

// Two versions of an app have one copy of what they have in common.
func TestShare(t *testing.T) {
	read := func(version string) Definition {
		d, err := readVersion(strings.NewReader(`{"id":"/a",`+version+`}`), "/a")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const ports = `"healthChecks":[{"protocol":"TCP"}],"readinessChecks":[{}],"portDefinitions":[{"name":"http","labels":{"k":"v"}},{"name":"admin","labels":{"other":"w"}}]`
	now := read(`"labels":{"a":"1","b":"2"},` + ports)
	for name, version := range map[string]string{
		"equal":         `"labels":{"a":"1","b":"2"},` + ports,
		"label changed": `"labels":{"a":"1","b":"3"},` + ports,
		"port changed":  `"labels":{"a":"1","b":"2"},"portDefinitions":[{"name":"web","labels":{"k":"v"}},{"name":"admin","labels":{"other":"x"}}]`,
		"port gone":     `"portDefinitions":[]`,
	} {
		old := read(version)
		shared := old.Share(now)
		if !reflect.DeepEqual(shared, read(version)) || !reflect.DeepEqual(old, read(version)) {
			t.Errorf("%s: shared is %+v, of %+v", name, shared, old)
		}
		same := func(a, b map[string]string) bool {
			return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
		}
		if same(shared.Labels, now.Labels) != maps.Equal(old.Labels, now.Labels) {
			t.Errorf("%s: labels are shared: %v", name, same(shared.Labels, now.Labels))
		}
		if len(old.HealthChecks) > 0 && (&shared.HealthChecks[0] != &now.HealthChecks[0] || &shared.ReadinessChecks[0] != &now.ReadinessChecks[0]) {
			t.Errorf("%s: the checks are there twice", name)
		}
		for label, value := range shared.Labels {
			if now.Labels[label] == value && unsafe.StringData(now.Labels[label]) != unsafe.StringData(value) {
				t.Errorf("%s: value %q is there twice", name, value)
			}
		}
		for i, p := range shared.Ports {
			if same(p.Labels, now.Ports[i].Labels) != maps.Equal(p.Labels, now.Ports[i].Labels) {
				t.Errorf("%s: labels of port %d are there twice", name, i)
			}
		}
	}
}

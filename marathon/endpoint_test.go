package marathon

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestEndpointsOfFixtures(t *testing.T) {
	unreachable := Endpoint{}
	for _, test := range []struct {
		file, app string
		// want is that of the app's first task.
		want Endpoint
	}{
		{"rest/apps-1.9-all-network-modes.json", "/modes/host", Endpoint{"10.20.0.11", 31001}},
		{"rest/apps-1.9-all-network-modes.json", "/modes/host-required", Endpoint{"10.20.0.11", 8080}},
		{"rest/apps-1.9-all-network-modes.json", "/modes/host-no-ports", Endpoint{"10.20.0.11", 0}},
		{"rest/apps-1.9-all-network-modes.json", "/modes/bridge-docker", Endpoint{"10.20.0.12", 31744}},
		{"rest/apps-1.9-all-network-modes.json", "/modes/bridge-mesos", Endpoint{"10.20.0.12", 31746}},
		{"rest/apps-1.9-all-network-modes.json", "/modes/container-no-hostport", Endpoint{"9.0.3.17", 8080}},
		{"rest/apps-1.9-all-network-modes.json", "/modes/container-mixed-hostport", Endpoint{"9.0.3.18", 8080}},
		{"rest/apps-1.9-all-network-modes.json", "/modes/container-no-ip-yet", unreachable},
		{"live/networks-apps.json", "/net/n0", Endpoint{"127.9.2.3", 80}},
		{"live/networks-apps.json", "/net/n1", Endpoint{"127.9.3.4", 80}},
		{"live/networks-apps.json", "/net/n2", Endpoint{"agent-2.test", 31689}},
		{"live/networks-apps.json", "/net/n3", Endpoint{"agent-2.test", 0}},
		{"live/networks-apps.json", "/net/n4", Endpoint{"agent-2.test", 31385}},
		{"live/networks-apps.json", "/net/n5", Endpoint{"agent-3.test", 31253}},
		{"live/networks-apps.json", "/net/n6", Endpoint{"agent-3.test", 31872}},
		{"live/bridge-app.json", "/shop/bridge", Endpoint{"agent-1.test", 31728}},
		{"live/container-app.json", "/shop/overlay", Endpoint{"127.9.1.4", 80}},
		{"rest/app-0.11.json", "/myapp", Endpoint{"10.141.141.10", 31678}},
		{"rest/apps-0.11.json", "/bridged-webapp", Endpoint{"192.168.2.114", 31315}},
		{"rest/apps-0.15-bridge-zdd.json", "/nginx-green", Endpoint{"10.0.6.25", 16916}},
		{"rest/apps-1.5-bridge.json", "/pywebserver", Endpoint{"10.0.2.148", 1565}},
		{"rest/app-1.6-container-net-with-hostport.json", "/dev/test", Endpoint{"1.4.2.8", 7786}},
	} {
		t.Run(test.file+test.app, func(t *testing.T) {
			for _, app := range readFixture(t, test.file) {
				if app.ID != test.app {
					continue
				}
				got, ok := app.Definition.Endpoint(app.Tasks[0])
				if got != test.want || ok != (test.want != unreachable) {
					t.Errorf("%+v of %+v is at %+v, %v; want %+v", app.Tasks[0], app.Definition, got, ok, test.want)
				}
				return
			}
			t.Error("app is missing")
		})
	}
}

// TestEndpointOfStatusUpdate joins an event of 1.3 to the definition of its app.
func TestEndpointOfStatusUpdate(t *testing.T) {
	host := Definition{Ports: []Port{{OnHost: true}}}
	for file, want := range map[string]Endpoint{
		"running-0.11": {"srv4.hw.ca1.mesosphere.com", 31182},
		"running-1.3":  {"10.0.3.193", 16643},
		"running-1.9":  {"10.20.0.11", 31001},
		"unknown-1.9":  {"10.20.0.11", 31001},
	} {
		event, err := Decode("", fixture(t, "events/status_update_event-"+file+".json"))
		if err != nil {
			t.Fatal(err)
		}
		changed, ok := event.(TaskChanged)
		if !ok {
			t.Fatalf("%s is a %T", file, event)
		}
		if got, ok := host.Endpoint(changed.Task); got != want || ok != (want != Endpoint{}) {
			t.Errorf("%s is at %+v, %v; want %+v", file, got, ok, want)
		}
	}
}

func TestEndpointThatIsNotKnown(t *testing.T) {
	container := Definition{Network: ContainerNetwork, Ports: []Port{{Container: 80}}}
	for name, test := range map[string]struct {
		definition Definition
		task       Task
	}{
		"no host port yet":     {Definition{Ports: []Port{{OnHost: true}}}, Task{Host: "h"}},
		"host port 0":          {Definition{Ports: []Port{{OnHost: true}}}, Task{Host: "h", Ports: []int{0}}},
		"no host":              {Definition{Ports: []Port{{OnHost: true}}}, Task{Ports: []int{1}}},
		"no host and no ports": {Definition{}, Task{}},
		"host port declared on a container network": {Definition{Network: ContainerNetwork, Ports: []Port{{OnHost: true}}}, Task{Host: "h", Addresses: []string{"9.0.0.1"}}},
		"no address yet":                   {container, Task{Host: "h", Ports: []int{31000}}},
		"no address yet and no ports":      {Definition{Network: ContainerNetwork}, Task{Host: "h"}},
		"random port within the container": {Definition{Network: ContainerNetwork, Ports: []Port{{}}}, Task{Addresses: []string{"9.0.0.1"}}},
	} {
		if got, ok := test.definition.Endpoint(test.task); ok || got != (Endpoint{}) {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
}

// A state that is no more, a definition that is not the task's, and what nobody
// can ever reach.
func TestEndpointsOfEachPort(t *testing.T) {
	mixed := Definition{Network: ContainerNetwork, Ports: []Port{{Container: 80}, {Container: 81, OnHost: true}, {}, {OnHost: true}}}
	for name, test := range map[string]struct {
		definition Definition
		task       Task
		want       string
	}{
		"all there":            {mixed, Task{Host: "h", Ports: []int{1, 2}, Addresses: []string{"9.0.0.1", "9.0.0.2"}}, "9.0.0.1:80 h:1 " + nobody + " h:2"},
		"no address yet":       {mixed, Task{Host: "h", Ports: []int{1, 2}}, "not yet h:1 " + nobody + " h:2"},
		"no ports any more":    {mixed, Task{Host: "h", Addresses: []string{"9.0.0.1"}}, "9.0.0.1:80 not yet " + nobody + " not yet"},
		"too few ports":        {mixed, Task{Host: "h", Ports: []int{1}, Addresses: []string{"9.0.0.1"}}, "9.0.0.1:80 not yet " + nobody + " not yet"},
		"too many ports":       {mixed, Task{Host: "h", Ports: []int{1, 2, 3}, Addresses: []string{"9.0.0.1"}}, "9.0.0.1:80 not yet " + nobody + " not yet"},
		"too many, first told": {Definition{Ports: []Port{{OnHost: true}, {OnHost: true}}}, Task{Host: "h", Ports: []int{1, 2, 3}}, "h:1 not yet"},
		"a port 0":             {Definition{Ports: []Port{{OnHost: true}, {OnHost: true}}}, Task{Host: "h", Ports: []int{0, 2}}, "not yet h:2"},
		"no host":              {mixed, Task{Ports: []int{1, 2}, Addresses: []string{"9.0.0.1"}}, "9.0.0.1:80 not yet " + nobody + " not yet"},
		"no ports declared":    {Definition{}, Task{Host: "h", Ports: []int{1}}, "h:0"},
		"neither host nor any": {Definition{}, Task{}, "not yet"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, e := range test.definition.Endpoints(test.task) {
				got = append(got, shown(e))
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("reached at %q, want %q", got, test.want)
			}
		})
	}
}

// However task and definition differ, there is one endpoint for each port, the
// first is Endpoint's, and no host port serves for two.
func TestEndpointsAgree(t *testing.T) {
	port := rapid.Custom(func(t *rapid.T) Port {
		return Port{Container: rapid.IntRange(0, 2).Draw(t, "container"), OnHost: rapid.Bool().Draw(t, "on host")}
	})
	rapid.Check(t, func(t *rapid.T) {
		d := Definition{
			Network: rapid.SampledFrom([]NetworkMode{HostNetwork, BridgeNetwork, ContainerNetwork}).Draw(t, "network"),
			Ports:   rapid.SliceOfN(port, 0, 5).Draw(t, "ports"),
		}
		task := Task{
			Host:      rapid.SampledFrom([]string{"", "h"}).Draw(t, "host"),
			Addresses: rapid.SliceOfN(rapid.SampledFrom([]string{"9.0.0.1", "9.0.0.2"}), 0, 2).Draw(t, "addresses"),
			Ports:     rapid.SliceOfNDistinct(rapid.IntRange(31000, 31010), 0, 5, rapid.ID).Draw(t, "allocated"),
		}
		endpoints := d.Endpoints(task)
		if len(endpoints) != max(1, len(d.Ports)) {
			t.Fatalf("%d endpoints of %d ports", len(endpoints), len(d.Ports))
		}
		first, ok := d.Endpoint(task)
		if first != endpoints[0].Endpoint || ok != (endpoints[0].Reach == Reachable) {
			t.Fatalf("the first is %+v, %v, and among all it is %+v", first, ok, endpoints[0])
		}
		taken := map[Endpoint]bool{}
		for i, e := range endpoints {
			if (e.Reach == Reachable) != (e.Address != "") {
				t.Fatalf("endpoint %d is %+v", i, e)
			}
			if len(d.Ports) > 0 && d.Ports[i].OnHost && e.Reach == Reachable {
				if taken[e.Endpoint] {
					t.Fatalf("%+v serves for two ports", e)
				}
				taken[e.Endpoint] = true
			}
		}
	})
}

// Which address is that of a port's network follows from the order of the networks, where
// there are as many of one as of the other; where not, the first is taken, and that is said.
func TestPortsOfTheSecondNetwork(t *testing.T) {
	const app = `{"apps":[{"id":"/a","version":"v","networks":[{"mode":"container","name":"one"},{"mode":"container","name":"two"}],
		"container":{"portMappings":[{"containerPort":80},{"containerPort":81,"networkNames":["two"]},{"containerPort":82,"networkNames":["two","one"]},
			{"containerPort":83,"networkNames":["two"],"hostPort":0},{"containerPort":84,"networkNames":%s}]},
		"tasks":[{"id":"a.1","host":"h","version":%q,"ports":[31000],"ipAddresses":[%s]}]}]}`
	for name, test := range map[string]struct{ names, version, addresses, want, problem string }{
		"two":               {`[]`, "v", "9.0.0.1 9.1.0.1", "9.0.0.1:80 9.1.0.1:81 9.0.0.1:82 h:31000 9.0.0.1:84", ""},
		"one, so far":       {`null`, "v", "9.0.0.1", "9.0.0.1:80 9.0.0.1:81 9.0.0.1:82 h:31000 9.0.0.1:84", "port 1: which of the 1 addresses of a task is that of its network is not told, for there are 2 networks: the first is taken"},
		"two of each":       {`null`, "v", "9.0.0.1 fd00::1 9.1.0.1 fd01::1", "9.0.0.1:80 9.0.0.1:81 9.0.0.1:82 h:31000 9.0.0.1:84", "port 1: which of the 4"},
		"two of one":        {`null`, "v", "9.0.0.1 fd00::1", "9.0.0.1:80 9.0.0.1:81 9.0.0.1:82 h:31000 9.0.0.1:84", "port 1: which of the 2"},
		"IPv6":              {`["two"]`, "v", "fd00::1 fd01::1", "fd00::1:80 fd01::1:81 fd00::1:82 h:31000 fd01::1:84", ""},
		"none":              {`["two"]`, "v", "", "not yet not yet not yet h:31000 not yet", ""},
		"no such network":   {`["three"]`, "v", "9.0.0.1 9.1.0.1", "9.0.0.1:80 9.1.0.1:81 9.0.0.1:82 h:31000 9.0.0.1:84", "port 4: field networkNames: no such network"},
		"no names":          {`7`, "v", "9.0.0.1 9.1.0.1", "9.0.0.1:80 9.1.0.1:81 9.0.0.1:82 h:31000 9.0.0.1:84", "port 4: field networkNames: unexpected number"},
		"another version's": {`null`, "w", "9.0.0.1", "9.0.0.1:80 9.0.0.1:81 9.0.0.1:82 h:31000 9.0.0.1:84", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var addresses []string
			for a := range strings.FieldsSeq(test.addresses) {
				addresses = append(addresses, fmt.Sprintf(`{"ipAddress":%q}`, a))
			}
			snapshot, err := ReadSnapshot(strings.NewReader(fmt.Sprintf(app, test.names, test.version, strings.Join(addresses, ","))))
			if err != nil || len(snapshot.Apps) != 1 {
				t.Fatalf("%+v, %v", snapshot, err)
			}
			a := snapshot.Apps[0]
			var got []string
			for _, e := range a.Definition.Endpoints(a.Tasks[0]) {
				got = append(got, shown(e))
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("reached at %q, want %q", got, test.want)
			}
			if problems := strings.Join(a.Definition.Problems, "; "); !strings.HasPrefix(problems, test.problem) || test.problem == "" && problems != "" {
				t.Errorf("problems %q, want %q", problems, test.problem)
			}
		})
	}
}

// Each port, network and task takes time, and not each pair of them: of these there are
// thousands of millions. What is in two apps makes no pairs.
func TestManyPortsNetworksAndTasks(t *testing.T) {
	for name, test := range map[string]struct{ one, other string }{
		"ports and tasks": {
			`"networks":[{"name":"a"}],"container":{"portMappings":[` + numbered(20_000, `{}`) + `]}`,
			`"tasks":[` + numbered(20_000, `{"id":"#","ipAddresses":[{"ipAddress":"9.0.0.1"}]}`) + `]`,
		},
		"names and networks": {
			`"tasks":[],"networks":[` + numbered(10_000, `{"name":"net-#"}`) + `]`,
			`"container":{"portMappings":[{"networkNames":[` + numbered(20_000, `"not-#"`) + `]}]}`,
		},
	} {
		read := func(apps string) time.Duration {
			return fastest(func() {
				if _, err := ReadSnapshot(strings.NewReader(`{"apps":[` + apps + `]}`)); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			})
		}
		apart := read(`{"id":"/a",` + test.one + `},{"id":"/b",` + test.other + `}`)
		if together := read(`{"id":"/a",` + test.one + `,` + test.other + `}`); together > 10*apart {
			t.Errorf("%s take %v in one app, and %v in two", name, together, apart)
		}
	}
}

// fastest returns how long work takes when the machine has nothing else to do.
func fastest(work func()) time.Duration {
	best := time.Duration(math.MaxInt64)
	for range 3 {
		began := time.Now()
		work()
		best = min(best, time.Since(began))
	}
	return best
}

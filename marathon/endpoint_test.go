package marathon

import "testing"

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

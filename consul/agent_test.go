package consul

import (
	"context"
	"errors"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

func TestRegisterListDeregister(t *testing.T) {
	agent := connect(t, open.get(t).Server().URL()).Main()
	want := Service{
		ID: "group_web.1f", Name: "group-web", Address: "10.0.0.1", Port: 31001,
		Tags: Owner{"one"}.Tags("/group/web"), Meta: map[string]string{MetaApp: "/group/web"},
	}
	register(t, agent, want)
	if have := find(t, agent, want.ID); !reflect.DeepEqual(want, have) {
		t.Errorf("registered %+v, listed %+v", want, have)
	}

	changed := want
	changed.Name, changed.Port, changed.Meta = "other", 0, nil
	register(t, agent, changed)
	if drift := changed.Diff(find(t, agent, want.ID)); drift != nil {
		t.Errorf("not updated: %v", drift)
	}

	for range 2 { // the second finds nothing, which is what it wants
		if err := agent.Deregister(t.Context(), want.ID); err != nil {
			t.Fatal(err)
		}
	}
	if s := find(t, agent, want.ID); s.ID != "" {
		t.Errorf("still there: %+v", s)
	}
}

func TestServicesAreInOrder(t *testing.T) {
	agent := connect(t, open.get(t).Server().URL()).Main()
	for _, id := range []string{"order-b", "order-c", "order-a"} {
		register(t, agent, Service{ID: id, Name: "order", Address: "10.0.0.1"})
	}
	services, err := agent.Services(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(services); i++ {
		if services[i-1].ID >= services[i].ID {
			t.Errorf("%s before %s", services[i-1].ID, services[i].ID)
		}
	}
}

func TestAgentsAreSeparate(t *testing.T) {
	dev := open.get(t)
	c := connect(t, dev.Server().URL())
	var agents []*Agent
	for _, client := range dev.Clients() {
		agent, err := c.Agent(client.Host)
		if err != nil {
			t.Fatal(err)
		}
		if agent.Address() != client.Address() {
			t.Errorf("%s, want %s", agent.Address(), client.Address())
		}
		node, err := agent.Self(t.Context())
		if err != nil || node != (Node{ID: client.NodeID, Name: client.Name}) {
			t.Errorf("%s says it is %+v, %v", client.Name, node, err)
		}
		agents = append(agents, agent)
	}
	if main, _ := c.Agent(dev.Server().Host); main != c.Main() {
		t.Error("the main agent's host has another agent")
	}
	register(t, agents[0], Service{ID: "only-here", Name: "web", Address: "10.0.0.1"})
	if s := find(t, agents[1], "only-here"); s.ID != "" {
		t.Error("registered on one agent, found on another")
	}
}

func TestAgentRefusesWhatIsNoHost(t *testing.T) {
	c := connect(t, open.get(t).Server().URL())
	if _, err := c.Agent("evil.example/v1/kv?x="); err == nil {
		t.Error("a path became a host")
	}
}

func TestRegisterRefusesBadInput(t *testing.T) {
	agent := connect(t, open.get(t).Server().URL()).Main()
	err := agent.Register(t.Context(), Service{ID: "tab\there", Name: "web", Address: "10.0.0.1"})
	if err == nil || !strings.Contains(err.Error(), "service id") || strings.Contains(err.Error(), "\t") {
		t.Errorf("got: %v", err)
	}
	if err := agent.Deregister(t.Context(), "a/../b"); err == nil {
		t.Error("asked Consul for a path that it would clean")
	}
}

func TestUnreachable(t *testing.T) {
	refusing := closedPort(t)
	host, _, _ := net.SplitHostPort(refusing)
	address, err := ParseAddress(refusing)
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, address)
	err = c.Main().Register(t.Context(), Service{ID: "web.1", Name: "web", Address: host})
	if !Unreachable(err) || !strings.Contains(err.Error(), "client_addr") || strings.Contains(err.Error(), "\n") ||
		!strings.HasPrefix(err.Error(), "register web.1 on "+refusing+": ") {
		t.Errorf("refused: %v", err)
	}

	nameless, err := c.Agent("no-such-host.invalid")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nameless.Services(t.Context()); !Unreachable(err) {
		t.Errorf("a name that does not resolve: %v", err)
	}

	hurried := connect(t, address, func(c *Config) { c.Transport = dialWithin(t, time.Nanosecond) })
	if _, err := hurried.Main().Services(t.Context()); !Unreachable(err) {
		t.Errorf("no connection in time: %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Main().Services(ctx); Unreachable(err) || !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

func TestAnswerOfConsulIsNotUnreachable(t *testing.T) {
	agent := connect(t, protected.get(t).Server().URL()).Main()
	_, err := agent.Self(t.Context())
	status, ok := errors.AsType[api.StatusError](err)
	if Unreachable(err) || !ok || status.Code != 403 || !strings.Contains(err.Error(), "agent:read") {
		t.Errorf("got: %v", err)
	}
}

// closedPort returns an address on which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// register deregisters too when the test ends.
func register(t *testing.T, agent *Agent, s Service) {
	t.Helper()
	if err := agent.Register(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := agent.Deregister(context.Background(), s.ID); err != nil {
			t.Error(err)
		}
	})
}

// find returns the service, or none.
func find(t *testing.T, agent *Agent, id string) Service {
	t.Helper()
	services, err := agent.Services(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range services {
		if s.ID == id {
			return s
		}
	}
	return Service{}
}

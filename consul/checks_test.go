package consul

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"consular/consul/devconsul"
)

// mirrored is a service with a check that we keep.
func mirrored(id string, status Status) Service {
	return Service{
		ID: id, Name: "mirrored", Address: "10.0.0.1", Port: 31001, Tags: Owner{"one"}.Tags("/mirrored"),
		Checks: []Check{{ID: CheckID(id), Name: "Marathon", Status: status, Notes: "kept"}},
	}
}

// checkOf returns the only check of ours on a service.
func checkOf(t *testing.T, a *Agent, service string) Check {
	t.Helper()
	checks, err := a.Checks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(checks[service]) != 1 {
		t.Fatalf("%s has %d checks of ours, want 1: %+v", service, len(checks[service]), checks[service])
	}
	return checks[service][0]
}

func TestAServiceIsNeverSeenWithoutItsStatus(t *testing.T) {
	agent := connect(t, open.get(t).Server().URL()).Main()
	for _, status := range []Status{Passing, Critical} {
		s := mirrored("seen-"+string(status), status)
		register(t, agent, s)
		want := s.Checks[0]
		if have := checkOf(t, agent, s.ID); have != want {
			t.Errorf("registered with %+v, listed %+v", want, have)
		}
	}
}

func TestACheckIsUpdatedAndRemoved(t *testing.T) {
	agent := connect(t, open.get(t).Server().URL()).Main()
	s := mirrored("flips", Passing)
	register(t, agent, s)
	id := s.Checks[0].ID
	long := strings.Repeat("ü", maxOutput)
	must(t, agent.UpdateCheck(t.Context(), id, Critical, long))
	have := checkOf(t, agent, s.ID)
	if have.Status != Critical || !strings.HasPrefix(have.Output, "üü") || !strings.HasPrefix(long, have.Output) {
		t.Errorf("it is %s with %d bytes of output", have.Status, len(have.Output))
	}
	// What is registered again, service or check, keeps its status.
	register(t, agent, s)
	must(t, agent.RegisterCheck(t.Context(), s.ID, s.Checks[0]))
	if have := checkOf(t, agent, s.ID); have.Status != Critical {
		t.Errorf("registering it again made it %s", have.Status)
	}
	for range 2 {
		must(t, agent.DeregisterCheck(t.Context(), id))
	}
	if checks, err := agent.Checks(t.Context()); err != nil || len(checks[s.ID]) > 0 {
		t.Errorf("left: %+v, %v", checks[s.ID], err)
	}
	if err := agent.UpdateCheck(t.Context(), id, Passing, "gone"); !Unknown(err) {
		t.Errorf("updating what is not there: %v", err)
	}
	if err := agent.RegisterCheck(t.Context(), "no-such-service", s.Checks[0]); !Unknown(err) {
		t.Errorf("a check on a service that is not there: %v", err)
	}
	must(t, agent.RegisterCheck(t.Context(), s.ID, Check{ID: id, Name: "Marathon", Status: Passing}))
	if have := checkOf(t, agent, s.ID); have.Status != Passing {
		t.Errorf("added as %s, want passing", have.Status)
	}
}

// An agent that is restarted has a check critical that was only registered. One whose
// status was updated keeps that, and its text.
func TestOnlyAnUpdateOutlivesARestart(t *testing.T) {
	dev := startOwn(t)
	client := dev.Clients()[0]
	agent := connect(t, client.URL()).Main()
	only, updated := mirrored("only-registered", Passing), mirrored("updated", Passing)
	register(t, agent, only)
	register(t, agent, updated)
	must(t, agent.UpdateCheck(t.Context(), updated.Checks[0].ID, Passing, "healthy"))
	must(t, client.Kill())
	must(t, client.Restart())
	must(t, dev.WaitReady(t.Context()))
	if have := checkOf(t, agent, only.ID); have.Status != Critical {
		t.Errorf("it is %s: this agent has no trap, and update is not needed", have.Status)
	}
	if have := checkOf(t, agent, updated.ID); have.Status != Passing || have.Output != "healthy" {
		t.Errorf("after the restart %+v", have)
	}
}

func TestAgentsMakeChecks(t *testing.T) {
	agent := connect(t, open.get(t).Server().URL()).Main()
	s := mirrored("probed", Passing)
	s.Checks = []Check{
		{ID: NumberedCheckID(s.ID, 0), Name: "HTTP", Status: Passing, HTTP: "https://10.0.0.1:31001/health", Interval: time.Hour, Timeout: time.Second, Failures: 3, Notes: "GET"},
		{ID: NumberedCheckID(s.ID, 1), Name: "TCP", Status: Critical, TCP: "[2001:db8::1]:31001", Interval: time.Hour, Timeout: time.Second},
	}
	register(t, agent, s)
	checks, err := agent.Checks(t.Context())
	must(t, err)
	want := []Check{
		{ID: s.Checks[0].ID, Name: "HTTP", Status: Passing, Notes: "GET"},
		{ID: s.Checks[1].ID, Name: "TCP", Status: Critical},
	}
	for i := range checks[s.ID] {
		checks[s.ID][i].Output = ""
	}
	if !reflect.DeepEqual(checks[s.ID], want) {
		t.Errorf("listed %+v, want %+v", checks[s.ID], want)
	}
}

// What others put on our services is theirs: also what only looks like a check of ours.
func TestForeignChecksAreNotOurs(t *testing.T) {
	dev := open.get(t)
	agent := connect(t, dev.Server().URL()).Main()
	s := mirrored("maintained", Passing)
	register(t, agent, s)
	other := agent.client.Agent()
	must(t, other.EnableServiceMaintenance(s.ID, "by hand"))
	must(t, other.CheckRegister(&api.AgentCheckRegistration{
		ID: s.ID + ":marathon-x", ServiceID: s.ID, Name: "theirs", AgentServiceCheck: api.AgentServiceCheck{TTL: "1h"},
	}))
	must(t, other.CheckRegister(&api.AgentCheckRegistration{
		ID: ":marathon", Name: "of the node", AgentServiceCheck: api.AgentServiceCheck{TTL: "1h"},
	}))
	checkOf(t, agent, s.ID)
	register(t, agent, s) // which ends neither
	all, err := other.ChecksWithFilter(`ServiceID == "maintained"`)
	must(t, err)
	if len(all) != 3 {
		t.Errorf("%d checks are left, want 3: %v", len(all), all)
	}
}

// What an agent lists is told by service, in order, and only what is ours: not what the node
// itself has, nor what is nothing.
func TestChecksOfAnAnswer(t *testing.T) {
	check := func(service, id string) string {
		return fmt.Sprintf(`%q: {"CheckID": %q, "ServiceID": %q}`, id, id, service)
	}
	answer := strings.Join([]string{
		`"none": null`, check("", "serfHealth"), check("", ":marathon"), check("b", "b:marathon-2"), check("b", "b:marathon-1"),
		check("b", "b:marathon-0"), check("a", "a:marathon"), check("a", "service:a"), check("a", "b:marathon"),
	}, ", ")
	for range 10 { // whatever the order of a map is
		have, err := decodeChecks([]byte("{" + answer + "}"))
		want := map[string][]Check{"a": {{ID: "a:marathon"}}, "b": {{ID: "b:marathon-0"}, {ID: "b:marathon-1"}, {ID: "b:marathon-2"}}}
		if err != nil || !reflect.DeepEqual(have, want) {
			t.Errorf("%+v, %v; want %+v", have, err, want)
		}
	}
}

// An answer that permissions have emptied is no answer.
func TestFilteredChecksAreAnError(t *testing.T) {
	dev := protected.get(t)
	if _, err := connect(t, dev.Server().URL()).Main().Checks(t.Context()); err == nil {
		t.Error("without a token: no error")
	}
	if _, err := connect(t, dev.Server().URL(), withToken(management)).Main().Checks(t.Context()); err != nil {
		t.Error(err)
	}
}

// startOwn starts a cluster with one client, whose agents a test may kill.
func startOwn(t *testing.T) *devconsul.Cluster {
	t.Helper()
	binary, err := devconsul.Find(t.Context(), "", t.Output())
	must(t, err)
	dev, err := devconsul.Start(t.Context(), devconsul.Config{Clients: 1, Binary: binary})
	must(t, err)
	t.Cleanup(func() {
		if err := dev.Stop(); err != nil {
			t.Error(err)
		}
	})
	return dev
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package devconsul

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// childVariable makes this test binary start a cluster, say where it is, and
// wait to be killed.
const childVariable = "DEVCONSUL_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		child()
	}
	goleak.VerifyTestMain(m)
}

func TestClusterLosesAndRegainsAgents(t *testing.T) {
	c := Run(t, 2)
	client := c.Clients()[0]
	if got := services(t, client); got != `{}` {
		t.Fatalf("a new agent has services: %s", got)
	}
	register(t, client, "web")

	if err := client.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.get(t.Context(), client, "/v1/agent/services"); err == nil {
		t.Error("a killed agent still answers")
	}
	if !inCatalog(t, c, "web") {
		t.Error("a crash took the agent's service from the catalog")
	}
	restart(t, c, client)
	if got := services(t, client); !strings.Contains(got, "web") {
		t.Errorf("a restarted agent has forgotten its service: %s", got)
	}
	if err := client.Restart(); err == nil {
		t.Error("restarted a running agent")
	}

	if err := client.Stop(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "an agent that left to count as gone", func() bool { return !passing(t, c, client) })
	restart(t, c, client)
}

func TestClustersRunSideBySideAndLeaveNothing(t *testing.T) {
	a, b := Run(t, 0), Run(t, 0)
	if a.Server().Host == b.Server().Host {
		t.Fatalf("both at %s", a.Server().Host)
	}
	c, err := Start(t.Context(), Config{Binary: a.config.Binary})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("data is left in %s: %v", c.dir, err)
	}
	if err := checkFree(t.Context(), c.network, 1); err != nil {
		t.Error(err)
	}
}

// A proxy has workers, which nobody would end with it.
func TestWhatRunsBesideEndsWithTheCluster(t *testing.T) {
	binary, err := Find(t.Context(), "", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Start(t.Context(), Config{Binary: binary})
	if err != nil {
		t.Fatal(err)
	}
	read, write := io.Pipe()
	program, err := c.Beside(write, "sh", "-c", "sleep 1000 & echo $!; wait")
	if err != nil {
		t.Fatal(err)
	}
	var worker int
	if _, err := fmt.Fscan(read, &worker); err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the program to end", func() bool { return !program.Running() })
	waitFor(t, "its worker to end", func() bool { return syscall.Kill(worker, 0) != nil })
}

func TestTakenPortIsNamed(t *testing.T) {
	network, lock, err := reserve(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	taken := host(network, 2) + ":8500"
	listener, err := net.Listen("tcp", taken)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, err = Start(t.Context(), Config{Network: network, Clients: 2})
	if err == nil || !strings.Contains(err.Error(), taken+" is taken") {
		t.Errorf("want an error that names %s, got: %v", taken, err)
	}
}

func TestAgentThatEndsAtOnceIsReportedWithItsLog(t *testing.T) {
	binary, err := Find(t.Context(), "", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, err = Start(t.Context(), Config{Binary: binary, AgentHCL: map[string]string{"server": "bogus_key = 1"}})
	if err == nil || !strings.Contains(err.Error(), "bogus_key") {
		t.Errorf("want an error with the agent's log, got: %v", err)
	}
	if time.Since(start) > startWait/2 {
		t.Errorf("noticed only after %s", time.Since(start))
	}
}

// A test that times out, or an impatient kill -9, must not leave Consul behind.
func TestClusterEndsWithAKilledProgram(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=1")
	cmd.Stderr = os.Stderr
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var address, dir string
	if _, err := fmt.Fscanln(bufio.NewReader(output), &address, &dir); err != nil {
		t.Fatal(err)
	}
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatalf("the child's consul does not run: %v", err)
	}
	connection.Close()

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	waitFor(t, "the child's consul to end", func() bool {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			connection.Close()
		}
		return err != nil
	})
	waitFor(t, dir+" to be removed", func() bool {
		_, err := os.Stat(dir)
		return errors.Is(err, fs.ErrNotExist)
	})
}

func TestNodeIDIsAUUIDOfTheName(t *testing.T) {
	if a, b := nodeID("server"), nodeID("client-1"); a == b || a != nodeID("server") || len(a) != 36 || a[14] != '5' {
		t.Errorf("%s and %s", a, b)
	}
}

// child runs until it is killed.
func child() {
	ctx := context.Background()
	binary, err := Find(ctx, "", os.Stderr)
	if err == nil {
		var c *Cluster
		if c, err = Start(ctx, Config{Binary: binary}); err == nil {
			fmt.Println(c.Server().Address(), c.dir)
			select {}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func restart(t *testing.T, c *Cluster, agent *Agent) {
	t.Helper()
	if err := agent.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func register(t *testing.T, agent *Agent, name string) {
	t.Helper()
	body := strings.NewReader(`{"Name": "` + name + `"}`)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, agent.URL().JoinPath("/v1/agent/service/register").String(), body)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}
}

func services(t *testing.T, agent *Agent) string {
	t.Helper()
	answer, err := agent.cluster.get(t.Context(), agent, "/v1/agent/services")
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func inCatalog(t *testing.T, c *Cluster, name string) bool {
	t.Helper()
	answer, err := c.get(t.Context(), c.Server(), "/v1/catalog/services")
	if err != nil {
		t.Fatal(err)
	}
	var names map[string]any
	if err := json.Unmarshal(answer, &names); err != nil {
		t.Fatal(err)
	}
	_, ok := names[name]
	return ok
}

func passing(t *testing.T, c *Cluster, agent *Agent) bool {
	t.Helper()
	answer, err := c.get(t.Context(), c.Server(), "/v1/health/state/passing")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(answer), `"`+agent.Name+`"`)
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(10 * time.Second)
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-ticker.C:
		}
	}
}

package daemon_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"consular/marathon/simulator"
)

// definition is the example that README explains.
type definition struct {
	ID, Cmd      string
	Env          map[string]string
	Instances    int
	HealthChecks []struct{ Command struct{ Value string } }
}

// The example is an app of Marathon's, and what it starts are two copies that are well.
func TestMarathonAppOfTheExample(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	text, err := os.ReadFile("../../testdata/marathon-app.json")
	must(t, err)
	var app definition
	must(t, json.Unmarshal(text, &app))
	resp, err := plain.Post(s.master+"/v2/apps", "application/json", bytes.NewReader(text))
	must(t, err)
	answer, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if must(t, err); resp.StatusCode != http.StatusCreated {
		t.Fatalf("Marathon answered %d: %s", resp.StatusCode, answer)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("s3cret"), 0o600))

	var copies []*instance
	hosts := map[string]*instance{}
	for i, task := range s.marathon.Tasks(app.ID) {
		sandbox := t.TempDir() // what fetch puts there
		must(t, os.Symlink(binary(t), filepath.Join(sandbox, "consular")))
		cmd := exec.Command("/bin/sh", "-c", app.Cmd) // as Mesos does
		cmd.Dir = sandbox
		cmd.Env = append(os.Environ(), "HOST="+task.Host, "MESOS_TASK_ID="+task.ID)
		for name, value := range app.Env {
			switch {
			case strings.HasSuffix(name, "_FILE"):
				value = secret
			case name == "CONSULAR_MARATHON":
				value = s.master
			}
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		hosts[task.Host] = s.runs(i, cmd)
		copies = append(copies, hosts[task.Host])
	}
	if len(copies) != app.Instances || len(hosts) != len(copies) {
		t.Fatalf("%d copies on %d hosts, want %d", len(copies), len(hosts), app.Instances)
	}
	leads := func(c *instance) bool { return c.says(`"role":"leader"`) }
	eventually(t, "one leads and one stands by", func() bool {
		return leads(copies[0]) && copies[1].standsBy() || leads(copies[1]) && copies[0].standsBy()
	})
	leader, standby := copies[0], copies[1]
	if leads(standby) {
		leader, standby = standby, leader
	}
	for host, c := range hosts {
		if c == leader && !standby.says(`"holder":"consular.`, " on "+host+`"`) {
			t.Errorf("the standby does not say who leads:\n%s", standby.tail())
		}
	}
	eventually(t, "all is right, themselves included", s.right)
	for _, c := range copies {
		check := exec.Command("/bin/sh", "-c", app.HealthChecks[0].Command.Value)
		check.Dir = c.cmd.Dir
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s is unwell: %v: %s", c.name, err, out)
		}
	}
	if leader.ends(); leader.cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("ends with %v", leader.cmd.ProcessState)
	}
	eventually(t, "the other one leads", func() bool { return leads(standby) })
}

// What an operator sees from outside of a copy that runs alone: figures, a heartbeat, and its
// state in the log.
func TestWatched(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	folder := t.TempDir()
	beat, figures := filepath.Join(folder, "beat"), filepath.Join(folder, "c.prom")
	c := s.runs(0, exec.Command(binary(t), "--marathon", s.master, "--consul", s.consul.Server().URL().String(), "--poll-interval", "1s", "--heartbeat-file", beat, "--metrics-file", figures))
	has := func(lines ...string) func() bool {
		return func() bool {
			text, _ := os.ReadFile(figures)
			for _, line := range lines {
				if !strings.Contains(string(text), line) {
					return false
				}
			}
			return true
		}
	}
	eventually(t, "all is right", s.right)
	eventually(t, "the first figures", has(
		"\nconsular_stream_up 1\n", "\nconsular_leader 1\n", "\nconsular_apps 2\n", "\nconsular_tasks 15\n", "\nconsular_silent_agents 0\n",
		"\nconsular_queue_length 0\n", `consular_resyncs_total{outcome="clean"} 1`, `consular_writes_total{kind="register",outcome="done"} 15`,
		`consular_writes_total{kind="keys",outcome="done"} 1`, "\nconsular_event_to_write_seconds_count 0\n",
	))
	must(t, s.marathon.Create(simulator.App{ID: "/late", Instances: 2}))
	must(t, s.marathon.Kill(s.marathon.Tasks("/steady")[0].ID, false))
	eventually(t, "figures of events", has(
		`consular_events_total{type="status_update_event"} `, `consular_events_total{type="deployment_success"} 1`,
		`consular_writes_total{kind="register",outcome="done"} 18`, "\nconsular_event_to_write_seconds_count ", "\nconsular_event_lag_seconds_count ",
	))

	must(t, s.consul.Clients()[0].Kill())
	s.marathon.RefuseStreams(true)
	s.marathon.CloseStreams()
	must(t, s.marathon.Scale("/steady", 20))
	eventually(t, "figures of trouble", has("\nconsular_stream_up 0\n", "\nconsular_silent_agents 1\n", `consular_writes_total{kind="register",outcome="failed"} `))
	if has("\nconsular_deaf_seconds 0\n")() {
		t.Error("is deaf for no time")
	}
	eventually(t, "the state in the log", func() bool {
		c.signal(syscall.SIGUSR1)
		return c.says(`"message":"state of the stream"`, `"live":false`, `"since":"20`) &&
			c.says(`"message":"state of an agent"`, `"agent":"`+s.consul.Clients()[0].Address(), `"silent_since":"20`, `"error":`, `"queue":`) &&
			c.says(`"message":"state of an agent"`, `"agent":"`+s.consul.Clients()[1].Address(), `"queue":0`)
	})

	unwell := func(words string) func() bool {
		return func() bool {
			out, err := exec.Command(binary(t), "health", "--heartbeat-file", beat, "--strict").CombinedOutput()
			return err != nil && strings.Contains(string(out), words)
		}
	}
	s.marathon.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	must(t, s.consul.Server().Kill())
	eventually(t, "a heartbeat that says so", unwell("resyncs fail"))
	eventually(t, "and this", unwell("marathon: the stream is down, and polls fail"))
	if out, err := exec.Command(binary(t), "health", "--heartbeat-file", beat).CombinedOutput(); err != nil {
		t.Errorf("is to be killed because Marathon is away: %s", out)
	}
	must(t, s.consul.Server().Restart())
	if c.ends(); c.cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("ended with %v", c.cmd.ProcessState)
	}
	if _, err := os.Stat(figures); !os.IsNotExist(err) {
		t.Errorf("figures are left behind: %v", err)
	}
}

// A signal that comes before anything is ready ends no process: from the moment on from which a
// program of Go's can do anything about it.
func TestSignalsThatComeEarly(t *testing.T) {
	t.Parallel()
	for range 20 {
		cmd := exec.Command(binary(t), "--marathon", "http://127.0.0.1:1", "--consul", "http://127.0.0.1:1", "run")
		must(t, cmd.Start())
		eventually(t, "Go has begun", func() bool { return catches(t, cmd.Process.Pid, syscall.SIGUSR1) })
		for began := time.Now(); time.Since(began) < 50*time.Millisecond; {
			must(t, cmd.Process.Signal(syscall.SIGUSR1))
		}
		must(t, cmd.Process.Signal(syscall.SIGTERM))
		if err := cmd.Wait(); err != nil {
			if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGTERM {
				t.Fatalf("ended with %v", err)
			}
		}
	}
}

// catches reports whether a process has a handler for a signal.
func catches(t *testing.T, pid int, sig syscall.Signal) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(status), "SigCgt:")
	mask, err := strconv.ParseUint(strings.Fields(rest)[0], 16, 64)
	must(t, err)
	return mask&(1<<(uint(sig)-1)) != 0
}

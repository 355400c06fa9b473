package devconsul

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
)

// logTail is how many lines of an agent's log an error repeats.
const logTail = 10

// Agent is one Consul agent, the server or a client. Its methods are not for
// concurrent use.
type Agent struct {
	// Name is the node's.
	Name string
	// Host is the IP address, on which all of Consul's usual ports are.
	Host string
	// NodeID is a UUID, the same for the same name always.
	NodeID string

	cluster *Cluster
	server  bool
	// program is the running one, or the last that ran; nil before Start.
	program *Program
	// ending is set when we ended it.
	ending bool
}

func newAgent(cluster *Cluster, i int) *Agent {
	name := "server"
	if i > 0 {
		name = fmt.Sprintf("client-%d", i)
	}
	return &Agent{Name: name, Host: host(cluster.network, i), NodeID: nodeID(name), cluster: cluster, server: i == 0}
}

// Address returns "host:port" of the HTTP API.
func (a *Agent) Address() string { return net.JoinHostPort(a.Host, "8500") }

// URL returns the HTTP API's.
func (a *Agent) URL() *url.URL { return &url.URL{Scheme: "http", Host: a.Address()} }

// Kill ends the agent as a crash of its host would: its services stay in the
// catalog. Killing a dead agent is no error.
func (a *Agent) Kill() error { return a.end(syscall.SIGKILL) }

// Stop asks the agent to leave and waits until it has, some 4 s; its node and
// services leave the catalog with it. The data is kept. An agent that has not
// run for long may, while it leaves, sync once more: then its node and services
// are in the catalog again, though without a serfHealth check (seen with 1.22.7).
func (a *Agent) Stop() error { return a.end(syscall.SIGTERM) }

// Pause stops the agent's process where it stands (SIGSTOP): connections stay, and nothing
// is answered. It must be running; Kill ends a paused one too.
func (a *Agent) Pause() error { return a.program.Signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (a *Agent) Resume() error { return a.program.Signal(syscall.SIGCONT) }

// Restart starts the agent again after Kill or Stop, with the services it knew. It does
// not wait until the agent answers: see Cluster.WaitReady.
func (a *Agent) Restart() error {
	if a.running() {
		return fmt.Errorf("restart %s: it is running", a.Name)
	}
	return a.start()
}

func (a *Agent) start() error {
	log, err := os.OpenFile(a.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", a.Name, err)
	}
	defer log.Close() // the process has its own
	a.ending = false
	a.program, err = a.cluster.watchdog.run(log, a.cluster.config.Binary, a.arguments()...)
	return err
}

func (a *Agent) arguments() []string {
	arguments := []string{
		"agent", "-node=" + a.Name, "-node-id=" + a.NodeID,
		"-bind=" + a.Host, "-client=" + a.Host, "-log-level=warn",
		"-data-dir=" + filepath.Join(a.cluster.dir, a.Name),
		"-hcl=disable_update_check = true",
		"-hcl=" + a.cluster.config.HCL,
		"-hcl=" + a.cluster.config.AgentHCL[a.Name],
	}
	if a.server {
		return append(arguments, "-server", "-ui", "-bootstrap-expect=1",
			"-hcl=performance { raft_multiplier = 1 }")
	}
	return append(arguments, "-retry-join="+a.cluster.Server().Host, "-retry-interval=1s")
}

func (a *Agent) end(signal syscall.Signal) error {
	if !a.running() {
		return nil
	}
	a.ending = true
	if err := a.program.End(signal); err != nil {
		return fmt.Errorf("end %s: %w", a.Name, err)
	}
	return nil
}

func (a *Agent) running() bool { return a.program != nil && a.program.Running() }

func (a *Agent) logFile() string { return filepath.Join(a.cluster.dir, a.Name+".log") }

// Log returns the last lines of what the agent has logged.
func (a *Agent) Log() string {
	data, err := os.ReadFile(a.logFile())
	if err != nil {
		return err.Error()
	}
	return lastLines(data)
}

func lastLines(text []byte) string {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-logTail):], []byte("\n")))
}

// nodeID returns the UUIDv5 of a node's name. With an ID that Consul makes up, an agent
// that lost its data would be refused: its name belongs to the old one.
func nodeID(name string) string {
	id := sha1.Sum(append([]byte("consular/devconsul/"), name...))
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:16])
}

package devconsul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	startWait  = 3 * time.Minute
	readyEvery = 50 * time.Millisecond
)

// Config says what cluster to start.
type Config struct {
	// Binary is Consul's, as Find returns it.
	Binary string
	// Clients is how many client agents there are beside the one server.
	Clients int
	// Network is the first three numbers of the addresses: with "127.0.0" the
	// server is 127.0.0.1, the clients 127.0.0.2 and up. "" takes one that is
	// free, so that many programs may have clusters at once.
	Network string
	// HCL is configuration for all agents, AgentHCL more of it by the name of
	// the node: "server", "client-1", "client-2" and so on.
	HCL      string
	AgentHCL map[string]string
	// Token is used to see whether the cluster is ready, where HCL sets up ACLs.
	Token string
}

// Cluster is a running cluster of Consul.
type Cluster struct {
	config   Config
	network  string
	dir      string // data and logs; the watchdog removes it
	lock     *os.File
	watchdog *watchdog
	agents   []*Agent
	http     *http.Client
}

// Start starts a cluster and waits until its agents know each other, about 3 s.
// It runs until Stop is called, not until ctx ends; and it ends with the program,
// even one that is killed.
func Start(ctx context.Context, config Config) (*Cluster, error) {
	c := &Cluster{config: config, http: &http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true},
	}}
	if err := c.prepare(ctx); err != nil {
		return nil, fmt.Errorf("start consul: %w", err)
	}
	for i := range config.Clients + 1 {
		c.agents = append(c.agents, newAgent(c, i))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startWait, fmt.Errorf("not ready after %s", startWait))
	defer cancel()
	err := c.startAgents()
	if err == nil {
		err = c.WaitReady(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start consul: %w", err), c.Stop())
	}
	return c, nil
}

// Server returns the server, which serves the UI at http://<host>:8500/ui.
func (c *Cluster) Server() *Agent { return c.agents[0] }

// Clients returns the client agents, in order of their addresses.
func (c *Cluster) Clients() []*Agent { return c.agents[1:] }

// Stop kills all agents and removes their data. It is called once.
func (c *Cluster) Stop() error {
	var failed []error
	for _, agent := range c.agents {
		failed = append(failed, agent.Kill())
	}
	return errors.Join(append(failed, c.watchdog.stop(), c.unlock())...)
}

// WaitReady waits until there is a leader and every running agent's node is
// alive to it, as after Restart. It fails at once when an agent that should run has ended.
func (c *Cluster) WaitReady(ctx context.Context) error {
	ticker := time.NewTicker(readyEvery)
	defer ticker.Stop()
	for {
		err := c.ready(ctx)
		if err == nil {
			return nil
		}
		if ended := c.crashed(); ended != nil {
			return fmt.Errorf("%s has ended (%s): %s", ended.Name, ended.program.cmd.ProcessState, ended.Log())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w; the server says: %s", context.Cause(ctx), err, c.Server().Log())
		case <-ticker.C:
		}
	}
}

// prepare makes what agents need, and nothing else if it fails.
func (c *Cluster) prepare(ctx context.Context) (err error) {
	if c.network = c.config.Network; c.network == "" {
		c.network, c.lock, err = reserve(ctx, c.config.Clients+1)
	} else {
		err = checkFree(ctx, c.network, c.config.Clients+1)
	}
	if err != nil {
		return err
	}
	if c.dir, err = os.MkdirTemp("", "consular-consul-"); err != nil {
		return errors.Join(err, c.unlock())
	}
	if c.watchdog, err = startWatchdog(c.dir, c.lock); err != nil {
		return errors.Join(err, os.Remove(c.dir), c.unlock())
	}
	return nil
}

func (c *Cluster) unlock() error {
	if c.lock == nil {
		return nil
	}
	return c.lock.Close()
}

func (c *Cluster) startAgents() error {
	for _, agent := range c.agents {
		if err := agent.start(); err != nil {
			return err
		}
	}
	return nil
}

// crashed returns an agent that was started and has ended by itself.
func (c *Cluster) crashed() *Agent {
	for _, agent := range c.agents {
		if agent.program != nil && !agent.running() && !agent.ending {
			return agent
		}
	}
	return nil
}

func (c *Cluster) ready(ctx context.Context) error {
	for _, agent := range c.agents {
		if !agent.running() {
			continue
		}
		// A client asks the server, so this also says that it has joined.
		leader, err := c.get(ctx, agent, "/v1/status/leader")
		if err != nil {
			return err
		}
		if !strings.Contains(string(leader), ":8300") {
			return fmt.Errorf("%s knows no leader yet", agent.Name)
		}
	}
	return c.alive(ctx)
}

// alive reports a running agent that the server's failure detection does not
// have as alive.
func (c *Cluster) alive(ctx context.Context) error {
	answer, err := c.get(ctx, c.Server(), "/v1/health/state/passing")
	if err != nil {
		return err
	}
	var checks []struct{ Node, CheckID string }
	if err := json.Unmarshal(answer, &checks); err != nil {
		return fmt.Errorf("read checks: %w", err)
	}
	alive := map[string]bool{}
	for _, check := range checks {
		if check.CheckID == "serfHealth" {
			alive[check.Node] = true
		}
	}
	for _, agent := range c.agents {
		if agent.running() && !alive[agent.Name] {
			return fmt.Errorf("%s has not joined yet", agent.Name)
		}
	}
	return nil
}

func (c *Cluster) get(ctx context.Context, agent *Agent, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, agent.URL().String()+path, nil)
	if err != nil {
		return nil, err
	}
	if c.config.Token != "" {
		request.Header.Set("X-Consul-Token", c.config.Token)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, answer.Status, body)
	}
	return body, err
}

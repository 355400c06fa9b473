package devconsul

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// stopWait is how long a program may take to end when told: an agent leaves for
// up to leave_drain_time, 5 s.
const stopWait = 30 * time.Second

// Program is a running program. Whatever becomes of us, it ends with the
// cluster, and with it all that it has started in its own process group.
type Program struct {
	cmd *exec.Cmd
	// exited is closed when it has ended.
	exited chan struct{}
}

// Beside starts a program beside the agents, such as consul-template or a proxy.
// Its output goes to log. It runs until it ends, is ended, or the cluster is stopped.
func (c *Cluster) Beside(log io.Writer, program string, args ...string) (*Program, error) {
	return c.watchdog.run(log, program, args...)
}

func (w *watchdog) run(log io.Writer, program string, args ...string) (*Program, error) {
	cmd, err := w.start(log, program, args...)
	if err != nil {
		return nil, err
	}
	p := &Program{cmd: cmd, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
		w.ended(cmd)
		close(p.exited)
	}()
	return p, nil
}

// Signal sends a signal. To send one to what has ended is no error.
func (p *Program) Signal(signal os.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s to %s: %w", signal, filepath.Base(p.cmd.Path), err)
	}
	return nil
}

// End sends a signal and waits until the program has ended. One that takes too
// long is killed, which is an error.
func (p *Program) End(signal syscall.Signal) error {
	if err := p.Signal(signal); err != nil {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopWait):
		_ = p.cmd.Process.Kill()
		<-p.exited
		return fmt.Errorf("did not end within %s of %s, killed", stopWait, signal)
	}
}

// Running reports whether the program has not ended yet.
func (p *Program) Running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// PID is the program's, and its process group's.
func (p *Program) PID() int { return p.cmd.Process.Pid }

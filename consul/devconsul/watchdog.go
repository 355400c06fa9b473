package devconsul

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// A watchdog is a shell that outlives us to clean up. It reads "+ PID" and
// "- PID" lines, and when no writer is left, because the cluster was stopped or
// we were killed, kills what is left, each with its process group, and removes
// the directory. It must not die of a signal that is meant for us.
const watchdogScript = `
trap '' INT TERM HUP
pids=
while read -r sign pid; do
	if [ "$sign" = + ]; then pids="$pids $pid"; continue; fi
	left=
	for p in $pids; do [ "$p" = "$pid" ] || left="$left $p"; done
	pids=$left
done
for p in $pids; do kill -KILL -"$p"; done
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
`

// announceScript says its PID to the watchdog (on descriptor 3) and becomes the
// program of its arguments. So there is no moment in which a program runs that
// the watchdog does not know: the pipe stays open until the PID is in it.
const announceScript = `echo "+ $$" >&3; exec "$@" 3>&-`

type watchdog struct {
	cmd  *exec.Cmd
	pipe *os.File
}

// startWatchdog starts the watchdog of a directory. It shares the lock, if any,
// so that the network stays reserved until all is cleaned up.
func startWatchdog(dir string, lock *os.File) (*watchdog, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start watchdog: %w", err)
	}
	defer read.Close()
	//nolint:noctx // it ends when its input does, and must not end before
	cmd := exec.Command("sh", "-c", watchdogScript, "consul-watchdog", dir)
	cmd.Stdin = read
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if lock != nil {
		cmd.ExtraFiles = []*os.File{lock}
	}
	if err := cmd.Start(); err != nil {
		write.Close()
		return nil, fmt.Errorf("start watchdog: %w", err)
	}
	return &watchdog{cmd: cmd, pipe: write}, nil
}

// start runs the program until it ends or we do. Its output goes to log.
func (w *watchdog) start(log io.Writer, name string, args ...string) (*exec.Cmd, error) {
	//nolint:noctx // it runs until Kill, Stop or the watchdog ends it
	cmd := exec.Command("sh", append([]string{"-c", announceScript, name, name}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{w.pipe}
	// A group of its own: Ctrl-C in a terminal is ours to answer.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return cmd, nil
}

// ended takes back a PID, which may be another's from now on.
func (w *watchdog) ended(cmd *exec.Cmd) {
	fmt.Fprintf(w.pipe, "- %d\n", cmd.Process.Pid) // fails when there is no watchdog, and then nothing is left to do
}

// stop makes the watchdog clean up, and waits until it has.
func (w *watchdog) stop() error {
	w.pipe.Close()
	if err := w.cmd.Wait(); err != nil {
		return fmt.Errorf("clean up after consul: %w", err)
	}
	return nil
}

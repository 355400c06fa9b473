package reconcile_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// child is a running consular. What it logs is how its progress is seen.
type child struct {
	cmd     *exec.Cmd
	started time.Time
	read    sync.WaitGroup

	mu    sync.Mutex
	lines map[string]int // how many lines held which message
	bytes int64
	ended bool
	last  string
	more  *sync.Cond
}

// longest is how long anything may take before the test gives up.
const longest = 5 * time.Minute

// start starts `consular run` between the stage's Marathon and its Consul.
func start(t *testing.T, s *stage) *child {
	t.Helper()
	c := &child{lines: map[string]int{}, started: time.Now()}
	c.more = sync.NewCond(&c.mu)
	c.cmd = exec.CommandContext(t.Context(), s.binary, append(
		s.options, "--marathon", s.marathon.url(), "--consul", s.cluster.Server().URL().String(),
		"--poll-interval", fmt.Sprint(scalePoll.Seconds()), "--log-format", "json", "run",
	)...)
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.read.Go(func() { c.listen(stderr) })
	return c
}

// listen counts the lines of the log by their message.
func (c *child) listen(log io.Reader) {
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		line := lines.Text()
		at := strings.LastIndex(line, `"message":`)
		c.mu.Lock()
		c.bytes += int64(len(line)) + 1
		if c.last = line; at >= 0 {
			c.lines[strings.TrimSuffix(line[at:], "}")]++
		}
		c.mu.Unlock()
		c.more.Broadcast()
	}
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.more.Broadcast()
}

func (c *child) count(message string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lines[message]
}

// await waits until a message was logged so often.
func (c *child) await(t *testing.T, message string, times int) {
	t.Helper()
	late := time.AfterFunc(longest, func() {
		c.mu.Lock()
		c.ended = true
		c.mu.Unlock()
		c.more.Broadcast()
	})
	defer late.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.lines[message] < times && !c.ended {
		c.more.Wait()
	}
	if c.lines[message] < times {
		t.Fatalf("consular logged %s %d times, want %d; it said last: %s", message, c.lines[message], times, c.last)
	}
}

// consumed is what a process has used so far.
type consumed struct {
	cpu time.Duration
	// peak is the largest resident set since the last look, in bytes, and io what
	// was read and written, sockets and files, without the log.
	peak, io int64
}

// wait waits for the end, which must be a good one.
func (c *child) wait(t *testing.T) {
	t.Helper()
	c.read.Wait()
	if err := c.cmd.Wait(); err != nil {
		t.Fatalf("consular: %v: %s", err, c.last)
	}
}

// usage reads /proc, and starts the peak anew.
func (c *child) usage(t *testing.T) consumed {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d/", c.cmd.Process.Pid)
	read := func(name string) string {
		text, err := os.ReadFile(proc + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	// After the name, which may hold anything: utime and stime are fields 14 and 15.
	_, stat, _ := strings.Cut(read("stat"), ") ")
	fields := strings.Fields(stat)
	ticks := number(t, fields[11]) + number(t, fields[12])
	io, status := read("io"), read("status")
	u := consumed{
		cpu: time.Duration(ticks) * (time.Second / 100), // USER_HZ, the same on every Linux
		io:  number(t, field(io, "rchar:")) + number(t, field(io, "wchar:")),
	}
	u.peak = number(t, field(status, "VmHWM:")) << 10
	if err := os.WriteFile(proc+"clear_refs", []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	u.io -= c.bytes
	c.mu.Unlock()
	return u
}

// field returns the word after a name.
func field(text, name string) string {
	_, rest, _ := strings.Cut(text, name)
	return strings.Fields(rest)[0]
}

func number(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

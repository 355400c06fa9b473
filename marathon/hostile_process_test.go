package marathon

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What a Marathon answers, be it wrong, broken or a trap, does not bring the process
// down. This is the program itself, for the race detector multiplies what tests take.
func TestLargestResidentSet(t *testing.T) {
	program := build(t)
	const mib, answer = 1 << 20, 256 << 20 // the default of --max-answer
	text, app := strings.Repeat("x", 1<<10), `{"apps":[{"id":"/a",`
	head, tail, _ := strings.Cut(strings.ReplaceAll(string(fleet(1)), "app-0", "app-#"), `"tasks":[`)
	head = strings.TrimPrefix(head, `{"apps":[`) + `"tasks":[`
	tasks, _, _ := strings.Cut(tail, "]}]}")
	tasks = strings.ReplaceAll(tasks, "instance-", "instance-#-")
	for _, test := range []struct {
		name, begin, then string
		// end makes an honest answer of it, a little smaller than the limit.
		end string
		// most is in MiB. What is made of an honest answer is in it.
		most int
	}{
		{"honest apps", `{"apps":[`, head + tasks + "]},", `{"id":"/last","tasks":[]}]}`, 540},
		{"an honest app", `{"apps":[` + head, tasks + ",", `{"id":"last"}]}]}`, 520},
		{"endless apps as they are", `{"apps":[`, head + tasks + "]},", "", 300},
		{"endless tasks as they are", `{"apps":[` + head, tasks + ",", "", 300},

		{"an endless text", app + `"cmd":"`, text, "", 300},
		{"an endless number", app + `"cpus":`, "1", "", 300},
		{"an endless text that is kept", app + `"labels":{"k":"`, text, "", 300},
		{"an endless ID", `{"apps":[{"id":"/`, text, "", 300},
		{"an endless name of a field", app + `"`, text, "", 300},
		{"an endless environment", app + `"env":{`, `"` + text + `":"` + text + `",`, "", 300},
		{"endless labels", app + `"labels":{`, `"#":"",`, "", 300},
		{"endless labels of ports", `{"apps":[`, `{"id":"/#","tasks":[],"portDefinitions":[` + strings.Repeat(`{"labels":{"":""}},`, 1000) + `{}]},`, "", 300},
		{"endless deployments", `{"apps":[`, `{"id":"/#","tasks":[],"deployments":[` + strings.Repeat(`{},`, 50_000) + `{}]},`, "", 300},
		{"endless ports", app + `"portDefinitions":[`, `{"port":0,"labels":{}},`, "", 300},
		{"an endless task", app + `"tasks":[{"id":"a.1","ports":[`, `0.0000000001e10,`, "", 300},
		{"endless tasks", app + `"tasks":[`, `{"id":"#"},`, "", 300},
		{"endless apps", `{"apps":[`, `{"id":"/#","tasks":[]},`, "", 300},
		{"endless apps that are none", `{"apps":[`, `{},`, "", 300},
		{"endless nesting", app + `"env":`, "[", "", 300},
		{"endless nesting of what is kept", app + `"labels":`, `{"a":`, "", 300},
		{"endless nesting of apps", `{"apps":`, "[", "", 300},
	} {
		t.Run(test.name, func(t *testing.T) {
			size := int64(answer + mib)
			if test.end != "" {
				size = answer - mib
			}
			set, line := residentSet(t, program, func(w io.Writer) {
				body := &counted{text: test.then}
				_, _ = io.WriteString(w, test.begin)
				_, _ = io.Copy(w, io.LimitReader(body, size))
				_, _ = w.Write(body.left)
				_, _ = io.WriteString(w, test.end)
			}, func(io.Writer) {}, "read all apps", `"agent":"kv"`)
			t.Logf("%d MiB: %.300s", set, line)
			if set > test.most {
				t.Errorf("the largest resident set was %d MiB, want %d", set, test.most)
			}
		})
	}
}

// The same, of what comes by the stream.
func TestLargestResidentSetOfEvents(t *testing.T) {
	program := build(t)
	const begin, event = "event: %s\ndata: ", 8 << 20 // the default of --max-event
	for _, test := range []struct {
		name, kind, begin, then, end string
		size                         int64
	}{
		{"an endless event", "status_update_event", `{"taskId":"`, "x", "", 1 << 30},
		{"ports", "status_update_event", `{"taskId":"a.1","ports":[`, "1,", "1]}", event},
		{"addresses", "status_update_event", `{"taskId":"a.1","ipAddresses":[`, "{},", "{}]}", event},
		{"steps", "deployment_info", `{"plan":{"steps":[`, "{},", "{}]}}", event},
		{"actions", "deployment_info", `{"plan":{"steps":[{"actions":[`, "{},", "{}]}]}}", event},
	} {
		t.Run(test.name, func(t *testing.T) {
			set, line := residentSet(t, program, func(w io.Writer) { _, _ = io.WriteString(w, `{"apps":[]}`) }, func(w io.Writer) {
				fmt.Fprintf(w, begin+"{}\n\n"+begin+test.begin, "event_stream_attached", test.kind)
				_, _ = io.WriteString(w, strings.Repeat(test.then, int(test.size-1024)/len(test.then))+test.end+"\n\n")
				fmt.Fprintf(w, begin+"{\n\n", "status_update_event") // which the log will tell of
			}, "event not read")
			t.Logf("%d MiB: %.300s", set, line)
			if set > 300 {
				t.Errorf("the largest resident set was %d MiB, want 300", set)
			}
		})
	}
}

// build builds the program.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "consular")
	if text, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "consular").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return program
}

// counted is a body that never ends, of one text again and again, with a number in
// place of each #.
type counted struct {
	text string
	n    int
	left []byte
}

func (c *counted) Read(p []byte) (int, error) {
	if len(c.left) == 0 && !strings.Contains(c.text, "#") {
		c.left = []byte(strings.Repeat(c.text, max(1, len(p)/len(c.text))))
	}
	for len(c.left) < len(p) {
		c.n++
		c.left = append(c.left, strings.ReplaceAll(c.text, "#", strconv.Itoa(c.n))...)
	}
	n := copy(p, c.left)
	c.left = c.left[n:]
	return n, nil
}

// residentSet runs the program with a Marathon that answers so when it is asked for
// all apps, and for events, until a line of the log has one of the words. It returns the
// largest resident set in MiB, and that line.
func residentSet(t *testing.T, program string, apps, events func(io.Writer), words ...string) (int, string) {
	t.Helper()
	master := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/v2/info":
			_, _ = io.WriteString(w, `{"version":"1.11.26","frameworkId":"f"}`)
		case "/v2/apps":
			apps(w)
		case "/v2/events":
			w.Header().Set("Content-Type", "text/event-stream")
			events(w)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	consular := exec.CommandContext(ctx, program, "--marathon", master.URL, "--consul", "http://127.0.0.1:1", "--timeout", "60s")
	log, err := consular.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := consular.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = consular.Wait() }()
	defer cancel()
	lines, line := bufio.NewScanner(log), ""
	var said []string
	for lines.Scan() {
		line = lines.Text()
		said = append(said, line)
		if slices.ContainsFunc(words, func(word string) bool { return strings.Contains(line, word) }) {
			return highWater(t, consular.Process.Pid), line
		}
	}
	t.Fatalf("the log says nothing of it: %.2000s", said)
	return 0, ""
}

// highWater returns the largest resident set of a process so far, in MiB.
func highWater(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}

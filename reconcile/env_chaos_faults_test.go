package reconcile_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// What happens to the stream.
var streamActs = []act{
	func(c *chaos) string { c.marathon.CloseStreams(); return "close the streams" },
	func(c *chaos) string { c.marathon.CutStreams(); return "cut the streams" },
	func(c *chaos) string { c.marathon.ResetStreams(); return "reset the streams" },
	func(c *chaos) string {
		on := c.random.IntN(4) == 0
		c.marathon.StallStreams(on)
		return fmt.Sprintf("stall the streams: %t", on)
	},
	func(c *chaos) string {
		on := c.random.IntN(3) == 0
		c.marathon.RefuseStreams(on)
		return fmt.Sprintf("refuse streams: %t", on)
	},
	func(c *chaos) string {
		on := c.random.IntN(2) == 0 && strings.HasPrefix(c.told[min(1, len(c.told)-1)], "events may")
		c.marathon.DropEvents(on)
		return fmt.Sprintf("drop events: %t", on)
	},
}

// What the stream says that is no event.
var rubbishActs = []act{inject, inject, corrupt, corrupt, corrupt}

// inject says what Marathon should not.
func inject(c *chaos) string {
	rubbish := map[string]string{
		"garbage":      "event: status_update_event\r\ndata: {\"taskId\":\r\n\r\n",
		"wrong types":  "event: status_update_event\r\ndata: {\"taskId\":7,\"appId\":[],\"taskStatus\":{},\"eventType\":\"status_update_event\"}\r\n\r\n",
		"oversize":     "event: deployment_info\r\ndata: {\"x\":\"" + strings.Repeat("x", 70<<10) + "\"}\r\n\r\n",
		"unknown type": "event: surprise_event\r\ndata: {\"eventType\":\"surprise_event\"}\r\n\r\n",
		"no type":      "data: {}\r\n\r\n",
	}
	names := []string{"garbage", "wrong types", "oversize", "unknown type", "no type"}
	name := names[c.random.IntN(len(names))]
	c.marathon.Inject([]byte(rubbish[name]))
	return "inject " + name
}

// corrupt makes the next events unreadable, on their way.
func corrupt(c *chaos) string {
	c.marathon.DropEvents(true)
	n := 1 + c.random.IntN(4)
	for range n {
		c.marathon.Step()
		c.noteOrphans()
	}
	c.marathon.DropEvents(false)
	c.marathon.Inject([]byte("event: status_update_event\r\ndata: {\"taskId\":\"\r\n\r\n"))
	return fmt.Sprintf("on by %d, and what is heard of it is corrupt", n)
}

// What happens to Marathon's masters.
var masterActs = []act{abdicate, killMaster, elect, elect, elect}

func abdicate(c *chaos) string {
	c.marathon.Abdicate()
	c.leader = -1
	return "abdicate"
}

func killMaster(c *chaos) string {
	n := c.random.IntN(len(c.masters))
	c.masters[n].Kill()
	c.dead[n] = true
	return fmt.Sprintf("kill master %d", n)
}

func elect(c *chaos) string {
	n := c.random.IntN(len(c.masters))
	c.masters[n].Elect()
	c.leader, c.dead[n] = n, false
	return fmt.Sprintf("elect master %d", n)
}

// What happens to Marathon's answers.
var answerActs = []act{spoil, mend, mend, forgetTasks, slowApp, slowApp}

// spoilt are snapshots that are none.
var spoilt = []func(http.ResponseWriter){
	func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
	func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>Please log in</html>")
	},
	func(http.ResponseWriter) {},
	func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"message":"no"}`) },
	func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"apps":[{"id":"/anch`) },
	func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "4000")
		_, _ = io.WriteString(w, `{"apps":[]}`)
	},
	// A token that has lost its rights gets a short one, and it is whole.
	func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"apps":[]}`) },
}

// short is one more: it is as it should be, but for one app that is not in it.
var short = len(spoilt) + 1

func spoil(c *chaos) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faulty = 1 + c.random.IntN(short)
	c.omitted = c.random.IntN(8)
	return fmt.Sprintf("spoil snapshots %d", c.faulty)
}

// shorten answers with all apps but one.
func (c *chaos) shorten(w http.ResponseWriter, r *http.Request, omitted int) {
	whole := httptest.NewRecorder()
	asked := r.Clone(r.Context())
	asked.Header.Set(unspoilt, "1")
	c.marathon.Handler().ServeHTTP(whole, asked)
	var answer struct {
		Apps []json.RawMessage `json:"apps"`
	}
	if whole.Code != http.StatusOK || json.Unmarshal(whole.Body.Bytes(), &answer) != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if omitted < len(answer.Apps) {
		answer.Apps = append(answer.Apps[:omitted], answer.Apps[omitted+1:]...)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// unspoilt marks a request of our own.
const unspoilt = "X-Unspoilt"

// forgetTasks is a Marathon that has lost the state of an app's tasks, and fails over.
func forgetTasks(c *chaos) string {
	id := c.app()
	for _, t := range c.marathon.Tasks(id) {
		c.mayGo(t.ID)
	}
	err := c.marathon.ForgetTasks(id)
	c.marathon.CloseStreams()
	return said(err, "forget the tasks of %s", id)
}

// slowApp lets Marathon take its time about one app.
func slowApp(c *chaos) string {
	id, delay := c.app(), time.Duration(c.random.IntN(500))*time.Millisecond
	c.marathon.SlowApp(id, delay)
	return fmt.Sprintf("answers about %s take %v", id, delay)
}

func mend(c *chaos) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faulty = 0
	return "mend snapshots"
}

// answerWrongly answers for Marathon while its snapshots are spoilt.
func (c *chaos) answerWrongly(w http.ResponseWriter, r *http.Request) bool {
	c.mu.Lock()
	faulty, omitted := c.faulty, c.omitted
	c.mu.Unlock()
	if faulty == 0 || r.URL.Path != "/v2/apps" || r.Header.Get(unspoilt) != "" {
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	if faulty == short {
		c.shorten(w, r, omitted)
		return true
	}
	spoilt[faulty-1](w)
	return true
}

// What happens to Consul, and to consular.
var consulActs = []act{breakService, breakAgent, breakAgent, healAgent, healAgent, healAgent, breakKeys, healKeys, healKeys, again}

func breakAgent(c *chaos) string {
	faults := []fault{refusing, failing, silent, lying}
	host, f := c.hosts()[c.random.IntN(3)], faults[c.random.IntN(4)]
	if c.memory != nil {
		c.memory.breakAgent(host, f)
	}
	return fmt.Sprintf("Consul on %s %s", host, f)
}

// breakService has one task's service answered with 500, registered or not.
func breakService(c *chaos) string {
	id := c.task("TASK_RUNNING")
	if c.memory != nil {
		c.memory.breakService(id)
	}
	return "Consul fails at " + id
}

func healAgent(c *chaos) string {
	host := c.hosts()[c.random.IntN(3)]
	if c.memory != nil {
		c.memory.breakAgent(host, healthy)
	}
	return "Consul is back on " + host
}

func breakKeys(c *chaos) string {
	f := []fault{failing, silent, lying}[c.random.IntN(3)]
	if c.memory != nil {
		c.memory.breakKeys(f)
	}
	return "the KV store " + string(f)
}

func healKeys(c *chaos) string {
	if c.memory != nil {
		c.memory.breakKeys(healthy)
	}
	return "the KV store is back"
}

func again(c *chaos) string {
	if c.random.IntN(3) > 0 {
		return "consular goes on"
	}
	c.restart()
	return "consular starts anew"
}

package simulator

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Servers is an executor that puts a small HTTP server behind each host port of
// each task: it listens before the task is TASK_RUNNING, until it has ended. Hosts
// must be addresses of this machine. The zero value answers with the task's ID.
type Servers struct {
	// Handler makes what answers for a task.
	Handler func(Task) http.Handler

	mu      sync.Mutex
	running map[string][]*http.Server
	ended   sync.WaitGroup
	failed  error
}

// Run is for Config.Executor. A task that ends drops its connections at once,
// whatever is in flight, as a process that is killed does.
func (s *Servers) Run(task Task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case task.State == "TASK_STARTING":
		for _, port := range task.Ports {
			s.failed = errors.Join(s.failed, s.start(task, port))
		}
	case final(task.State):
		s.stop(task.ID)
	}
}

func (s *Servers) start(task Task, port int) error {
	//nolint:noctx // an executor is told what happens, and asks nobody
	listener, err := net.Listen("tcp", net.JoinHostPort(task.Host, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("serve as task %s: %w", task.ID, err)
	}
	server := &http.Server{Handler: s.handler(task), ReadHeaderTimeout: 10 * time.Second}
	if s.running == nil {
		s.running = map[string][]*http.Server{}
	}
	s.running[task.ID] = append(s.running[task.ID], server)
	s.ended.Go(func() { _ = server.Serve(listener) }) // until it is closed
	return nil
}

func (s *Servers) handler(task Task) http.Handler {
	if s.Handler != nil {
		return s.Handler(task)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s of %s on %s\n", task.ID, task.AppID, task.Host)
	})
}

func (s *Servers) stop(id string) {
	for _, server := range s.running[id] {
		_ = server.Close() // what it says about its connections interests nobody
	}
	delete(s.running, id)
}

// Err returns why tasks could not be served for, such as a port that is taken.
func (s *Servers) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Close ends all servers, when the Marathon does nothing any more.
func (s *Servers) Close() {
	s.mu.Lock()
	for id := range s.running {
		s.stop(id)
	}
	s.mu.Unlock()
	s.ended.Wait()
}

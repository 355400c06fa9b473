package reconcile_test

import (
	"bytes"
	"sync"
)

// trafficLogs keeps what each program has said.
type trafficLogs struct {
	mu    sync.Mutex
	texts map[string]*bytes.Buffer
}

type trafficLog struct {
	logs *trafficLogs
	name string
}

func (l *trafficLogs) of(name string) trafficLog { return trafficLog{l, name} }

func (l trafficLog) Write(text []byte) (int, error) {
	l.logs.mu.Lock()
	defer l.logs.mu.Unlock()
	if l.logs.texts == nil {
		l.logs.texts = map[string]*bytes.Buffer{}
	}
	if l.logs.texts[l.name] == nil {
		l.logs.texts[l.name] = &bytes.Buffer{}
	}
	return l.logs.texts[l.name].Write(text)
}

// count returns how many lines of a program's log hold a text.
func (l *trafficLogs) count(name, text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.texts[name] == nil {
		return 0
	}
	return bytes.Count(l.texts[name].Bytes(), []byte(text))
}

// tellLogs shows, of a test that failed, what everybody has said.
func (s *trafficSite) tellLogs() {
	s.logs.mu.Lock()
	defer s.logs.mu.Unlock()
	if !s.Failed() {
		return
	}
	for name, text := range s.logs.texts {
		lines := bytes.SplitAfter(text.Bytes(), []byte("\n"))
		s.Logf("%s:\n%s", name, bytes.Join(lines[max(0, len(lines)-200):], nil))
	}
}

package heartbeat

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patient is a process with a heartbeat, in a bubble.
type patient struct {
	*testing.T
	*Heartbeat
	loops *Loops

	mu    sync.Mutex
	wrong []string
	log   []string
}

// Write implements io.Writer.
func (p *patient) Write(line []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, string(line))
	return len(line), nil
}

func (p *patient) says() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "")
}

func (p *patient) is(wrong ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrong = wrong
}

// bubble runs a test on a process with a heartbeat.
func bubble(t *testing.T, test func(p *patient)) {
	t.Helper()
	defer syscall.Umask(syscall.Umask(0o077)) // who looks may be another user
	synctest.Test(t, func(t *testing.T) {
		p := &patient{T: t, loops: new(Loops)}
		wrong := func() []string {
			p.mu.Lock()
			defer p.mu.Unlock()
			return slices.Clone(p.wrong)
		}
		h, err := New(filepath.Join(t.TempDir(), "heartbeat"), p.loops, wrong, zerolog.New(p))
		if err != nil {
			t.Fatal(err)
		}
		p.Heartbeat = h
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { h.Run(ctx) })
		test(p)
		cancel()
		running.Wait()
	})
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// age is how old the file is, and text what it has.
func (p *patient) age() time.Duration {
	p.Helper()
	info, err := os.Stat(p.file)
	if err != nil || info.Mode() != 0o644 {
		p.Fatalf("%v, %v", info, err)
	}
	return time.Since(info.ModTime())
}

func (p *patient) has() string {
	p.Helper()
	text, err := os.ReadFile(p.file)
	if err != nil {
		p.Fatal(err)
	}
	return string(text)
}

func TestFileIsYoungWhileAllLoopsGoRound(t *testing.T) {
	bubble(t, func(p *patient) {
		busy, idle := p.loops.Add("resyncs"), p.loops.Add("worker")
		idle.Round()
		idle.Rest() // for hours
		for range 100 {
			busy.Round()
			if pass(59 * time.Second); p.age() > 5*time.Second || p.has() != well {
				t.Fatalf("is %v old and says %q", p.age(), p.has())
			}
		}
		busy.End()
		if pass(time.Hour); p.age() > 5*time.Second {
			t.Errorf("a loop that is over makes it old: %v", p.age())
		}
		if p.says() != "" {
			t.Errorf("the log says %s", p.says())
		}
	})
}

// A loop that is stuck makes the file old, whatever else is written into it.
func TestAStuckLoopMakesItOld(t *testing.T) {
	bubble(t, func(p *patient) {
		p.loops.Add("resyncs").Round()
		workers := []*Loop{p.loops.Add("worker"), p.loops.Add("worker")}
		for _, w := range workers {
			w.Round()
		}
		pass(3*time.Minute + time.Second)
		if age := p.age(); age < 120*time.Second || age > 126*time.Second {
			t.Errorf("is %v old", age)
		}
		if p.has() != "stuck: resyncs\nstuck: worker (2 of them)\n" {
			t.Errorf("says %q", p.has())
		}
		p.is("consul: no leader")
		pass(time.Minute)
		if age := p.age(); age < 180*time.Second || !strings.Contains(p.has(), "consul") {
			t.Errorf("is %v old and says %q", age, p.has())
		}
		if strings.Count(p.says(), "\n") != 1 || !strings.Contains(p.says(), "resyncs, worker (2 of them)") {
			t.Errorf("the log says %s", p.says())
		}
	})
}

func TestALoopThatGoesOn(t *testing.T) {
	bubble(t, func(p *patient) {
		loop := p.loops.Add("resyncs")
		loop.Round()
		pass(2 * time.Minute)
		loop.Round()
		if pass(beatEvery); p.age() > beatEvery || p.has() != well {
			t.Errorf("is %v old and says %q", p.age(), p.has())
		}
		if strings.Count(p.says(), "\n") != 2 || !strings.Contains(p.says(), "goes on") {
			t.Errorf("the log says %s", p.says())
		}
	})
}

// What is wrong changes the text, and not the time; the same again writes nothing.
func TestTextSaysWhatIsWrong(t *testing.T) {
	bubble(t, func(p *patient) {
		p.is("stream down", "polls fail")
		pass(beatEvery)
		if p.age() > beatEvery || p.has() != "stream down\npolls fail\n" {
			t.Errorf("is %v old and says %q", p.age(), p.has())
		}
		before, err := os.Stat(p.file)
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		if after, err := os.Stat(p.file); err != nil || !os.SameFile(before, after) {
			t.Errorf("was written again: %v", err)
		}
		p.is()
		if pass(beatEvery); p.has() != well {
			t.Errorf("says %q", p.has())
		}
	})
}

// A disk on which nothing can be written makes it neither old nor noisy. (A name so long that a
// temporary one does not fit stands for it.)
func TestAFullDiskDoesNotMakeItOld(t *testing.T) {
	p := &patient{T: t}
	small := filepath.Join(t.TempDir(), "heartbeat")
	h, err := New(small, nil, func() []string { return p.wrong }, zerolog.New(p))
	if err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(filepath.Dir(small), strings.Repeat("x", 255))
	if err := os.Rename(small, full); err != nil {
		t.Fatal(err)
	}
	p.Heartbeat, h.file = h, full
	p.is("stream down")
	for range 100 {
		long := time.Now().Add(-time.Hour)
		if err := os.Chtimes(full, long, long); err != nil {
			t.Fatal(err)
		}
		if h.note(h.beat()); p.age() > time.Minute || p.has() != well {
			t.Fatalf("is %v old and says %q", p.age(), p.has())
		}
	}
	if strings.Count(p.says(), "\n") != 1 {
		t.Errorf("the log says %s", p.says())
	}
	if err := os.Rename(full, small); err != nil {
		t.Fatal(err)
	}
	h.file = small
	if h.note(h.beat()); p.has() != "stream down\n" || strings.Count(p.says(), "\n") != 2 {
		t.Errorf("says %q, and the log %s", p.has(), p.says())
	}
}

func TestAFileThatWasRemovedComesAgain(t *testing.T) {
	bubble(t, func(p *patient) {
		p.is("stream down")
		pass(beatEvery)
		if err := os.Remove(p.file); err != nil {
			t.Fatal(err)
		}
		if pass(beatEvery); p.age() > beatEvery || p.has() != "stream down\n" || p.says() != "" {
			t.Errorf("is %v old and says %q; the log: %s", p.age(), p.has(), p.says())
		}
	})
}

func TestFileThatCannotBeWritten(t *testing.T) {
	for _, name := range []string{"/nowhere/heartbeat", t.TempDir()} {
		_, err := New(name, nil, func() []string { return nil }, zerolog.Nop())
		if err == nil || !strings.HasPrefix(err.Error(), "--heartbeat-file: ") || strings.Count(err.Error(), name) != 1 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is no file, such as /dev/null, is not replaced by one.
func TestWhatIsNoFileIsLeftAlone(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(pipe, nil, func() []string { return nil }, zerolog.Nop())
	if err == nil || !strings.HasPrefix(err.Error(), "--heartbeat-file: ") || !strings.Contains(err.Error(), pipe) {
		t.Errorf("made of a pipe: %v", err)
	}
	if info, err := os.Stat(pipe); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("the pipe is %v, %v", info, err)
	}
}

// Who has no heartbeat has loops that tell nobody.
func TestNoLoops(t *testing.T) {
	var loops *Loops
	loop := loops.Add("x")
	loop.Round()
	loop.Rest()
	loop.End()
	if n := loops.stuck(); n != nil {
		t.Error(n)
	}
}

func TestCheck(t *testing.T) {
	folder := t.TempDir()
	for name, test := range map[string]struct {
		text             string
		age              time.Duration
		ok, strict       bool
		says, saysStrict string
	}{
		"young":    {well, time.Second, true, true, "heartbeat 1s old", "heartbeat 1s old"},
		"troubled": {"stream down\npolls fail\n", time.Second, true, false, "heartbeat 1s old; stream down; polls fail", "stream down; polls fail"},
		"old":      {"stuck: resyncs\n", time.Minute, false, false, "1m0s old, more than 30s; stuck: resyncs", "stuck: resyncs"},
		"future":   {well, -time.Hour, false, false, "1h0m0s in the future", "1h0m0s in the future"},
		"empty":    {"", time.Second, true, false, "heartbeat 1s old", "empty"},
		"odd":      {strings.Repeat("\xff\n", 10_000), time.Second, true, false, "old; ?; ?", "?"},
		"none":     {says: "no heartbeat: stat " + folder, saysStrict: "no heartbeat"},
		".":        {says: "directory", saysStrict: "directory"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				file, at := filepath.Join(folder, name), time.Now().Add(-test.age)
				if test.age != 0 {
					if err := errors.Join(os.WriteFile(file, []byte(test.text), 0o644), os.Chtimes(file, at, at)); err != nil {
						t.Fatal(err)
					}
				}
				for strict, want := range map[bool]string{false: test.says, true: test.saysStrict} {
					text, err := Check(file, 30*time.Second, strict)
					ok := test.ok
					if strict {
						ok = test.strict
					}
					if err != nil {
						text = err.Error()
					}
					if (err == nil) != ok || !strings.Contains(text, want) || strings.Contains(text, "\n") || len(text) > 20_000 {
						t.Errorf("strict %t: %v, %.300s", strict, err, text)
					}
				}
			})
		})
	}
}

func BenchmarkRound(b *testing.B) {
	loop := new(Loops).Add("x")
	for b.Loop() {
		loop.Round()
		loop.Rest()
	}
}

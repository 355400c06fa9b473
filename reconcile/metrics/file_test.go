package metrics

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestFileIsReplacedAsAWhole(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077)) // node_exporter is another user
	name := filepath.Join(t.TempDir(), "consular.prom")
	m := busy()
	f, err := NewFile(m, name, new(logged).log())
	if err != nil {
		t.Fatal(err)
	}
	var writing sync.WaitGroup
	done := make(chan struct{})
	writing.Go(func() {
		defer close(done)
		for range 200 {
			if err := f.write(); err != nil {
				t.Error(err)
			}
		}
	})
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		got, err := os.ReadFile(name)
		if err != nil || !strings.HasSuffix(string(got), "\nconsular_writes_total{kind=\"register\",outcome=\"refused\"} 1\n") {
			t.Fatalf("half a file: %v, %.100s", err, got)
		}
	}
	writing.Wait()
	info, err := os.Stat(name)
	if err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(name + "*"); err != nil || len(left) != 1 {
		t.Errorf("left %q, %v", left, err)
	}
}

func TestFileThatCannotBeWritten(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "folder.prom")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/nowhere/consular.prom", filepath.Join(t.TempDir(), "consular.txt"), folder} {
		if _, err := NewFile(busy(), name, new(logged).log()); err == nil || !strings.HasPrefix(err.Error(), "--metrics-file") ||
			!strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What fails later on costs one line, and one when it is over; at the end the file goes.
func TestFileIsKeptUpToDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "textfile")
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(folder, "consular.prom")
		m, log := busy(), new(logged)
		f, err := NewFile(m, name, log.log())
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { f.Run(ctx) })
		has := func(what string) bool {
			got, err := os.ReadFile(name)
			return err == nil && strings.Contains(string(got), what)
		}
		m.Resynced("failed", time.Second)
		if has(`{outcome="failed"} 1`) {
			t.Error("is ahead of its time")
		}
		if pass(fileEvery); !has(`{outcome="failed"} 1`) {
			t.Error("is not up to date after 15 s")
		}
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		if pass(time.Hour); len(log.lines()) != 1 || !strings.Contains(log.String(), name) {
			t.Errorf("said %q", log.lines())
		}
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if pass(time.Minute); !has("consular_apps 3") || len(log.lines()) != 2 || !strings.Contains(log.String(), "works again") {
			t.Errorf("said %q", log.lines())
		}
		stop()
		running.Wait()
		if _, err := os.Stat(name); !os.IsNotExist(err) {
			t.Errorf("the file is left: %v", err)
		}
	})
}

package transport

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatchFilesTellsOfWhatHasSettled(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	write := func(name, text string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		write(cert, "one", time.Now())
		ctx, cancel := context.WithCancel(t.Context())
		told := make(chan time.Time, 10)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			WatchFiles(ctx, []string{cert, key}, func() { told <- time.Now() })
		}()
		time.Sleep(time.Minute + 500*time.Millisecond)
		if len(told) > 0 {
			t.Fatal("nothing has changed")
		}
		write(cert, "two", time.Now())
		time.Sleep(time.Second)
		from := time.Now()
		write(key, "new", from) // was not there
		if took := (<-told).Sub(from); took < time.Second || took > 2*time.Second {
			t.Errorf("told %v after the last change", took)
		}
		write(key, "new", from.Add(time.Second)) // as large as before
		<-told
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		<-told
		time.Sleep(time.Minute)
		if len(told) > 0 {
			t.Error("told twice")
		}
		cancel()
		<-ended
	})
}

func TestWatchFilesHasNothingToWaitFor(t *testing.T) {
	WatchFiles(t.Context(), nil, func() { t.Error("told of a change") })
}

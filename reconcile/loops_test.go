package reconcile_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"consular/marathon"
	"consular/reconcile"
	"consular/reconcile/heartbeat"
)

// Whoever takes minutes to answer stops no heartbeat, and whatever of ours does not go on does:
// the heartbeat names it.
func TestHeartbeatIsAboutOurLoopsOnly(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		file, loops := filepath.Join(x.TempDir(), "heartbeat"), &heartbeat.Loops{}
		block := make(chan struct{})
		x.config.Loops, x.config.Patience, x.config.SyncInterval = loops, 10*time.Minute, time.Minute
		x.config.Listeners = []func(reconcile.Notice){func(n reconcile.Notice) {
			if n.Task == "stuck" && n.Message == "registered" {
				<-block
			}
		}}
		beats, err := heartbeat.New(file, loops, func() []string { return nil }, zerolog.Nop())
		if err != nil {
			x.Fatal(err)
		}
		ctx, stop := context.WithCancel(x.Context())
		var running sync.WaitGroup
		running.Go(func() { beats.Run(ctx) })
		defer running.Wait()
		defer stop()
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a1")}
		x.marathon.appTakes = 3 * time.Minute
		x.token = func(context.Context) (string, error) {
			time.Sleep(3 * time.Minute)
			return "", nil
		}
		x.connect()
		x.agents[h1].set(func(a *fakeAgent) { a.slow = 3 * time.Minute })
		x.tells(taskOn(h1, "/b", "b1"))
		for range 60 {
			x.tells(taskOn(h1, "/a", "a2"))
			time.Sleep(10 * time.Second)
			if text, err := heartbeat.Check(file, 10*time.Second, true); err != nil {
				x.Fatalf("%v %s", err, text)
			}
		}
		x.agents[h1].set(func(a *fakeAgent) { a.slow = 0 })
		time.Sleep(10 * time.Minute)
		x.tells(taskOn(h1, "/a", "stuck"))
		time.Sleep(2 * time.Minute)
		if text, err := heartbeat.Check(file, 30*time.Second, false); err == nil || !strings.Contains(err.Error(), "stuck: agents") {
			x.Errorf("says %q, %v", text, err)
		}
		close(block)
		time.Sleep(10 * time.Second)
		if text, err := heartbeat.Check(file, 10*time.Second, true); err != nil {
			x.Errorf("is not well again: %v %s", err, text)
		}
	}, h1)
}

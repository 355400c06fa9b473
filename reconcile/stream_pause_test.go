package reconcile_test

import (
	"flag"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"consular/marathon/simulator"
)

var pauseFor = flag.Duration("pause", 0, "stop consular's process for so long in TestPause, more than 11s; 0 leaves it out")

// consular's process is stopped while much happens. When it goes on, it does not
// believe what its buffers hold.
func TestPause(t *testing.T) {
	if *pauseFor == 0 {
		return
	}
	dev := theCluster(t)
	b := newStreamEnv(t, 1, simulator.Config{Hosts: hostsOf(dev.Clients()), TaskKilling: true, Queue: 1 << 20})
	b.onConsul()
	binary := filepath.Join(t.TempDir(), "consular")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "consular").CombinedOutput(); err != nil {
		t.Fatalf("build consular: %v\n%s", err, out)
	}
	consular := exec.Command(binary, "--marathon", b.urls, "--consul", dev.Server().URL().String(),
		"--registration-id", b.id, "--kv-prefix", b.prefix, "--poll-interval", "60", "--log-format", "json")
	consular.Stderr = b.log
	must(t, b.marathon.Create(web("/shop/web", 30)))
	must(t, consular.Start())
	t.Cleanup(func() { _ = consular.Process.Kill(); _ = consular.Wait() })
	b.converges(patience)
	before := b.holds()

	must(t, consular.Process.Signal(syscall.SIGSTOP))
	changes := time.NewTicker(100 * time.Millisecond)
	defer changes.Stop()
	for end := time.Now().Add(*pauseFor); time.Now().Before(end); <-changes.C {
		must(t, b.marathon.Restart("/shop/web"))
	}
	must(t, consular.Process.Signal(syscall.SIGCONT))
	want, began := b.desired(), time.Now()
	eventually(t, "Consul is what it should be", func() string {
		have := b.holds()
		for id := range have.services {
			_, was := before.services[id]
			_, is := want.services[id]
			if !was && !is {
				t.Errorf("registered though it is dead: %s", id)
			}
		}
		return have.diff(want)
	})
	t.Logf("right %v after a pause of %v", time.Since(began), *pauseFor)
	if b.log.count(`"cause":"paused"`) == 0 || strings.Contains(b.log.String(), `"level":"error"`) {
		t.Error("the log does not say that it was paused")
	}
}

package reconcile_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
)

// What kill -9 leaves half done, the next start finishes.
func TestKilledRunIsFinishedByTheNext(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "consular")
	if out, err := exec.Command("go", "build", "-o", binary, "consular").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := newEnv(t, theCluster(t))
	app := web("/large", 240)
	app.CPUs = 0.01
	must(t, s.marathon.Create(app))
	run := exec.Command(binary, "--marathon", s.master, "--consul", s.dev.Server().URL().String(),
		"--registration-id", s.id, "--kv-prefix", s.prefix)
	run.Stderr = s.log
	must(t, run.Start())
	eventually(t, "some are registered", func() string {
		if n := len(s.actual().services); n < 5 {
			return fmt.Sprint(n)
		}
		return ""
	})
	must(t, run.Process.Kill())
	_ = run.Wait() // it says that it was killed
	_, sum := s.sync()
	if sum.Services == 240 || sum.Services+sum.Registered != 240 || sum.Updated+sum.Deregistered > 0 {
		t.Errorf("afterwards: %s", sum.String())
	}
	s.want()
}

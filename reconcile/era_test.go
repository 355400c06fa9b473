package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"consular/marathon/simulator"
	"consular/reconcile"
)

// A Marathon 1.3 through its standby: the stream is taken from the leader that
// it names, what is dropped without a sign is right after the sync interval, and
// when the leader is dead the other one serves.
func TestTaskEra(t *testing.T) {
	dev := theCluster(t)
	b := newStreamEnv(t, 2, simulator.Config{
		Hosts: hostsOf(dev.Clients()), TaskEra: true, TaskKilling: true, Heartbeat: 200 * time.Millisecond,
	})
	leader, standby, _ := strings.Cut(b.urls, ",")
	b.urls = standby
	b.configure = func(c *reconcile.Config) { c.PollInterval, c.SyncInterval = time.Second, 2*time.Second }
	must(t, b.marathon.Create(web("/shop/web", 3)))
	b.start(b.onConsul())
	b.converges(patience)
	b.logs(`"leader":"`+strings.TrimPrefix(leader, "http://")+`"`, 1)

	must(t, b.marathon.Crash(b.marathon.Tasks("/shop/web")[0].ID))
	must(t, b.marathon.Update("/shop/web", func(a *simulator.App) { a.Labels = map[string]string{"role": "new"} }))
	b.converges(soon)

	b.marathon.DropEvents(true)
	must(t, b.marathon.Create(web("/unheard", 2)))
	must(t, b.marathon.Scale("/shop/web", 1))
	b.marathon.DropEvents(false)
	b.converges(2*time.Second + soon)

	b.masters[0].Kill()
	b.logs(`"disconnected"`, 1)
	must(t, b.marathon.Scale("/shop/web", 4))
	b.masters[1].Elect()
	b.converges(soon)
	b.logs(`"leader changed"`, 1)
}

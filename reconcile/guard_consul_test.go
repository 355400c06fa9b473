package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"consular/marathon/simulator"
	"consular/reconcile"
	"consular/reconcile/plan"
)

// heldOf lists what a plan holds back.
func heldOf(p plan.Plan) []string { return whys(plan.Plan{Changes: p.Held}) }

// unconfirmedOf lists what waits for its app's own answer.
func unconfirmedOf(p plan.Plan) []string { return whys(plan.Plan{Changes: p.Unconfirmed}) }

// twelve is a group that loses two thirds when /g/big goes.
func twelve(t *testing.T, s *env) {
	t.Helper()
	must(t, s.marathon.Create(web("/g/big", 8)))
	must(t, s.marathon.Create(web("/small", 4)))
	s.sync()
	s.want()
}

func TestLossWhileDownIsHeldBackUntilForced(t *testing.T) {
	s := newEnv(t, theCluster(t))
	twelve(t, s)
	before := s.actual()
	must(t, s.marathon.Destroy("/g/big"))
	must(t, s.marathon.Create(web("/new", 1)))

	plan := s.plan()
	if len(heldOf(plan)) != 9 || len(plan.HeldWhy) == 0 || !strings.Contains(plan.HeldWhy[0], "would lose 8 of 12 services") {
		t.Errorf("held: %v because of %v", heldOf(plan), plan.HeldWhy)
	}
	_, sum := s.sync()
	if sum.Held != 9 || sum.Clean() || sum.Deregistered+sum.KeysDeleted > 0 || sum.Registered != 1 {
		t.Errorf("sync: %s", sum.String())
	}
	s.want(before.only(func(id string) bool { return strings.Contains(id, "big") }))
	if _, sum = s.sync(force); sum.Deregistered != 8 || sum.KeysDeleted != 1 {
		t.Errorf("sync --force: %s", sum.String())
	}
	s.want()
}

func TestLossIsConfirmedByLooks(t *testing.T) {
	s := newEnv(t, theCluster(t))
	twelve(t, s)
	must(t, s.marathon.Destroy("/g/big"))
	s.run(s.consular(func(c *reconcile.Config) { c.Policy.Confirm = 1500 * time.Millisecond }))
	s.converges()
	if n := s.log.count("removals are held back"); n < 2 {
		t.Errorf("held back at %d looks, want 2 at least before the third", n)
	}
}

func TestEmptySnapshotIsNeverBelieved(t *testing.T) {
	s := newEnv(t, theCluster(t))
	must(t, s.marathon.Create(web("/few", 2)))
	s.sync()
	before := s.actual()
	must(t, s.marathon.Destroy("/few"))
	s.run(s.consular(func(c *reconcile.Config) { c.Policy.Confirm = 10 * time.Millisecond }))
	eventually(t, "five looks", func() string {
		if n := s.log.count(`"message":"resync"`); n < 5 {
			return fmt.Sprint(n)
		}
		return ""
	})
	s.want(before)
	if plan := s.plan(); len(plan.Held) != 3 {
		t.Errorf("held: %v", heldOf(plan))
	}
	s.sync(force)
	s.want()
}

func TestAllTasksReplacedWhileDownGoThroughAtOnce(t *testing.T) {
	s := newEnv(t, theCluster(t))
	twelve(t, s)
	must(t, s.marathon.Restart("/g/big"))
	must(t, s.marathon.Restart("/small"))
	_, sum := s.sync()
	s.want()
	if sum.Held > 0 || sum.Deregistered != 12 || sum.Registered != 12 {
		t.Errorf("sync: %s", sum.String())
	}
}

func TestGroupDeletedWhileListeningGoesAtOnce(t *testing.T) {
	s := newEnv(t, theCluster(t))
	twelve(t, s)
	s.run(s.consular(func(c *reconcile.Config) { c.PollInterval = time.Hour }))
	s.listens()
	must(t, s.marathon.DestroyGroup("/g"))
	s.converges()
	if n := s.log.count("held back:"); n > 0 {
		t.Error("held back, though it was announced")
	}
}

func TestPartitionDoesNotEmptyTheCluster(t *testing.T) {
	s := newEnv(t, theCluster(t), simulator.Config{Hosts: hostsOf(theCluster(t).Clients()[:1]), TaskKilling: true})
	app := web("/patient", 12)
	app.CPUs = 0.01
	app.InactiveAfter, app.ExpungeAfter = time.Hour, 2*time.Hour
	must(t, s.marathon.Create(app))
	s.run(s.consular())
	s.converges()
	host := theCluster(t).Clients()[0].Host
	must(t, s.marathon.LoseAgent(host))
	eventually(t, "held back", func() string { return s.saysNothingOf("too many tasks lost") })
	eventually(t, "half of them gone", func() string {
		if n := len(s.actual().services); n != 6 {
			return fmt.Sprintf("%d services, want 6", n)
		}
		return ""
	})
	must(t, s.marathon.RecoverAgent(host))
	s.converges()
}

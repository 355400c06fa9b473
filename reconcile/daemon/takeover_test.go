package daemon_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

// What TestTakeover does takes ten minutes, most of them waiting:
//
//	go test ./reconcile/daemon -run TestTakeover -takeover 10 -timeout 1h -v
var takeovers = flag.Int("takeover", 0, "measure so often how long nobody writes when the copy that does, its agent or Consul's server ends")

// loss is a way to lose the copy that writes.
type loss struct {
	name string
	// lose loses it, and mend makes it a standby.
	lose, mend func(leader *instance)
	// stays is set when the same copy may go on.
	stays bool
}

var losses = []loss{
	{"kill -9", func(c *instance) { c.signal(syscall.SIGKILL) }, nil, false},
	{"SIGTERM", func(c *instance) { c.signal(syscall.SIGTERM) }, nil, false},
	{
		"its agent is killed", func(c *instance) { must(c, c.agent.Kill()) },
		func(c *instance) { must(c, c.agent.Restart()) }, false,
	},
	{
		"its agent is stopped (SIGSTOP)", func(c *instance) { must(c, c.agent.Pause()) },
		func(c *instance) { must(c, c.agent.Resume()) }, false,
	},
	{
		"Consul's only server is restarted",
		func(c *instance) { must(c, c.consul.Server().Kill()); must(c, c.consul.Server().Restart()) },
		func(*instance) {}, true,
	},
}

// TestTakeover measures how long it takes from the loss of the copy that writes until one
// writes again, with a task that ends each 20 ms. All scenes go on at the same time.
func TestTakeover(t *testing.T) {
	if *takeovers == 0 {
		return
	}
	var mu sync.Mutex
	took := map[string][]time.Duration{}
	t.Run("all", func(t *testing.T) {
		for _, l := range losses {
			t.Run(l.name, func(t *testing.T) {
				t.Parallel()
				all := l.measure(t, *takeovers)
				mu.Lock()
				defer mu.Unlock()
				took[l.name] = all
			})
		}
	})
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(table, "| lost\t| p50\t| max\t|")
	fmt.Fprintln(table, "| ---\t| ---\t| ---\t|")
	for _, l := range losses {
		if all := took[l.name]; len(all) > 0 {
			fmt.Fprintf(table, "| %s\t| %.1f s\t| %.1f s\t|\n", l.name, all[len(all)/2].Seconds(), all[len(all)-1].Seconds())
		}
	}
	must(t, table.Flush())
}

// measure loses the leader so often, and returns how long nobody wrote, the shortest first.
func (l loss) measure(t *testing.T, times int) (took []time.Duration) {
	s := newSite(t)
	s.churns()
	leader := s.starts(0)
	eventually(t, "the first copy writes", func() bool { return s.newest(time.Time{}) == leader.name })
	standby := s.starts(1)
	for range times {
		eventually(t, standby.name+" stands by", standby.standsBy)
		eventually(t, leader.name+" writes", func() bool { return s.newest(time.Now().Add(-time.Second)) == leader.name })
		before := len(s.all())
		began := time.Now()
		l.lose(leader)
		var first write
		eventually(t, "one writes again", func() (found bool) {
			first, found = l.resumed(s.all()[before:], leader.name, began)
			return found
		})
		took = append(took, first.at.Sub(began))
		t.Logf("%s: %v", l.name, first.at.Sub(began).Round(10*time.Millisecond))
		if first.by != leader.name {
			leader, standby = standby, leader
		}
		if l.mend == nil {
			<-standby.exited
			standby = s.starts(slices.Index([]string{name(0), name(1)}, standby.name))
		} else {
			l.mend(standby)
		}
		eventually(t, standby.name+" stands by", standby.standsBy)
		if got := turns(s.all()[before:]); len(got) > 2 {
			t.Errorf("%s: they took turns: %v", l.name, got)
		}
	}
	slices.Sort(took)
	return took
}

// resumed returns the first write after the loss: another copy's, or, where the same may go
// on, that after the longest pause, which is over when writes go on for a while.
func (l loss) resumed(writes []write, leader string, began time.Time) (write, bool) {
	for i, w := range writes {
		switch {
		case w.by != leader:
			return w, true
		case l.stays && i > 0 && w.at.Sub(writes[i-1].at) > time.Second && w.at.After(began):
			return w, true
		}
	}
	return write{}, false
}

// standsBy reports whether the copy knows that another leads.
func (c *instance) standsBy() bool {
	last := ""
	for line := range strings.Lines(c.read()) {
		if strings.Contains(line, `"role":`) {
			last = line
		}
	}
	return strings.Contains(last, `"holder":`)
}

package reconcile_test

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"consular/marathon/simulator"
)

// nothing happens for the time of two resyncs.
func (s *trafficSite) nothing() {
	reloads, resyncs := len(s.configurations()), s.resyncs()
	visitor := "GET with cookies"
	task := s.client.task(visitor)
	s.until("two resyncs", func() string {
		if now := s.client.task(visitor); now != task {
			s.Fatalf("a sticky session went from %s to %s", task, now)
		}
		return unless(s.resyncs() >= resyncs+2, "not yet")
	})
	if n := len(s.configurations()) - reloads; n != 0 {
		s.Errorf("nothing happened, and HAProxy was reloaded %d times", n)
	}
}

func (s *trafficSite) scale() { s.scaleTo(12, 3) }

// scaleTo scales an app to one size after the other, each time until all its tasks serve.
func (s *trafficSite) scaleTo(sizes ...int) {
	s.Helper()
	for _, n := range sizes {
		s.must(s.marathon.Scale("/shop/web", n))
		s.settled("/shop/web", n)
		s.allServe()
	}
}

// upgrade replaces all tasks of an app of 20, five at a time, and the only one of another.
func (s *trafficSite) upgrade() {
	s.must(s.marathon.Update("/shop/api", func(a *simulator.App) {
		a.Cmd += " --new"
		a.Upgrade = &simulator.Upgrade{MinimumHealthCapacity: 1, MaximumOverCapacity: 0.25}
	}))
	s.must(s.marathon.Restart("/single"))
	s.must(s.marathon.Restart("/own"))
	s.settled("/shop/api", 20)
	s.settled("/single", 1)
	s.settled("/own", 2)
}

// crash ends the very task to which a sticky session leads.
func (s *trafficSite) crash() {
	_, before := s.client.soFar()
	task := s.client.task("GET with cookies")
	at := time.Now()
	s.must(s.marathon.Crash(task))
	ended := time.Now()
	s.until("the task's end to be heard of", func() string {
		return unless(!slices.Contains(s.proxied()["shop-web"], task), "still there")
	})
	s.settled("/shop/web", 3)
	_, now := s.client.soFar()
	for _, f := range now[len(before):] {
		if f.begun.After(ended) || f.ended.Before(at) {
			s.Errorf("not in flight at the crash: %s", f)
		}
	}
	s.tolerated += len(now) - len(before)
}

// move gives a virtual host of one app to another one, in one deployment.
func (s *trafficSite) move() {
	var apps []simulator.App
	for _, app := range s.marathon.Apps() {
		switch app.ID {
		case "/shop/old":
			app.Labels["HAPROXY_0_VHOST"], app.Labels["HAPROXY_0_PATH"] = "older.test", "/older"
			apps = append(apps, app)
		case "/shop/new":
			app.Labels["HAPROXY_0_VHOST"] = "old.test"
			apps = append(apps, app)
		}
	}
	s.must(s.marathon.Bulk(apps...))
	s.settled("/shop/old", 3)
	s.settled("/shop/new", 3)
	s.until("the virtual host to move", func() string {
		answered := s.client.answeredFor("old.test/")
		return unless(answered[len(answered)-1] == "/shop/new", "still the old one")
	})
}

// loseAgent kills a Consul agent. Its host's tasks live on, but until it is back the
// proxy does not know them. Then it kills the agent that consul-template asks.
func (s *trafficSite) loseAgent() {
	agent := s.hosts[0]
	s.must(agent.Kill())
	on := func() int {
		n := 0
		for _, task := range s.marathon.Tasks("/shop/api") {
			if task.Host == agent.Host && slices.Contains(s.proxied()["shop-api"], task.ID) {
				n++
			}
		}
		return n
	}
	if on() == 0 {
		s.Fatal("no task on the agent's host")
	}
	s.until("Consul to notice", func() string { return unless(on() == 0, "its tasks are there") })
	s.must(agent.Restart())
	s.settled("/shop/api", 20)
	s.settled("/shop/web", 3)
	own := s.cluster.Clients()[3]
	s.must(own.Kill())
	s.must(own.Restart())
	s.scaleTo(4, 3)
}

// loseConsular kills consular while tasks come and go, and starts it again.
func (s *trafficSite) loseConsular() {
	old := s.taskIDs()
	s.must(s.marathon.Restart("/shop/api"))
	s.until("the upgrade to have begun", func() string {
		return unless(!maps.Equal(old, s.taskIDs()), "not yet")
	})
	s.must(s.consular.End(syscall.SIGKILL))
	s.startConsular()
	s.settled("/shop/api", 20)
}

// failOver kills the leading master, and scales under the next one.
func (s *trafficSite) failOver() {
	ends := s.logs.count("consular", `"message":"disconnected"`)
	s.masters[0].Kill()
	s.until("consular to notice", func() string {
		return unless(s.logs.count("consular", `"message":"disconnected"`) > ends, "not yet")
	})
	s.masters[1].Elect()
	s.scaleTo(6, 3)
}

// settled waits until an app has as many tasks as it should and the proxy has just those.
func (s *trafficSite) settled(app string, n int) {
	s.Helper()
	backend := strings.ReplaceAll(strings.TrimPrefix(app, "/"), "/", "-")
	s.until(app+" to settle", func() string {
		var running []string
		for _, task := range s.marathon.Tasks(app) {
			if task.State == "TASK_RUNNING" {
				running = append(running, task.ID)
			}
		}
		slices.Sort(running)
		switch proxied := s.proxied()[backend]; {
		case len(s.marathon.Deployments()) > 0:
			return "a deployment is under way"
		case len(running) != n:
			return fmt.Sprintf("%d tasks run, want %d", len(running), n)
		case !slices.Equal(proxied, running):
			return fmt.Sprintf("the proxy has %v, want %v", proxied, running)
		}
		return ""
	})
}

// allServe waits until each task that runs has answered somebody, of the apps that somebody asks for.
func (s *trafficSite) allServe() {
	s.Helper()
	s.until("each task to have answered", func() string {
		for _, task := range s.marathon.Tasks("") {
			hidden := task.AppID == "/shop/new" || task.AppID == "/shop/old"
			if task.State == "TASK_RUNNING" && !hidden && s.client.firstServed(task.ID).IsZero() {
				return task.ID + " has not"
			}
		}
		return ""
	})
}

// taskIDs are those of all tasks that run.
func (s *trafficSite) taskIDs() map[string]bool {
	ids := map[string]bool{}
	for _, task := range s.marathon.Tasks("") {
		if task.State == "TASK_RUNNING" {
			ids[task.ID] = true
		}
	}
	return ids
}

func (s *trafficSite) resyncs() int { return s.logs.count("consular", `"message":"resync"`) }

// inSync asks consular whether anything is amiss.
func (s *trafficSite) inSync() {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 30*time.Second)
	defer cancel()
	if output, err := exec.CommandContext(ctx, s.consularBinary, append(s.options(), "plan")...).CombinedOutput(); err != nil {
		s.Errorf("consular plan: %v:\n%s", err, output)
	}
}

func unless(ok bool, why string) string {
	if ok {
		return ""
	}
	return why
}

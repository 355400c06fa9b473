package reconcile_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"consular/consul/devconsul"
	"consular/marathon/simulator"
)

// bare is a client that knows what to write and does nothing else: no Marathon,
// no diff, no log, and no library but net/http.
type bare struct {
	cluster *devconsul.Cluster
	http    *http.Client
	// next makes burst's IDs unique.
	next int
}

// keysAtOnce is how many transactions the bare client has in flight; more of
// them does not make Consul faster.
const keysAtOnce = 8

func newBare(c *devconsul.Cluster) *bare {
	return &bare{cluster: c, http: &http.Client{Transport: &http.Transport{MaxConnsPerHost: 8, MaxIdleConnsPerHost: 8}}}
}

// coldStart makes the writes of a cold start: one registration for each port of each
// task, with the status of its check where it has one, and one transaction for each app's
// labels.
func (b *bare) coldStart(t *testing.T, m *simulated) time.Duration {
	t.Helper()
	apps, byHost, checked := m.Apps(), map[string][]simulator.Task{}, map[string]bool{}
	for _, app := range apps {
		checked[app.ID] = len(app.HealthChecks) > 0
	}
	for _, task := range m.Tasks("") {
		byHost[task.Host] = append(byHost[task.Host], task)
	}
	begin := time.Now()
	var all errgroup.Group
	for host, tasks := range byHost {
		share(&all, *scaleWidth, tasks, func(task simulator.Task) error {
			for port := range task.Ports {
				if err := b.registerPort(host, task, port, checked[task.AppID]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	share(&all, keysAtOnce, apps, b.label)
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	return time.Since(begin)
}

// share does something for each of a list, so many at a time.
func share[T any](all *errgroup.Group, atOnce int, list []T, do func(T) error) {
	var mu sync.Mutex
	take := func() (next T, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if len(list) == 0 {
			return next, false
		}
		next, list = list[0], list[1:]
		return next, true
	}
	for range atOnce {
		all.Go(func() error {
			for next, ok := take(); ok; next, ok = take() {
				if err := do(next); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// register writes what consular writes for a task of one service.
func (b *bare) register(host string, task simulator.Task) error {
	return b.registerPort(host, task, 0, false)
}

// registerPort writes what consular writes for one service of a task.
func (b *bare) registerPort(host string, task simulator.Task, port int, checked bool) error {
	id, name := task.ID, strings.ReplaceAll(task.AppID[1:], "/", "-")
	if port > 0 {
		id, name = fmt.Sprint(id, ":p", port), fmt.Sprint(name, "-p", port)
	}
	service := map[string]any{
		"ID": id, "Name": name, "Address": host, "Port": task.Ports[port],
		"Tags": []string{"consular-reg-id=bare", "consular-app-id=" + task.AppID},
		"Meta": map[string]string{
			"marathon-app-id": task.AppID, "marathon-task-id": task.ID, "marathon-version": task.Version,
			"marathon-framework-id": "6f0e7f52-2a9e-4c4b-9c1c-0d5b8f1e7a01-0000",
		},
	}
	if !checked {
		return b.send(http.MethodPut, "http://"+host+":8500/v1/agent/service/register", service)
	}
	check := id + ":marathon"
	service["Checks"] = []any{map[string]any{"CheckID": check, "Name": "Marathon", "TTL": "87600h", "Status": "passing"}}
	if err := b.send(http.MethodPut, "http://"+host+":8500/v1/agent/service/register", service); err != nil {
		return err
	}
	return b.send(http.MethodPut, "http://"+host+":8500/v1/agent/check/update/"+check, map[string]any{"Status": "passing", "Output": "healthy"})
}

// label writes an app's labels.
func (b *bare) label(app simulator.App) error {
	var ops []any
	for label, value := range app.Labels {
		ops = append(ops, map[string]any{"KV": map[string]any{
			"Verb": "cas", "Key": "bare/" + strings.ReplaceAll(app.ID[1:], "/", "-") + "/" + label,
			"Value": base64.StdEncoding.EncodeToString([]byte(value)), "Flags": 7,
		}})
	}
	return b.send(http.MethodPut, b.cluster.Server().URL().String()+"/v1/txn", ops)
}

// burst registers many tasks on all agents that live, and then removes them,
// which is not timed.
func (b *bare) burst(t *testing.T, tasks int) time.Duration {
	t.Helper()
	type place struct{ host, id string }
	var places []place
	hosts := b.alive()
	for i := range tasks {
		places = append(places, place{hosts[i%len(hosts)], fmt.Sprintf("bare_burst.instance-%d.%d", b.next, i)})
	}
	b.next++
	each := func(do func(place) error) time.Duration {
		begin := time.Now()
		var all errgroup.Group
		for at := range hosts {
			var mine []place
			for i := at; i < len(places); i += len(hosts) {
				mine = append(mine, places[i])
			}
			share(&all, *scaleWidth, mine, do)
		}
		if err := all.Wait(); err != nil {
			t.Fatal(err)
		}
		return time.Since(begin)
	}
	took := each(func(p place) error {
		return b.register(p.host, simulator.Task{ID: p.id, AppID: "/bare/burst", Ports: []int{31000}})
	})
	each(func(p place) error { return b.deregister(p.host, p.id) })
	return took
}

// one registers and removes one service, and returns how long the first took.
func (b *bare) one(t *testing.T, host, id string) time.Duration {
	t.Helper()
	begin := time.Now()
	err := b.register(host, simulator.Task{ID: id, AppID: "/bare/one", Ports: []int{31000}})
	took := time.Since(begin)
	if err == nil {
		err = b.deregister(host, id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return took
}

func (b *bare) deregister(host, id string) error {
	return b.send(http.MethodPut, "http://"+host+":8500/v1/agent/service/deregister/"+id, nil)
}

// readAll reads what a resync reads, at once, and makes nothing of it.
func (b *bare) readAll(t *testing.T, m *simulated) time.Duration {
	t.Helper()
	begin := time.Now()
	var all errgroup.Group
	all.Go(func() error { return b.send(http.MethodGet, m.url()+"/v2/apps?embed=apps.tasks", nil) })
	all.Go(func() error {
		return b.send(http.MethodGet, b.cluster.Server().URL().String()+"/v1/kv/consular/?recurse", nil)
	})
	for _, host := range b.alive() {
		all.Go(func() error { return b.send(http.MethodGet, "http://"+host+":8500/v1/agent/services", nil) })
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	return time.Since(begin)
}

// alive returns the hosts of the agents that answer.
func (b *bare) alive() []string {
	var hosts []string
	for _, agent := range b.cluster.Clients() {
		if b.send(http.MethodGet, agent.URL().String()+"/v1/agent/self", nil) == nil {
			hosts = append(hosts, agent.Host)
		}
	}
	return hosts
}

// served sums up the requests that all agents say they have served: those that
// change something, and all but our own looks.
func (b *bare) served(t *testing.T) (writes, all int) {
	t.Helper()
	agents := append([]*devconsul.Agent{b.cluster.Server()}, b.cluster.Clients()...)
	for _, agent := range agents {
		var text bytes.Buffer
		if err := b.fetch(agent.URL().String()+"/v1/agent/metrics?format=prometheus", &text); err != nil {
			continue // it is dead
		}
		for line := range strings.Lines(text.String()) {
			var n int
			if !strings.HasPrefix(line, "consul_api_http_count{") || strings.Contains(line, "v1_agent_metrics") {
				continue
			}
			if _, err := fmt.Sscan(line[strings.LastIndex(line, " "):], &n); err != nil {
				t.Fatal(err)
			}
			if all += n; strings.Contains(line, `method="PUT"`) {
				writes += n
			}
		}
	}
	return writes, all
}

func (b *bare) send(method, url string, body any) error {
	var text io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		text = bytes.NewReader(data)
	}
	request, err := http.NewRequest(method, url, text)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	return b.do(request, io.Discard)
}

func (b *bare) fetch(url string, into io.Writer) error {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	return b.do(request, into)
}

func (b *bare) do(request *http.Request, into io.Writer) error {
	answer, err := b.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(into, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", request.Method, request.URL, answer.Status)
	}
	return nil
}

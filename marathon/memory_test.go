package marathon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// fleet is the answer of a Marathon 1.11 with that many apps of ten tasks, two
// ports, one health check and five labels, three of which are the app's own and
// two a team's, on two hundred hosts.
func fleet(apps int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"apps":[`)
	for n := range apps {
		if n > 0 {
			b.WriteByte(',')
		}
		version := time.Date(2026, 11, 22, 0, 0, n, 0, time.UTC).Format("2006-01-02T15:04:05.000Z")
		fmt.Fprintf(&b, `{"id":"/shop/app-%d","backoffFactor":1.15,"backoffSeconds":1,"cmd":"exec ./run","cpus":0.1,"disk":0.0,"executor":"",
			"healthChecks":[{"gracePeriodSeconds":60,"ignoreHttp1xx":false,"intervalSeconds":10,"maxConsecutiveFailures":3,"path":"/health","portIndex":0,"protocol":"HTTP","ipProtocol":"IPv4","timeoutSeconds":5,"delaySeconds":15}],
			"instances":10,"labels":{"HAPROXY_GROUP":"external","HAPROXY_0_VHOST":"app-%d.example.com","team":"team-%d","traefik.frontend.rule":"Host:app-%d.example.com;PathPrefix:/","release":"2.4.%d"},
			"maxLaunchDelaySeconds":300,"mem":16.0,"gpus":0,"networks":[{"mode":"host"}],
			"portDefinitions":[{"port":%d,"labels":{"VIP_0":"/app-%d:80"},"name":"http","protocol":"tcp"},{"port":%d,"name":"admin","protocol":"tcp"}],
			"requirePorts":false,"upgradeStrategy":{"maximumOverCapacity":1.0,"minimumHealthCapacity":1.0},"version":"%s","versionInfo":{"lastScalingAt":"%s","lastConfigChangeAt":"%s"},
			"killSelection":"YOUNGEST_FIRST","unreachableStrategy":{"inactiveAfterSeconds":0,"expungeAfterSeconds":0},"role":"*","tasksStaged":0,"tasksRunning":10,"tasksHealthy":10,"tasksUnhealthy":0,"deployments":[],"tasks":[`,
			n, n, n%20, n, n, 10000+2*n, n, 10001+2*n, version, version, version)
		for k := range 10 {
			if k > 0 {
				b.WriteByte(',')
			}
			instance := fmt.Sprintf("shop_app-%d.instance-%08x-a4ae-11ea-9f3c-02424a8c5a01", n, 10*n+k)
			host := (10*n + k) % 200
			fmt.Fprintf(&b, `{"appId":"/shop/app-%d","healthCheckResults":[{"alive":true,"consecutiveFailures":0,"firstSuccess":"2026-11-22T01:00:00.123Z","instanceId":"instance [%s]","lastSuccess":"2026-11-22T02:00:00.123Z"}],
				"host":"10.20.0.%d","id":"%s._app.1","ipAddresses":[{"ipAddress":"10.20.0.%d","protocol":"IPv4"}],"ports":[%d,%d],"servicePorts":[],"slaveId":"6f0e7f52-2a9e-4c4b-9c1c-0d5b8f1e7a01-S%d",
				"state":"TASK_RUNNING","stagedAt":"2026-11-22T00:59:00.123Z","startedAt":"2026-11-22T00:59:10.123Z","version":"%s","localVolumes":[],"role":"*"}`,
				n, instance, host, instance, host, 31000+n, 31001+n, host, version)
		}
		b.WriteString(`]}`)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// What tasks and apps have in common is in memory once.
func TestTextsAreHeldOnce(t *testing.T) {
	snapshot, err := ReadSnapshot(bytes.NewReader(fleet(40)))
	if err != nil {
		t.Fatal(err)
	}
	copies := map[string]map[*byte]bool{}
	count := func(text string) {
		if copies[text] == nil {
			copies[text] = map[*byte]bool{}
		}
		copies[text][unsafe.StringData(text)] = true
	}
	for _, app := range snapshot.Apps {
		count(app.Version)
		for label, value := range app.Labels {
			count(label)
			count(value)
		}
		for _, port := range app.Definition.Ports {
			count(port.Name)
			count(port.Protocol)
		}
		for _, task := range app.Tasks {
			count(task.Host)
			count(task.Version)
			count(task.Addresses[0])
			count(string(task.State))
		}
	}
	for text, held := range copies {
		if len(held) > 1 {
			t.Errorf("%q is in memory %d times", text, len(held))
		}
	}
}

// BenchmarkSnapshot reads what a large Marathon answers, and says what of it is
// held afterwards.
func BenchmarkSnapshot(b *testing.B) {
	answer := fleet(1000)
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	var held float64
	for b.Loop() {
		b.StopTimer()
		before := heap()
		b.StartTimer()
		snapshot, err := ReadSnapshot(bytes.NewReader(answer))
		b.StopTimer()
		if err != nil || len(snapshot.Apps) != 1000 {
			b.Fatalf("%d apps, %v", len(snapshot.Apps), err)
		}
		held = heap() - before
		runtime.KeepAlive(snapshot)
		b.StartTimer()
	}
	b.ReportMetric(held/10_000, "held-B/task")
	b.ReportMetric(held, "held-B")
}

// heap is how many bytes are in use.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

// However an answer is made up, what is kept of it is counted: else it has no bound.
func TestCostIsMemory(t *testing.T) {
	for name, app := range map[string]string{
		"deployments":         `"tasks":[],"deployments":[` + numbered(9000, `{}`) + `]`,
		"readiness results":   `"tasks":[],"readinessCheckResults":[` + numbered(9000, `{}`) + `]`,
		"labels":              `"tasks":[],"labels":{` + numbered(2000, `"#":"%#"`) + `}`,
		"labels of a port":    `"tasks":[],"portDefinitions":[{"labels":{` + numbered(3000, `"#":""`) + `}}]`,
		"ports with a label":  `"tasks":[],"portDefinitions":[` + numbered(3000, `{"labels":{"a":""}}`) + `]`,
		"ports with problems": `"tasks":[],"portDefinitions":[` + numbered(3000, `{"labels":1}`) + `]`,
		"tasks with problems": `"tasks":[` + numbered(2000, `{"id":"#","healthCheckResults":1}`) + `]`,
		"texts of tasks":      `"tasks":[` + numbered(1000, `{"id":"#","host":"h%#","state":"s%#","version":"v%#"}`) + `]`,
		"addresses":           `"tasks":[{"id":"a","ipAddresses":[` + numbered(2000, `{"ipAddress":"%#"}`) + `]}]`,
		"checks":              `"tasks":[],"healthChecks":[` + numbered(3000, `{}`) + `],"readinessChecks":[` + numbered(3000, `{}`) + `]`,
		"results":             `"tasks":[{"id":"a","healthCheckResults":[` + numbered(3000, `{"alive":true}`) + `]}]`,
	} {
		var b strings.Builder
		for n := range 8 {
			b.WriteString(`,{"id":"/` + strconv.Itoa(n) + `",` + strings.ReplaceAll(app, "%", strconv.Itoa(n)+".") + "}")
		}
		wantCosts(t, name, `{"apps":[`+b.String()[1:]+`]}`)
	}
	wantCosts(t, "honest apps", string(fleet(100)))
}

// Of an app that is not understood nothing more is kept.
func TestNothingIsKeptOfLabelsOfNoUse(t *testing.T) {
	s := snapshotReader{appsReader: newAppsReader(newScanner(strings.NewReader(`{"apps":[{"id":"/a","labels":{"a":[],` + numbered(9000, `"label-#":"value-#"`) + `}}]}`))), listed: map[string]int{}}
	if err := s.answer(); err != nil || len(s.unreadable) != 1 || s.one.cost > 1024 {
		t.Errorf("%d bytes of texts are kept of %v: %v", s.one.cost, s.unreadable, err)
	}
}

// wantCosts fails the test if what is kept of an answer takes much more than it costs.
func wantCosts(t *testing.T, name, answer string) {
	t.Helper()
	before := heap()
	s := snapshotReader{appsReader: newAppsReader(newScanner(strings.NewReader(answer))), listed: map[string]int{}}
	if err := s.answer(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	cost := float64(s.cost) + float64(s.one.cost)
	held := heap() - before
	runtime.KeepAlive(s)
	runtime.KeepAlive(answer)
	if held > 1.25*cost {
		t.Errorf("%s: %.0f bytes are held, and counted as %.0f", name, held, cost)
	}
}

// What Marathon answers is far from where it is refused for the memory that it takes: here
// is each recorded app, as if there were many of it.
func TestCostOfRecordedApps(t *testing.T) {
	for _, app := range recordedApps(t) {
		var compact bytes.Buffer
		if err := json.Compact(&compact, app); err != nil {
			t.Fatal(err)
		}
		id, _ := decoded(t, app)["id"].(string)
		if id == "" {
			continue
		}
		var b strings.Builder
		for n := range 20 {
			b.WriteString("," + strings.ReplaceAll(compact.String(), `"`+id+`"`, fmt.Sprintf(`"%s-%d"`, id, n)))
		}
		text := `{"apps":[` + b.String()[1:] + `]}`
		s := snapshotReader{appsReader: newAppsReader(newScanner(strings.NewReader(text))), listed: map[string]int{}}
		if err := s.answer(); err != nil {
			t.Errorf("%v: %s", err, app)
		}
		if cost := s.cost + int64(s.one.cost); 3*cost > 2*costLimit*int64(len(text)) {
			t.Errorf("%d bytes are kept of %d, with apps like %s", cost, len(text), compact.String())
		}
	}
}

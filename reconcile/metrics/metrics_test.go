package metrics

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files")

// busy is a program that has done a bit of everything.
func busy() *Metrics {
	m := New(func() State {
		return State{
			StreamUp: true, Apps: 3, Tasks: 7, Services: 6, Keys: 5, HeldBack: 1, Conflicts: 2, Quarantined: 3, Unread: 4,
			SilentAgents: 1, QueueLength: 9, Leader: true, LastResync: time.UnixMilli(1_700_000_000_250),
		}
	})
	m.Heard("status_update_event", 30*time.Millisecond)
	m.Heard("status_update_event", -time.Hour) // the clocks differ
	m.Heard("event_stream_attached", 0)
	m.Wrote("register", "done", 4*time.Millisecond, 8*time.Millisecond)
	m.Wrote("register", "refused", 3*time.Millisecond, 0)
	m.Resynced("clean", 400*time.Millisecond)
	return m
}

func text(t *testing.T, m *Metrics) string {
	t.Helper()
	families, err := m.gather()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&out, f); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil || got != string(want) {
		t.Errorf("is not as in %s (-update writes it), %v:\n%s", name, err, got)
	}
}

// The names are a contract with dashboards: see the golden file.
func TestFiguresInPrometheusFormat(t *testing.T) {
	got := text(t, busy())
	golden(t, "figures.prom", got)
	problems, err := promlint.New(strings.NewReader(got)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("Prometheus' own linter says %v, %v", problems, err)
	}
}

// What comes from outside can neither fill the memory nor break a format.
func TestTypesOfEventsAreBounded(t *testing.T) {
	m := New(func() State { return State{} })
	for i := range 1000 {
		m.Heard(fmt.Sprintf("type_%d", i), 0)
		m.Heard(strings.Repeat("\xff", i), 0)
	}
	m.Heard("type_0", 0)
	got := text(t, m)
	if n := strings.Count(got, "consular_events_total{"); n != maxTypes+1 {
		t.Errorf("%d types", n)
	}
	if !strings.Contains(got, "consular_events_total{type=\"type_0\"} 2\n") || !strings.Contains(got, "consular_events_total{type=\"other\"} 19") {
		t.Errorf("counted\n%s", regexp.MustCompile(`.*type="(type_0|other)".*`).FindAllString(got, -1))
	}
}

// Nothing is negative: in statsd a negative gauge is a difference.
func TestNothingIsNegative(t *testing.T) {
	m := New(func() State { return State{Deaf: -time.Second, QueueLength: -1, LastResync: time.Unix(-5, 0)} })
	if got := text(t, m); strings.Contains(got, " -") {
		t.Errorf("has\n%s", got)
	}
}

// The alert rules name figures, and values of labels, that there are.
func TestAlertsNameFiguresThatThereAre(t *testing.T) {
	rules, err := os.ReadFile("../../testdata/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m := New(func() State { return State{} })
	m.Heard("status_update_event", 1)
	have := text(t, m)
	named := regexp.MustCompile(`\bconsular_\w+(\{[^}]*\})?`).FindAllString(string(rules), -1)
	if len(named) < 8 {
		t.Fatalf("found no more than %q", named)
	}
	for _, figure := range named {
		name, labels, _ := strings.Cut(strings.TrimSuffix(figure, "}"), "{")
		if !regexp.MustCompile(`(?m)^` + name + `(_bucket)?[ {]`).MatchString(have) {
			t.Errorf("%s is no figure", name)
		}
		for label := range strings.SplitSeq(labels, ",") {
			if label = strings.Replace(strings.TrimSpace(label), "=~", "=", 1); label == "" {
				continue
			}
			key, values, _ := strings.Cut(label, "=")
			for value := range strings.SplitSeq(strings.Trim(values, `"`), "|") {
				if !regexp.MustCompile(`(?m)^` + name + `\{.*\b` + key + `="` + value + `"`).MatchString(have) {
					t.Errorf("%s has no label %s=%q", name, key, value)
				}
			}
		}
	}
}

// What two sides of an expression are joined by is all of their labels: where they choose different
// values of one, it has to be summed up on both, or the alert is never raised.
func TestAlertsJoinWhatFits(t *testing.T) {
	rules, err := os.ReadFile("../../testdata/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	joined := 0
	for _, expr := range regexp.MustCompile(`(?m)^\s+expr: (.*)$`).FindAllStringSubmatch(string(rules), -1) {
		sides := regexp.MustCompile(` (?:and|unless) `).Split(expr[1], -1)
		for _, side := range sides[1:] {
			joined++
			for _, side := range []string{sides[0], side} {
				for _, label := range regexp.MustCompile(`\{(\w+)=`).FindAllStringSubmatch(side, -1) {
					if !strings.Contains(side, "without ("+label[1]+")") {
						t.Errorf("%s: one side of %s has another %s than the other", expr[1], side, label[1])
					}
				}
			}
		}
	}
	if joined < 2 {
		t.Errorf("found only %d", joined)
	}
}

// logged is what a log has been told.
type logged struct {
	mu  sync.Mutex
	all []string
}

// Write implements io.Writer.
func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(line))
	return len(line), nil
}

func (l *logged) log() zerolog.Logger { return zerolog.New(l) }

func (l *logged) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

func (l *logged) String() string { return strings.Join(l.lines(), "") }

func BenchmarkGather(b *testing.B) {
	m := busy()
	s := NewStatsd(m, "", StatsdPlain, zerolog.Nop())
	b.ReportAllocs()
	for b.Loop() {
		families, err := m.gather()
		if err != nil {
			b.Fatal(err)
		}
		s.lines(families)
	}
}

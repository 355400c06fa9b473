package metrics

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// State is what the program knows of itself at one moment.
type State struct {
	// StreamUp is whether the event stream is heard; Deaf is for how long it has not been.
	StreamUp bool
	Deaf     time.Duration
	// Apps and Tasks are Marathon's, Services and Keys ours in Consul.
	Apps, Tasks, Services, Keys int
	// HeldBack counts removals that wait, Conflicts foreign things in our way, Quarantined apps
	// whose names clash, and Unread parts of Marathon and Consul that could not be read.
	HeldBack, Conflicts, Quarantined, Unread int
	// SilentAgents counts agents that do not answer, QueueLength what waits to be looked at.
	SilentAgents, QueueLength int
	// Leader is whether this copy may write: always, without --ha.
	Leader bool
	// LastResync is when the last resync ended that had read Marathon; zero for never.
	LastResync time.Time
}

// gauges are the figures that are read from a State.
var gauges = []struct {
	name, help string
	of         func(State) float64
}{
	{"stream_up", "Whether Marathon's event stream is heard.", func(s State) float64 { return number(s.StreamUp) }},
	{"deaf_seconds", "For how long the event stream has not been heard.", func(s State) float64 { return s.Deaf.Seconds() }},
	{"apps", "Apps that Marathon has.", func(s State) float64 { return float64(s.Apps) }},
	{"tasks", "Running tasks that Marathon has.", func(s State) float64 { return float64(s.Tasks) }},
	{"services", "Services of ours in Consul.", func(s State) float64 { return float64(s.Services) }},
	{"keys", "Keys of ours in Consul.", func(s State) float64 { return float64(s.Keys) }},
	{"held_back", "Changes that are held back.", func(s State) float64 { return float64(s.HeldBack) }},
	{"conflicts", "Foreign things in Consul that are in our way.", func(s State) float64 { return float64(s.Conflicts) }},
	{"quarantined", "Apps that are left out because of a name clash.", func(s State) float64 { return float64(s.Quarantined) }},
	{"unread", "Parts of Marathon and Consul that could not be read.", func(s State) float64 { return float64(s.Unread) }},
	{"silent_agents", "Consul agents that do not answer.", func(s State) float64 { return float64(s.SilentAgents) }},
	{"queue_length", "Things that wait to be looked at and written.", func(s State) float64 { return float64(s.QueueLength) }},
	{"leader", "Whether this copy may write.", func(s State) float64 { return number(s.Leader) }},
	{"last_resync_timestamp_seconds", "When the last resync ended that was not failed, in Unix time; 0 for never.", func(s State) float64 { return unix(s.LastResync) }},
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// What labels say of outcomes and kinds. Each of these is there from the start, as 0,
// so that its first increase is one.
var (
	resyncOutcomes = []string{"clean", "incomplete", "failed"}
	writeOutcomes  = []string{"done", "refused", "failed"}
	writeKinds     = []string{"register", "deregister", "check", "keys", "catalog"}
)

// Upper bounds of histograms, in seconds: of what is quick, and of what may take minutes.
var (
	quick = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	slow  = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
)

// maxTypes is how many types of events are counted apart: they come from outside.
const maxTypes = 50

// Metrics are all figures. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	events, resyncs, writes                  *prometheus.CounterVec
	eventLag, eventToWrite, resyncTook, took prometheus.Histogram

	mu    sync.Mutex
	types map[string]bool
}

// New returns figures that read what the program knows from a function, which is called
// by several goroutines.
func New(now func() State) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(), types: map[string]bool{},
		events:  counter("events_total", "Events of Marathon that were heard.", "type"),
		resyncs: counter("resyncs_total", "Resyncs: clean, incomplete (something was left), or failed (Marathon was not read).", "outcome"),
		writes:  counter("writes_total", "Requests to Consul that change something.", "kind", "outcome"),
		eventLag: histogram("event_lag_seconds",
			"From Marathon's timestamp of an event until it was heard.", quick),
		eventToWrite: histogram("event_to_write_seconds", "From hearing an event until what it caused was written.", quick),
		resyncTook:   histogram("resync_seconds", "How long resyncs took.", slow),
		took:         histogram("write_seconds", "How long requests that change something took.", quick),
	}
	for _, outcome := range resyncOutcomes {
		m.resyncs.WithLabelValues(outcome)
	}
	for _, kind := range writeKinds {
		for _, outcome := range writeOutcomes {
			m.writes.WithLabelValues(kind, outcome)
		}
	}
	m.registry.MustRegister(newStateCollector(now),
		m.events, m.resyncs, m.writes, m.eventLag, m.eventToWrite, m.resyncTook, m.took)
	return m
}

// Heard counts an event by its type; lag is how old it was by its timestamp, 0 if it has
// none. Clocks differ: one from the future counts as new.
func (m *Metrics) Heard(kind string, lag time.Duration) {
	m.events.WithLabelValues(m.typeOf(kind)).Inc()
	if lag != 0 {
		m.eventLag.Observe(max(lag, 0).Seconds())
	}
}

// Resynced counts a resync that has ended: "clean"; "incomplete" if it left something, as
// its line in the log says; "failed" if Marathon could not be read.
func (m *Metrics) Resynced(outcome string, took time.Duration) {
	m.resyncs.WithLabelValues(outcome).Inc()
	m.resyncTook.Observe(took.Seconds())
}

// Wrote counts a request to Consul that changes something. Its kind is "register" or
// "deregister" for a service, "check", "keys", or "catalog"; its outcome "done", "refused"
// for an answer that Consul will not, and "failed" for no such answer. sinceEvent is the
// time since the event that caused it was heard, 0 if none did.
func (m *Metrics) Wrote(kind, outcome string, took, sinceEvent time.Duration) {
	m.writes.WithLabelValues(kind, outcome).Inc()
	m.took.Observe(took.Seconds())
	if sinceEvent > 0 {
		m.eventToWrite.Observe(sinceEvent.Seconds())
	}
}

// typeOf bounds the types of events, which become labels.
func (m *Metrics) typeOf(kind string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.types[kind] {
		return kind
	}
	if len(m.types) >= maxTypes || len(kind) > 100 || kind != plain(kind) {
		return "other"
	}
	m.types[kind] = true
	return kind
}

// plain returns a word of letters, digits, - and _ for any other.
func plain(word string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '-':
			return r
		}
		return '_'
	}, word)
}

// gather returns all figures as they are now, in order of their names.
func (m *Metrics) gather() ([]*dto.MetricFamily, error) { return m.registry.Gather() }

const namespace = "consular"

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
}

// stateCollector makes gauges of one State, so that they fit together.
type stateCollector struct {
	now   func() State
	descs []*prometheus.Desc
}

func newStateCollector(now func() State) *stateCollector {
	c := &stateCollector{now: now}
	for _, g := range gauges {
		c.descs = append(c.descs, prometheus.NewDesc(prometheus.BuildFQName(namespace, "", g.name), g.help, nil, nil))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range c.descs {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *stateCollector) Collect(to chan<- prometheus.Metric) {
	now := c.now()
	for i, g := range gauges {
		to <- prometheus.MustNewConstMetric(c.descs[i], prometheus.GaugeValue, max(g.of(now), 0))
	}
}

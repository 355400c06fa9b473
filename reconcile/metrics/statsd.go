package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"
)

const (
	// statsdEvery is how often figures are sent: statsd's own interval.
	statsdEvery = 10 * time.Second
	// maxDatagram is what fits into an Ethernet frame, and so is not cut up, with room for
	// tunnels.
	maxDatagram = 1432
	// maxLines is how many observations of one histogram have a line of their own in what is sent
	// at once. Of more, each line stands for several, and says so by a sampling rate.
	maxLines = 50
	// dialEvery is after how many times a name is looked up again.
	dialEvery = 30
	// sendWithin limits a look-up and, apart from that, a write.
	sendWithin = 5 * time.Second
)

// StatsdFormat is a dialect of the protocol.
type StatsdFormat string

const (
	// StatsdPlain puts label values into names: consular.events.status_update_event.
	StatsdPlain StatsdFormat = "statsd"
	// StatsdDog has tags: consular.events|#type:status_update_event.
	StatsdDog StatsdFormat = "dogstatsd"
)

// Statsd sends figures to a statsd. Its names are consular. and ours, without _total.
// Counters are sent as what has been added since, histograms as the times of single
// observations, in seconds as their names say, at the resolution of their buckets.
type Statsd struct {
	metrics *Metrics
	address string
	format  StatsdFormat
	trouble trouble

	conn net.Conn
	// sends counts since conn was opened.
	sends int
	// sent is how much of each counter and bucket has been sent.
	sent map[string]uint64
}

// NewStatsd returns what sends figures to the address host:port. It sends nothing yet.
func NewStatsd(m *Metrics, address string, format StatsdFormat, log zerolog.Logger) *Statsd {
	return &Statsd{
		metrics: m, address: address, format: format, sent: map[string]uint64{},
		trouble: trouble{log: log.With().Str("statsd", address).Logger(), what: "statsd"},
	}
}

// Run sends figures until ctx ends, and then once more.
func (s *Statsd) Run(ctx context.Context) {
	every(ctx, statsdEvery, func() { s.trouble.note(s.send(ctx)) })
	if s.conn != nil {
		_ = s.write() // the last few; there is nobody to tell if that fails
		s.conn.Close()
	}
}

func (s *Statsd) send(ctx context.Context) error {
	if s.sends++; s.sends > dialEvery {
		s.hangUp()
	}
	if s.conn == nil {
		dialer := net.Dialer{Timeout: sendWithin}
		conn, err := dialer.DialContext(ctx, "udp", s.address)
		if err != nil {
			return fmt.Errorf("send figures: %w", err)
		}
		s.conn, s.sends = conn, 1
	}
	err := s.write()
	if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
		s.hangUp()
	}
	return err
}

func (s *Statsd) hangUp() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// write sends all figures. What could not be sent is sent the next time.
func (s *Statsd) write() error {
	families, err := s.metrics.gather()
	if err != nil {
		return fmt.Errorf("gather figures: %w", err)
	}
	var failed error
	for _, d := range datagrams(s.lines(families)) {
		if err := s.writeOne(d.text); err != nil {
			failed = err
			if !errors.Is(err, syscall.ECONNREFUSED) {
				break
			}
		}
		for _, line := range d.lines {
			s.sent[line.of] += line.stands
		}
	}
	if failed != nil {
		return fmt.Errorf("send figures: %w", failed)
	}
	return nil
}

// writeOne sends a datagram. That nobody listened to the one before is told now, in place of
// sending this one, so it is sent again.
func (s *Statsd) writeOne(text string) error {
	_ = s.conn.SetWriteDeadline(time.Now().Add(sendWithin)) // fails only on a closed one
	_, err := s.conn.Write([]byte(text))
	if errors.Is(err, syscall.ECONNREFUSED) {
		_, _ = s.conn.Write([]byte(text))
	}
	return err
}

// line is one line of the protocol.
type line struct {
	text string
	// of is what it is part of, for counters and buckets; stands is how much of that.
	of     string
	stands uint64
}

// lines returns what is to be sent now.
func (s *Statsd) lines(families []*dto.MetricFamily) []line {
	var lines []line
	for _, family := range families {
		name := statsdName(family.GetName())
		for _, metric := range family.GetMetric() {
			id := family.GetName() + fmt.Sprint(metric.GetLabel())
			switch family.GetType() {
			case dto.MetricType_COUNTER:
				if added := uint64(metric.GetCounter().GetValue()) - s.sent[id]; added > 0 {
					lines = append(lines, line{s.line(name, metric, strconv.FormatUint(added, 10), "c", 1), id, added})
				}
			case dto.MetricType_GAUGE:
				lines = append(lines, line{text: s.line(name, metric, decimal(metric.GetGauge().GetValue()), "g", 1)})
			case dto.MetricType_HISTOGRAM:
				lines = append(lines, s.observations(name, id, metric)...)
			}
		}
	}
	return lines
}

// observations returns lines for what a histogram has observed since.
func (s *Statsd) observations(name, id string, metric *dto.Metric) []line {
	kind := "ms" // statsd's word for times, whatever their unit
	if s.format == StatsdDog {
		kind = "h"
	}
	buckets, total := s.fresh(id, metric.GetHistogram())
	var lines []line
	for _, b := range buckets {
		n := b.count
		if total > maxLines {
			n = max(1, b.count*maxLines/total)
		}
		for i := range n {
			stands := b.count / n
			if i < b.count%n {
				stands++
			}
			lines = append(lines, line{s.line(name, metric, decimal(b.bound), kind, stands), b.id, stands})
		}
	}
	return lines
}

// bucket is how often something was observed since, and its upper bound.
type bucket struct {
	id    string
	bound float64
	count uint64
}

// fresh returns the buckets in which something is new, and how much in all of them. What is
// larger than the last bound counts as that.
func (s *Statsd) fresh(id string, h *dto.Histogram) (buckets []bucket, total uint64) {
	below, bound := uint64(0), 0.0
	add := func(upTo uint64, name string) {
		b := bucket{id: id + name, bound: bound}
		b.count = upTo - below - s.sent[b.id]
		if below = upTo; b.count > 0 {
			buckets, total = append(buckets, b), total+b.count
		}
	}
	for _, b := range h.GetBucket() {
		bound = b.GetUpperBound()
		add(b.GetCumulativeCount(), decimal(bound))
	}
	add(h.GetSampleCount(), "more")
	return buckets, total
}

// line writes one line; it stands for so many.
func (s *Statsd) line(name string, metric *dto.Metric, value, kind string, stands uint64) string {
	var tags []string
	for _, label := range metric.GetLabel() {
		if s.format == StatsdDog {
			tags = append(tags, label.GetName()+":"+plain(label.GetValue()))
		} else {
			name += "." + plain(label.GetValue())
		}
	}
	text := name + ":" + value + "|" + kind
	if stands > 1 && kind != "c" {
		text += "|@" + decimal(1/float64(stands))
	}
	if tags != nil {
		text += "|#" + strings.Join(tags, ",")
	}
	return text
}

func statsdName(name string) string {
	return namespace + "." + strings.TrimSuffix(strings.TrimPrefix(name, namespace+"_"), "_total")
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// datagram is lines that are sent together.
type datagram struct {
	text  string
	lines []line
}

func datagrams(lines []line) []datagram {
	var all []datagram
	for _, l := range lines {
		last := len(all) - 1
		if last < 0 || len(all[last].text)+len("\n")+len(l.text) > maxDatagram {
			all = append(all, datagram{text: l.text, lines: []line{l}})
			continue
		}
		all[last].text += "\n" + l.text
		all[last].lines = append(all[last].lines, l)
	}
	return all
}

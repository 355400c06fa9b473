package metrics

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// fileEvery is how often a file is written: as often as Prometheus asks, usually.
const fileEvery = 15 * time.Second

// CheckFile reports why a file cannot be one of figures, by the name of its option.
func CheckFile(name string) error {
	if !strings.HasSuffix(name, ".prom") {
		return fmt.Errorf("--metrics-file %q: must end in .prom: node_exporter reads no other", name)
	}
	return nil
}

// File is figures in a file, in Prometheus' text format, for node_exporter's textfile
// collector. It is replaced as a whole, and never seen half written.
type File struct {
	metrics *Metrics
	name    string
	trouble trouble
}

// NewFile writes the file for the first time, or says why it cannot.
func NewFile(m *Metrics, name string, log zerolog.Logger) (*File, error) {
	f := &File{metrics: m, name: name, trouble: trouble{log: log.With().Str("file", name).Logger(), what: "metrics file"}}
	if err := CheckFile(name); err != nil {
		return nil, err
	}
	if err := f.write(); err != nil {
		return nil, fmt.Errorf("--metrics-file: %w", err)
	}
	return f, nil
}

// Run keeps the file up to date until ctx ends, and removes it then: what it says would
// be true no more, and node_exporter would go on saying it.
func (f *File) Run(ctx context.Context) {
	every(ctx, fileEvery, func() { f.trouble.note(f.write()) })
	if err := os.Remove(f.name); err != nil {
		f.trouble.note(err)
	}
}

// write replaces the file. Its temporary name is the file's and a number, which does not
// end in .prom, and its mode is 0644: node_exporter is another user.
func (f *File) write() error { return prometheus.WriteToTextfile(f.name, f.metrics.registry) }

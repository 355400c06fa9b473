package settings

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"consular/consul"
	"consular/reconcile/metrics"
)

// Watched says where others see whether consular is well. "" is nowhere.
type Watched struct {
	// HeartbeatFile has a heartbeat, MetricsFile figures for node_exporter.
	HeartbeatFile, MetricsFile string
	// Statsd is the host:port of a statsd.
	Statsd       string
	StatsdFormat metrics.StatsdFormat
}

func (s *Settings) readWatched(c *cli.Context) error {
	s.Watched = Watched{
		HeartbeatFile: c.String("heartbeat-file"), MetricsFile: c.String("metrics-file"),
		StatsdFormat: metrics.StatsdFormat(c.String("statsd-format")),
	}
	if s.Watched.MetricsFile != "" {
		if err := metrics.CheckFile(s.Watched.MetricsFile); err != nil {
			return err
		}
	}
	if f := s.Watched.StatsdFormat; f != metrics.StatsdPlain && f != metrics.StatsdDog {
		return fmt.Errorf("--statsd-format %q: must be statsd or dogstatsd", f)
	}
	source, address := "--statsd", c.String("statsd")
	if address == "" {
		// DC/OS tells every task of its agent's statsd so.
		source = "STATSD_UDP_HOST, STATSD_UDP_PORT"
		switch host, port := os.Getenv("STATSD_UDP_HOST"), os.Getenv("STATSD_UDP_PORT"); {
		case host == "" && port == "":
			return nil
		case host == "" || port == "":
			return errors.New("STATSD_UDP_HOST and STATSD_UDP_PORT: must be set both, or neither")
		default:
			address = net.JoinHostPort(host, port)
		}
	}
	if err := checkHostPort(address); err != nil {
		return fmt.Errorf("%s %q: %w", source, address, err)
	}
	s.Watched.Statsd = address
	return nil
}

func checkHostPort(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("must be HOST:PORT, such as localhost:8125")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("port %q: must be from 1 to 65535", port)
	}
	return consul.CheckHost(host)
}

// Figures reports whether anybody wants figures.
func (w Watched) Figures() bool { return w.MetricsFile != "" || w.Statsd != "" }

// Exporters returns what takes figures to where they are watched, each to be run until its
// context ends. It writes the metrics file for the first time, or says why it cannot.
func (w Watched) Exporters(m *metrics.Metrics, log zerolog.Logger) ([]func(context.Context), error) {
	var exporters []func(context.Context)
	if w.MetricsFile != "" {
		file, err := metrics.NewFile(m, w.MetricsFile, log)
		if err != nil {
			return nil, err
		}
		exporters = append(exporters, file.Run)
	}
	if w.Statsd != "" {
		exporters = append(exporters, metrics.NewStatsd(m, w.Statsd, w.StatsdFormat, log).Run)
	}
	return exporters, nil
}

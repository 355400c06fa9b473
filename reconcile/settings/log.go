package settings

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"consular/marathon/transport"
)

// OpenLog returns the log and what closes it.
func OpenLog(c *cli.Context) (log zerolog.Logger, closeLog func(), err error) {
	level, err := logLevel(c)
	if err != nil {
		return log, nil, err
	}
	out, closeLog := c.App.ErrWriter, func() {}
	if name := c.String("logfile"); name != "" {
		file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return log, nil, fmt.Errorf("--logfile: %w", err)
		}
		out, closeLog = file, func() { file.Close() }
	}
	switch format := c.String("log-format"); {
	case format == "console", format == "auto" && IsTerminal(out):
		out = Console(out)
	case format != "auto" && format != "json":
		return log, nil, fmt.Errorf("--log-format %q: must be auto, console or json", format)
	}
	zerolog.DurationFieldInteger = true
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	return zerolog.New(out).Level(level).With().Timestamp().Logger(), closeLog, nil
}

func logLevel(c *cli.Context) (zerolog.Level, error) {
	name := strings.ToLower(c.String("log-level"))
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, name) {
		return 0, fmt.Errorf("--log-level %q: must be debug, info, warn or error", c.String("log-level"))
	}
	if enabled(c, "debug") {
		name = "debug"
	}
	return zerolog.ParseLevel(name)
}

// Console writes log lines for people.
func Console(out io.Writer) zerolog.ConsoleWriter {
	return zerolog.ConsoleWriter{Out: out, TimeFormat: "15:04:05.000", NoColor: !IsTerminal(out)}
}

// IsTerminal reports whether people read what is written.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// WarnOfOldOptions says what of the Python consular's options does nothing.
func WarnOfOldOptions(c *cli.Context, log zerolog.Logger) {
	if slices.ContainsFunc([]string{"scheme", "host", "port"}, c.IsSet) {
		log.Warn().Msg("--scheme, --host and --port do nothing: there is no port any more")
	}
}

// NoteRotation logs that a secret or a certificate was read anew.
func NoteRotation(log zerolog.Logger) transport.Notice {
	return func(file string, err error) {
		if err != nil {
			log.Error().Err(err).Str("file", file).Msg("changed and cannot be used: what was read before still is")
			return
		}
		log.Info().Str("file", file).Msg("read again: it has changed")
	}
}

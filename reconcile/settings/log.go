package settings

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"consular/marathon/transport"
	"consular/reconcile/settings/console"
)

// withLog opens the log that the options ask for, on stderr or in the file of --logfile,
// and closes it when do has returned. Meanwhile SIGHUP ends nobody: it opens the file
// anew by its name, as log rotation wants it.
func withLog(ctx context.Context, c *cli.Context, do func(log zerolog.Logger) error) error {
	level, err := logLevel(c)
	if err != nil {
		return err
	}
	format := c.String("log-format")
	if !slices.Contains([]string{"auto", "console", "json"}, format) {
		return fmt.Errorf("--log-format %q: must be auto, console or json", format)
	}
	// Before the file is opened: no renaming after that is missed.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	var file *logFile
	out, terminal := c.App.ErrWriter, IsTerminal(c.App.ErrWriter)
	if name := c.String("logfile"); name != "" && name != "-" {
		if file, err = openLogFile(name); err != nil {
			return fmt.Errorf("--logfile: %w", err)
		}
		defer file.close()
		out, terminal = file, IsTerminal(file.file)
	}
	if format == "console" || format == "auto" && terminal {
		out = Console(out, terminal)
	}
	zerolog.DurationFieldInteger = true
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	log := zerolog.New(out).Level(level).With().Timestamp().Logger()

	ctx, stop := context.WithCancel(ctx)
	var follower sync.WaitGroup
	follower.Go(func() { file.follow(ctx, hangups, log) })
	defer follower.Wait()
	defer stop()
	return do(log)
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

// Console writes log lines for people: on a terminal as wide as that, and in colours.
func Console(out io.Writer, terminal bool) io.Writer {
	look := console.Look{Colour: terminal && colours()}
	if file, is := out.(*os.File); is && terminal {
		fd := int(file.Fd())
		look.Columns = func() int {
			size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
			if err != nil {
				return 0
			}
			return int(size.Col)
		}
	}
	return console.New(out, look)
}

// Uncut writes lines for people who look for what stands in them, such as the ID of a task.
func Uncut(out io.Writer) io.Writer {
	return console.New(out, console.Look{Colour: Coloured(out), Columns: func() int { return math.MaxInt }})
}

// Coloured reports whether what is written may have colours.
func Coloured(w io.Writer) bool { return IsTerminal(w) && colours() }

// colours reports whether people want them: see no-color.org.
func colours() bool { return os.Getenv("NO_COLOR") == "" }

// IsTerminal reports whether people read what is written.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
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

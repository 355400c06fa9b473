package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// beatEvery is how often the file's time is set.
const beatEvery = 5 * time.Second

// well is the text of a file that says nothing else.
const well = "ok\n"

// Heartbeat is a file whose time says that every loop goes round, and whose text says what
// else is wrong, a line for each thing.
type Heartbeat struct {
	file  string
	loops *Loops
	wrong func() []string
	log   zerolog.Logger
	// text is what the file says, and stuck what was last logged.
	text, stuck string
	failed      bool
}

// New sets the first heartbeat, or says why it cannot. What is wrong is asked for before each
// heartbeat. It must be the same words as long as it is the same thing, so that the file is
// written only when that changes: a full disk must not make it old.
func New(file string, loops *Loops, wrong func() []string, log zerolog.Logger) (*Heartbeat, error) {
	h := &Heartbeat{file: file, loops: loops, wrong: wrong, log: log.With().Str("file", file).Logger()}
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() { // it would be replaced, even /dev/null
		return nil, fmt.Errorf("--heartbeat-file: %s is there, and is no file", file)
	}
	if err := h.beat(); err != nil {
		return nil, fmt.Errorf("--heartbeat-file: %w", err)
	}
	return h, nil
}

// Run sets the file's time until ctx ends.
func (h *Heartbeat) Run(ctx context.Context) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			h.note(h.beat())
		}
	}
}

// beat sets the file's time, unless a loop is stuck, and its text, if that is another.
func (h *Heartbeat) beat() error {
	stuck := h.loops.stuck()
	h.noteStuck(stuck)
	text := well
	if all := append(inWords(stuck), h.wrong()...); len(all) > 0 {
		text = strings.Join(all, "\n") + "\n"
	}
	at := time.Now()
	if len(stuck) > 0 {
		at = h.last()
	}
	var failed error
	if text != h.text {
		if failed = h.write(text, at); failed == nil {
			h.text = text
			return nil
		}
	}
	err := os.Chtimes(h.file, at, at)
	switch {
	case failed != nil: // a full disk, perhaps: its time is right at least
		return failed
	case errors.Is(err, fs.ErrNotExist):
		return h.write(text, at)
	}
	return err
}

func inWords(stuck []string) []string {
	var words []string
	for _, name := range stuck {
		words = append(words, "stuck: "+name)
	}
	return words
}

// last is the file's time; long ago if it has none.
func (h *Heartbeat) last() time.Time {
	info, err := os.Stat(h.file)
	if err != nil {
		return time.Unix(0, 0)
	}
	return info.ModTime()
}

// write replaces the file by one with that time.
func (h *Heartbeat) write(text string, at time.Time) error {
	temporary, err := os.CreateTemp(filepath.Dir(h.file), filepath.Base(h.file)+".")
	if err != nil {
		return err
	}
	_, err = temporary.WriteString(text)
	for _, step := range []func() error{
		func() error { return temporary.Chmod(0o644) },
		temporary.Close,
		func() error { return os.Chtimes(temporary.Name(), at, at) },
		func() error { return os.Rename(temporary.Name(), h.file) },
	} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
	}
	return err
}

// note tells the log of a file that cannot be written, and when it can be again.
func (h *Heartbeat) note(err error) {
	switch {
	case err != nil && !h.failed:
		h.log.Warn().Err(err).Msg("heartbeat cannot be written: what looks at it may take us for dead")
	case err == nil && h.failed:
		h.log.Info().Msg("heartbeat can be written again")
	}
	h.failed = err != nil
}

// noteStuck tells the log which loops are stuck, when that changes.
func (h *Heartbeat) noteStuck(stuck []string) {
	names := strings.Join(stuck, ", ")
	switch {
	case names == h.stuck:
		return
	case names != "":
		h.log.Error().Str("loops", names).Msg("stuck: no heartbeat until it goes on")
	default:
		h.log.Info().Str("loops", h.stuck).Msg("goes on: heartbeats again")
	}
	h.stuck = names
}

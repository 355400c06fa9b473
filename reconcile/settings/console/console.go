// Package console makes of log lines what people read on a terminal: sentences, in the order
// in which one asks. The JSON, which has everything, is for machines.
//
// What is known to be zero, and what the message or another field says already, is left out; the
// ID of a task comes last, and cut to what tells it from others where it does not fit.
// A line of which nothing is known here still reads well: its message, and in parentheses its
// fields.
package console

import (
	"io"
	"sync"

	"github.com/rs/zerolog"
)

// Columns is how wide a line should be at most; few are wider.
const Columns = 100

// Look is what the lines are made for.
type Look struct {
	// Colour is whether they have colours: what is added is green, changed yellow, removed red,
	// held back magenta.
	Colour bool
	// Columns tells how wide the terminal is; nil, or fewer than Columns, is Columns.
	Columns func() int
}

const clock = "15:04:05"

// New returns a writer of zerolog's lines. Nothing in them moves the cursor.
func New(out io.Writer, look Look) io.Writer {
	t := &teller{Look: look, told: map[string]int64{}}
	return zerolog.ConsoleWriter{
		Out: out, NoColor: !look.Colour, TimeFormat: clock,
		PartsOrder:    []string{zerolog.TimestampFieldName, zerolog.LevelFieldName, zerolog.MessageFieldName},
		FormatPrepare: t.prepare, FormatLevel: look.level, FormatMessage: asIs,
	}
}

// asIs is for the message, which is the whole sentence by then.
func asIs(message any) string { return asText(message) }

// level is told where it is not the usual one.
func (l Look) level(value any) string {
	level, err := zerolog.ParseLevel(asText(value))
	if err != nil || level == zerolog.InfoLevel || level == zerolog.NoLevel {
		return ""
	}
	var t text
	t.colour = l.Colour
	t.add(style(zerolog.LevelColors[level]), zerolog.FormattedLevels[level])
	return t.String()
}

// teller makes sentences. It remembers what the last line about a resync said.
type teller struct {
	Look
	mu   sync.Mutex
	told map[string]int64
}

// prepare puts a sentence in the place of all fields but time and level.
func (t *teller) prepare(line map[string]any) error {
	room := Columns
	if t.Columns != nil {
		room = max(room, t.Columns())
	}
	room -= len(clock + " ")
	level := asText(line[zerolog.LevelFieldName])
	if t.level(level) != "" {
		room -= len("WRN ")
	}
	urgent := level == zerolog.LevelWarnValue || level == zerolog.LevelErrorValue
	f := fields{}
	for name, value := range line {
		if name != zerolog.TimestampFieldName && name != zerolog.LevelFieldName {
			f[name] = value
			delete(line, name)
		}
	}
	line[zerolog.MessageFieldName] = t.sentence(f, room, urgent)
	return nil
}

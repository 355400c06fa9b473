package stream

import (
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"consular/marathon"
)

// Printer is a Handler that prints each event as one line, for people who want
// to see what Marathon says. Gaps are in the Subscriber's log.
type Printer struct{ out zerolog.Logger }

// NewPrinter returns a Printer that writes JSON lines, or what a
// zerolog.ConsoleWriter makes of them.
func NewPrinter(out io.Writer) Printer { return Printer{zerolog.New(out)} }

// Connected prints nothing.
func (Printer) Connected(string) {}

// Missed prints nothing.
func (Printer) Missed(Gap) {}

// Disconnected prints nothing.
func (Printer) Disconnected(Gap) {}

// Event prints what there is to know of e; message is its type.
func (p Printer) Event(e marathon.Event) {
	line := p.out.Log().Time("time", e.About().Time)
	switch e := e.(type) {
	case marathon.TaskChanged:
		line = line.Str("app", e.Task.AppID).Str("task", e.Task.ID).Str("state", string(e.Task.State)).
			Str("agent", e.Task.Host).Ints("ports", e.Task.Ports).Strs("addresses", e.Task.Addresses)
	case marathon.DeploymentPlanned:
		line = line.Str("version", e.Version).Strs("app", e.Apps)
	case marathon.DeploymentEnded:
		line = line.Str("version", e.Version).Strs("app", e.Apps).Bool("failed", e.Failed)
	case marathon.GroupChanged:
		line = line.Str("version", e.Version)
	case marathon.AppTerminated:
		line = line.Str("app", e.AppID)
	case marathon.Attached:
		line = line.Str("remote", e.RemoteAddress)
	}
	line.Msg(shown(e.About().Type))
}

// shown returns an event's type as a terminal may have it: a console writer
// quotes fields, and prints the message as it is.
func shown(kind string) string {
	kind = clip(kind)
	if !utf8.ValidString(kind) || strings.ContainsFunc(kind, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.QuoteToASCII(kind)
	}
	return kind
}

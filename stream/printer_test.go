package stream

import (
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"consular/marathon"
)

// A terminal does what a type says, if that is not kept from it.
func TestPrinterQuotesWhatIsNotPrintable(t *testing.T) {
	for kind, want := range map[string]string{
		"status_update_event":     " status_update_event ",
		"odd\x1b[2J":              ` "odd\x1b[2J" `,
		"two\nlines":              ` "two\nlines" `,
		"\u202eback":              ` "\u202eback" `,
		"\xff":                    ` "\xff" `,
		strings.Repeat("x", 1000): " " + strings.Repeat("x", clipSize) + "… ",
	} {
		var out strings.Builder
		console := zerolog.ConsoleWriter{Out: &out, NoColor: true, PartsExclude: []string{zerolog.LevelFieldName}}
		NewPrinter(console).Event(marathon.AppTerminated{Meta: marathon.Meta{Type: kind}, AppID: "/a"})
		if line := out.String(); !strings.Contains(line, want) || strings.Count(line, "\n") != 1 {
			t.Errorf("%.40q is printed as %q", kind, line)
		}
	}
}

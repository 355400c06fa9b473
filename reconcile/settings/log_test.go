package settings

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// Colours are for terminals, and for people who want them.
func TestColours(t *testing.T) {
	for _, tt := range []struct {
		terminal bool
		noColour string
		want     bool
	}{
		{terminal: true, want: true},
		{terminal: true, noColour: "1"},
		{terminal: false},
	} {
		t.Setenv("NO_COLOR", tt.noColour)
		var out bytes.Buffer
		log := zerolog.New(Console(&out, tt.terminal))
		log.Warn().Str("service", "web").Str("task", "web.1").Msg("registered")
		if got := strings.Contains(out.String(), "\x1b["); got != tt.want {
			t.Errorf("%+v: %q", tt, out.String())
		}
	}
}

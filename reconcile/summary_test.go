package reconcile

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// What sync prints has all the figures of the line in the log: who adds checks to ten thousand
// services is not told that nothing was done.
func TestASummaryHasAllFiguresOfItsLine(t *testing.T) {
	s := Summary{
		Apps: 101, Tasks: 102, Services: 103, Keys: 104, Reads: 105, Held: 106, ForeignFramework: 107, Conflicts: 108, Quarantined: 109,
		LeftOut: 110, Skipped: 111, Unread: 112,
		outcome: outcome{Registered: 113, Updated: 114, Deregistered: 115, Checks: 116, KeysSet: 117, KeysDeleted: 118, Failed: 119},
	}
	var line bytes.Buffer
	log := zerolog.New(&line)
	s.notice().log(log)
	var fields map[string]any
	if err := json.Unmarshal(line.Bytes(), &fields); err != nil {
		t.Fatal(err)
	}
	for name, value := range fields {
		n, is := value.(float64)
		if name == "reads" || name == "took_ms" { // how, and not what
			continue
		}
		if text, _ := json.Marshal(n); is && !strings.Contains(s.String(), string(text)) {
			t.Errorf("%s is not in\n%s", name, s.String())
		}
	}
}

package plan

import (
	"testing"
	"time"

	"consular/reconcile/desired"
)

// Only what is being killed may wait, while something takes its place, and for a second.
func TestWaitsUntil(t *testing.T) {
	killed := time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		killing  time.Time
		starting bool
		after    time.Duration
		want     time.Time
	}{
		"is being killed":           {killed, true, 0, killed.Add(time.Second)},
		"has waited":                {killed, true, 999 * time.Millisecond, killed.Add(time.Second)},
		"has waited for long":       {killed, true, time.Second, time.Time{}},
		"nothing takes its place":   {killed, false, 0, time.Time{}},
		"has ended":                 {time.Time{}, true, 0, time.Time{}},
		"has ended, nothing starts": {time.Time{}, false, 0, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := WaitsUntil(desired.Want{Killing: c.killing}, c.starting, killed.Add(c.after)); !got.Equal(c.want) {
				t.Errorf("waits until %s, want %s", got, c.want)
			}
		})
	}
}

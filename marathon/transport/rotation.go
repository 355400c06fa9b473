package transport

import (
	"context"
	"os"
	"strconv"
	"time"
)

// WatchFiles calls changed each time that one of the files has become another and
// all of them have then stayed as they are for a second, until ctx ends: a key
// comes after its certificate. Every request reads its files itself; this is for
// those who wait because of what was in them. Without files it returns at once.
func WatchFiles(ctx context.Context, names []string, changed func()) {
	if len(names) == 0 {
		return // nothing can change, and nobody has to wake up every second
	}
	ticker := time.NewTicker(rereadEvery)
	defer ticker.Stop()
	before, settled := stampsOf(names), true
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := stampsOf(names)
		switch {
		case now != before:
			settled = false
		case !settled:
			settled = true
			changed()
		}
		before = now
	}
}

// stampsOf tells the files' contents apart without reading them. One that cannot
// be looked at is like an empty one.
func stampsOf(names []string) string {
	var stamps []byte
	for _, name := range names {
		info, err := os.Stat(name)
		if err == nil {
			stamps = info.ModTime().AppendFormat(stamps, time.RFC3339Nano)
			stamps = strconv.AppendInt(append(stamps, ' '), info.Size(), 10)
		}
		stamps = append(stamps, '\n')
	}
	return string(stamps)
}

package metrics

import (
	"context"
	"time"

	"github.com/rs/zerolog"
)

// every does something at each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// settled is how many successes in a row are the end of a trouble: what UDP sent to
// nobody is only told with what is sent next.
const settled = 2

// trouble tells the log that something fails, once, and when that is over.
type trouble struct {
	log       zerolog.Logger
	what      string
	failed    int
	successes int
}

func (t *trouble) note(err error) {
	switch {
	case err != nil:
		t.successes = 0
		if t.failed++; t.failed == 1 {
			t.log.Warn().Err(err).Msg(t.what + " failed: figures are missing there; nothing else is")
		}
	case t.failed > 0:
		if t.successes++; t.successes >= settled {
			t.log.Info().Int("attempt", t.failed+1).Msg(t.what + " works again")
			t.failed, t.successes = 0, 0
		}
	}
}

package marathon

import (
	"net/http"
	"sync/atomic"
	"time"
)

// clock is what answers tell of Marathon's clock. It is safe for concurrent use.
type clock struct{ ahead atomic.Pointer[time.Duration] }

// Ahead returns how far Marathon's clock is ahead of ours, negative if it is
// behind, by the Date of the last answer: half a second more or less, for a Date
// has whole seconds, and what the answer took on its way. It is false as long as
// no answer had one. Marathon's own times, such as a task's StagedAt, are by its
// clock.
func (c *Client) Ahead() (time.Duration, bool) {
	ahead := c.clock.ahead.Load()
	if ahead == nil {
		return 0, false
	}
	return *ahead, true
}

// read takes in the head of an answer of Marathon's that has just come.
func (c *clock) read(head http.Header, now time.Time) {
	date, err := http.ParseTime(head.Get("Date"))
	if err != nil {
		return
	}
	ahead := date.Add(time.Second / 2).Sub(now)
	c.ahead.Store(&ahead)
}

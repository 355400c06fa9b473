package daemon

import (
	"time"

	"consular/marathon"
	"consular/reconcile/heartbeat"
	"consular/stream"
)

// handler passes the stream on: reconcile does not know package stream. Its loop is the
// stream's, which is stuck when one of these does not return.
type handler struct {
	*Daemon
	loop *heartbeat.Loop
}

func (h handler) during(what func()) {
	h.loop.Round()
	what()
	h.loop.Rest()
}

// Connected implements stream.Handler.
func (h handler) Connected(string) { h.during(h.Reconciler.Connected) }

// Event implements stream.Handler.
func (h handler) Event(e marathon.Event) {
	h.during(func() { h.Reconciler.Event(e) })
	if h.figures == nil {
		return
	}
	var lag time.Duration
	if at := e.About().Time; !at.IsZero() {
		lag = time.Since(at)
	}
	h.figures.Heard(e.About().Type, lag)
}

// Missed implements stream.Handler.
func (h handler) Missed(gap stream.Gap) {
	h.during(func() { h.Reconciler.Missed(string(gap.Cause)) })
}

// Disconnected implements stream.Handler.
func (h handler) Disconnected(gap stream.Gap) {
	h.during(func() { h.Reconciler.Disconnected(string(gap.Cause)) })
}

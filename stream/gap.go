package stream

import "strings"

// Cause names why events may have been missed.
type Cause string

// Causes that the Handler is told by Disconnected.
const (
	// NoConnection: the master could not be reached, or sent no answer in time.
	NoConnection Cause = "connect"
	// Refused: the master answered, but not with an event stream, nor with a
	// redirect that may be followed.
	Refused Cause = "refused"
	// Standby: the master is a standby, and the leader it names gave no stream.
	// A standby goes on naming a dead leader for some seconds.
	Standby Cause = "standby"
	// Closed: the connection ended between two events. Marathon does that when
	// it loses its leadership, and to a client that reads too slowly (1.8).
	Closed Cause = "closed"
	// CutOff: the connection ended within an event, or the event did not end in time.
	CutOff Cause = "cut off"
	// Mute: there was an answer, and bytes, but no event for Config.IdleTimeout, so that
	// nothing says that the subscription exists.
	Mute Cause = "mute"
	// Idle: no byte came for Config.IdleTimeout, not even a heartbeat.
	Idle Cause = "idle"
	// Paused: we were stopped or suspended ourselves, so that what the
	// connection still holds may be minutes old.
	Paused Cause = "paused"
)

// Causes that the Handler is told by Missed.
const (
	// Oversize: an event was larger than Config.MaxEvent.
	Oversize Cause = "oversize"
	// Undecodable: an event was not what its type promises.
	Undecodable Cause = "undecodable"
)

// LeaderChanged is in the log only: the connection just made leads to another
// leader than the one before, as far as Marathon says who leads.
const LeaderChanged Cause = "leader changed"

// Gap is a time, or a single event, that was not heard.
type Gap struct {
	Cause Cause
	// Err tells more than Cause; nil when there is no more to tell. It holds no
	// credentials.
	Err error
	// Master is the configured URL, without credentials.
	Master string
	// Event and Size are type and bytes of a missed event: "" and 0 when there
	// was none in particular, or its type is not known.
	Event string
	Size  int
}

// Error makes a Gap the reason for which a connection ended.
func (g Gap) Error() string {
	if g.Err == nil {
		return string(g.Cause)
	}
	return string(g.Cause) + ": " + g.Err.Error()
}

// Unwrap returns Err.
func (g Gap) Unwrap() error { return g.Err }

// clipSize is how many bytes of text from outside are shown at most.
const clipSize = 200

// clip shortens what came from outside, and may be megabytes, to what a log can take.
func clip(text string) string {
	if len(text) <= clipSize {
		return text
	}
	return strings.ToValidUTF8(text[:clipSize], "") + "…"
}

package stream

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"time"

	"consular/marathon/transport"
)

const (
	// readSize is how much is asked of the network at once.
	readSize = 16 << 10
	// keepSize is how large a buffer may be to be kept for the next event.
	keepSize = 64 << 10
	// noteRoom is what r3labs' buffer needs beyond the largest event: its ends
	// of line, and the note about one that was too large.
	noteRoom = 4 << 10
)

// wholeEvents is the body of /v2/events as r3labs' reader should get it: whole
// events only, never two in one Read, every line ended by one \n.
//
// So that reader never has to deliver the half event at the end of a stream as
// if it were whole, never fails for good on a large one ("token too long"), and
// never searches more than one event: it searches all it holds for each event,
// which after one large event made a backlog crawl (see BenchmarkBacklog).
//
// An event over the limit is swallowed, and a note stands in its place. Lines
// may end in \r\n, \n or \r; Marathon's heartbeat is an empty line whose \r and
// \n may come in different reads.
type wholeEvents struct {
	src   io.Closer
	in    *bufio.Reader
	limit int

	ready   []byte    // what is left to hand out of a whole event
	event   []byte    // lines of the current event, nil once it is over the limit
	kind    []byte    // its "event:" line, kept when it is over the limit
	size    int       // its bytes so far, kept or not
	inLine  bool      // its last line has not ended
	afterCR bool      // a \n that comes next belongs to the \r before
	began   time.Time // when an event was waited for that had come in part; or zero
}

// newWholeEvents takes over src. It calls heard for every read that brought bytes.
func newWholeEvents(src io.ReadCloser, limit int, heard func()) *wholeEvents {
	in := bufio.NewReaderSize(&heartbeats{src, heard}, readSize)
	return &wholeEvents{src: src, in: in, limit: limit}
}

// heartbeats tells of every read that brings bytes, whatever they are.
type heartbeats struct {
	io.Reader
	heard func()
}

func (h *heartbeats) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if n > 0 {
		h.heard()
	}
	return n, err
}

// Close closes the body below.
func (e *wholeEvents) Close() error { return e.src.Close() }

// Read returns bytes of one whole event.
func (e *wholeEvents) Read(p []byte) (int, error) {
	for len(e.ready) == 0 {
		if err := e.advance(); err != nil {
			return 0, err
		}
	}
	n := copy(p, e.ready)
	e.ready = e.ready[n:]
	return n, nil
}

// cutOff reports whether the last event had begun and not ended.
func (e *wholeEvents) cutOff() bool { return e.size > 0 }

// advance takes in the rest of a line, or as much of it as there is.
func (e *wholeEvents) advance() error {
	if _, err := e.in.Peek(1); err != nil {
		return err
	}
	chunk, err := e.in.Peek(e.in.Buffered())
	if err != nil {
		return err
	}
	if _, err := e.in.Discard(e.take(chunk)); err != nil {
		return err
	}
	return e.inTime()
}

// inTime returns an error when an event has come in part, for too long: one whose bytes
// come one by one would keep the connection, and all that is behind it away.
func (e *wholeEvents) inTime() error {
	switch {
	case e.size == 0:
		e.began = time.Time{}
	case e.in.Buffered() > 0:
	case e.began.IsZero():
		e.began = time.Now()
	default:
		if limit := transport.TimeFor(int64(e.size)); time.Since(e.began) > limit {
			return fmt.Errorf("no end of the event within %v", limit)
		}
	}
	return nil
}

// take returns how many bytes of chunk it took.
func (e *wholeEvents) take(chunk []byte) int {
	afterCR := e.afterCR
	e.afterCR = false
	if afterCR && chunk[0] == '\n' {
		return 1
	}
	end := bytes.IndexAny(chunk, "\r\n")
	if end < 0 {
		e.add(chunk)
		return len(chunk)
	}
	e.add(chunk[:end])
	e.afterCR = chunk[end] == '\r'
	e.endLine()
	return end + 1
}

// add appends part of a line to the event.
func (e *wholeEvents) add(part []byte) {
	e.inLine = e.inLine || len(part) > 0
	e.size += len(part)
	switch {
	case e.size <= e.limit:
		e.event = append(e.event, part...)
	case e.event != nil:
		e.kind = kindLine(e.event)
		e.event = nil
	}
}

// kindLine returns a copy of the "event:" line that an event begins with, or nil.
func kindLine(event []byte) []byte {
	line, _, whole := bytes.Cut(event, []byte("\n"))
	if !whole || len(line) > clipSize || !bytes.HasPrefix(line, []byte("event:")) {
		return nil
	}
	return append(bytes.Clone(line), '\n')
}

// endLine ends a line; an empty one ends the event, if there is one.
func (e *wholeEvents) endLine() {
	switch {
	case e.inLine:
		e.add([]byte("\n"))
		e.inLine = false
	case e.size > 0:
		e.endEvent()
	}
}

// endEvent makes the event, or a note in its place, ready to be read. Read hands
// out all of it before the buffer that both share is written to again.
func (e *wholeEvents) endEvent() {
	if e.size > e.limit {
		e.ready = fmt.Appendf(e.kind, "retry: %s%d\n\n", oversizeMark, e.size)
	} else {
		e.event = append(e.event, '\n')
		e.ready = e.event
	}
	e.event = e.event[:0]
	if cap(e.event) > keepSize {
		e.event = nil
	}
	e.kind, e.size = nil, 0
}

// oversizeMark begins the value of the retry field that notes an event over the
// limit. Marathon sends no retry field, and a valid one would be a number.
const oversizeMark = "oversize "

// noted returns the size in a note of an event over the limit.
func noted(retry []byte) (size int, ok bool) {
	digits, ok := bytes.CutPrefix(retry, []byte(oversizeMark))
	if !ok {
		return 0, false
	}
	size, err := strconv.Atoi(string(digits))
	return size, err == nil
}

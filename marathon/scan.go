package marathon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

const (
	// windowSize is how much of an answer is in memory at a time.
	windowSize = 32 << 10
	// maxKept and maxValues are the bytes of a value that is decoded, and the values within
	// it: each of them becomes much more in memory than the three bytes of an empty one.
	maxKept   = 16 << 20
	maxValues = 64 << 10
	// keepBuffer is how large the buffer of a value may be to be kept for the next one.
	keepBuffer = 1 << 20
	// maxDepth is encoding/json's.
	maxDepth = 10_000
)

// unfit is why a value is not to be decoded, though it has been read to its end.
type unfit string

func (u unfit) Error() string { return string(u) }

// notText is a text that was mixed up on its way. encoding/json would put other characters
// in place of what is wrong, and an ID would be that of something else.
const notText = unfit("not UTF-8")

// tooMuch would take too much memory.
var tooMuch = unfit(fmt.Sprintf("larger than %d MiB, more than %d values, or nested deeper than %d", maxKept>>20, maxValues, maxDepth))

// isUnfit reports whether an error is that of one value, and not of all that is read.
func isUnfit(err error) bool {
	_, is := errors.AsType[unfit](err)
	return is
}

// scanner reads one JSON value from a stream in pieces that the caller chooses. Unlike a
// json.Decoder it does not hold what is skipped, however large that is, and of what is
// wanted no more than maxKept. It takes what encoding/json takes, and what is nested deeper,
// but wants only UTF-8.
type scanner struct {
	src io.Reader
	// err is why there is no more to read after window.
	err    error
	window []byte
	// next is the place in window of the next byte, before the bytes before window.
	next   int
	before int64
	depth  int
	// values counts all values so far.
	values int
	// kept is what is read while keeping. It has no space between its tokens.
	keeping bool
	kept    []byte
	// from is what values was when keeping began.
	from int
}

func newScanner(src io.Reader) *scanner {
	return &scanner{src: src, window: make([]byte, 0, windowSize)}
}

// offset returns how many bytes have been read.
func (s *scanner) offset() int64 { return s.before + int64(s.next) }

// fill makes sure that there is a next byte.
func (s *scanner) fill() error {
	for s.next == len(s.window) {
		if s.err != nil {
			return s.err
		}
		s.before, s.next = s.before+int64(s.next), 0
		var n int
		n, s.err = s.src.Read(s.window[:windowSize])
		s.window = s.window[:n]
	}
	return nil
}

// consume goes on by n bytes of the window.
func (s *scanner) consume(n int) {
	if s.keeping {
		s.kept = append(s.kept, s.window[s.next:s.next+n]...)
		s.keeping = len(s.kept) <= maxKept
	}
	s.next += n
}

// peek returns the next byte that is no space, and goes on to it.
func (s *scanner) peek() (byte, error) {
	for {
		for s.next < len(s.window) {
			switch c := s.window[s.next]; c {
			case ' ', '\t', '\r', '\n':
				s.next++
			default:
				return c, nil
			}
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
}

// array reads an array; element must read each of its values.
func (s *scanner) array(element func() error) error { return s.list('[', ']', element) }

// object reads an object; member must read the value of each name, which is valid until
// it reads anything, and nil if it is unfit.
func (s *scanner) object(member func(name []byte) error) error {
	return s.list('{', '}', func() error {
		name, err := s.keep(s.name)
		switch {
		case isUnfit(err):
		case err != nil:
			return err
		default:
			if name, err = unquoted(name[:len(name)-1]); err != nil {
				return err
			}
		}
		return member(name)
	})
}

// raw reads a value and returns it, or an error that isUnfit, having read all of it. It is
// valid until anything else is read.
func (s *scanner) raw() ([]byte, error) { return s.keep(s.value) }

// keep returns what read reads.
func (s *scanner) keep(read func() error) ([]byte, error) {
	if cap(s.kept) > keepBuffer {
		s.kept = nil
	}
	s.kept, s.keeping, s.from = s.kept[:0], true, s.values
	err := read()
	fits := s.keeping
	s.keeping = false
	switch {
	case err != nil:
		return nil, err
	case !fits:
		s.kept = nil
		return nil, tooMuch
	case !utf8.Valid(s.kept):
		return nil, notText
	}
	return s.kept, nil
}

// expect makes sure that the next value begins so.
func (s *scanner) expect(want byte) error {
	c, err := s.peek()
	switch {
	case err != nil || c == want:
		return err
	case kindOf(c) == "":
		return invalid(c, "looking for beginning of value")
	}
	return fmt.Errorf("unexpected %s where %c should be", kindOf(c), want)
}

// end makes sure that nothing more comes.
func (s *scanner) end() error {
	switch c, err := s.peek(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	case kindOf(c) == "":
		return invalid(c, "after its end")
	default:
		return fmt.Errorf("unexpected %s after its end", kindOf(c))
	}
}

// kindOf names the kind of value that begins with c, "" if none does.
func kindOf(c byte) string {
	switch {
	case c == '{':
		return "object"
	case c == '[':
		return "array"
	case c == '"':
		return "string"
	case c == 'n':
		return "null"
	case c == 't' || c == 'f':
		return "bool"
	case c == '-' || '0' <= c && c <= '9':
		return "number"
	}
	return ""
}

// unquoted returns what a text within quotes means.
func unquoted(text []byte) ([]byte, error) {
	inner := text[1 : len(text)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner, nil
	}
	var meant string
	err := json.Unmarshal(text, &meant)
	return []byte(meant), err
}

package marathon

import (
	"bytes"
	"fmt"
	"strings"
)

// The grammar of JSON (RFC 8259), as encoding/json takes it.

// value reads any value.
func (s *scanner) value() error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	s.values++
	s.keeping = s.keeping && s.values-s.from <= maxValues
	switch {
	case (c == '{' || c == '[') && s.depth == maxDepth:
		return s.deep()
	case c == '{':
		return s.list('{', '}', s.member)
	case c == '[':
		return s.list('[', ']', s.value)
	case c == '"':
		return s.text()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	case kindOf(c) == "number":
		return s.number()
	default:
		return invalid(c, "looking for beginning of value")
	}
}

// list reads what stands between two brackets.
func (s *scanner) list(open, end byte, element func() error) error {
	if err := s.expect(open); err != nil {
		return err
	}
	s.depth++
	s.consume(1)
	closed, err := s.closed(end)
	for err == nil && !closed {
		if err := element(); err != nil {
			return err
		}
		if closed, err = s.closed(end); err == nil && !closed {
			err = s.token(',', "after an element")
		}
	}
	return err
}

// deep goes past an object or array that is nested too deeply. Nobody will decode it, and so
// its brackets are only counted.
func (s *scanner) deep() error {
	s.keeping = false
	for open := 0; ; {
		c, err := s.peek()
		switch {
		case err != nil:
			return err
		case c == '"':
			if err := s.text(); err != nil {
				return err
			}
			continue
		case c == '{' || c == '[':
			open++
		case c == '}' || c == ']':
			open--
		}
		if s.consume(1); open == 0 {
			return nil
		}
	}
}

// closed goes past a bracket, if that is what comes.
func (s *scanner) closed(end byte) (bool, error) {
	c, err := s.peek()
	if err != nil || c != end {
		return false, err
	}
	s.depth--
	s.consume(1)
	return true, nil
}

// token goes past a character that must come, and says where.
func (s *scanner) token(want byte, where string) error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	if c != want {
		return invalid(c, where)
	}
	s.consume(1)
	return nil
}

// member reads a name and its value.
func (s *scanner) member() error {
	if err := s.name(); err != nil {
		return err
	}
	return s.value()
}

// name reads the name of a member, and its colon.
func (s *scanner) name() error {
	c, err := s.peek()
	switch {
	case err != nil:
		return err
	case c != '"':
		return invalid(c, "looking for beginning of object key string")
	}
	if err := s.text(); err != nil {
		return err
	}
	return s.token(':', "after object key")
}

// text reads a text, from quote to quote.
func (s *scanner) text() error {
	s.consume(1)
	for {
		if err := s.fill(); err != nil {
			return err
		}
		part := s.window[s.next:]
		i := 0
		for i < len(part) && part[i] != '"' && part[i] != '\\' && part[i] >= ' ' {
			i++
		}
		s.consume(i)
		if i == len(part) {
			continue
		}
		switch c := part[i]; c {
		case '"':
			s.consume(1)
			return nil
		case '\\':
			if err := s.escape(); err != nil {
				return err
			}
		default:
			return invalid(c, "in string literal")
		}
	}
}

// escape reads what begins with a backslash.
func (s *scanner) escape() error {
	s.consume(1)
	known, digits := s.take(`"\/bfnrt`), 0
	if !known && s.take("u") {
		for digits < 4 && s.take("0123456789abcdefABCDEF") {
			digits++
		}
	}
	if !known && digits < 4 {
		return s.unlike("in string escape code")
	}
	return nil
}

// word reads true, false or null.
func (s *scanner) word(text string) error {
	for i := range len(text) {
		if !s.take(text[i : i+1]) {
			return s.unlike("in literal " + text)
		}
	}
	return nil
}

// number reads a number, which may be as long as it likes.
func (s *scanner) number() error {
	s.take("-")
	whole := s.take("0") || s.digits()
	if whole && s.take(".") {
		whole = s.digits()
	}
	if whole && s.take("eE") {
		s.take("+-")
		whole = s.digits()
	}
	if !whole {
		return s.unlike("in numeric literal")
	}
	return nil
}

// digits goes past digits, and reports whether there are any.
func (s *scanner) digits() bool {
	some := false
	for s.fill() == nil {
		rest := s.window[s.next:]
		n := len(rest) - len(bytes.TrimLeft(rest, "0123456789"))
		s.consume(n)
		some = some || n > 0
		if n < len(rest) {
			break
		}
	}
	return some
}

// take goes past the next byte if it is one of those wanted. At the end of the stream it is
// none: a number may end there.
func (s *scanner) take(wanted string) bool {
	if s.fill() != nil || strings.IndexByte(wanted, s.window[s.next]) < 0 {
		return false
	}
	s.consume(1)
	return true
}

// unlike is the error of a next byte that had to be another.
func (s *scanner) unlike(where string) error {
	if err := s.fill(); err != nil {
		return err
	}
	return invalid(s.window[s.next], where)
}

func invalid(c byte, where string) error { return fmt.Errorf("invalid character %q %s", c, where) }

package marathon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	switch c {
	case '{':
		return s.list('{', '}', func() error {
			if err := s.name(); err != nil {
				return err
			}
			return s.value()
		})
	case '[':
		return s.list('[', ']', s.value)
	case '"':
		return s.text()
	default:
		return s.literal(c)
	}
}

// list reads what stands between two brackets.
func (s *scanner) list(open, end byte, element func() error) error {
	if err := s.expect(open); err != nil {
		return err
	}
	if s.depth == maxDepth {
		return errors.New("exceeded max depth")
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
	wanted := `"\/bfnrtu`
	for more := 1; more > 0; more-- {
		if err := s.fill(); err != nil {
			return err
		}
		c := s.window[s.next]
		if strings.IndexByte(wanted, c) < 0 {
			return invalid(c, "in string escape code")
		}
		if s.consume(1); c == 'u' {
			more, wanted = more+4, "0123456789abcdefABCDEF"
		}
	}
	return nil
}

// literal reads a number, true, false or null.
func (s *scanner) literal(c byte) error {
	if !isLiteral(c) {
		return invalid(c, "looking for beginning of value")
	}
	text := s.word[:0]
	for isLiteral(c) && len(text) <= maxLiteral {
		text = append(text, c)
		s.consume(1)
		err := s.fill()
		if errors.Is(err, io.EOF) && s.depth == 0 {
			break // it may be all there is
		}
		if err != nil {
			return err
		}
		c = s.window[s.next]
	}
	s.word = text
	if len(text) > maxLiteral || !isCount(text) && !json.Valid(text) {
		return fmt.Errorf("invalid literal %.20q", text)
	}
	return nil
}

// isCount reports whether a literal is a number as most are.
func isCount(text []byte) bool {
	if len(text) > 1 && text[0] == '0' {
		return false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func isLiteral(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-' || c == '+' || c == '.'
}

func invalid(c byte, where string) error { return fmt.Errorf("invalid character %q %s", c, where) }

package marathon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Snapshot is every app of a Marathon at about one moment, in no order.
type Snapshot struct {
	// Apps are those that could be read, each ID once.
	Apps []App
	// Unreadable are the others. What is known of them has to stay as it is.
	Unreadable []Unreadable
}

// Unreadable is an app that Marathon has, but in a form that is not understood.
type Unreadable struct {
	// ID is "" if not even that could be read.
	ID string
	// Err names the field.
	Err error
}

// ReadSnapshot reads the answer to GET /v2/apps?embed=apps.tasks, one app at a
// time. It returns all of it or an error: an answer that is cut off, lacks
// "apps", has null there, or goes on after its end is not a cluster with fewer
// apps. An app that is whole but not understood is Unreadable.
func ReadSnapshot(r io.Reader) (Snapshot, error) {
	s := snapshotReader{json: json.NewDecoder(r), listed: map[string]int{}, one: texts{}}
	if err := s.answer(); err != nil {
		return Snapshot{}, s.describe(err)
	}
	return s.snapshot(), nil
}

// snapshotReader reads one answer.
type snapshotReader struct {
	json       *json.Decoder
	apps       []App
	unreadable []Unreadable
	// listed counts how often each ID occurs.
	listed map[string]int
	one    texts
}

func (s *snapshotReader) answer() error {
	if err := s.expect('{'); err != nil {
		return err
	}
	found := false
	for s.json.More() {
		key, err := s.json.Token()
		if err != nil {
			return err
		}
		if key != "apps" {
			if err := s.json.Decode(new(json.RawMessage)); err != nil {
				return err
			}
			continue
		}
		if found {
			return errors.New(`field "apps" is there twice`)
		}
		found = true
		if err := s.list(); err != nil {
			return err
		}
	}
	if err := s.expect('}'); err != nil {
		return err
	}
	if !found {
		return errors.New(`field "apps" is missing`)
	}
	return s.end()
}

func (s *snapshotReader) list() error {
	if err := s.expect('['); err != nil {
		return err
	}
	for s.json.More() {
		if err := s.app(); err != nil {
			return err
		}
	}
	return s.expect(']')
}

// app reads one app. Its error is one of the whole answer; an app that is
// merely not understood is none.
func (s *snapshotReader) app() error {
	var a appJSON
	err := s.json.Decode(&a)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !ok {
		return err
	}
	id := a.ID
	if checkID(id) != nil {
		id = ""
	}
	s.listed[id]++
	var app App
	if err == nil {
		app, err = a.app(s.one)
	}
	if err != nil {
		s.unreadable = append(s.unreadable, Unreadable{ID: id, Err: plain(err)})
		return nil
	}
	s.apps = append(s.apps, app)
	return nil
}

// snapshot returns what was read. Nobody can say which of two apps with one ID
// is the app, so neither counts.
func (s *snapshotReader) snapshot() Snapshot {
	result := Snapshot{Unreadable: s.unreadable}
	for _, app := range s.apps {
		if n := s.listed[app.ID]; n > 1 {
			err := fmt.Errorf("listed %d times", n)
			result.Unreadable = append(result.Unreadable, Unreadable{ID: app.ID, Err: err})
			continue
		}
		result.Apps = append(result.Apps, app)
	}
	return result
}

func (s *snapshotReader) expect(want json.Delim) error {
	token, err := s.json.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("unexpected %s where %s should be", kindOf(token), want)
	}
	return nil
}

// end makes sure that the answer is over.
func (s *snapshotReader) end() error {
	switch token, err := s.json.Token(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	default:
		return fmt.Errorf("unexpected %s after its end", kindOf(token))
	}
}

// describe says where an error happened, and calls a cut answer by its name.
func (s *snapshotReader) describe(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("answer is not usable after %d bytes: %w", s.json.InputOffset(), plain(err))
}

// kindOf names a token without repeating a long text.
func kindOf(token json.Token) string {
	switch t := token.(type) {
	case json.Delim:
		return t.String()
	case nil:
		return "null"
	case string:
		return "text"
	default:
		return fmt.Sprint(t)
	}
}

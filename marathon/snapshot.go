package marathon

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// Snapshot is every app of a Marathon at about one moment, in no order.
type Snapshot struct {
	// From is the URL of the master that answered, without its user.
	From string
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
	json := newScanner(r)
	s := snapshotReader{appsReader: newAppsReader(json), listed: map[string]int{}}
	if err := s.answer(); err != nil {
		return Snapshot{}, notUsable(json, err)
	}
	return s.snapshot(), nil
}

// snapshotReader reads one answer.
type snapshotReader struct {
	*appsReader
	apps       []App
	unreadable []Unreadable
	// listed counts how often each ID occurs.
	listed map[string]int
}

func (s *snapshotReader) answer() error {
	found := false
	err := s.json.object(func(name []byte) error {
		if string(name) != "apps" {
			return s.json.value()
		}
		if found {
			return errors.New(`field "apps" is there twice`)
		}
		found = true
		return s.json.array(s.next)
	})
	if err == nil && !found {
		err = errors.New(`field "apps" is missing`)
	}
	if err != nil {
		return err
	}
	return s.json.end()
}

// next reads one app. Its error is one of the whole answer; an app that is merely
// not understood is none.
func (s *snapshotReader) next() error {
	a, wrong, err := s.read()
	if err != nil {
		return err
	}
	id := a.ID
	if checkID(id) != nil {
		id = ""
	}
	s.listed[id]++
	var app App
	if wrong == nil {
		app, wrong = a.app(s.one)
	}
	if wrong != nil {
		s.unreadable = append(s.unreadable, Unreadable{ID: id, Err: wrong})
		return s.keep(appCost + len(id))
	}
	s.apps = append(s.apps, app)
	return s.keep(app.cost())
}

// snapshot returns what was read. Nobody can say which of two apps with one ID
// is the app, so neither counts.
func (s *snapshotReader) snapshot() Snapshot {
	apps := slices.DeleteFunc(s.apps, func(app App) bool {
		n := s.listed[app.ID]
		if n > 1 {
			s.unreadable = append(s.unreadable, Unreadable{ID: app.ID, Err: fmt.Errorf("listed %d times", n)})
			s.listed[app.ID] = 0 // it is said
		}
		return n != 1
	})
	return Snapshot{Apps: apps, Unreadable: s.unreadable}
}

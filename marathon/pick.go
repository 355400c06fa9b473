package marathon

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// pick reads an object and keeps those fields that are wanted of it. What the others hold
// is never in memory, however large it is.
type pick struct {
	json *scanner
	// wanted has the fields by name, and object counts the objects.
	wanted map[string]*wantedField
	object int
	// kept is a JSON object of the fields, without its last bracket; values is how many
	// values it has.
	kept   []byte
	values int
	// wrong is why it is not all that was wanted. Then an "id" is kept even so.
	wrong error
}

// wantedField is a field that is wanted, and the last object that had it.
type wantedField struct {
	name   string
	object int
}

// newPick returns a pick of what encoding/json would decode into a T. Fields besides are
// wanted too, but their values are the caller's to read.
func newPick[T any](json *scanner, besides ...string) *pick {
	p := &pick{json: json, wanted: map[string]*wantedField{}}
	for field := range reflect.TypeFor[T]().Fields() {
		if name := field.Tag.Get("json"); name != "-" {
			besides = append(besides, name)
		}
	}
	for _, name := range besides {
		p.wanted[name] = &wantedField{name: name}
	}
	return p
}

// read reads the next object, and forgets the one before. member must read the value of each
// name. What is no object is wrong, but for null, which says nothing.
func (p *pick) read(member func(name []byte) error) error {
	p.object++
	p.kept, p.values, p.wrong = append(p.kept[:0], '{'), 0, nil
	c, err := p.json.peek()
	switch {
	case err != nil:
		return err
	case c == '{':
		return p.json.object(member)
	}
	p.wrong = unexpected(c)
	return p.json.value()
}

// unexpected is the error of a value that begins with c; nil for null.
func unexpected(c byte) error {
	if c == 'n' {
		return nil
	}
	return fmt.Errorf("unexpected %s", kindOf(c))
}

// fail notes what is wrong with a field.
func (p *pick) fail(field string, err error) {
	p.note(fmt.Errorf("field %s: %w", field, err))
}

// note notes what is wrong, if it is the first reason.
func (p *pick) note(wrong error) {
	if p.wrong == nil {
		p.wrong = wrong
	}
}

// field returns which wanted field has this name; "" if none has, or its value is of no use
// any more. Of one that is there twice nobody can say which it is.
func (p *pick) field(name []byte) string {
	field := p.wanted[string(name)]
	switch {
	case field == nil:
		return ""
	case field.object == p.object:
		p.fail(field.name, errors.New("is there twice"))
		if field.name == "id" {
			p.kept = p.kept[:1]
		}
		return ""
	}
	field.object = p.object
	if p.wrong != nil && field.name != "id" {
		return ""
	}
	return field.name
}

// member reads a member.
func (p *pick) member(name []byte) error { return p.value(p.field(name)) }

// value reads the value of a field, and keeps it if it is wanted.
func (p *pick) value(field string) error {
	if field == "" {
		return p.json.value()
	}
	before := p.json.values
	raw, err := p.json.raw()
	values := p.values + p.json.values - before
	if err == nil && field != "id" && (len(p.kept)+len(raw) > maxKept || values > maxValues) {
		err = tooMuch
	}
	switch {
	case isUnfit(err):
		p.fail(field, err)
		return nil
	case err != nil:
		return err
	}
	if p.values = values; len(p.kept) > 1 {
		p.kept = append(p.kept, ',')
	}
	p.kept = append(p.kept, '"')
	p.kept = append(p.kept, field...)
	p.kept = append(p.kept, `":`...)
	p.kept = append(p.kept, raw...)
	return nil
}

// decode makes value of what was kept, and returns what is wrong with the object.
func (p *pick) decode(value any) error {
	err := json.Unmarshal(append(p.kept, '}'), value)
	if p.wrong != nil {
		return p.wrong
	}
	return plain(err)
}

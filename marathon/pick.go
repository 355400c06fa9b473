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
	// wanted has the name of each field with itself.
	wanted map[string]string
	// kept is a JSON object of the fields, without its last bracket; values is how many
	// values it has.
	kept   []byte
	values int
	// wrong is why it is not all that was wanted. Then an "id" is kept even so.
	wrong error
}

// newPick returns a pick of what encoding/json would decode into a T.
func newPick[T any](json *scanner) *pick {
	t := reflect.TypeFor[T]()
	wanted := map[string]string{}
	for field := range t.Fields() {
		if name := field.Tag.Get("json"); name != "-" {
			wanted[name] = name
		}
	}
	return &pick{json: json, wanted: wanted}
}

// begin forgets the object before.
func (p *pick) begin() { p.kept, p.values, p.wrong = append(p.kept[:0], '{'), 0, nil }

// fail notes what is wrong with a field.
func (p *pick) fail(field string, err error) {
	p.understood(fmt.Errorf("field %s: %w", field, err))
}

// understood notes what is wrong, if it is the first reason, and reports whether nothing is.
func (p *pick) understood(wrong error) bool {
	if p.wrong == nil {
		p.wrong = wrong
	}
	return p.wrong == nil
}

// member reads the value of a field.
func (p *pick) member(name []byte) error {
	field, wanted := p.wanted[string(name)]
	if !wanted || p.wrong != nil && field != "id" {
		return p.json.value()
	}
	before := p.json.values
	raw, err := p.json.raw()
	values := p.values + p.json.values - before
	if err == nil && field != "id" && (len(p.kept)+len(raw) > maxKept || values > maxValues) {
		err = errTooMuch
	}
	if errors.Is(err, errTooMuch) {
		p.fail(field, err)
		return nil
	}
	if p.values = values; len(p.kept) > 1 {
		p.kept = append(p.kept, ',')
	}
	p.kept = append(p.kept, '"')
	p.kept = append(p.kept, field...)
	p.kept = append(p.kept, `":`...)
	p.kept = append(p.kept, raw...)
	return err
}

// decode makes value of what was kept, and returns what is wrong with the object.
func (p *pick) decode(value any) error {
	err := json.Unmarshal(append(p.kept, '}'), value)
	if p.wrong != nil {
		return p.wrong
	}
	return plain(err)
}

package marathon

import "encoding/json"

// optional is a field that nothing else depends on: one that is not understood
// costs itself, and not the app that it belongs to.
type optional[T any] struct {
	// value is what could be read, which is not to be trusted unless given: a map may
	// have empty values, and a list elements that lack something.
	value T
	// given reports whether there is a value and all of it is understood.
	given bool
	// wrong says why it is not understood.
	wrong error
}

// UnmarshalJSON never fails: what is wrong is told in wrong. It is given JSON
// that is valid as such.
func (o *optional[T]) UnmarshalJSON(data []byte) error {
	*o = optional[T]{}
	if string(data) == "null" {
		return nil
	}
	if err := json.Unmarshal(data, &o.value); err != nil {
		o.wrong = plain(err)
		return nil
	}
	o.given = true
	return nil
}

// understood returns the value, or zero if it is not given.
func (o *optional[T]) understood() T {
	if o.given {
		return o.value
	}
	var zero T
	return zero
}

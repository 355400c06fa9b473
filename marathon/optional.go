package marathon

import "encoding/json"

// optional is a field that nothing else depends on: one that is not understood
// costs itself, and not the app that it belongs to.
type optional[T any] struct {
	// value is zero where the field is absent, null or not understood.
	value T
	// given reports whether there is a value that is understood.
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
	var value T
	if err := json.Unmarshal(data, &value); err != nil {
		o.wrong = plain(err)
		return nil
	}
	o.value, o.given = value, true
	return nil
}

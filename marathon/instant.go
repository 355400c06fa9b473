package marathon

import "time"

// instant is a time as Marathon writes it: RFC 3339 with a fraction of any
// length. What is no such time is zero, and costs nothing else.
type instant struct {
	time.Time
	// given reports whether there is any text at all.
	given bool
}

// UnmarshalJSON never fails.
func (i *instant) UnmarshalJSON(data []byte) error {
	*i = instant{given: string(data) != "null" && string(data) != `""`}
	if i.Time.UnmarshalJSON(data) != nil {
		i.Time = time.Time{}
	}
	i.Time = i.UTC()
	return nil
}

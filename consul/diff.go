package consul

import (
	"fmt"
	"maps"
	"slices"
)

// Diff says what drifted in have, which should be as s is: one line for each
// difference, such as "port 31001→31002" (have→s) or "tag missing: x". It is
// nil when nothing did. The order of the lines is always the same; that of the
// tags, and whether an empty list is nil, are no difference. IDs are not
// compared: what has another ID is another service; nor is a MetaToken that s has
// no opinion of.
//
// A resync calls it for every service, nearly all of them equal: then it
// allocates nothing.
func (s Service) Diff(have Service) []string {
	var drift []string
	if s.Name != have.Name {
		drift = append(drift, fmt.Sprintf("name %s→%s", have.Name, s.Name))
	}
	if s.Address != have.Address {
		drift = append(drift, fmt.Sprintf("address %s→%s", have.Address, s.Address))
	}
	if s.Port != have.Port {
		drift = append(drift, fmt.Sprintf("port %d→%d", have.Port, s.Port))
	}
	drift = appendAbsent(drift, "tag missing: ", s.Tags, have.Tags)
	drift = appendAbsent(drift, "tag extra: ", have.Tags, s.Tags)
	if !maps.Equal(s.Meta, have.Meta) {
		drift = appendMeta(drift, s.Meta, have.Meta)
	}
	return drift
}

// appendAbsent adds a line for each of tags that is not among others.
func appendAbsent(drift []string, what string, tags, others []string) []string {
	for _, tag := range tags {
		if !slices.Contains(others, tag) {
			drift = append(drift, what+tag)
		}
	}
	return drift
}

func appendMeta(drift []string, want, have map[string]string) []string {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		switch value, ok := have[key]; {
		case !ok:
			drift = append(drift, "meta missing: "+key)
		case value != want[key]:
			drift = append(drift, fmt.Sprintf("meta %s %s→%s", key, value, want[key]))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(have)) {
		if _, ok := want[key]; !ok && key != MetaToken {
			drift = append(drift, "meta extra: "+key)
		}
	}
	return drift
}

package marathon

import (
	"maps"
	"slices"
)

// Share returns d with all that it has in common with other taken from there, so
// that it is held in memory once: two versions of an app have most labels and
// ports in common. Neither may be changed afterwards.
func (d Definition) Share(other Definition) Definition {
	d.Labels = sharedLabels(d.Labels, other.Labels)
	if slices.Equal(d.HealthChecks, other.HealthChecks) {
		d.HealthChecks = other.HealthChecks
	}
	if slices.Equal(d.ReadinessChecks, other.ReadinessChecks) {
		d.ReadinessChecks = other.ReadinessChecks
	}
	if slices.EqualFunc(d.Ports, other.Ports, Port.equal) {
		d.Ports = other.Ports
		return d
	}
	d.Ports = slices.Clone(d.Ports)
	for i := range min(len(d.Ports), len(other.Ports)) {
		d.Ports[i].Labels = sharedLabels(d.Ports[i].Labels, other.Ports[i].Labels)
	}
	return d
}

// Alike reports whether tasks of d and other are the same services: reached in the same way,
// with the same labels, and with the same problems.
func (d Definition) Alike(other Definition) bool {
	return d.Network == other.Network && maps.Equal(d.Labels, other.Labels) && slices.EqualFunc(d.Ports, other.Ports, Port.equal) &&
		slices.Equal(d.Problems, other.Problems)
}

func (p Port) equal(other Port) bool {
	return p.Name == other.Name && p.Protocol == other.Protocol && p.Container == other.Container &&
		p.OnHost == other.OnHost && p.Network == other.Network && p.Networks == other.Networks && maps.Equal(p.Labels, other.Labels)
}

// sharedLabels returns other if that is equal to labels, or else a copy of labels
// with the texts that other has too.
func sharedLabels(labels, other map[string]string) map[string]string {
	if maps.Equal(labels, other) {
		return other
	}
	one := newTexts()
	for key, value := range other {
		one.text(key)
		one.text(value)
	}
	return one.texts(labels)
}

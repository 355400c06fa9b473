package simulator

import (
	"cmp"
	"math"
	"slices"
)

// scale launches or stops instances until there are n. Victims are chosen by
// killSelection YOUNGEST_FIRST: by their tasks, waiting ones last as they have none.
func (m *Marathon) scale(id string, spec *runSpec, n int, first *instance) {
	var active []*instance
	for _, i := range m.instances[id] {
		if i.active() {
			active = append(active, i)
		}
	}
	for range n - len(active) {
		m.launch(spec)
	}
	surplus := len(active) - n
	if surplus <= 0 {
		return
	}
	slices.Reverse(active)
	slices.SortStableFunc(active, func(a, b *instance) int {
		return cmp.Or(cmp.Compare(victimRank(a, first), victimRank(b, first)), cmp.Compare(b.launched, a.launched))
	})
	for _, i := range active[:surplus] {
		m.stop(i)
	}
	if n == 0 {
		// What is unreachable and no longer counted goes as well.
		for _, i := range slices.Clone(m.instances[id]) {
			m.stop(i)
		}
	}
}

func victimRank(i, first *instance) int {
	switch {
	case i == first:
		return 0
	case len(i.tasks) > 0:
		return 1
	default:
		return 2
	}
}

// replace starts a rolling replacement by instances of spec.
func (m *Marathon) replace(spec *runSpec) {
	m.replacing[spec.ID] = spec
	m.continueReplacement(spec.ID)
}

// continueReplacement launches and stops as many instances as the upgrade
// strategy allows at this moment. It is called whenever one runs or has ended.
func (m *Marathon) continueReplacement(id string) {
	spec := m.replacing[id]
	if spec == nil {
		return
	}
	var old []*instance
	total, renewed, running := m.leaving[id], 0, 0
	for _, i := range m.instances[id] {
		total++
		switch {
		case !i.active():
		case i.spec.version != spec.version:
			old = append(old, i)
		default:
			renewed++
			if m.serves(i) {
				running++
			}
		}
	}
	least := int(math.Ceil(float64(spec.Instances) * spec.Upgrade.MinimumHealthCapacity))
	most := int(math.Floor(float64(spec.Instances) * (1 + spec.Upgrade.MaximumOverCapacity)))
	for range min(spec.Instances-renewed, max(most-total, 0)) {
		m.launch(spec)
	}
	for _, i := range old[:min(len(old), max(len(old)+running-least, 0))] {
		m.stop(i)
	}
	if len(old) == 0 && renewed == spec.Instances {
		delete(m.replacing, id)
	}
}

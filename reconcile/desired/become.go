package desired

import (
	"fmt"
	"strings"

	"consular/marathon"
)

// Labels that options make tags and Meta of.

// labelSet are labels that become tags, by label, and Meta, by the key that they have there.
type labelSet struct {
	tags map[string]string
	meta map[string]string
}

// labels finds the labels that options make tags and Meta of.
func (b *shapeBuilder) labels(d marathon.Definition) {
	if len(b.options.TagLabels)+len(b.options.MetaLabels) == 0 {
		return
	}
	b.ofApp = b.become(d.Labels, "")
	for i, port := range d.Ports {
		if len(port.Labels) == 0 {
			continue
		}
		if b.ofPorts == nil {
			b.ofPorts = make([]labelSet, len(d.Ports))
		}
		b.ofPorts[i] = b.become(port.Labels, "port "+clipped(portWord(d.Ports, i))+": ")
	}
}

// become makes tags and Meta of labels. Those that say what services are to be are none.
func (b *shapeBuilder) become(labels map[string]string, where string) labelSet {
	word, shaping := b.options.word(), b.options
	var set labelSet
	for _, label := range sortedLabels(labels, func(label string) bool {
		return label != word && !strings.HasPrefix(label, word+".") && (shaping.TagLabels.Match(label) || shaping.MetaLabels.Match(label))
	}) {
		value := labels[label]
		if shaping.TagLabels.Match(label) {
			tag := label + "=" + value
			if err := checkTag(tag); err != nil {
				b.problems.add(where+labelled(label, value), fmt.Errorf("as a tag it %w", err), leftOut)
			} else {
				set.tags = put(set.tags, label, tag)
			}
		}
		if !shaping.MetaLabels.Match(label) {
			continue
		}
		key := metaKey(label)
		err := checkMeta(key, value)
		if _, taken := set.meta[key]; err == nil && taken {
			err = fmt.Errorf("another label is %s already", key)
		}
		if err != nil {
			b.problems.add(where+labelled(label, value), fmt.Errorf("as Meta: %w", err), leftOut)
			continue
		}
		set.meta = put(set.meta, key, value)
	}
	return set
}

func put(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

// metaKey is a label's name as the key of a Meta, with _ for what Consul does not take.
func metaKey(label string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, label)
}

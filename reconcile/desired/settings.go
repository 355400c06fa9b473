package desired

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"consular/marathon"
)

// settings are what the labels of one definition say about its services. Each dialect
// makes them in its own way; from then on there is one way.
type settings struct {
	// leftOut says what leaves the app out, and noKeys that none of its labels is a key.
	leftOut string
	noKeys  bool
	// health is how the health of its tasks comes to Consul; "" is as the option says.
	health HealthMode
	// The names are the first service's; none is the name made of the app's ID. The tags and
	// meta are those of all services.
	description
	// ports are in the order of the declarations; one for an app without ports. portsSaid
	// is that a label chooses among them.
	ports     []portSettings
	portsSaid bool
	// shared allows two ports one name.
	shared bool
}

// portSettings are what labels say about one port.
type portSettings struct {
	// chosen ports are services. mentioned is that a label is about this port.
	chosen, mentioned bool
	// The names are one for each service of the port; none is the usual name.
	description
}

// description is what an app and a port may say alike.
type description struct {
	names []string
	tags  []tagSetting
	meta  map[string]string
}

// tagSetting is one tag, for the services that are called only so, if it says that.
type tagSetting struct{ text, only string }

// newSettings are those of a definition without any labels.
func (s Shaping) newSettings(ports []marathon.Port) settings {
	all := settings{ports: make([]portSettings, max(1, len(ports)))}
	for i := range all.ports {
		all.ports[i].chosen = i == 0 || s.AllPorts
	}
	return all
}

// read reads the labels of a definition. What is wrong with them is a problem, and
// nothing else.
func (s Shaping) read(d marathon.Definition, p *problems) settings {
	if s.Allegro {
		return s.readAllegro(d, p)
	}
	return s.readConsular(d, p)
}

// problems are what is wrong with the labels of one definition, in words.
type problems struct {
	lines []string
	more  int
}

// maxProblems bounds what is told of one definition.
const maxProblems = 50

// add notes one: which label or port, what is wrong, and what was taken instead.
func (p *problems) add(what string, wrong any, instead string) {
	p.say(fmt.Sprintf("%s: %v; %s", what, wrong, instead))
}

// say notes one in these words.
func (p *problems) say(line string) {
	if len(p.lines) == maxProblems {
		p.more++
		return
	}
	p.lines = append(p.lines, line)
}

// all returns them, with one line more for those beyond the bound.
func (p *problems) all() []string {
	if p.more > 0 {
		return append(p.lines, fmt.Sprintf("and %d more", p.more))
	}
	return p.lines
}

// What is taken instead of what is wrong.
const (
	asWithout  = "taken as if it were not there"
	nameOfID   = "taken instead: the name made of the app's ID"
	leftOut    = "left out"
	allTheSame = "registered all the same"
)

// labelled is a label as people read it.
func labelled(label, value string) string { return clipped(label) + "=" + fmt.Sprintf("%.80q", value) }

// clipped is a label's name, or a port's, as a line of text can take it.
func clipped(name string) string {
	if len(name) > 80 || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Sprintf("%.80q", name)
	}
	return name
}

// isNumber reports whether a port's name has digits only: such a port goes by its index.
func isNumber(name string) bool {
	return name != "" && strings.Trim(name, "0123456789") == ""
}

// portWord is the port in the ID of its service: its name, or its index if it has none
// or one of digits only.
func portWord(ports []marathon.Port, i int) string {
	if name := ports[i].Name; name != "" && !isNumber(name) {
		return name
	}
	return fmt.Sprint(i)
}

// portsByWord are the indexes of ports by what labels may call them: name or index.
func portsByWord(ports []marathon.Port) map[string]int {
	by := make(map[string]int, 2*len(ports))
	for i := range ports {
		by[fmt.Sprint(i)] = i
	}
	for i, p := range ports {
		if _, taken := by[p.Name]; !taken && p.Name != "" && !isNumber(p.Name) {
			by[p.Name] = i
		}
	}
	return by
}

// sortedLabels returns the labels that are wanted, in order.
func sortedLabels(labels map[string]string, wanted func(label string) bool) []string {
	var names []string
	for label := range labels {
		if wanted(label) {
			names = append(names, label)
		}
	}
	slices.Sort(names)
	return names
}

// overlaid returns base with all of over in it; base itself where nothing is to be added.
func overlaid(base, over map[string]string) map[string]string {
	if len(over) == 0 {
		return base
	}
	both := maps.Clone(base)
	if both == nil {
		both = make(map[string]string, len(over))
	}
	maps.Copy(both, over)
	return both
}

// portsOf says which ports there are.
func portsOf(ports []marathon.Port) string {
	if len(ports) == 0 {
		return "it declares none"
	}
	var words []string
	for i := range ports[:min(len(ports), 10)] {
		words = append(words, clipped(portWord(ports, i)))
	}
	if len(ports) > 10 {
		words = append(words, "…")
	}
	return "it has " + strings.Join(words, ", ")
}

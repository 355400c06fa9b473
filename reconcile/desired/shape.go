package desired

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"consular/consul"
	"consular/marathon"
)

// shape is what one definition is in Consul: worked out once, for all of its tasks.
type shape struct {
	// leftOut says which label, or option about labels, leaves the app out: then it has
	// neither services nor keys. noKeys is that it has no keys.
	leftOut string
	noKeys  bool
	// health is how the health of its tasks comes to Consul, if it has checks.
	health HealthMode
	// services are in the order of the declared ports. None of them may be.
	services []serviceShape
	// firstPort is the name of the first declared port.
	firstPort string
	// problems are what is wrong with its labels, in words.
	problems []string
	// omitted counts the declared ports that are no services though no label says so.
	omitted int
}

// serviceShape is one service, but for what is a task's own.
type serviceShape struct {
	// port is the declared port's index; -1 without one.
	port int
	// suffix is what the service's ID has behind the task's.
	suffix string
	name   string
	// made is set on a name that is made of the app's ID.
	made bool
	// tags and meta are all but what is a task's own. places is set when tags name ports.
	tags   []string
	meta   map[string]string
	places bool
}

// shape works out what a definition is in Consul.
func (tr Translation) shape(app string, d marathon.Definition) *shape {
	b := shapeBuilder{
		shape: &shape{}, options: tr.Shaping, ports: d.Ports,
		made: tr.ServiceName(app), owner: tr.Owner.Tags(app), names: map[string]string{}, called: map[string]bool{},
	}
	if len(d.Ports) > 0 {
		b.firstPort = d.Ports[0].Name
	}
	for _, problem := range d.Problems { // what could not even be read
		b.problems.say(problem)
	}
	b.settings = tr.Shaping.read(d, &b.problems)
	b.health = cmp.Or(b.settings.health, tr.Health, HealthNone)
	if b.leftOut = b.settings.leftOut; b.leftOut == "" {
		b.noKeys = b.settings.noKeys
		b.labels(d)
		for i, port := range b.settings.ports {
			switch {
			case port.chosen:
				b.addPort(i)
			case !port.mentioned && !b.settings.portsSaid:
				b.omitted++
			}
		}
	}
	b.shape.problems = b.problems.all()
	return b.shape
}

// shapeBuilder builds one shape.
type shapeBuilder struct {
	*shape
	options  Shaping
	settings settings
	problems problems
	ports    []marathon.Port
	// made is the name made of the app's ID, and owner the tags that are ours.
	made  string
	owner []string
	// names are those of its services, by what their IDs have behind the task's, and called
	// says which names there are.
	names  map[string]string
	called map[string]bool
	// tagged is the size of all tags that its services have so far.
	tagged int
	// ofApp are the app's labels that become tags and Meta, and ofPorts those of its
	// ports.
	ofApp   labelSet
	ofPorts []labelSet
}

// addPort adds the services of one port: one for each of its names.
func (b *shapeBuilder) addPort(i int) {
	if len(b.ports) > 0 && beyondReach(b.ports[i]) {
		b.problems.add("port "+clipped(portWord(b.ports, i)), errBeyondReach, leftOut)
		return
	}
	for n, name := range b.namesOf(i) {
		b.add(i, n, name)
	}
}

// serviceName is a name, and whether it is made of the app's ID.
type serviceName struct {
	text string
	made bool
}

// namesOf returns the names of one port's services, each once.
func (b *shapeBuilder) namesOf(i int) []serviceName {
	given := b.settings.ports[i].names
	if i == 0 && len(given) == 0 {
		given = b.settings.names
	}
	var names []serviceName
	for _, text := range given {
		name := serviceName{text: text}
		if text == madeName {
			name = serviceName{b.made, true}
		}
		if !slices.ContainsFunc(names, func(other serviceName) bool { return other.text == name.text }) {
			names = append(names, name)
		}
	}
	switch {
	case len(names) > 0:
	case i == 0:
		names = []serviceName{{b.made, true}}
	default:
		first := b.namesOf(0)[0]
		names = []serviceName{{first.text + "-" + portWord(b.ports, i), first.made}}
	}
	return names
}

// add adds the nth service of a port.
func (b *shapeBuilder) add(i, n int, name serviceName) {
	s := serviceShape{port: i, name: name.text, made: name.made}
	word := "0"
	if len(b.ports) == 0 {
		s.port = -1
	} else {
		word = portWord(b.ports, i)
	}
	switch {
	case n > 0:
		s.suffix = ":" + word + ":" + s.name
	case i > 0:
		s.suffix = ":" + word
	}
	err := (consul.Service{ID: "task" + s.suffix, Name: s.name}).Check()
	if other, taken := b.taken(s); taken {
		err = fmt.Errorf("has the name of another: %s", clipped(other))
	}
	if err != nil {
		b.problems.add("the service of port "+clipped(word), err, leftOut)
		return
	}
	if usual := i > 0 && len(b.settings.ports[i].names) == 0; usual && !inDNS(s.name) && inDNS(b.namesOf(0)[0].text) {
		b.problems.add("service "+clipped(s.name), errNotInDNS, allTheSame) // because of the port
	}
	b.tag(&s, i)
	b.describe(&s, i)
	b.services = append(b.services, s)
	b.names[s.suffix], b.called[s.name] = s.name, true
}

// taken returns what the service is called that has the name or the ID of another.
func (b *shapeBuilder) taken(s serviceShape) (name string, is bool) {
	if name, is = b.names[s.suffix]; is {
		return name, true
	}
	return s.name, b.called[s.name] && !b.settings.shared
}

// tag gives a service its tags: ours, the app's and its port's, and those that labels become.
func (b *shapeBuilder) tag(s *serviceShape, i int) {
	s.tags = b.owner
	if b.tagged > maxAllTags {
		return
	}
	tags := slices.Concat(b.settings.tags, b.settings.ports[i].tags)
	become := b.ofApp.tags
	if b.ofPorts != nil {
		become = overlaid(become, b.ofPorts[i].tags)
	}
	for _, label := range sortedKeys(become) {
		tags = append(tags, tagSetting{text: become[label]})
	}
	if len(tags) == 0 {
		return
	}
	s.tags = slices.Clone(b.owner)
	have, size := map[string]bool{}, 0
	for _, t := range tags {
		if have[t.text] || t.only != "" && t.only != s.name {
			continue
		}
		if size += len(t.text); size > maxTags {
			b.problems.add("service "+clipped(s.name), fmt.Errorf("has tags of more than %d bytes", maxTags), "the last ones are left out")
			return
		}
		if b.tagged += len(t.text); b.tagged > maxAllTags {
			b.problems.add("all services", fmt.Errorf("have tags of more than %d bytes", maxAllTags), "the last ones are left out")
			return
		}
		have[t.text] = true
		s.tags = append(s.tags, t.text)
		s.places = s.places || b.options.Allegro && strings.Contains(t.text, placeBegins)
	}
}

// describe gives a service the Meta that labels say: first what they say as such, and then
// what they become, each in the order of names.
func (b *shapeBuilder) describe(s *serviceShape, i int) {
	said := overlaid(b.settings.meta, b.settings.ports[i].meta)
	become := b.ofApp.meta
	if b.ofPorts != nil {
		become = overlaid(become, b.ofPorts[i].meta)
	}
	if len(said)+len(become) <= consul.MaxMeta-ourMeta {
		s.meta = overlaid(become, said)
		return
	}
	s.meta = map[string]string{}
	left := 0
	for _, pairs := range []map[string]string{said, become} {
		for _, key := range sortedKeys(pairs) {
			switch _, there := s.meta[key]; {
			case there:
			case len(s.meta) == consul.MaxMeta-ourMeta:
				left++
			default:
				s.meta[key] = pairs[key]
			}
		}
	}
	if left > 0 {
		b.problems.add("service "+clipped(s.name), fmt.Errorf("has %d pairs of Meta too many", left), "the last ones by name are left out")
	}
}

package desired

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"consular/marathon"
)

// The labels by which an app says what its services are to be. "consul" is another word
// with --label-prefix. PORT is a declared port's name, or its index from 0.
//
//	label of the app                       means
//	consul.register                        false: the app is left out; true: it is in, under --register labelled
//	consul.ports                           which ports are services: first, all, or names and indexes with commas
//	consul.name                            the name of the first service, instead of the one made of the app's ID
//	consul.tags                            tags of all services, with commas between them; \, is a comma, \\ a backslash
//	consul.meta.KEY                        the Meta value of KEY of all services
//	consul.kv                              false: none of the app's labels becomes a key
//	consul.health                          how its health is shown
//	consul.port.PORT.register              false: the port is no service, whatever else says so; true: it is one
//	consul.port.PORT.name, .tags, .meta.KEY   of the service of that port, which is one because of it
//
//	label of a port                        means
//	consul.register, .name, .tags, .meta.KEY   the same as consul.port.PORT. and that
//
// A port's own label wins over consul.port.NAME, that over consul.port.INDEX, and these over
// the app's: names, tags and values of one KEY are replaced. But the app's tags and all its
// Meta are on each of its services.
//
// A label that makes no sense counts as if it were not there, and is a problem. So is
// one of these names that is none of these labels.

// ourLabel is one of our labels.
type ourLabel struct {
	// port is the index of the one that it is about; -1 for the app.
	port int
	// rank orders labels that say the same: the higher wins.
	rank int
	// what is what it sets ("name", "meta"), and key the KEY of a Meta.
	what, key string
	// label and value are as Marathon has them, and shown as people are told.
	label, value string
}

// Ranks of labels about one port.
const (
	ofApp = iota
	ofIndex
	ofName
	ofPort
)

// shown is the label as people are told of it.
func (l ourLabel) shown(ports []marathon.Port) string {
	if l.rank == ofPort {
		return "port " + clipped(portWord(ports, l.port)) + ": " + labelled(l.label, l.value)
	}
	return labelled(l.label, l.value)
}

// readConsular reads consular's own labels.
func (s Shaping) readConsular(d marathon.Definition, p *problems) settings {
	r := labelReader{settings: s.newSettings(d.Ports), ports: d.Ports, problems: p}
	if s.Labelled {
		r.leftOut = byRegister
	}
	r.collect(s.word()+".", d)
	r.out = make([]bool, len(r.settings.ports))
	for _, l := range r.all {
		if err := r.take(l); err != nil {
			p.add(l.shown(d.Ports), err, r.instead(l))
		}
	}
	for i := range r.settings.ports {
		port := &r.settings.ports[i]
		port.chosen = (port.chosen || port.mentioned) && !r.out[i]
	}
	return r.settings
}

// labelReader reads consular's own labels of one definition.
type labelReader struct {
	settings
	ports    []marathon.Port
	problems *problems
	byWord   map[string]int
	all      []ourLabel
	// out are the ports that a label leaves out.
	out []bool
}

// collect finds our labels, in the order in which a later one wins.
func (r *labelReader) collect(prefix string, d marathon.Definition) {
	ours := func(label string) bool { return strings.HasPrefix(label, prefix) }
	for _, label := range sortedLabels(d.Labels, ours) {
		l := ourLabel{port: -1, label: label, value: d.Labels[label]}
		l.what, l.key = whatOf(strings.TrimPrefix(label, prefix))
		if rest, is := strings.CutPrefix(label, prefix+"port."); is {
			if err := r.ofPort(&l, rest); err != nil {
				r.problems.add(l.shown(r.ports), err, asWithout)
				continue
			}
		}
		r.all = append(r.all, l)
	}
	for i, port := range d.Ports {
		for _, label := range sortedLabels(port.Labels, ours) {
			l := ourLabel{port: i, rank: ofPort, label: label, value: port.Labels[label]}
			l.what, l.key = whatOf(strings.TrimPrefix(label, prefix))
			r.all = append(r.all, l)
		}
	}
	slices.SortStableFunc(r.all, func(a, b ourLabel) int { return cmp.Compare(a.rank, b.rank) })
}

// whatOf splits off the KEY of a Meta, which has no dots.
func whatOf(setting string) (what, key string) {
	if key, is := strings.CutPrefix(setting, "meta."); is {
		return "meta", key
	}
	return setting, ""
}

// ofPort finds the port of a label consul.port.PORT.…; the port's name may have dots, and
// a KEY of Meta may be called like a setting.
func (r *labelReader) ofPort(l *ourLabel, rest string) (err error) {
	at := strings.LastIndex(rest, ".")
	if at < 0 {
		return errors.New("says nothing about a port")
	}
	l.port, err = r.port(rest[:at])
	isSetting := slices.Contains([]string{".name", ".tags", ".register"}, rest[at:])
	if meta := strings.LastIndex(rest, ".meta."); meta >= 0 && (err != nil || !isSetting) {
		at = meta
		l.port, err = r.port(rest[:at])
	}
	l.what, l.key = whatOf(rest[at+1:])
	l.rank = ofName
	if isNumber(rest[:at]) {
		l.rank = ofIndex
	}
	return err
}

// port finds a port by its name or index.
func (r *labelReader) port(word string) (int, error) {
	if r.byWord == nil {
		r.byWord = portsByWord(r.ports)
	}
	i, is := r.byWord[word]
	if !is {
		return 0, fmt.Errorf("the app has no port %s (%s)", clipped(word), portsOf(r.ports))
	}
	return i, nil
}

// instead says what is taken instead of a label that makes no sense.
func (r *labelReader) instead(l ourLabel) string {
	switch {
	case l.what == "name" && l.port < 0:
		return nameOfID
	case l.what == "ports":
		return "taken instead: --ports"
	case l.what == "health":
		return "taken instead: --health"
	}
	return asWithout
}

var errNeither = errors.New("must be true or false")

// take takes one label in, or says why it makes no sense.
func (r *labelReader) take(l ourLabel) error {
	if l.port < 0 {
		return r.takeApps(l)
	}
	port := &r.settings.ports[l.port]
	if l.what != "register" {
		if err := r.describe(l, &port.description); err != nil {
			return err
		}
	} else {
		in, err := truth(l.value)
		if err != nil {
			return err
		}
		r.out[l.port] = r.out[l.port] || !in
	}
	port.mentioned = true
	return nil
}

// describe takes in what an app and a port may say alike.
func (r *labelReader) describe(l ourLabel, to *description) error {
	switch l.what {
	case "name":
		name := strings.TrimSpace(l.value)
		if err := checkName(name); err != nil {
			return err
		}
		if !inDNS(name) {
			r.problems.add(l.shown(r.ports), errNotInDNS, allTheSame)
		}
		to.names = []string{name}
	case "tags":
		tags, err := readTags(l.value)
		if err != nil {
			return err
		}
		to.tags = tags
	case "meta":
		if err := checkMeta(l.key, l.value); err != nil {
			return err
		}
		to.meta = put(to.meta, l.key, l.value)
	default:
		if l.port < 0 {
			return errors.New("is no setting of an app")
		}
		return errors.New("is no setting of a port")
	}
	return nil
}

// takeApps takes one label in that is about the app.
func (r *labelReader) takeApps(l ourLabel) error {
	switch l.what {
	case "register":
		in, err := truth(l.value)
		switch {
		case err != nil:
			return err
		case in:
			r.leftOut = ""
		default:
			r.leftOut = l.label + "=false"
		}
	case "ports":
		return r.takePorts(l.value)
	case "kv":
		in, err := truth(l.value)
		r.noKeys = err == nil && !in
		return err
	case "health":
		mode := HealthMode(strings.TrimSpace(l.value))
		if err := mode.Check(); err != nil {
			return err
		}
		r.health = mode
	default:
		return r.describe(l, &r.description)
	}
	return nil
}

// takePorts takes in which ports are services.
func (r *labelReader) takePorts(value string) error {
	chosen := make([]bool, len(r.settings.ports))
	switch value = strings.TrimSpace(value); value {
	case "first":
		chosen[0] = true
	case "all":
		for i := range chosen {
			chosen[i] = true
		}
	default:
		some := false
		for word := range strings.SplitSeq(value, ",") {
			if word = strings.TrimSpace(word); word == "" {
				continue
			}
			i, err := r.port(word)
			if err != nil {
				return err
			}
			chosen[i], some = true, true
		}
		if !some {
			return errors.New("names no port")
		}
	}
	for i := range chosen {
		r.settings.ports[i].chosen = chosen[i]
	}
	r.portsSaid = true
	return nil
}

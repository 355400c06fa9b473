package desired

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"consular/marathon"
)

// The labels of allegro/marathon-consul, so that nobody has to edit apps to move. "consul"
// is another word with --label-prefix.
//
//	label               means
//	consul: NAME,…      of an app: it is registered, its first port by these names. true, or
//	                    nothing, is the name made of the app's ID. Without it the app is left out
//	consul: NAME,…      of a port: that port is registered by these names, and of the app's ports
//	                    only those that have such a label
//	ANY: tag            ANY is a tag: of all services if the label is the app's, else of the port's
//	ANY: tag:NAME       the same, of the services called NAME alone
//
// Slashes in a NAME become --name-separator, as in an app's ID. {port:PORT} within a tag is the
// number at which the port of that name is reached.

// readAllegro reads the labels of allegro/marathon-consul.
func (s Shaping) readAllegro(d marathon.Definition, p *problems) settings {
	r := allegroReader{settings: s.newSettings(d.Ports), word: s.word(), separator: s.separator(), ports: d.Ports, problems: p}
	r.shared = true
	names, is := r.namesOf(d.Labels, "")
	if !is {
		r.leftOut = "no label " + r.word
		return r.settings
	}
	r.names, r.tags = names, r.tagsOf(d.Labels, "")
	labelled := func(port marathon.Port) bool { _, is := port.Labels[r.word]; return is }
	some := slices.ContainsFunc(d.Ports, labelled)
	r.portsSaid = some
	for i, port := range d.Ports {
		where := "port " + clipped(portWord(d.Ports, i)) + ": "
		to := &r.settings.ports[i]
		if some {
			to.names, to.chosen = r.namesOf(port.Labels, where)
		}
		to.tags = r.tagsOf(port.Labels, where)
	}
	return r.settings
}

// allegroReader reads the labels of allegro/marathon-consul of one definition.
type allegroReader struct {
	settings
	word, separator string
	ports           []marathon.Port
	problems        *problems
}

// madeName stands for the name that is made of the app's ID.
const madeName = ""

// namesOf reads the names that a label gives; is tells whether it is there.
func (r *allegroReader) namesOf(labels map[string]string, where string) (names []string, is bool) {
	value, is := labels[r.word]
	bad := func(err error) ([]string, bool) {
		r.problems.add(where+labelled(r.word, value), err, nameOfID)
		return []string{madeName}, is
	}
	for name := range strings.SplitSeq(value, ",") {
		name = strings.TrimSpace(name)
		switch made := strings.ReplaceAll(strings.Trim(name, "/"), "/", r.separator); {
		case name == "": // an empty element is nothing
		case len(names) == maxNames:
			return bad(fmt.Errorf("more than %d names", maxNames))
		case made == "" || name == "true":
			names = append(names, madeName)
		default:
			if err := checkName(made); err != nil {
				return bad(err)
			}
			// Its own default makes names with dots.
			if !inDNS(strings.ReplaceAll(made, ".", "")) {
				r.problems.add(where+labelled(r.word, value), errNotInDNS, allTheSame)
			}
			names = append(names, made)
		}
	}
	if len(names) == 0 {
		names = []string{madeName}
	}
	return names, is
}

// tagsOf reads the tags among labels, in order.
func (r *allegroReader) tagsOf(labels map[string]string, where string) []tagSetting {
	var tags []tagSetting
	for _, label := range sortedLabels(labels, func(label string) bool {
		return label != r.word && (labels[label] == "tag" || strings.HasPrefix(labels[label], "tag:"))
	}) {
		err := checkTag(label)
		if err == nil {
			err = r.checkPlaces(label)
		}
		if err != nil {
			r.problems.add(where+labelled(label, labels[label]), err, asWithout)
			continue
		}
		_, only, _ := strings.Cut(labels[label], ":")
		only = strings.ReplaceAll(strings.Trim(strings.TrimSpace(only), "/"), "/", r.separator)
		tags = append(tags, tagSetting{text: label, only: only})
	}
	return tags
}

// checkPlaces reports which port that a tag names there is none of, or none that can be
// reached.
func (r *allegroReader) checkPlaces(tag string) (err error) {
	_, _ = placed(tag, func(port string) (int, bool) {
		switch i := portNamed(r.ports, port); {
		case i < 0:
			err = fmt.Errorf("the app has no port %s (%s)", clipped(port), portsOf(r.ports))
		case beyondReach(r.ports[i]):
			err = fmt.Errorf("port %s: %w", clipped(port), errBeyondReach)
		}
		return 0, true
	})
	return err
}

var errBeyondReach = errors.New("a random port within the container, which nobody can reach")

// beyondReach reports whether a port can never be reached: only the task itself knows it.
func beyondReach(p marathon.Port) bool { return !p.OnHost && p.Container == 0 }

func portNamed(ports []marathon.Port, name string) int {
	return slices.IndexFunc(ports, func(p marathon.Port) bool { return p.Name == name })
}

// placeBegins is how the place of a port's number in a tag begins.
const placeBegins = "{port:"

// placed returns a tag with the numbers of ports in their places; known is false when
// one of them is not known yet.
func placed(tag string, number func(port string) (n int, known bool)) (text string, known bool) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(tag, placeBegins)
		port, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			out.WriteString(tag)
			return out.String(), true
		}
		n, known := number(port)
		if !known {
			return "", false
		}
		out.WriteString(before)
		out.WriteString(strconv.Itoa(n))
		tag = after
	}
}

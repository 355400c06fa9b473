package desired

import (
	"cmp"
	"strings"
)

// Shaping is what options say about services and keys, for all apps. The zero value is
// all defaults. What a label says of an app or a port wins, but for Apps, ExcludeApps and
// Labelled.
type Shaping struct {
	// AllPorts makes a service of each declared port, not of the first alone.
	AllPorts bool
	// Allegro reads the labels of allegro/marathon-consul, not consular's.
	Allegro bool
	// LabelPrefix is the word that our labels begin with; "" is "consul".
	LabelPrefix string
	// NameSeparator takes the place of the slashes of an app's ID in the name that is made
	// of it; "" is "-", and "." with Allegro.
	NameSeparator string
	// TagLabels are labels that become tags "key=value", and MetaLabels those that become
	// Meta.
	TagLabels, MetaLabels Globs
	// Apps are the IDs of those that are in, all when empty, but for ExcludeApps.
	Apps, ExcludeApps Globs
	// Labelled takes only apps in whose label says so.
	Labelled bool
	// KVLabels are the labels that become keys, all when empty; NoKV is that none do, and
	// that the KV store is left alone.
	KVLabels Globs
	NoKV     bool
	// NodeAddress registers no address, but for container networks: Consul answers with
	// that of its node.
	NodeAddress bool
}

func (s Shaping) word() string { return cmp.Or(s.LabelPrefix, "consul") }

func (s Shaping) separator() string {
	if s.Allegro {
		return cmp.Or(s.NameSeparator, ".")
	}
	return cmp.Or(s.NameSeparator, "-")
}

// ServiceName returns the name that is made of an app's ID: "/group/my-app" is
// "group-my-app". Its keys are below it. Two apps can have one name; see clash.go.
func (s Shaping) ServiceName(app string) string {
	return strings.ReplaceAll(strings.TrimPrefix(app, "/"), "/", s.separator())
}

// nameLabel is the label that gives the service of a port its own name.
func (s Shaping) nameLabel(port string) string {
	if s.Allegro {
		return "the label " + s.word() + " of the port " + port
	}
	return "the label " + s.word() + ".port." + port + ".name"
}

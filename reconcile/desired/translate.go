package desired

import (
	"maps"
	"slices"
	"strings"

	"consular/consul"
	"consular/marathon"
)

// Translation says how Marathon's words become Consul's.
type Translation struct {
	// Owner marks what is written.
	Owner consul.Owner
	// Former owned things before, and all of them are ours now; nil for none.
	Former *consul.Owner
	// Adopt takes every key below the prefix that nobody owns as ours.
	Adopt bool
	// Framework is frameworkId of GET /v2/info; "" while it is not known.
	Framework string
	// AnyFramework takes what carries our registration ID as ours whatever framework it
	// names: for an operator who says so.
	AnyFramework bool
	// Token is the accessor ID of the ACL token that services are registered with; "" where
	// there is none, or where it is not ours to say.
	Token string
	// Encode is how a label's value is stored (consul.Labels.Encode).
	Encode func(value string) string
	// Prefix is that of all keys, for people to read.
	Prefix string
	// Health is how the health of tasks comes to Consul; "" is HealthNone.
	Health HealthMode
	// Shaping is what options say about services and keys.
	Shaping Shaping
}

// ServiceName returns the name that is made of an app's ID, below which its keys are.
func (tr Translation) ServiceName(app string) string { return tr.Shaping.ServiceName(app) }

// Path is the whole name of a key.
func (tr Translation) Path(k consul.Key) string { return tr.Prefix + "/" + k.Service + "/" + k.Label }

// TaskOf returns the ID of the task that owns a service: the one that its Meta names,
// as long as the service's own ID is made of it ("<task>" or "<task>:<port>"). Where
// the two disagree somebody has edited the Meta, and the ID tells.
func TaskOf(s consul.Service) string {
	task := s.Meta[consul.MetaTask]
	if task != "" && (s.ID == task || strings.HasPrefix(s.ID, task+":")) {
		return task
	}
	task, _, _ = strings.Cut(s.ID, ":")
	return task
}

// service is one of a task's services, as far as it can be reached.
func (tr Translation) service(s *serviceShape, r *reach) (consul.Service, error) {
	at, tags, known := r.port(s.port), s.tags, true
	if s.places {
		tags, known = r.places(tags)
	}
	if at.Reach != marathon.Reachable || !known {
		return consul.Service{}, errUnreachable
	}
	if tr.Shaping.NodeAddress && r.onHost(s.port) {
		at.Address = ""
	}
	made := consul.Service{
		ID: r.ID + s.suffix, Name: s.name, Address: at.Address, Port: at.Port, Tags: tags, Meta: tr.meta(s, r.Task),
	}
	return made, made.Check()
}

// meta is what a service says of itself: what is a task's own, and what labels say.
func (tr Translation) meta(s *serviceShape, t marathon.Task) map[string]string {
	meta := make(map[string]string, len(s.meta)+ourMeta)
	maps.Copy(meta, s.meta)
	meta[consul.MetaApp], meta[consul.MetaTask], meta[consul.MetaVersion] = t.AppID, t.ID, t.Version
	if tr.Framework != "" {
		meta[consul.MetaFramework] = tr.Framework
	}
	if tr.Token != "" {
		meta[consul.MetaToken] = tr.Token
	}
	return meta
}

// reach tells where one task's ports are reached.
type reach struct {
	marathon.Task
	definition marathon.Definition
	endpoints  []marathon.PortEndpoint
}

// port tells where a declared port is reached; -1 is the task itself.
func (r *reach) port(i int) marathon.PortEndpoint {
	if r.definition.Network == marathon.ContainerNetwork && len(r.Addresses) == 0 {
		return marathon.PortEndpoint{} // nothing of the task is there before it has its address
	}
	if i <= 0 { // without asking for all: nearly every task has this one service
		at, ok := r.definition.Endpoint(r.Task)
		if !ok {
			return marathon.PortEndpoint{}
		}
		return marathon.PortEndpoint{Endpoint: at, Reach: marathon.Reachable}
	}
	if r.endpoints == nil {
		r.endpoints = r.definition.Endpoints(r.Task)
	}
	return r.endpoints[i]
}

// onHost reports whether a port is reached at its host's address.
func (r *reach) onHost(i int) bool {
	return r.definition.Network != marathon.ContainerNetwork || i >= 0 && r.definition.Ports[i].OnHost
}

// places returns tags with the numbers of ports in their places, as far as all are known.
func (r *reach) places(tags []string) (all []string, known bool) {
	for _, tag := range tags {
		text, known := placed(tag, func(port string) (int, bool) {
			at := r.port(portNamed(r.definition.Ports, port))
			return at.Port, at.Reach == marathon.Reachable
		})
		if !known {
			return nil, false
		}
		all = append(all, text)
	}
	return all, true
}

// Labels returns the labels of an app as they are stored, one error for each that cannot be
// a key and is left out, and those that options leave out; nil for none.
func (tr Translation) Labels(app string, labels map[string]string) (stored map[string]string, unfit []error, leftOut map[string]bool) {
	name := tr.ServiceName(app)
	stored = make(map[string]string, len(labels))
	for _, label := range sortedKeys(labels) {
		if !tr.Shaping.keyed(label) {
			if leftOut == nil {
				leftOut = map[string]bool{}
			}
			leftOut[label] = true
			continue
		}
		value := tr.Encode(labels[label])
		if err := consul.CheckLabel(name, label, value); err != nil {
			unfit = append(unfit, err)
			continue
		}
		stored[label] = value
	}
	return stored, unfit, leftOut
}

// Owns reports whether a service is ours, by registration ID and framework, and
// which app it is tagged with.
func (tr Translation) Owns(s consul.Service) (app string, ours bool) {
	app, ours = tr.Owner.AppOf(s.Tags)
	if !ours && tr.Former != nil {
		app, ours = tr.Former.AppOf(s.Tags)
	}
	if app == "" {
		app = s.Meta[consul.MetaApp] // somebody removed the tag
	}
	return app, ours && !tr.foreignFramework(s)
}

// OwnsKey reports whether a key with these flags is ours.
func (tr Translation) OwnsKey(flags uint64) bool {
	return flags == tr.Owner.Flags() || tr.Former != nil && flags == tr.Former.Flags() || tr.Adopt && flags == 0
}

// foreignFramework reports whether a service that carries our registration ID
// was registered for another Marathon framework. A framework that is not known,
// on either side, is no other one.
func (tr Translation) foreignFramework(s consul.Service) bool {
	theirs := s.Meta[consul.MetaFramework]
	return theirs != "" && tr.Framework != "" && theirs != tr.Framework && !tr.AnyFramework
}

// Tagged reports whether a service carries our registration ID, whatever framework it
// names.
func (tr Translation) Tagged(s consul.Service) bool {
	tr.AnyFramework = true
	_, ours := tr.Owns(s)
	return ours
}

// sortedKeys returns m's keys in order, so that nothing depends on map order.
func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}

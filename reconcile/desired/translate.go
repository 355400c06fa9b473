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
}

// Path is the whole name of a key.
func (tr Translation) Path(k consul.Key) string { return tr.Prefix + "/" + k.Service + "/" + k.Label }

// ServiceName returns the Consul name of an app: "/group/my-app" is
// "group-my-app". Two apps can have one name; see clash.go.
func ServiceName(app string) string {
	return strings.ReplaceAll(strings.TrimPrefix(app, "/"), "/", "-")
}

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

// Services returns what a task should have, each with an ID of its own: one, for the
// first port that it declares. None means that it cannot be reached yet.
func (tr Translation) Services(t marathon.Task, d marathon.Definition) []consul.Service {
	at, ok := d.Endpoint(t)
	if !ok {
		return nil
	}
	meta := map[string]string{
		consul.MetaApp:     t.AppID,
		consul.MetaTask:    t.ID,
		consul.MetaVersion: t.Version,
	}
	if tr.Framework != "" {
		meta[consul.MetaFramework] = tr.Framework
	}
	if tr.Token != "" {
		meta[consul.MetaToken] = tr.Token
	}
	return []consul.Service{{
		ID:      t.ID,
		Name:    ServiceName(t.AppID),
		Address: at.Address,
		Port:    at.Port,
		Tags:    tr.Owner.Tags(t.AppID),
		Meta:    meta,
	}}
}

// Labels returns the labels of an app as they are stored, and one error for
// each that cannot be a key and is left out.
func (tr Translation) Labels(app string, labels map[string]string) (map[string]string, []error) {
	name := ServiceName(app)
	stored := make(map[string]string, len(labels))
	var unfit []error
	for _, label := range sortedKeys(labels) {
		value := tr.Encode(labels[label])
		if err := consul.CheckLabel(name, label, value); err != nil {
			unfit = append(unfit, err)
			continue
		}
		stored[label] = value
	}
	return stored, unfit
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

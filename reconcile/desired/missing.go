package desired

import (
	"slices"
	"strings"
	"time"

	"consular/consul"
)

// missing are apps that a snapshot has omitted, unannounced, and that nobody has
// asked for since, by service name. Keys name no app: it is these that must be
// asked for before the keys of their name go.
type missing map[string]map[string]time.Time

// missingLife is how long a missing app is remembered at least.
const missingLife = 24 * time.Hour

func (m missing) add(app string, at time.Time) {
	name := ServiceName(app)
	if m[name] == nil {
		m[name] = map[string]time.Time{}
	}
	m[name][app] = at
}

// remove reports whether the app was missing.
func (m missing) remove(app string) bool {
	name := ServiceName(app)
	_, was := m[name][app]
	delete(m[name], app)
	if len(m[name]) == 0 {
		delete(m, name)
	}
	return was
}

// prune forgets the apps that have been missing for long, when these are all keys
// there are and none is of their names. While there is one, to forget its app would
// be to take it for nobody's.
func (m missing) prune(keys []consul.Key, now time.Time) {
	if len(m) == 0 {
		return // nearly always, and there may be very many keys
	}
	there := map[string]bool{}
	for _, k := range keys {
		there[k.Service] = true
	}
	for name, apps := range m {
		for app, at := range apps {
			if !there[name] && now.Sub(at) > missingLife {
				m.remove(app)
			}
		}
	}
}

// ForgetMissing forgets apps that went missing long ago, when keys are all that there
// are below the prefix.
func (m *Model) ForgetMissing(keys []consul.Key, now time.Time) { m.missing.prune(keys, now) }

// NoteMissing notes apps that services of ours name and that Marathon has not told of:
// whose names nobody else has.
func (m *Model) NoteMissing(apps []string, at time.Time) {
	for _, app := range apps {
		if _, gone := m.gone[app]; len(m.names[ServiceName(app)]) == 0 && !gone {
			m.missing.add(app, at)
		}
	}
}

// suspects returns the apps that must be asked for before the keys of a name
// without an app go: those that went missing, or else all that could have it.
// None when those are too many.
func (m *Model) suspects(name string) []string {
	if apps := m.missing[name]; len(apps) > 0 {
		return sortedKeys(apps)
	}
	return candidates(name)
}

// goneName reports whether the app of that name is gone: one that was seen, or
// else every one that it could have been.
func (m *Model) goneName(name string) bool {
	if len(m.missing[name]) > 0 {
		return false
	}
	if len(m.goneNames[name]) > 0 {
		return true
	}
	ids := candidates(name)
	return len(ids) > 0 && !slices.ContainsFunc(ids, func(id string) bool {
		_, gone := m.gone[id]
		return !gone
	})
}

// maxDashes bounds how many app IDs are tried for a name that no service and no
// event has given an ID: 64 of them. The keys of a name with more are held back
// until every look of Policy.Confirm has agreed.
const maxDashes = 6

// candidates returns all app IDs that have a service name: each "-" may have
// been a "/". None when there are too many.
func candidates(name string) []string {
	parts := strings.Split(name, "-")
	if len(parts)-1 > maxDashes {
		return nil
	}
	ids := []string{"/" + parts[0]}
	for _, part := range parts[1:] {
		var longer []string
		for _, id := range ids {
			longer = append(longer, id+"/"+part, id+"-"+part)
		}
		ids = longer
	}
	return ids
}

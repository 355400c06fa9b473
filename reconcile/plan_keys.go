package reconcile

import (
	"fmt"

	"consular/consul"
)

// keys compares the keys below the prefix with the labels of the apps.
func (p *planner) keys() {
	if p.actual.KeysErr != nil {
		p.Unread = append(p.Unread, Unread{What: unreadKeys, Err: p.actual.KeysErr.Error()})
		return
	}
	have := map[string]keyList{}
	for _, k := range p.actual.Keys {
		if p.desired.tr.ownsKey(k.Flags) {
			p.Keys++
		}
		have[k.Service] = append(have[k.Service], k)
	}
	p.have = have
	for _, name := range sortedKeys(have) {
		p.name(name, p.desired.Labels(name), have[name])
	}
	for _, name := range p.desired.Names() {
		if len(have[name]) == 0 {
			p.name(name, p.desired.Labels(name), nil)
		}
	}
}

// traceKeys lets services that go name the apps of the keys that go with them: these
// are to be asked for, and no others that could have the name.
func (p *planner) traceKeys() {
	named := map[string][]string{}
	for _, app := range p.namedByServices() {
		named[ServiceName(app)] = append(named[ServiceName(app)], app)
	}
	for i := range p.Changes {
		c := &p.Changes[i]
		if c.Op != Delete || c.removal != Missing {
			continue
		}
		if apps := named[c.Service]; apps != nil {
			c.suspects = apps
		}
	}
}

// name compares the keys of one service name.
func (p *planner) name(name string, w NameWant, have []consul.Key) {
	changes, conflicts, unowned := diffKeys(p.desired.tr, name, w, have)
	p.Changes = append(p.Changes, changes...)
	p.Conflicts = append(p.Conflicts, conflicts...)
	p.Unowned += unowned
	for _, err := range w.Unfit {
		p.Unfit = append(p.Unfit, Unfit{App: w.App, Err: err.Error()})
	}
}

// diffKeys compares one name's keys with its labels: whole keys, so that
// "/my-app" never touches what belongs to "/my-app-2". Nobody's keys are taken
// over when they are labels now, and otherwise counted.
func diffKeys(tr Translation, name string, w NameWant, have []consul.Key) (changes []Change, conflicts []Conflict, unowned int) {
	if w.Verdict == Untouched {
		return nil, nil, 0
	}
	there := map[string]bool{}
	for _, k := range have {
		there[k.Label] = true
		value, wanted := w.Labels[k.Label]
		change := Change{App: w.App, Service: name, Key: tr.path(k)}
		switch {
		case wanted && k.Flags != 0 && !tr.ownsKey(k.Flags):
			conflicts = append(conflicts, Conflict{Service: name, Key: tr.path(k), Why: fmt.Sprintf("owned by another cluster (flags %d)", k.Flags)})
		case wanted:
			if change.Why = keyDrift(tr.Owner, k, value); change.Why != nil {
				changes = append(changes, change.set(tr.Owner, k, value))
			}
		case tr.ownsKey(k.Flags) && (k.Flags != 0 || !w.Clash):
			changes = append(changes, change.drop(k, w))
		case k.Flags == 0:
			unowned++
		}
	}
	for _, label := range sortedKeys(w.Labels) {
		if !there[label] {
			k := consul.Key{Service: name, Label: label}
			change := Change{App: w.App, Service: name, Key: tr.path(k), Why: []string{"missing"}}
			changes = append(changes, change.set(tr.Owner, k, w.Labels[label]))
		}
	}
	return changes, conflicts, unowned
}

// keyDrift says what is wrong with a key that should be there.
func keyDrift(owner consul.Owner, k consul.Key, value string) []string {
	var why []string
	switch {
	case k.Flags == 0:
		why = append(why, "taken over: nobody's")
	case k.Flags != owner.Flags():
		why = append(why, "taken over: of a former registration ID")
	}
	if k.Value != value {
		why = append(why, "value edited")
	}
	return why
}

func (c Change) set(owner consul.Owner, k consul.Key, value string) Change {
	k.Value, k.Flags = value, owner.Flags()
	c.Op, c.write = Set, consul.KeyChange{Key: k}
	return c
}

func (c Change) drop(k consul.Key, w NameWant) Change {
	c.Op, c.write = Delete, consul.KeyChange{Key: k, Delete: true}
	switch {
	case w.Verdict == Present:
		c.removal, c.Why = LabelGone, []string{"label is not on the app"}
	case w.Announced:
		c.removal, c.Why, c.gone = Announced, []string{"app is gone"}, true
	default:
		c.removal, c.Why, c.suspects = Missing, []string{"app is not in Marathon"}, w.Suspects
	}
	return c
}

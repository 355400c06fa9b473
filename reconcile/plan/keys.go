package plan

import (
	"fmt"
	"maps"
	"slices"

	"consular/consul"
	"consular/reconcile/desired"
)

// keys compares the keys below the prefix with the labels of the apps.
func (p *comparison) keys() {
	if p.actual.NoKeys {
		return
	}
	if p.actual.KeysErr != nil {
		p.Unread = append(p.Unread, Unread{What: UnreadKeys, Err: p.actual.KeysErr.Error()})
		return
	}
	p.Have = map[string][]consul.Key{}
	for _, k := range p.actual.Keys {
		if p.tr.OwnsKey(k.Flags) {
			p.Keys++
		}
		p.Have[k.Service] = append(p.Have[k.Service], k)
	}
	var names []string
	p.locked(func() { names = p.model.Names() })
	names = append(names, slices.Sorted(maps.Keys(p.Have))...)
	slices.Sort(names)
	names = slices.Compact(names)
	p.piecewise(names, func(name string) { p.name(name, p.model.WantKeys(name), p.Have[name]) })
}

// traceKeys lets services that go name the app of the keys that go with them: it is to be
// asked for.
func (p *comparison) traceKeys() {
	named := map[string]string{}
	for _, app := range p.NamedByServices() {
		named[p.tr.ServiceName(app)] = app
	}
	for i := range p.Changes {
		if c := &p.Changes[i]; c.Op == Delete && c.Grounds.Has(desired.Missing) && c.App == "" {
			c.App = named[c.Service]
		}
	}
}

// name compares the keys of one service name.
func (p *comparison) name(name string, w desired.WantKeys, have []consul.Key) {
	changes, conflicts, unowned := DiffKeys(p.tr, name, w, have)
	p.change(changes...)
	p.Conflicts = append(p.Conflicts, conflicts...)
	p.UnownedKeys = append(p.UnownedKeys, unowned...)
	p.Unowned += len(unowned)
	for _, err := range w.Unfit {
		p.Unfit = append(p.Unfit, Unfit{App: w.App, Err: err.Error()})
	}
}

// DiffKeys compares one name's keys with its labels: whole keys, so that
// "/my-app" never touches what belongs to "/my-app-2". Nobody's keys are taken
// over when they are labels now, and otherwise named.
func DiffKeys(tr desired.Translation, name string, w desired.WantKeys, have []consul.Key) (changes []Change, conflicts []Conflict, unowned []string) {
	if w.Verdict == desired.Untouched {
		return nil, nil, nil
	}
	of := func(k consul.Key) Change { return Change{App: w.App, Service: name, Key: tr.Path(k)} }
	there := make(map[string]bool, len(have))
	for _, k := range have {
		there[k.Label] = true
		value, wanted := w.Labels[k.Label]
		switch {
		case wanted && k.Flags != 0 && !tr.OwnsKey(k.Flags):
			conflicts = append(conflicts, Conflict{Service: name, Key: tr.Path(k), Why: fmt.Sprintf("owned by another cluster (flags %d)", k.Flags)})
		case wanted:
			if why := keyDrift(tr.Owner, k, value); why != nil {
				changes = append(changes, of(k).set(tr.Owner, k, value, why))
			}
		case tr.OwnsKey(k.Flags) && (k.Flags != 0 || !w.Clash):
			changes = append(changes, of(k).drop(k, w))
		case k.Flags == 0:
			unowned = append(unowned, tr.Path(k))
		}
	}
	for _, label := range slices.Sorted(maps.Keys(w.Labels)) {
		if !there[label] {
			k := consul.Key{Service: name, Label: label}
			changes = append(changes, of(k).set(tr.Owner, k, w.Labels[label], []string{"missing"}))
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

func (c Change) set(owner consul.Owner, k consul.Key, value string, why []string) Change {
	k.Value, k.Flags = value, owner.Flags()
	c.Op, c.Why, c.Write = Set, why, &consul.KeyChange{Key: k}
	return c
}

func (c Change) drop(k consul.Key, w desired.WantKeys) Change {
	c.Op, c.Write, c.Grounds = Delete, &consul.KeyChange{Key: k, Delete: true}, w.Grounds
	switch {
	case w.Verdict == desired.Present && w.Excluded[k.Label]:
		c.Grounds, c.Why = desired.Excluded, []string{desired.Excluded.String()}
	case w.Verdict == desired.Present:
		c.Grounds, c.Why = desired.LabelGone, []string{desired.LabelGone.String()}
	case w.Grounds.Has(desired.Announced | desired.Excluded):
		c.Why = []string{w.Grounds.String()}
	default:
		c.Why = []string{"app is not in Marathon"}
	}
	return c
}

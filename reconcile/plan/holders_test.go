package plan

import (
	"errors"
	"slices"
	"testing"

	"consular/consul"
	"consular/reconcile/desired"
)

// Who has services of a name that clashes is its incumbent; what another Marathon has is
// counted, wherever it is shown, and only a complete look proves that there is none.
func TestHoldersAndForeigners(t *testing.T) {
	tr := testTranslation()
	ours, foreign := serviceOf(newTask("t1", "/a")), serviceOf(newTask("t2", "/b"))
	foreign.Meta[consul.MetaFramework] = "framework-2"
	another := serviceOf(newTask("t3", "/c"))
	another.Meta[consul.MetaFramework] = "framework-3"
	broken := stray(serviceOf(newTask("t4", "/d")))
	broken.Err = errors.New("no answer")
	broken.OnNode = map[string]consul.Service{"t2": foreign}
	failed := stray(serviceOf(newTask("t5", "/e")), another)
	failed.Err, failed.Failed = errors.New("no answer"), true
	actual := Actual{Agents: []Agent{stray(ours, foreign), broken, failed}, Everywhere: true}
	holders := Holders(tr, actual)
	if len(holders) != 2 || !holders["/a"] || !holders["/e"] {
		t.Errorf("holders %v", holders)
	}
	registered, _, seen := Names(tr, actual, map[string]bool{"/a": true, "/b": true, "/d": true, "/e": true})
	if len(registered) != 2 || !registered[desired.Registered{App: "/a", Name: "a"}] || !registered[desired.Registered{App: "/e", Name: "e"}] || !seen {
		t.Errorf("registered %v, all seen %t", registered, seen)
	}
	unknown := broken
	unknown.OnNode = nil
	for what, test := range map[string]struct {
		actual Actual
		all    bool
	}{
		"all agents were read":               {Actual{Agents: actual.Agents[:1]}, true},
		"nobody knows what a silent one has": {Actual{Agents: []Agent{stray(ours), unknown}}, false},
		"the catalog could not be asked":     {Actual{Agents: []Agent{stray(ours)}, CatalogErr: errors.New("denied")}, false},
	} {
		if _, _, seen = Names(tr, test.actual, nil); seen != test.all {
			t.Errorf("%s: all seen %t", what, seen)
		}
	}
	n, frameworks, all := Foreign(tr, actual)
	if n != 3 || !slices.Equal(frameworks, []string{"framework-2", "framework-3"}) || !all {
		t.Errorf("%d of %v, all %t", n, frameworks, all)
	}
	actual.CatalogErr = errors.New("denied")
	if _, _, all := Foreign(tr, actual); all {
		t.Error("the catalog could not be read, and everything was looked at")
	}
	if _, _, all := Foreign(tr, Actual{}); all {
		t.Error("only named nodes were listed, and everything was looked at")
	}
}

// Who has a name is told by the catalog of the node of a silent agent too, and by the keys of
// ours that are below it, if these could be read.
func TestWhatTellsOfIncumbents(t *testing.T) {
	tr := testTranslation()
	silent := stray()
	silent.Err, silent.OnNode = errors.New("no answer"), map[string]consul.Service{"t1": serviceOf(newTask("t1", "/a/b"))}
	ours := consul.Key{Service: "a-b", Label: "role", Value: "web", Flags: tr.Owner.Flags()}
	nobodys, others := ours, ours
	nobodys.Label, nobodys.Flags, others.Service = "more", 0, "other"
	actual := Actual{Agents: []Agent{silent}, Keys: []consul.Key{ours, nobodys, others}}
	apps := map[string]bool{"/a/b": true, "/a-b": true}
	registered, keys, all := Names(tr, actual, apps)
	if len(registered) != 1 || !registered[desired.Registered{App: "/a/b", Name: "a-b"}] || !all {
		t.Errorf("registered %v, all %t", registered, all)
	}
	if len(keys) != 1 || !slices.Equal(keys["a-b"], []consul.Key{ours}) {
		t.Errorf("keys %v", keys)
	}
	for _, unread := range []Actual{{KeysErr: errors.New("denied")}, {NoKeys: true}} {
		if _, keys, _ := Names(tr, unread, apps); keys != nil {
			t.Errorf("keys %v, and none were read", keys)
		}
	}
}

package reconcile

import (
	"reflect"
	"testing"

	"consular/consul"
)

// What was listed is read by a resync while writes are remembered: it is not changed by them,
// nor by what a listing is given of what we wrote before.
func TestWritesChangeNothingThatWasListed(t *testing.T) {
	check := func(id, output, wrote string) consul.Check {
		return consul.Check{ID: id, Status: consul.Passing, Output: output, Wrote: wrote}
	}
	shared := []consul.Check{check("a:marathon", "cut", ""), check("a:marathon-0", "200", "")}
	listing := func() []consul.Service {
		return []consul.Service{{ID: "a", Checks: shared}, {ID: "a:port", Checks: []consul.Check{}}, {ID: "b"}}
	}
	n := newNode("n1")
	n.replace(listing())
	n.putCheck("a", "a", check("a:marathon", "whole", ""))
	services := listing()
	n.replace(services)
	want := []consul.Check{check("a:marathon", "cut", "whole"), check("a:marathon-0", "200", "")}
	if !reflect.DeepEqual(services[0].Checks, want) {
		t.Errorf("listed again, it has %+v, want %+v", services[0].Checks, want)
	}
	n.putCheck("a", "a", check("a:marathon", "another", ""))
	n.removeCheck("a", "a", "a:marathon-0")
	n.putCheck("a", "a:port", check("a:port:marathon", "new", ""))
	n.removeCheck("b", "b", "b:marathon")
	n.putCheck("c", "c", check("c:marathon", "of nothing", ""))
	if !reflect.DeepEqual(services[0].Checks, want) || len(services[1].Checks) > 0 || shared[0].Wrote != "" {
		t.Errorf("what was listed is %+v now, and the listing %+v", services, shared)
	}
	for _, s := range []struct {
		task, id string
		checks   []consul.Check
	}{
		{"a", "a", []consul.Check{check("a:marathon", "another", "another")}},
		{"a", "a:port", []consul.Check{check("a:port:marathon", "new", "new")}},
		{"b", "b", nil}, // nobody has asked
	} {
		if have := n.service(s.task, s.id); !reflect.DeepEqual(have.Checks, s.checks) {
			t.Errorf("%s has %+v, want %+v", s.id, have.Checks, s.checks)
		}
	}
	if n.service("c", "c") != nil {
		t.Error("a check has made a service")
	}
}

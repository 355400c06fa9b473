package reconcile

import (
	"context"
	"testing"
	"time"

	"consular/consul"
)

// anewAgent is an agent that is another node whenever it has lost its data.
type anewAgent struct {
	*severalAgent
	id string
}

func (a *anewAgent) Self(context.Context) (consul.Node, error) {
	return consul.Node{ID: a.id, Name: "n"}, nil
}

// Nothing is remembered of nodes that are no host's agent any more, and what two names of one
// agent share as long as one of them is used.
func TestFormerNodesAreForgotten(t *testing.T) {
	agents := map[string]*anewAgent{}
	for _, host := range []string{"h1", "alias"} {
		agents[host] = &anewAgent{&severalAgent{services: map[string]consul.Service{}}, "first"}
	}
	r := New(Config{Patience: time.Minute}, nil, Consul{Agent: func(host string) (Agent, error) { return agents[host], nil }})
	wants := func(when string, nodes int) {
		t.Helper()
		if have := len(r.fleet.nodes); have != nodes {
			t.Errorf("%s: %d nodes are remembered, want %d", when, have, nodes)
		}
	}
	lists := func(host, id string) {
		t.Helper()
		agents[host].id = id
		if a := r.fleet.list(t.Context(), host); a.Err != nil || a.Node.ID != id {
			t.Fatalf("%s: %+v", host, a)
		}
	}
	lists("h1", "first")
	lists("alias", "first")
	wants("one agent", 1)
	lists("h1", "second")
	wants("the other name has not been asked yet", 2)
	lists("alias", "second")
	wants("it is another node", 1)
	if r.fleet.nodeOf("h1") != r.fleet.nodeOf("alias") {
		t.Error("one agent has two memories")
	}
	r.fleet.retire("h1")
	wants("one name is left", 1)
	r.fleet.retire("alias")
	wants("none is left", 0)
}

// What others may have changed is not known until it has been listed again.
func TestWhatIsOutdatedIsListedAgain(t *testing.T) {
	r := New(Config{Patience: time.Minute}, nil, Consul{Agent: func(string) (Agent, error) {
		return &severalAgent{services: map[string]consul.Service{}}, nil
	}})
	for _, known := range []bool{false, true, false, true} {
		if known {
			if a := r.fleet.list(t.Context(), "h1"); a.Err != nil {
				t.Fatal(a.Err)
			}
		} else {
			r.fleet.outdate()
		}
		if n := r.fleet.nodeOf("h1"); n != nil && n.knows("t1") != known {
			t.Errorf("known: %t, want %t", !known, known)
		}
	}
}

package consul

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
)

func TestLabelsRoundTrip(t *testing.T) {
	labels := labelsOf(t, "round/trip")
	if keys, err := labels.List(t.Context()); err != nil || len(keys) != 0 {
		t.Fatalf("an empty prefix has %v, %v", keys, err)
	}
	want := []Key{
		{Service: "web-2", Label: "a", Value: "1", Flags: 1},
		{Service: "web", Label: "HAPROXY/0/ü %#?", Value: "a\x00b", Flags: Owner{"one"}.Flags()},
		{Service: "web", Label: "empty"},
	}
	set(t, labels, want[:1]...)
	set(t, labels, want[1:]...)
	if have := list(t, labels); !reflect.DeepEqual(want, withoutIndex(have)) {
		t.Errorf("stored %+v, read %+v", want, have)
	}
	have, err := labels.Service(t.Context(), "web")
	if err != nil || !reflect.DeepEqual(want[1:], withoutIndex(have)) {
		t.Errorf("of web alone: %+v, %v", have, err)
	}
}

func TestKeysOfOthersAreNotListed(t *testing.T) {
	labels := labelsOf(t, "mine")
	set(t, labels, Key{Service: "web", Label: "a"})
	for _, key := range []string{"mine/", "mine/readme", "mine/folder/", "mine-too/web/a"} {
		if _, err := labels.agent.client.KV().Put(&api.KVPair{Key: key}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if have := list(t, labels); len(have) != 1 || have[0].Service != "web" {
		t.Errorf("listed %+v", have)
	}
}

func TestApplyChangesAndDeletes(t *testing.T) {
	labels := labelsOf(t, "changes")
	set(t, labels, Key{Service: "web", Label: "a", Value: "1"}, Key{Service: "web", Label: "b", Value: "1"})
	have := list(t, labels)
	have[1].Value = "2"
	changes := []KeyChange{{Key: have[0], Delete: true}, {Key: have[1]}}
	if err := labels.Apply(t.Context(), "web", changes); err != nil {
		t.Fatal(err)
	}
	if got := list(t, labels); len(got) != 1 || got[0].Label != "b" || got[0].Value != "2" {
		t.Errorf("got %+v", got)
	}
}

func TestApplyIsAllOrNothing(t *testing.T) {
	labels := labelsOf(t, "stale")
	set(t, labels, Key{Service: "web", Label: "a", Value: "1"})
	old := list(t, labels)[0]
	newer := old
	newer.Value = "somebody else's"
	set(t, labels, newer)
	current := list(t, labels)

	for name, stale := range map[string]KeyChange{
		"changed":       {Key: old},
		"deleted":       {Key: old, Delete: true},
		"should be new": {Key: Key{Service: "web", Label: "a"}},
		"large":         {Key: Key{Service: "web", Label: "a", Value: strings.Repeat("x", maxKeyValue)}},
	} {
		t.Run(name, func(t *testing.T) {
			err := labels.Apply(t.Context(), "web", []KeyChange{{Key: Key{Service: "web", Label: "new"}}, stale})
			if !errors.Is(err, ErrStale) || !strings.Contains(err.Error(), "stale/web/a") {
				t.Errorf("want ErrStale that names the key, got: %v", err)
			}
			if have := list(t, labels); !reflect.DeepEqual(current, have) {
				t.Errorf("changed all the same: %+v", have)
			}
		})
	}
}

func TestApplyMoreThanOneTransaction(t *testing.T) {
	for name, test := range map[string]struct{ count, size int }{
		"operations":      {2*maxOperations + 1, 1},
		"body":            {8, 100 << 10},
		"escaped keys":    {maxOperations, 7 << 10},
		"largest values":  {2, maxKeyValue},
		"just too large":  {1, maxBody * 3 / 4},
		"nothing at all":  {0, 0},
		"exactly 64":      {maxOperations, 1},
		"one short value": {1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			labels := labelsOf(t, "many/"+strings.ReplaceAll(name, " ", "-"))
			want := []Key{}
			for i := range test.count {
				want = append(want, Key{Service: "web", Label: fmt.Sprintf("<&>%03d", i), Value: strings.Repeat("x", test.size)})
			}
			set(t, labels, want...)
			have := list(t, labels)
			if !reflect.DeepEqual(want, withoutIndex(have)) {
				t.Fatalf("stored %d keys, read %d", len(want), len(have))
			}
			changes := []KeyChange{}
			for _, key := range have {
				changes = append(changes, KeyChange{Key: key, Delete: true})
			}
			if err := labels.Apply(t.Context(), "web", changes); err != nil {
				t.Fatal(err)
			}
			if left := list(t, labels); len(left) > 0 {
				t.Errorf("%d keys are left", len(left))
			}
		})
	}
}

// When one transaction is not enough, a watcher may see too many labels, but none missing.
func TestSetsComeBeforeDeletes(t *testing.T) {
	labels := &Labels{prefix: "p"}
	changes := []KeyChange{
		{Key: Key{Service: "web", Label: "a"}, Delete: true},
		{Key: Key{Service: "web", Label: "b"}},
		{Key: Key{Service: "web", Label: "c", Value: strings.Repeat("x", maxKeyValue)}},
		{Key: Key{Service: "web", Label: "d"}, Delete: true},
		{Key: Key{Service: "web", Label: "e"}},
	}
	large, rest := labels.operations(changes)
	got := ""
	for _, op := range append(large, rest...) {
		got += op.KV.Key[len("p/web/"):]
	}
	if got != "cbead" {
		t.Errorf("order %s", got)
	}
}

func TestApplyRefusesWhatConsulWouldTake(t *testing.T) {
	labels := labelsOf(t, "refused")
	for _, key := range []Key{
		{Service: "web", Label: ""},
		{Service: "web", Label: "/a"},
		{Service: "web", Label: "a\tb"},
		{Service: "web-2", Label: "a"},
	} {
		if err := labels.Apply(t.Context(), "web", []KeyChange{{Key: key}}); err == nil {
			t.Errorf("applied %+v", key)
		}
	}
	if have := list(t, labels); len(have) != 0 {
		t.Errorf("stored %+v", have)
	}
}

func TestEncode(t *testing.T) {
	for text, asJSON := range map[string]string{
		"":            `""`,
		"plain":       `"plain"`,
		"<a href=\"x": `"<a href=\"x"`,
		"ü\n":         `"ü\n"`,
	} {
		if got := (&Labels{format: FormatRaw}).Encode(text); got != text {
			t.Errorf("raw %q: %q", text, got)
		}
		if got := (&Labels{format: FormatJSON}).Encode(text); got != asJSON {
			t.Errorf("json %q: %q, want %q", text, got, asJSON)
		}
	}
}

// labelsOf returns the labels below a prefix that only this test uses.
func labelsOf(t *testing.T, prefix string) *Labels {
	t.Helper()
	return connect(t, open.get(t).Server().URL(), func(c *Config) { c.Prefix = prefix }).Labels()
}

// set stores keys of one service.
func set(t *testing.T, labels *Labels, keys ...Key) {
	t.Helper()
	name, changes := "", []KeyChange{}
	for _, key := range keys {
		name = key.Service
		changes = append(changes, KeyChange{Key: key})
	}
	if err := labels.Apply(t.Context(), name, changes); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, labels *Labels) []Key {
	t.Helper()
	keys, err := labels.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func withoutIndex(keys []Key) []Key {
	bare := []Key{}
	for _, key := range keys {
		key.ModifyIndex = 0
		bare = append(bare, key)
	}
	return bare
}

package reconcile

import (
	"context"
	"slices"
	"testing"

	"github.com/rs/zerolog"

	"consular/consul"
)

// keyStore is one name's keys. Like Consul it refuses what was not read as it is.
type keyStore struct {
	keys  []consul.Key
	reads int
}

func (s *keyStore) List(context.Context) ([]consul.Key, error) { return slices.Clone(s.keys), nil }

func (s *keyStore) Service(ctx context.Context, _ string) ([]consul.Key, error) {
	s.reads++
	return s.List(ctx)
}

func (s *keyStore) Apply(_ context.Context, _ string, changes []consul.KeyChange) error {
	for _, c := range changes {
		at := slices.IndexFunc(s.keys, func(k consul.Key) bool { return k.Label == c.Key.Label })
		switch {
		case at < 0 && c.Key.ModifyIndex != 0, at >= 0 && s.keys[at].ModifyIndex != c.Key.ModifyIndex:
			return consul.ErrStale
		case at >= 0:
			s.keys = slices.Delete(s.keys, at, at+1)
		}
		c.Key.ModifyIndex++
		s.keys = append(s.keys, c.Key)
	}
	return nil
}

// What a resync has read need not be read again, unless it has changed, or an
// event has named the keys meanwhile.
func TestKeysAreReadOnce(t *testing.T) {
	owner := testTranslation().Owner
	edited := consul.Key{Service: "a", Label: "role", Value: "edited", Flags: owner.Flags(), ModifyIndex: 7}
	listed := func(keys ...consul.Key) *keyList { return (*keyList)(&keys) }
	for _, test := range []struct {
		name  string
		there []consul.Key
		job   job
		reads int
	}{
		{"the plan has read that there are none", nil, job{key: "a", have: listed()}, 0},
		{"the plan has read what is there", []consul.Key{edited}, job{key: "a", have: listed(edited)}, 0},
		{"somebody has written since", []consul.Key{edited}, job{key: "a", have: listed()}, 1},
		{"an event", []consul.Key{edited}, job{key: "a"}, 1},
		{"a plan, then an event", []consul.Key{edited}, merge(job{key: "a", have: listed()}, job{key: "a"}), 1},
		{"an event, then a plan", []consul.Key{edited}, merge(job{key: "a"}, job{key: "a", have: listed()}), 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := knowing(newApp("/a"))
			store := &keyStore{keys: test.there}
			w := &keyWorker{
				turn:   newTurn(),
				worker: worker{log: zerolog.Nop()}, labels: store,
				diff: func(name string, have []consul.Key) []Change {
					changes, _, _ := diffKeys(d.tr, name, d.Labels(name), have)
					return changes
				},
				frozen: func() bool { return false },
			}
			done, err := w.do(t.Context(), test.job)
			if err != nil || done.KeysSet != 1 || store.reads != test.reads {
				t.Errorf("%+v, %v after %d reads, want one key set after %d", done, err, store.reads, test.reads)
			}
			if len(store.keys) != 1 || store.keys[0].Value != "web" {
				t.Errorf("the store has %v", store.keys)
			}
		})
	}
}

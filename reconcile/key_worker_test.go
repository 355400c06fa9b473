package reconcile

import (
	"context"
	"slices"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
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
	owner := consul.Owner{RegistrationID: "consular"}
	edited := consul.Key{Service: "a", Label: "role", Value: "edited", Flags: owner.Flags(), ModifyIndex: 7}
	listed := func(keys ...consul.Key) job { return job{key: "a", keys: keys, keysRead: true} }
	for _, test := range []struct {
		name  string
		there []consul.Key
		job   job
		reads int
	}{
		{"the plan has read that there are none", nil, listed(), 0},
		{"the plan has read what is there", []consul.Key{edited}, listed(edited), 0},
		{"somebody has written since", []consul.Key{edited}, listed(), 1},
		{"an event", []consul.Key{edited}, job{key: "a"}, 1},
		{"a plan, then an event", []consul.Key{edited}, merge(listed(), job{key: "a"}), 1},
		{"an event, then a plan", []consul.Key{edited}, merge(job{key: "a"}, listed()), 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr := desired.Translation{Owner: owner, Encode: func(value string) string { return value }}
			m := desired.New(tr)
			m.ApplySnapshot(m.BeginRead(), marathon.Snapshot{Apps: []marathon.App{{ID: "/a", Labels: map[string]string{"role": "web"}}}}, time.Now(), desired.Alone)
			store := &keyStore{keys: test.there}
			w := &keyWorker{
				mu:     newCtxMutex(),
				worker: worker{tell: func(Notice) {}}, labels: store,
				diff: func(name string, have []consul.Key) []plan.Change {
					changes, _, _ := plan.DiffKeys(tr, name, m.WantKeys(name), have)
					return changes
				},
				held: func(plan.Change) bool { return false },
			}
			done, err := w.execute(t.Context(), test.job)
			if err != nil || done.KeysSet != 1 || store.reads != test.reads {
				t.Errorf("%+v, %v after %d reads, want one key set after %d", done, err, store.reads, test.reads)
			}
			if len(store.keys) != 1 || store.keys[0].Value != "web" {
				t.Errorf("the store has %v", store.keys)
			}
		})
	}
}

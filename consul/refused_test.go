package consul

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"consular/consul/devconsul"
)

// small is an agent that takes less than Consul does by default.
var small = &shared{config: devconsul.Config{HCL: `limits { kv_max_value_size = 3000, txn_max_req_len = 4000 }`}}

// A label that an agent finds too large keeps none of its app's others back.
func TestTooLargeLabelKeepsNoOtherBack(t *testing.T) {
	const limit = 3000
	text := func(n int) string { return strings.Repeat("x", n) }
	for name, test := range map[string]struct {
		values  map[string]string
		refused []string
	}{
		"one":            {map[string]string{"a": "1", "big": text(limit + 1), "c": "3"}, []string{"big"}},
		"several":        {map[string]string{"a": text(limit + 2), "b": text(limit + 1), "c": text(2 * limit), "d": "4"}, []string{"a", "b", "c"}},
		"all":            {map[string]string{"a": text(limit + 1), "b": text(limit + 1)}, []string{"a", "b"}},
		"alone":          {map[string]string{"a": text(limit + 1)}, []string{"a"}},
		"beyond any":     {map[string]string{"a": text(maxKeyValue), "b": "2"}, []string{"a"}},
		"together":       {map[string]string{"a": text(limit - 1000), "b": text(limit - 1000), "c": text(limit - 1000)}, nil},
		"more than most": {map[string]string{"a": text(limit), "b": "2"}, []string{"a"}}, // in Base64, and in a transaction
	} {
		t.Run(name, func(t *testing.T) {
			labels := connect(t, small.get(t).Server().URL(), func(c *Config) { c.Prefix = "large/" + strings.ReplaceAll(name, " ", "-") }).Labels()
			var changes []KeyChange
			var want []string
			for label, value := range test.values {
				changes = append(changes, KeyChange{Key: Key{Service: "web", Label: label, Value: value}})
				if !slices.Contains(test.refused, label) {
					want = append(want, label)
				}
			}
			slices.SortFunc(changes, func(a, b KeyChange) int { return strings.Compare(a.Key.Label, b.Key.Label) })
			wantRefused(t, labels.Apply(t.Context(), "web", changes), 413, test.refused)
			wantLabels(t, labels, want)
		})
	}
}

// A key that the token may not write keeps none of its app's others back, whether it is
// to be set or deleted; they are written in one transaction.
func TestForbiddenLabelKeepsNoOtherBack(t *testing.T) {
	address := protected.get(t).Server().URL()
	withPrefix := func(c *Config) { c.Prefix = "forbidden" }
	admin := connect(t, address, withToken(management), withPrefix).Labels()
	set(t, admin, Key{Service: "web", Label: "gone"}, Key{Service: "web", Label: "no/gone"})
	narrow := token(t, &Cluster{main: admin.agent}, `key_prefix "forbidden/" { policy = "write" } key_prefix "forbidden/web/no" { policy = "read" }`)
	labels := connect(t, address, withToken(narrow), withPrefix).Labels()

	var changes []KeyChange
	for _, key := range list(t, admin) {
		changes = append(changes, KeyChange{Key: key, Delete: true})
	}
	for _, label := range []string{"a", "no", "no/too", "z"} {
		changes = append(changes, KeyChange{Key: Key{Service: "web", Label: label, Value: "1"}})
	}
	large := KeyChange{Key: Key{Service: "web", Label: "no/large", Value: strings.Repeat("x", maxKeyValue)}}
	wantRefused(t, labels.Apply(t.Context(), "web", append(changes, large)), 403, []string{"no", "no/gone", "no/large", "no/too"})
	wantLabels(t, admin, []string{"a", "no/gone", "z"})
	if keys := list(t, admin); keys[0].ModifyIndex != keys[2].ModifyIndex {
		t.Errorf("not written at once: %+v", keys)
	}
}

// A refusal is no excuse for what else is wrong.
func TestRefusedAndStale(t *testing.T) {
	labels := connect(t, small.get(t).Server().URL(), func(c *Config) { c.Prefix = "both" }).Labels()
	set(t, labels, Key{Service: "web", Label: "a", Value: "1"})
	err := labels.Apply(t.Context(), "web", []KeyChange{
		{Key: Key{Service: "web", Label: "big", Value: strings.Repeat("x", 3001)}},
		{Key: Key{Service: "web", Label: "a", Value: "somebody else's"}},
		{Key: Key{Service: "web", Label: "b"}},
	})
	if !errors.Is(err, ErrStale) {
		t.Errorf("want ErrStale, got: %v", err)
	}
	wantLabels(t, labels, []string{"a"})
}

// That the token is unknown is about all keys, and none of them is blamed.
func TestUnknownTokenRefusesNoKey(t *testing.T) {
	labels := connect(t, protected.get(t).Server().URL(), withToken(strings.ReplaceAll(management, "1", "9"))).Labels()
	for _, value := range []string{"1", strings.Repeat("x", maxKeyValue)} {
		err := labels.Apply(t.Context(), "web", []KeyChange{{Key: Key{Service: "web", Label: "a", Value: value}}})
		if _, blamed := errors.AsType[*RefusedError](err); blamed || !Refused(err) {
			t.Errorf("got: %v", err)
		}
	}
}

func TestRefusedErrorStaysShort(t *testing.T) {
	e := &RefusedError{why: errors.New("why")}
	for i := range 1000 {
		e.Labels = append(e.Labels, fmt.Sprint(i, strings.Repeat("\n", 1000)))
	}
	if text := e.Error(); len(text) > 3000 || strings.Contains(text, "\n") || !strings.Contains(text, "990 more") || !strings.HasSuffix(text, "why") {
		t.Errorf("%d bytes: %s", len(text), text)
	}
}

// wantRefused checks that just those labels are named, by Consul's status; no error if
// there are none.
func wantRefused(t *testing.T, err error, code int, labels []string) {
	t.Helper()
	if len(labels) == 0 {
		if err != nil {
			t.Error(err)
		}
		return
	}
	refused, ok := errors.AsType[*RefusedError](err)
	status, _ := errors.AsType[api.StatusError](err)
	if !ok || !Refused(err) || status.Code != code || !slices.Equal(slices.Sorted(slices.Values(refused.Labels)), labels) {
		t.Fatalf("want refused %q with %d, got: %v", labels, code, err)
	}
	for _, label := range labels {
		if !strings.Contains(err.Error(), fmt.Sprintf("%q", label)) {
			t.Errorf("does not name %s: %v", label, err)
		}
	}
}

func wantLabels(t *testing.T, labels *Labels, want []string) {
	t.Helper()
	var have []string
	for _, key := range list(t, labels) {
		have = append(have, key.Label)
	}
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("stored %q, want %q", have, want)
	}
}

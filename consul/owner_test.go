package consul

import (
	"slices"
	"strings"
	"testing"
)

func TestOwnerKnowsItsOwn(t *testing.T) {
	one := Owner{"one"}
	for name, test := range map[string]struct {
		tags []string
		app  string
		ours bool
		id   string
	}{
		"ours":           {one.Tags("/group/web"), "/group/web", true, "one"},
		"in any order":   {[]string{"x", "consular-app-id=/web", "consular-reg-id=one"}, "/web", true, "one"},
		"app tag gone":   {[]string{"consular-reg-id=one"}, "", true, "one"},
		"another's":      {Owner{"one-2"}.Tags("/web"), "", false, "one-2"},
		"nobody's":       {[]string{"web"}, "", false, ""},
		"no tags":        {nil, "", false, ""},
		"app tag only":   {[]string{"consular-app-id=/web"}, "", false, ""},
		"first of two":   {[]string{"consular-reg-id=two", "consular-reg-id=one"}, "", false, "two"},
		"empty, foreign": {[]string{"consular-reg-id="}, "", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if app, ours := one.AppOf(test.tags); app != test.app || ours != test.ours {
				t.Errorf("app %q, ours %t", app, ours)
			}
			if id, _ := RegistrationIDOf(test.tags); id != test.id {
				t.Errorf("registration id %q", id)
			}
		})
	}
}

func TestOwnerTagsAreThoseOfThePythonConsular(t *testing.T) {
	want := []string{"consular-reg-id=one", "consular-app-id=/web"}
	if got := (Owner{"one"}).Tags("/web"); !slices.Equal(want, got) {
		t.Errorf("got %v", got)
	}
}

func TestOwnerFlags(t *testing.T) {
	// FNV-1a's published test vectors, for the ID is in keys for years.
	for id, want := range map[string]uint64{"a": 0xaf63dc4c8601ec8c, "foobar": 0x85944171f73967e8} {
		if got := (Owner{id}).Flags(); got != want {
			t.Errorf("%s: %x, want %x", id, got, want)
		}
	}
	// A text whose hash is 0, as the authors of FNV publish it.
	if got := (Owner{"\xd5\x6b\xb9\x53\x42\x87\x08\x36"}).Flags(); got != 1 {
		t.Errorf("hash 0 became %d", got)
	}
}

func TestCheckRegistrationID(t *testing.T) {
	for id, ok := range map[string]bool{
		"consular": true, "A.b_c-9": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "a/b": false, "a\n": false, "ü": false,
	} {
		if err := CheckRegistrationID(id); (err == nil) != ok {
			t.Errorf("%q: %v", id, err)
		}
	}
}

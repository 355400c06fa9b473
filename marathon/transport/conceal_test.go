package transport

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// sentWith returns a transport that has sent these headers.
func sentWith(t rapid.TB, header, value string) *Transport {
	t.Helper()
	over, err := New(limits)
	if err != nil {
		t.Fatal(err)
	}
	over.sent.note(&http.Request{URL: &url.URL{Scheme: "http", Host: "127.0.0.1"}, Header: http.Header{header: {value}}})
	return over
}

// everyByte is text, percent-encoded whether it needs it or not.
func everyByte(text string) string {
	var b strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&b, "%%%02x", text[i])
	}
	return b.String()
}

// forms are ways in which programs repeat a text.
func forms(text string) map[string]string {
	quoted, _ := json.Marshal(text)
	return map[string]string{
		"as it is": text, "upper case": strings.ToUpper(text), "lower case": strings.ToLower(text),
		"in a query": url.QueryEscape(text), "in a path": url.PathEscape(text), "percent-encoded": everyByte(text),
		"percent-encoded twice": url.QueryEscape(url.QueryEscape(text)), "quoted": fmt.Sprintf("%q", text),
		"quoted twice": fmt.Sprintf("%q", fmt.Sprintf("%q", text)), "JSON": string(quoted), "ASCII": fmt.Sprintf("%+q", text),
		"Base64": base64.StdEncoding.EncodeToString([]byte(text)), "Base64 for URLs": base64.RawURLEncoding.EncodeToString([]byte(text)),
		"Base64 in a query": url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(text))),
		"Base64 of more":    base64.StdEncoding.EncodeToString([]byte("a:" + text + ", and more")),
		"Base64 of else":    base64.StdEncoding.EncodeToString([]byte("it was " + text)),
		"Base64 of a third": base64.StdEncoding.EncodeToString([]byte("Authorization: " + text)),
	}
}

// shows reports whether text has a secret in it, or what its Base64 has in any place.
func shows(text, secret string) bool {
	for shift := range 3 {
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
		if inside := encoded[min(len(encoded), 2*shift):]; len(inside) > 6 && strings.Contains(text, inside[:6]) {
			return true
		}
	}
	return strings.Contains(strings.ToLower(text), strings.ToLower(secret))
}

func TestCredentialsAreConcealedInEveryForm(t *testing.T) {
	pair := base64.StdEncoding.EncodeToString([]byte(`ann:p4ss/wörd"+=\%41&`))
	for _, test := range []struct {
		header, value string
		secrets       []string
	}{
		{"Authorization", "token=s3cr-et.to_ken", []string{"s3cr-et.to_ken", "token=s3cr-et.to_ken"}},
		{"Authorization", "Bearer s3cret", []string{"s3cret", "Bearer s3cret"}},
		{"Authorization", "Basic " + pair, []string{pair, "Basic " + pair, `p4ss/wörd"+=\%41&`, `ann:p4ss/wörd"+=\%41&`}},
		{"X-Consul-Token", "c0ffee00-1234-5678-9abc-def012345678", []string{"c0ffee00-1234-5678-9abc-def012345678"}},
	} {
		over := sentWith(t, test.header, test.value)
		for _, secret := range test.secrets {
			for name, form := range forms(secret) {
				got := over.Conceal(errors.New("got (" + form + ") from you")).Error()
				if !strings.Contains(got, "***") || shows(got, secret) || !strings.HasPrefix(name, "Base64") && strings.NewReplacer(`\`, "", `"`, "").Replace(got) != "got (***) from you" {
					t.Errorf("%s %s: %s is shown as %s", test.value, name, form, got)
				}
			}
		}
	}
}

// However a text is repeated, and whatever stands around it.
func TestConcealedInAnyText(t *testing.T) {
	const letters = `abzAZ019%\"&;+/=-_ .:x25u`
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune(letters)), 0, 20, -1)
		secret := rapid.StringOfN(rapid.SampledFrom([]rune(letters)), 6, 12, -1).Filter(func(s string) bool {
			return strings.TrimSpace(s) == s && !strings.ContainsAny(s, " ")
		}).Draw(t, "secret")
		over := sentWith(t, "Authorization", "token="+secret)
		named := forms(secret)
		for _, name := range []string{"as it is", "upper case", "in a query", "percent-encoded", "quoted"} {
			whole := text.Draw(t, "before") + " (" + named[name] + ") " + text.Draw(t, "after")
			if got := over.Conceal(errors.New(whole)).Error(); strings.Contains(got, named[name]) {
				t.Fatalf("%s of %q is in %q", name, secret, got)
			}
		}
	})
}

// What is cut off elsewhere is not taken for what is left of it.
func TestErrorsAreShort(t *testing.T) {
	over := sentWith(t, "Authorization", "Bearer s3cret")
	for name, test := range map[string]struct{ text, want string }{
		"short":           {"as it is:  two spaces", "as it is: two spaces"},
		"lines":           {"<html>\r\n\t<b>no\x1b[2J\x00\u202e</b>", "<html> <b>no [2J </b>"},
		"long":            {strings.Repeat("x", 600), strings.Repeat("x", 500) + "…"},
		"long letters":    {"x" + strings.Repeat("é", 600), "x" + strings.Repeat("é", 249) + "…"},
		"across the end":  {strings.Repeat("x", 498) + "s3cret", strings.Repeat("x", 498) + "**…"},
		"megabytes":       {strings.Repeat("s3cret", 1<<20), "***"},
		"megabytes apart": {strings.Repeat("s3cret ", 1<<20), strings.Repeat("*** ", 125) + "…"},
	} {
		if got := over.Conceal(errors.New(test.text)).Error(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// A token of one letter is none, and would take that letter out of every error.
func TestWhatOccursByItselfIsShown(t *testing.T) {
	over := sentWith(t, "X-Consul-Token", "a")
	if got := over.Conceal(errors.New("what is asked")).Error(); got != "what is asked" {
		t.Error(got)
	}
}

// An error that gives nothing away is the same error, and any other still holds it.
func TestWhatIsConcealedIsStillTheError(t *testing.T) {
	over := sentWith(t, "Authorization", "Bearer s3cret")
	plain := errors.New("no")
	told := fmt.Errorf("s3cret: %w", plain)
	if over.Conceal(nil) != nil || over.Conceal(plain).Error() != "no" || !errors.Is(over.Conceal(told), plain) || over.Conceal(told).Error() != "***: no" {
		t.Errorf("%v, %v, %v", over.Conceal(nil), over.Conceal(plain), over.Conceal(told))
	}
}

// Credentials that have been rotated are secrets still, but not for ever.
func TestFormerCredentialsAreConcealed(t *testing.T) {
	over := sentWith(t, "Authorization", "Bearer first")
	for n := range 2 * maxSent {
		over.sent.note(&http.Request{URL: &url.URL{Scheme: "http", Host: "marathon.test"}, Header: http.Header{"Authorization": {fmt.Sprintf("Bearer secret-%d.", n)}}})
	}
	for text, want := range map[string]string{"secret-63.": "***", "secret-32.": "***", "first": "first"} {
		if got := over.Conceal(errors.New(text)).Error(); got != want {
			t.Errorf("%s is shown as %s", text, got)
		}
	}
}

// A proxy repeats what it was sent when it refuses to connect.
func TestCredentialsOfAProxyAreConcealed(t *testing.T) {
	joe := base64.StdEncoding.EncodeToString([]byte("joe:s3cret"))
	over, err := New(limits)
	if err != nil {
		t.Fatal(err)
	}
	over.sent.note(&http.Request{URL: &url.URL{Scheme: "https", Host: "far.test"}, Header: http.Header{}})
	if got := over.Conceal(errors.New("not Basic " + joe + " nor s3cret")).Error(); got != "not *** nor ***" {
		t.Error(got)
	}
}

package transport

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestSecret(t *testing.T) {
	dir := files(t.TempDir())
	named := dir.write(t, "token", []byte("  s3cret\r\n"))
	for name, test := range map[string]struct{ file, text, want string }{
		"file":          {named, "", "s3cret"},
		"text":          {"", "fr0m env\n", "fr0m env"},
		"file and text": {named, "fr0m env", "s3cret"},
		"neither":       {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := NewSecret(test.file, test.text, nil)
			if err != nil || s.Text() != test.want || (s == nil) != (test.want == "") {
				t.Errorf("secret is %q, %v; want %q", s.Text(), err, test.want)
			}
		})
	}
}

func TestBadSecretsAreNamedAndNotShown(t *testing.T) {
	dir := files(t.TempDir())
	for want, test := range map[string]struct{ file, text string }{
		"open /nowhere/token: no such file":                   {"/nowhere/token", "s3cret"},
		dir.path("empty") + ": is empty":                      {dir.write(t, "empty", []byte(" \n")), ""},
		dir.path("lines") + ": has more than one line":        {dir.write(t, "lines", []byte("s3cret\ns3cret")), ""},
		"secret from the environment: has more than one line": {"", "s3cret\r\nX-Other: s3cret"},
		"/dev/zero: larger than":                              {"/dev/zero", ""},
		"read " + dir.path("") + ": is a directory":           {dir.path(""), ""},
	} {
		_, err := NewSecret(test.file, test.text, nil)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
}

func TestSecretRotates(t *testing.T) {
	dir := files(t.TempDir())
	var told notices
	s, err := NewSecret(dir.write(t, "token", []byte("first")), "", told.notice)
	if err != nil {
		t.Fatal(err)
	}
	want := func(text string) {
		t.Helper()
		for range 2 { // what is told is told once
			if got := s.Text(); got != text {
				t.Errorf("secret is %q, want %q", got, text)
			}
		}
	}
	want("first")
	dir.write(t, "token", []byte("secnd"))
	want("secnd")
	dir.write(t, "token", nil) // as while it is being written
	want("secnd")
	if err := os.Remove(dir.path("token")); err != nil {
		t.Fatal(err)
	}
	want("secnd")
	// As Kubernetes does it: another file under the same name.
	dir.write(t, "..new", []byte("third"))
	if err := os.Rename(dir.path("..new"), dir.path("token")); err != nil {
		t.Fatal(err)
	}
	want("third")
	told.want(t, "is used", "is empty", "no such file", "is used")
}

func TestSecretIsNeverPrinted(t *testing.T) {
	s, err := NewSecret("", "s3cret", nil)
	if err != nil {
		t.Fatal(err)
	}
	within := struct{ Token *Secret }{s}
	encoded, err := json.Marshal(within)
	if err != nil {
		t.Fatal(err)
	}
	recovered := func() (text string) {
		defer func() { text = fmt.Sprint(recover()) }()
		panic(s)
	}()
	for _, text := range []string{
		fmt.Sprint(s), fmt.Sprintf("%s %q %x %d %v %+v %#v", s, s, s, s, s, s, s),
		fmt.Sprintf("%v %+v %#v", within, within, within), string(encoded), recovered,
	} {
		if strings.Contains(text, "s3cret") || strings.Contains(text, fmt.Sprintf("%x", "s3cret")) {
			t.Errorf("printed %s", text)
		}
	}
}

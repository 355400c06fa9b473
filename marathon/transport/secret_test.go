package transport

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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
		"/dev/zero: not a regular file":                       {"/dev/zero", ""},
		dir.path("") + ": not a regular file":                 {dir.path(""), ""},
		dir.path("large") + ": larger than":                   {dir.write(t, "large", make([]byte, maxFile+1)), ""},
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

// A FIFO would hold up the start, and every use after that. A link to a file is one.
func TestSecretsAreRegularFiles(t *testing.T) {
	dir := t.TempDir()
	fifo, link, file := filepath.Join(dir, "fifo"), filepath.Join(dir, "link"), filepath.Join(dir, "file")
	if err := errors.Join(syscall.Mkfifo(fifo, 0o600), os.WriteFile(file, []byte("s3cret"), 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{fifo, dir, "/dev/null"} {
		if _, err := NewSecret(name, "", nil); err == nil || err.Error() != name+": not a regular file" {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := New(Config{Connect: 1, Head: 1, TLS: TLS{CAFile: name}}); err == nil || !strings.HasSuffix(err.Error(), name+": not a regular file") {
			t.Errorf("ca file %s: %v", name, err)
		}
	}
	told := ""
	s, err := NewSecret(link, "", func(_ string, err error) { told = err.Error() })
	if err != nil || s.Text() != "s3cret" {
		t.Fatalf("%v, %v", s, err)
	}
	// What becomes a FIFO while it is used is what it was.
	if err := errors.Join(os.Remove(link), os.Symlink(fifo, link)); err != nil {
		t.Fatal(err)
	}
	if text := s.Text(); text != "s3cret" || told != link+": not a regular file" {
		t.Errorf("secret %q, told %q", text, told)
	}
}

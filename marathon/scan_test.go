package marathon

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// FuzzScanner checks that what is skipped is JSON, as what is kept is: a value that ends
// elsewhere than encoding/json sees it end would be taken for more or less than it says.
func FuzzScanner(f *testing.F) {
	for _, path := range fixtures(f, "rest", ".json") {
		f.Add(fixture(f, path))
	}
	for _, text := range []string{
		`{"a":[1,2.5e-3,-0,true,false,null,"x\n\u00e9\\",{}]}`, ` [ ] `, `{"a" : 1 , "b":{ } }`, `[1,]`, `{"a"}`, `{,}`, `[1 2]`, `01`, `1.`, `-`, `+1`, `nul`, `truefalse`,
		`"\q"`, `"\u12g4"`, "\"\x01\"", "\"\xff\"", `{"a":1}}`, `[}`, `""`, `1 `, `{1:2}`, "\ufeff1", "[1\v]", `[NaN]`, `[1e5,1E+5,1e]`, `-0.5`, `[-]`, `1.5e`, `tru`, `[trux]`, `"\u12`, `1` + strings.Repeat("0", 5000),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, read := range map[string]func(*scanner) error{
			"skipped": (*scanner).value,
			"kept": func(s *scanner) error {
				raw, err := s.raw()
				var got, want any
				if errors.Is(err, notText) && !utf8.Valid(data) {
					return nil // and it is all read
				}
				if err == nil && json.Unmarshal(raw, &got) == nil && json.Unmarshal(data, &want) == nil && !reflect.DeepEqual(got, want) {
					t.Errorf("%q is kept as %q", data, raw)
				}
				return err
			},
		} {
			s := newScanner(iotest.HalfReader(bytes.NewReader(data)))
			err := read(s)
			if err == nil {
				err = s.end()
			}
			if (err == nil) != json.Valid(data) && len(data) <= maxDepth {
				t.Errorf("%s %q: %v, and encoding/json takes it: %v", name, data, err, json.Valid(data))
			}
		}
	})
}

// What is too large to be kept is read to its end all the same.
func TestValuesThatAreTooLargeAreSkipped(t *testing.T) {
	for name, value := range map[string]string{
		"a text":      `"` + strings.Repeat("x", maxKept) + `"`,
		"many values": "[" + strings.Repeat("{},", maxValues) + "1]",
		"many bytes":  "[" + strings.Repeat(`"`+strings.Repeat("x", 1<<20)+`",`, 16) + "1]",
		"a name":      `{"` + strings.Repeat("x", maxKept) + `":1}`,
		"a number":    strings.Repeat("9", maxKept+1),
		"deep arrays": nested("[", maxDepth+1, `"]"`, "]"),
		"deep fields": nested(`{"a":[0],"b":`, maxDepth+1, "null", "}"),
	} {
		s := newScanner(strings.NewReader(value + ` "next"`))
		if raw, err := s.raw(); !errors.Is(err, tooMuch) || raw != nil {
			t.Errorf("%s: %d bytes, %v", name, len(raw), err)
		}
		if raw, err := s.raw(); err != nil || string(raw) != `"next"` {
			t.Errorf("after %s: %.99q, %v", name, raw, err)
		}
	}
}

// The largest value of each kind is kept.
func TestLargestValues(t *testing.T) {
	for name, value := range map[string]string{
		"a text":      `"` + strings.Repeat("x", maxKept-2) + `"`,
		"many values": "[" + strings.Repeat("{},", maxValues-2) + "1]",
		"deep arrays": nested("[", maxDepth, "", "]"),
	} {
		if raw, err := newScanner(strings.NewReader(value)).raw(); err != nil || string(raw) != value {
			t.Errorf("%s: %d of %d bytes, %v", name, len(raw), len(value), err)
		}
		if !json.Valid([]byte(value)) {
			t.Errorf("%s: encoding/json does not take it", name)
		}
	}
}

// An app may be as large as it likes: what is too large of it costs that app, and what is
// not ours to keep costs nothing.
func TestLargeApps(t *testing.T) {
	large := strings.Repeat("x", maxKept)
	much := strings.Repeat("x", 1<<20)
	deep := nested("[", 2*maxDepth, "", "]")
	for name, test := range map[string]struct{ fields, wrong string }{
		"other fields":      {`"env":{"A":"` + large + `","` + large + `":1},"cmd":"` + large + `","` + large + `":7,"tasks":[]`, ""},
		"a label":           {`"labels":{"a":"` + large + `"},"tasks":[]`, "field labels: larger"},
		"labels":            {`"labels":{` + numbered(20, `"k#":"`+much+`"`) + `},"tasks":[]`, ""},
		"a label's name":    {`"labels":{"` + large + `":""},"tasks":[]`, "field labels: a name is too large, or not UTF-8"},
		"tasks":             {`"tasks":[{"id":"a.first","other":"` + large + `"},` + numbered(20, `{"id":"a.#","host":"`+much+`"}`) + `]`, ""},
		"a task":            {`"tasks":[{"id":"a.1"},{"id":"a.2","host":"` + large + `"}]`, "task a.2: field host: larger"},
		"a task's ports":    {`"tasks":[{"id":"a.1","ports":[` + numbered(maxValues, "#") + `]}]`, "task a.1: field ports: larger"},
		"a field":           {`"portDefinitions":[{"name":"` + large + `"}],"tasks":[]`, "field portDefinitions: larger"},
		"ports":             {`"portDefinitions":[` + numbered(maxValues, "{}") + `],"tasks":[]`, "field portDefinitions: larger"},
		"a long number":     {`"cpus":` + strings.Repeat("9", maxKept) + `,"tasks":[]`, ""},
		"many instances":    {`"instances":1` + strings.Repeat("0", 5000) + `,"tasks":[]`, "field instances: unexpected number"},
		"deep environment":  {`"env":` + deep + `,"tasks":[]`, ""},
		"no text, unread":   {`"env":{"` + "\xff" + `":"` + "\xff" + `"},"tasks":[]`, ""},
		"no text":           {`"version":"` + "v\xff" + `","tasks":[]`, "field version: not UTF-8"},
		"no label":          {`"labels":{"a":"` + "\xc3" + `"},"tasks":[]`, "field labels: not UTF-8"},
		"no label's name":   {`"labels":{"` + "\xc3" + `":""},"tasks":[]`, "field labels: a name is too large, or not UTF-8"},
		"no task's ID":      {`"tasks":[{"id":"a.` + "\xed\xa0\x80" + `"}]`, "task without an ID: field id: not UTF-8"},
		"a deep label":      {`"labels":{"a":` + deep + `},"tasks":[]`, "field labels: larger"},
		"a deep field":      {`"container":` + deep + `,"tasks":[]`, "field container: larger"},
		"a deep task":       {`"tasks":[{"id":"a.1","ports":` + deep + `}]`, "task a.1: field ports: larger"},
		"deep tasks":        {`"tasks":[` + deep + `]`, "task without an ID: unexpected array"},
		"fields together":   {`"portDefinitions":[{"name":"` + large[:maxKept/2] + `"}],"container":{"x":"` + large[:maxKept/2] + `"},"tasks":[]`, "field container: larger"},
		"fields and the ID": {`"portDefinitions":[{"name":"` + large + `"}],"version":"v","tasks":[]`, "field portDefinitions: larger"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := `{"apps":[{"id":"/first","tasks":[]},{` + test.fields + `,"id":"/a"},{"id":"/last","tasks":[]}]}`
			snapshot, err := ReadSnapshot(strings.NewReader(answer))
			switch {
			case err != nil:
				t.Fatal(err)
			case test.wrong == "" && (len(snapshot.Apps) != 3 || snapshot.Apps[1].ID != "/a"):
				t.Errorf("read %d apps, unreadable are %.300v", len(snapshot.Apps), snapshot.Unreadable)
			case test.wrong != "" && (len(snapshot.Apps) != 2 || snapshot.Unreadable[0].ID != "/a" || !strings.HasPrefix(snapshot.Unreadable[0].Err.Error(), test.wrong)):
				t.Errorf("read %d apps, unreadable are %.300v, want %s", len(snapshot.Apps), snapshot.Unreadable, test.wrong)
			}
		})
	}
}

// nested returns a value within n brackets.
func nested(open string, n int, value, end string) string {
	return strings.Repeat(open, n) + value + strings.Repeat(end, n)
}

// What came with an error is read, and then the error is one, whatever comes later.
func TestErrorBesideTheLastBytes(t *testing.T) {
	cut := errors.New("cut off")
	reads := 0
	_, err := ReadSnapshot(readerFunc(func(p []byte) (int, error) {
		if reads++; reads > 1 {
			return 0, io.EOF
		}
		return copy(p, `{"apps":[]}`), cut
	}))
	if !errors.Is(err, cut) {
		t.Errorf("error is %v, want %v", err, cut)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// numbered returns n texts with commas between them, a number in place of each #.
func numbered(n int, text string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(text, "#", strconv.Itoa(i)) + ",")
	}
	return strings.TrimSuffix(b.String(), ",")
}

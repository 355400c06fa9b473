package reconcile

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// Every field of a line is in README's table: whoever looks for one is told what it is.
func TestReadmeHasEveryField(t *testing.T) {
	n := Notice{At: time.Now(), Err: errors.New("x"), Summary: &Summary{}, Drift: []string{"x"}, Key: []string{"x"}, Deleted: []string{"x"}}
	for _, f := range reflect.ValueOf(&n).Elem().Fields() {
		switch f.Kind() {
		case reflect.String:
			f.SetString("x")
		case reflect.Int, reflect.Int64:
			f.SetInt(int64(time.Second))
		}
	}
	var line bytes.Buffer
	n.log(zerolog.New(&line).With().Timestamp().Logger())
	var fields map[string]any
	if err := json.Unmarshal(line.Bytes(), &fields); err != nil || len(fields) < 40 {
		t.Fatalf("%v: %s", err, line.String())
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n| field | |\n")
	section, _, _ = strings.Cut(section, "\n\n")
	for name := range fields {
		if !strings.Contains(section, "`"+name+"`") {
			t.Errorf("README says nothing of %q", name)
		}
	}
}

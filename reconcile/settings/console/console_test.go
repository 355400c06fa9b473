package console

import (
	"bytes"
	"flag"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	time.Local = time.UTC
	os.Exit(m.Run())
}

// lines is what becomes of the recorded ones.
func lines(t *testing.T, look Look) string {
	t.Helper()
	recorded, err := os.ReadFile("testdata/lines.json")
	if err != nil {
		t.Fatal(err)
	}
	return written(t, look, string(recorded))
}

func written(t *testing.T, look Look, recorded string) string {
	t.Helper()
	var out bytes.Buffer
	w := New(&out, look)
	for line := range strings.Lines(recorded) {
		if _, err := io.WriteString(w, line); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	}
	return out.String()
}

func TestLines(t *testing.T) {
	for file, look := range map[string]Look{
		"plain.golden":    {},
		"coloured.golden": {Colour: true},
		"wide.golden":     {Columns: func() int { return 160 }},
	} {
		got, file := lines(t, look), "testdata/"+file
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is not what is written:\n%s", file, got)
		}
	}
}

var sgr = regexp.MustCompile(`\x1b\[[0-9]+m`)

// A colour changes no word, each line is one line, and nobody but us moves the cursor.
func TestColoursAreAllThatIsNotPrinted(t *testing.T) {
	plain, coloured := lines(t, Look{}), lines(t, Look{Colour: true})
	if sgr.ReplaceAllString(coloured, "") != plain {
		t.Error("colours change words")
	}
	recorded, _ := os.ReadFile("testdata/lines.json")
	if got, want := strings.Count(plain, "\n"), bytes.Count(recorded, []byte("\n")); got != want {
		t.Errorf("%d lines become %d", want, got)
	}
	for _, r := range strings.ReplaceAll(plain, "\n", "") {
		if !strconv.IsPrint(r) {
			t.Errorf("%q gets through", r)
		}
	}
}

// An ordinary line fits, however long the ID of its task; a wide terminal shows that whole.
func TestOrdinaryLinesFit(t *testing.T) {
	const id = "shop_web.instance-1d4f13a7-e690-11f1-88fa-02fc00000001._app.1"
	const line = `{"level":"info","agent":"10.132.112.203:8500","app":"/shop/web","task":"` + id + `","service":"shop-web","cause":"status_update_event","state":"TASK_RUNNING","port":36477,"lag_ms":24,"time":"2026-11-28T09:08:38.647Z","message":"registered"}`
	for columns, whole := range map[int]bool{0: false, 80: false, 100: false, 150: true} {
		got := strings.TrimSuffix(written(t, Look{Columns: func() int { return columns }}, line), "\n")
		if strings.HasSuffix(got, id) != whole || utf8.RuneCountInString(got) > max(columns, Columns) {
			t.Errorf("%d columns: %s", columns, got)
		}
	}
}

// Whatever a line is, it comes out as one line without control characters.
func FuzzLine(f *testing.F) {
	f.Add("registered", "shop-web", "shop_web.1d4f13a7-e690-11f1-88fa-02fc00000001", "consular/shop-web/a, b", int64(1))
	f.Add("labels changed", "", "\x1b[2J", ", ", int64(-1))
	f.Add("resync", "\n", "\xff", "", int64(1<<62))
	f.Fuzz(func(t *testing.T, message, service, task, key string, n int64) {
		var out bytes.Buffer
		log := zerolog.New(New(&out, Look{}))
		log.Warn().Str("service", service).Str("task", task).Str("key", key).Str("agent", key).Str("app", service).
			Int64("apps", n).Int64("took_ms", n).Int64("failed", n).Str(key, service).Time("time", time.Unix(0, 0)).Msg(message)
		line, ended := strings.CutSuffix(out.String(), "\n")
		if !ended || strings.ContainsFunc(line, func(r rune) bool { return !strconv.IsPrint(r) }) {
			t.Errorf("%q", line)
		}
	})
}

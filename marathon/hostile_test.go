package marathon

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
)

// endless is a body that never ends, of one text again and again.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.text[e.at]
		e.at = (e.at + 1) % len(e.text)
	}
	return len(p), nil
}

// A gigabyte is sent, in one value or in many, or what is packed so that it fits
// into little: no more is read
// than the limit, and no more kept than a few times that.
func TestGigabyteSnapshotIsRefusedInBoundedMemory(t *testing.T) {
	const limit, gigabyte = 1 << 20, 1 << 30
	space, value := strings.Repeat(" ", 1<<10), strings.Repeat("x", 1<<10)
	app := `{"id":"/a","labels":{"` + value + `":""}},`
	for name, test := range map[string]struct {
		begin, then string
		packed      bool
	}{
		"space":        {`{"apps":[`, space, false},
		"one value":    {`{"apps":[{"id":"`, value, false},
		"other field":  {`{"other":"`, value, false},
		"many apps":    {`{"apps":[`, app, false},
		"packed space": {`{"apps":[`, space, true},
		"packed value": {`{"apps":[{"id":"`, value, true},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				body := io.MultiReader(strings.NewReader(test.begin), io.LimitReader(&endless{text: test.then}, gigabyte))
				if !test.packed {
					_, _ = io.Copy(w, body) // until the client hangs up
					return
				}
				w.Header().Set("Content-Encoding", "gzip")
				packed, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
				if err != nil {
					t.Error(err)
				}
				_, _ = io.CopyN(packed, body, 4*limit)
			})
			client := clientOf(t, func(c *Config) { c.MaxAnswer = limit }, server.URL)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := client.Apps(t.Context())
			runtime.ReadMemStats(&after)
			if err == nil || !strings.HasSuffix(err.Error(), "answer is larger than 1048576 bytes: --max-answer") {
				t.Errorf("error is %.300v", err)
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 12*limit {
				t.Errorf("allocated %d MiB for a limit of %d MiB", allocated>>20, limit>>20)
			}
		})
	}
}

// Nesting costs what is nested, not a stack.
func TestDeeplyNestedAnswers(t *testing.T) {
	for _, pair := range []string{"[]", `{"a":}`} {
		half := strings.TrimRight(pair, "]}")
		deep := strings.Repeat(half, 100_000) + "1" + strings.Repeat(pair[len(half):], 100_000)
		for text, unreadable := range map[string]int{
			`{"apps":[{"id":"/a","labels":` + deep + `}]}`: 1, `{"apps":[` + deep + `]}`: 1, `{"apps":[],"other":` + deep + `}`: 0,
		} {
			snapshot, err := ReadSnapshot(strings.NewReader(text))
			if err != nil || len(snapshot.Unreadable) != unreadable || len(snapshot.Apps) > 0 {
				t.Errorf("%.60s… is %d apps, %d are unreadable: %v", text, len(snapshot.Apps), len(snapshot.Unreadable), err)
			}
		}
		if snapshot, err := ReadSnapshot(strings.NewReader(deep)); err == nil || len(err.Error()) > 500 {
			t.Errorf("%.60s… is %+v: %.600v", deep, snapshot, err)
		}
		for _, text := range []string{deep, `{"taskId":` + deep + `,"appId":"/a","taskStatus":"TASK_RUNNING"}`} {
			if event, err := Decode("status_update_event", []byte(text)); err == nil || len(err.Error()) > 500 {
				t.Errorf("%.60s… is %v, %.600v", text, event, err)
			}
		}
	}
}

func TestNumbersOutOfRange(t *testing.T) {
	for _, number := range []string{"-1", "65536", "1e9", "99999999999999999999", "1e999", "3.5", `"80"`} {
		text := `{"apps":[{"id":"/good","tasks":[]},{"id":"/bad","tasks":[{"id":"bad.1","appId":"/bad","host":"h","state":"TASK_RUNNING","ports":[` + number + `]}]}]}`
		snapshot, err := ReadSnapshot(strings.NewReader(text))
		if err != nil || len(snapshot.Apps) != 1 || snapshot.Apps[0].ID != "/good" || len(snapshot.Unreadable) != 1 || snapshot.Unreadable[0].ID != "/bad" {
			t.Errorf("port %s: %+v, %v", number, snapshot, err)
		}
		event, err := Decode("status_update_event", []byte(`{"taskId":"a.1","appId":"/a","taskStatus":"TASK_RUNNING","host":"h","ports":[`+number+`]}`))
		if err == nil {
			t.Errorf("port %s: %+v", number, event)
		}
	}
}

// Whatever is asked for, it is that app, of that Marathon.
func FuzzAppPath(f *testing.F) {
	for _, seed := range []string{"/a", "/a/b", "/a//b", "/..", "/a/../b", "/a?b", "/a#b", "/%2e%2e", "/a%2fb", "a", "/a\\b", "/ü", "/a;b", "/a b", "/a:b@c"} {
		f.Add(seed)
	}
	master := &url.URL{Scheme: "http", Host: "marathon.test", Path: "/service/marathon"}
	f.Fuzz(func(t *testing.T, id string) {
		if checkID(id) != nil {
			return
		}
		target, err := url.Parse(master.JoinPath(appPath(id)...).String())
		if err != nil || target.Host != master.Host || target.Path != "/service/marathon/v2/apps"+id || target.RawQuery+target.Fragment != "" {
			t.Errorf("%q is asked for at %v, %v", id, target, err)
		}
	})
}

package marathon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzSnapshotAgainstEncodingJSON reads recorded apps, with some of their values replaced by
// others, in any order and notation. What is made of them in pieces is what encoding/json
// makes of the whole.
func FuzzSnapshotAgainstEncodingJSON(f *testing.F) {
	apps := recordedApps(f)
	for seed := range uint64(500) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		chance := rand.New(rand.NewPCG(seed, 0))
		var list []any
		for n := range 1 + chance.IntN(3) {
			app := decoded(t, apps[chance.IntN(len(apps))])
			app["id"] = fmt.Sprintf("/app-%d", n)
			for range chance.IntN(4) {
				changeSomewhere(chance, app)
			}
			list = append(list, app)
		}
		var answer strings.Builder
		write(&answer, chance, map[string]any{"apps": list, "other": list[0]})
		got, err := ReadSnapshot(iotest.HalfReader(strings.NewReader(answer.String())))
		if err != nil {
			t.Fatalf("%v: %s", err, answer.String())
		}
		want := readWhole(t, answer.String())
		if !reflect.DeepEqual(got.Apps, want.Apps) {
			t.Errorf("got  %+v\nwant %+v\nof %s", got.Apps, want.Apps, answer.String())
		}
		if !slices.EqualFunc(got.Unreadable, want.Unreadable, func(a, b Unreadable) bool { return a.ID == b.ID }) {
			t.Errorf("unreadable are %v, want %v\nof %s", got.Unreadable, want.Unreadable, answer.String())
		}
	})
}

// FuzzOneBrokenApp breaks one app of many, in what it holds or in how it is written: it is
// read, or named as one that was not, and all others are what they were.
func FuzzOneBrokenApp(f *testing.F) {
	apps := recordedApps(f)
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		chance := rand.New(rand.NewPCG(seed, 1))
		var texts []string
		broken := chance.IntN(10)
		for n := range 10 {
			app := decoded(t, apps[chance.IntN(len(apps))])
			app["id"] = fmt.Sprintf("/app-%d", n)
			if n == broken {
				changeSomewhere(chance, app)
			}
			var text strings.Builder
			write(&text, chance, app)
			texts = append(texts, text.String())
		}
		all, err := ReadSnapshot(strings.NewReader(`{"apps":[` + strings.Join(slices.Concat(texts[:broken], texts[broken+1:]), ",") + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		texts[broken] = breakText(chance, texts[broken])
		got, err := ReadSnapshot(strings.NewReader(`{"apps":[` + strings.Join(texts, ",") + `]}`))
		if err != nil {
			t.Fatalf("%v: %.9999s", err, texts[broken])
		}
		id := fmt.Sprintf("/app-%d", broken)
		got.Apps = slices.DeleteFunc(got.Apps, func(app App) bool { return app.ID == id })
		if !reflect.DeepEqual(got.Apps, all.Apps) {
			t.Errorf("others are %+v\nwant %+v, beside %.9999s", got.Apps, all.Apps, texts[broken])
		}
		extra := slices.DeleteFunc(got.Unreadable, func(u Unreadable) bool {
			return slices.ContainsFunc(all.Unreadable, func(other Unreadable) bool { return other.ID == u.ID })
		})
		if len(extra) > 1 || len(extra) == 1 && extra[0].ID != id && extra[0].ID != "" {
			t.Errorf("unreadable are %v, beside %.9999s", extra, texts[broken])
		}
	})
}

// breakText breaks an app as it is written, in a way that leaves it JSON.
func breakText(chance *rand.Rand, text string) string {
	members := []string{
		`"id":"/app-3"`, `"tasks":[]`, `"labels":{"a":"","a":""}`, `"instances":0`, `"version":"` + "\xff" + `"`, `"` + "\xc3" + `":1`,
		`"env":` + nested("[", 2*maxDepth, "", "]"), `"container":` + nested(`{"docker":`, 2*maxDepth, "{}", "}"), `"mem":` + strings.Repeat("1", 5000),
	}
	at := strings.IndexByte(text, '{') + 1
	return text[:at] + members[chance.IntN(len(members))] + "," + text[at:]
}

// recordedApps are the apps of all recorded answers.
func recordedApps(t testing.TB) []json.RawMessage {
	t.Helper()
	var all []json.RawMessage
	for _, path := range append(fixtures(t, "rest", ".json"), fixtures(t, "live", ".json")...) {
		var answer struct {
			App  json.RawMessage
			Apps []json.RawMessage
		}
		if text := fixture(t, path); !isAboutApps(string(text)) || json.Unmarshal(text, &answer) != nil {
			continue
		}
		if answer.App != nil {
			answer.Apps = append(answer.Apps, answer.App)
		}
		all = append(all, answer.Apps...)
	}
	if len(all) < 200 {
		t.Fatalf("%d apps are recorded", len(all))
	}
	return all
}

// decoded returns what a JSON object holds, with its numbers as they are written.
func decoded(t testing.TB, data []byte) (object map[string]any) {
	t.Helper()
	numbers := json.NewDecoder(bytes.NewReader(data))
	numbers.UseNumber()
	if err := numbers.Decode(&object); err != nil {
		t.Fatal(err)
	}
	return object
}

// changeSomewhere replaces one of the values within an object or an array.
func changeSomewhere(chance *rand.Rand, within any) {
	var put func(any)
	var inner any
	switch list := within.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(list))
		name := names[chance.IntN(len(names))]
		put, inner = func(value any) { list[name] = value }, list[name]
	case []any:
		i := chance.IntN(len(list))
		put, inner = func(value any) { list[i] = value }, list[i]
	}
	if size := reflect.ValueOf(inner); inner != nil && chance.IntN(5) > 0 && (size.Kind() == reflect.Map || size.Kind() == reflect.Slice) && size.Len() > 0 {
		changeSomewhere(chance, inner)
		return
	}
	strange := []any{
		nil, true, "", "text", "\ufffd\u2028\x01", []any{}, []any{nil}, []any{"a", "a"}, map[string]any{}, map[string]any{"k": json.Number("7")},
	}
	for _, number := range []string{"0", "-1", "70000", "1e400", "0.5", strings.Repeat("9", 2000)} {
		strange = append(strange, json.Number(number))
	}
	put(strange[chance.IntN(len(strange))])
}

// write writes a value in one of the ways in which that can be done.
func write(b *strings.Builder, chance *rand.Rand, value any) {
	space := func() {
		if chance.IntN(20) == 0 {
			b.WriteString(" \t\r\n"[:1+chance.IntN(4)])
		}
	}
	space()
	switch value := value.(type) {
	case map[string]any:
		b.WriteByte('{')
		names := slices.Sorted(maps.Keys(value))
		chance.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for i, name := range names {
			if i > 0 {
				b.WriteByte(',')
			}
			write(b, chance, name)
			b.WriteByte(':')
			write(b, chance, value[name])
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, element := range value {
			if i > 0 {
				b.WriteByte(',')
			}
			write(b, chance, element)
		}
		b.WriteByte(']')
	case string:
		writeText(b, chance, value)
	default:
		data, _ := json.Marshal(value)
		b.Write(data)
	}
	space()
}

func writeText(b *strings.Builder, chance *rand.Rand, text string) {
	b.WriteByte('"')
	escaped := chance.IntN(4) == 0
	for _, c := range text {
		switch {
		case c < ' ' || c == '"' || c == '\\' || escaped && c < 0x10000 && chance.IntN(2) == 0:
			fmt.Fprintf(b, `\u%04x`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
}

// readWhole reads what ReadSnapshot reads, all of it at once.
func readWhole(t testing.TB, answer string) (s Snapshot) {
	t.Helper()
	var list struct {
		Apps []json.RawMessage `json:"apps"`
	}
	if err := json.Unmarshal([]byte(answer), &list); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	one := newTexts()
	for _, data := range list.Apps {
		var a struct {
			appJSON
			Labels map[string]string `json:"labels"`
			Tasks  []taskJSON        `json:"tasks"`
		}
		wrong := json.Unmarshal(data, &a)
		a.appJSON.Labels = a.Labels
		if a.Tasks != nil {
			a.appJSON.Tasks = []Task{}
		}
		for _, listed := range a.Tasks {
			task, err := listed.task(one)
			if wrong == nil {
				wrong = err
			}
			var problem error
			task.HealthCheckResults, problem = healthCheckResults(listed.HealthCheckResults, one)
			a.TaskProblems = withProblem(a.TaskProblems, problem, "task %s", task.ID)
			a.appJSON.Tasks = append(a.appJSON.Tasks, task)
		}
		app, err := a.app(one)
		switch {
		case wrong == nil && err == nil:
			s.Apps = append(s.Apps, app)
		case checkID(a.ID) == nil:
			s.Unreadable = append(s.Unreadable, Unreadable{ID: a.ID})
		default:
			s.Unreadable = append(s.Unreadable, Unreadable{})
		}
	}
	return s
}

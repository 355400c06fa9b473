package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// acts are messages that are verbs: what, which service, where.
var acts = []string{
	"registered", "updated", "deregistered", "check added", "check removed", "health", "heard", "left alone: not ours",
	"consular starts",
}

// styles are those of messages that begin so.
var styles = []struct {
	begins string
	style  style
}{
	{"registered", added},
	{"check added", added},
	{"updated", changed},
	{"labels changed", changed},
	{"deregistered", removed},
	{"check removed", removed},
	{"held back", held},
	{"removals are held back", held},
	{"marathon: ", bold}, // what the demo's Marathon does
}

func styleOf(message string, urgent bool) style {
	for _, s := range styles {
		if strings.HasPrefix(message, s.begins) {
			return s.style
		}
	}
	if urgent {
		return bold
	}
	return plain
}

// sentence tells a line in so many columns, if it can.
func (t *teller) sentence(f fields, room int, urgent bool) string {
	out := &text{colour: t.Colour}
	message := f.take("message")
	told := f["app"] != nil || f["service"] != nil
	f.trim(message)
	task := cmp.Or(f.take("id"), f.take("task"))
	delete(f, "task")
	if strings.Contains(message, task) {
		task = ""
	}
	problem := strings.ReplaceAll(f.take("error"), "\n", "; ")
	mark := styleOf(message, urgent)
	switch {
	case message == "resync":
		t.resync(out, f, mark)
	case message == "labels changed":
		labels(out, f, mark, room)
	case slices.Contains(acts, message):
		act(out, f, mark, message)
	default:
		if utf8.RuneCountInString(message) > room {
			message = brief(message)
		}
		out.add(mark, message)
		if details := f.details(); len(details) > 0 {
			out.add(plain, " ("+strings.Join(details, ", ")+")")
		}
	}
	if problem != "" {
		out.add(plain, ": "+problem)
	}
	if task != "" {
		const gap = "  "
		if told && out.width+len(gap)+utf8.RuneCountInString(task) > room {
			task = briefID(task)
		}
		out.add(plain, gap)
		out.add(dim, task)
	}
	return out.String()
}

// act: registered shop-web on 10.0.0.1 port 31001 (http): TASK_RUNNING, 24 ms
func act(out *text, f fields, mark style, message string) {
	out.add(mark, message)
	if subject := cmp.Or(f.take("service"), f.take("app")); subject != "" {
		out.add(plain, " ")
		out.add(bold, subject)
	}
	if agent := f.take("agent"); agent != "" {
		out.add(plain, " on "+agent)
	}
	if port := f.take("port"); port != "" {
		out.add(plain, " port "+port)
	}
	if port := f.take("port_name"); port != "" {
		out.add(plain, " ("+port+")")
	}
	if details := f.details(); len(details) > 0 {
		out.add(plain, ": "+strings.Join(details, ", "))
	}
}

// labels: labels of shop-web: set HAPROXY_GROUP, team; deleted release; 4 ms
func labels(out *text, f fields, mark style, room int) {
	delete(f, "agent") // there is one KV store
	if f["cause"] == "app read" {
		delete(f, "cause") // as nearly always
	}
	name := f.take("service")
	set, deleted := keys(f, "key", name), keys(f, "deleted", name)
	tail := ""
	if details := f.details(); len(details) > 0 {
		tail = "; " + strings.Join(details, ", ")
	}
	out.add(mark, "labels")
	out.add(plain, " of ")
	out.add(bold, name)
	before := ": "
	for i, part := range []struct {
		verb string
		keys []string
		style
	}{{"set ", set, changed}, {"deleted ", deleted, removed}} {
		if len(part.keys) == 0 {
			continue
		}
		out.add(plain, before+part.verb)
		left := room - out.width - utf8.RuneCountInString(tail)
		if i == 0 && len(deleted) > 0 {
			left /= 2
		}
		out.add(part.style, list(part.keys, left))
		before = "; "
	}
	out.add(plain, tail)
}

// keys are those of one service name, without what they all begin with.
func keys(f fields, field, name string) []string {
	text := f.take(field)
	if text == "" {
		return nil
	}
	var short []string
	for key := range strings.SplitSeq(text, ", ") {
		if _, label, found := strings.Cut(key, "/"+name+"/"); found {
			key = label
		}
		short = append(short, key)
	}
	return short
}

// figures of a resync: what there is, and what was done and left.
var (
	standing = []string{"%d app", "%d task", "%d service", "%d key"}
	figures  = []struct {
		field, one, many string
		style            style
	}{
		{"registered", "registered %d", "", added},
		{"updated", "updated %d", "", changed},
		{"deregistered", "deregistered %d", "", removed},
		{"checks", "wrote %d check", "wrote %d checks", changed},
		{"keys_set", "set %d key", "set %d keys", changed},
		{"keys_deleted", "deleted %d key", "deleted %d keys", removed},
		{"failed", "failed %d", "", removed},
		{"held_back", "held back %d", "", held},
		{"conflicts", "%d conflict", "%d conflicts", removed},
		{"quarantined", "%d app quarantined", "%d apps quarantined", removed},
		{"unread", "%d unread", "", removed},
		{"skipped_agents", "skipped %d agent", "skipped %d agents", plain},
		{"foreign_framework", "%d of another framework", "", removed},
	}
)

// resync: resync (connect): 11 apps, 21 tasks, 21 services, 27 keys; registered 2; 17 ms
func (t *teller) resync(out *text, f fields, mark style) {
	out.add(mark, "resync")
	if cause := f.take("cause"); cause != "" {
		out.add(plain, " ("+cause+")")
	}
	before := ": "
	for _, format := range standing {
		_, noun, _ := strings.Cut(format, " ")
		n := f.number(noun + "s")
		if !t.news(noun, n) {
			continue
		}
		if n != 1 {
			format += "s"
		}
		out.add(plain, before+fmt.Sprintf(format, n))
		before = ", "
	}
	before = map[string]string{": ": ": ", ", ": "; "}[before]
	idle := true
	for _, figure := range figures {
		n := f.number(figure.field)
		if n == 0 {
			continue
		}
		format := figure.one
		if n != 1 {
			format = cmp.Or(figure.many, figure.one)
		}
		out.add(plain, before)
		out.add(figure.style, fmt.Sprintf(format, n))
		before, idle = ", ", false
	}
	if idle {
		out.add(plain, before+"nothing to do")
	}
	if reads := f.number("reads"); reads > 0 {
		out.add(plain, fmt.Sprintf("; apps read %d", reads))
	}
	if details := f.details(); len(details) > 0 {
		out.add(plain, "; "+strings.Join(details, ", "))
	}
}

// news reports whether a figure is another than in the line before about a resync.
func (t *teller) news(noun string, n int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.told[noun]
	t.told[noun] = n
	return n != before
}

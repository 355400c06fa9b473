package console

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// style is a colour of a terminal, or 0.
type style int

const (
	plain   style = 0
	bold    style = 1
	removed style = 31
	added   style = 32
	changed style = 33
	held    style = 35
	dim     style = 90
)

// text is a line as it grows.
type text struct {
	strings.Builder
	// width is how many characters one sees.
	width  int
	colour bool
}

// add adds words, which others may have chosen.
func (t *text) add(s style, words string) {
	words = printable(words)
	t.width += utf8.RuneCountInString(words)
	if t.colour && s != plain && words != "" {
		words = fmt.Sprintf("\x1b[%dm%s\x1b[0m", s, words)
	}
	t.WriteString(words)
}

// printable is a text as a terminal can take it: nothing in it moves the cursor.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		s = strconv.Quote(s)
		return s[1 : len(s)-1]
	}
	return s
}

// uuid is that of a task or an instance: Marathon makes them of the time, and the first of their
// digits count ticks of 100 ns.
var uuid = regexp.MustCompile(`(?:instance-|marathon-)?([0-9a-f]{8})-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\.?(?:_app\.)?`)

// brief cuts what is long and tells nobody anything out of a text that names tasks.
func brief(s string) string { return uuid.ReplaceAllString(s, "$1…") }

// briefID cuts the app out of a task's ID, too.
func briefID(id string) string {
	if at := uuid.FindStringIndex(id); at != nil {
		return brief(id[at[0]:])
	}
	return id
}

// span is a time in milliseconds.
func span(ms int64) string {
	switch d := time.Duration(ms) * time.Millisecond; {
	case d < time.Second:
		return fmt.Sprintf("%d ms", ms)
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	default:
		return d.Round(time.Second).String()
	}
}

// list is as many of some texts as have room, at least one, and how many there are more.
func list(texts []string, room int) string {
	all := strings.Join(texts, ", ")
	for n := len(texts) - 1; n > 0 && utf8.RuneCountInString(all) > room; n-- {
		all = fmt.Sprintf("%s and %d more", strings.Join(texts[:n], ", "), len(texts)-n)
	}
	return all
}

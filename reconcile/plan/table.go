package plan

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"consular/reconcile/desired"
)

// WriteTable prints a plan for people: one line for each change, aligned, then
// what is held back, in the way, or could not be read.
func (p *Plan) WriteTable(w io.Writer, colour bool) error {
	var rows [][]string
	row := func(op, where, app, service, port, what string, why ...string) {
		rows = append(rows, []string{
			op, orDash(shown(where)), orDash(shown(app)), orDash(shown(service)), orDash(shown(port)), shown(what), shown(strings.Join(why, ", ")),
		})
	}
	change := func(op string, c Change, why ...string) {
		row(op, c.Agent, c.App, c.Service, c.Port, c.ID+c.Key, append(c.Why, why...)...)
	}
	if !p.InSync() {
		row("CHANGE", "AGENT", "APP", "SERVICE", "PORT", "ID OR KEY", "WHY")
	}
	for _, c := range p.Changes {
		change(string(c.Op), c)
	}
	for _, c := range p.Held {
		change("held back", c, c.HeldWhy)
	}
	for _, c := range p.Unconfirmed {
		change("unconfirmed", c, "its app could not be asked for")
	}
	for _, c := range p.Conflicts {
		row("conflict", c.Agent, "", c.Service, c.Port, c.ID+c.Key, c.Why)
	}
	for _, c := range p.Clashes {
		row("clash", "", strings.Join(c.Apps, " "), c.Name, "", "", ClashWhy(c)+"; goes on: "+orDash(c.Incumbent))
	}
	for _, u := range p.Unread {
		row("unread", u.What, "", "", "", "", u.Err)
	}
	for _, agent := range p.Skipped {
		row("skipped", agent, "", "", "", "", "Consul has its node as failed")
	}
	text := ""
	if n := p.Counts()[RegisterCheck]; n > 0 {
		text = fmt.Sprintf("%d checks are added to services that are registered: critical only where the row says so\n", n)
	}
	text += aligned(rows, colour)
	for _, line := range p.footer() {
		text += line + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

// aligned is a table of these rows.
func aligned(rows [][]string, colour bool) string {
	var text strings.Builder
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(columns, strings.Join(row, "\t"))
	}
	_ = columns.Flush() // to memory: there are no errors
	if colour {
		return paint(text.String())
	}
	return text.String()
}

// WriteJSON prints a plan for machines: one object, its lists never null.
func (p *Plan) WriteJSON(w io.Writer) error {
	full := *p
	full.Changes = append([]Change{}, p.Changes...)
	full.Held = append([]Change{}, p.Held...)
	full.HeldWhy = append([]string{}, p.HeldWhy...)
	full.Unconfirmed = append([]Change{}, p.Unconfirmed...)
	full.Conflicts = append([]Conflict{}, p.Conflicts...)
	full.Clashes = append([]desired.Clash{}, p.Clashes...)
	full.Skipped = append([]string{}, p.Skipped...)
	full.Unread = append([]Unread{}, p.Unread...)
	full.Unfit = append([]Unfit{}, p.Unfit...)
	full.UnownedKeys = append([]string{}, p.UnownedKeys...)
	full.LeftOut = append([]desired.LeftOut{}, p.LeftOut...)
	return writeJSON(w, full)
}

func writeJSON(w io.Writer, value any) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(value)
}

// namedKeys is how many keys of nobody are named: all are in the JSON.
const namedKeys = 10

// footer says what no line of the table says.
func (p *Plan) footer() []string {
	var lines []string
	for _, u := range p.Unfit {
		lines = append(lines, u.String())
	}
	for _, out := range p.LeftOut {
		lines = append(lines, fmt.Sprintf("%d apps are left out by %s", out.Apps, shown(out.By)))
	}
	if p.Unowned > 0 {
		lines = append(lines, fmt.Sprintf("%d keys below the prefix are nobody's and no app's: left alone", p.Unowned))
		for _, key := range p.UnownedKeys[:min(namedKeys, len(p.UnownedKeys))] {
			lines = append(lines, "  "+shown(key))
		}
	}
	if p.ForeignFramework > 0 {
		lines = append(lines, fmt.Sprintf("%d services with this registration ID belong to another Marathon framework (%s): left alone, and no key is removed; `consular sync --force` removes both",
			p.ForeignFramework, shown(strings.Join(p.Frameworks, ", "))))
	}
	for _, s := range p.Read {
		lines = append(lines, s.String())
	}
	state := "in sync"
	if len(p.Unread) > 0 {
		state = "no drift in what could be read"
	}
	if !p.InSync() {
		n := p.Counts()
		state = fmt.Sprintf("%d to register, %d to update, %d to deregister, %d keys to set, %d to delete, %d held back",
			n[Register], n[Update], n[Deregister], n[Set], n[Delete], len(p.Held)+len(p.Unconfirmed))
		for _, more := range []struct {
			n    int
			what string
		}{{n[RegisterCheck] + n[UpdateCheck] + n[DeregisterCheck], "checks to write"}, {len(p.Conflicts), "conflicts"}, {len(p.Clashes), "clashes"}} {
			if more.n > 0 {
				state += fmt.Sprintf(", %d %s", more.n, more.what)
			}
		}
	}
	if len(p.Unread) > 0 {
		state += fmt.Sprintf("; %d things could not be read", len(p.Unread))
	}
	return append(lines, fmt.Sprintf("%d services and %d keys are ours: %s", p.Services, p.Keys, state))
}

// ClashWhy says what several apps want, and how to give it another name.
func ClashWhy(c desired.Clash) string {
	switch {
	case c.KeysOnly:
		return "the keys of several apps are below one name"
	case len(c.Ports) == 0:
		return "one service name for several apps"
	}
	return "one service name, which the port of an app makes: give it another by " + strings.Join(c.Remedies, " or ")
}

// subject is what a change is about: a task or a key.
func (c Change) subject() string { return c.Task + c.Key }

// shown is text of others, such as a task ID, as a terminal can take it: nothing in
// it moves the cursor or looks like a line of ours.
func shown(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return fmt.Sprintf("%.200q", s)
	}
	return s
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// paint colours each line by its first word: green adds, yellow changes, red
// takes away or stands in the way.
func paint(table string) string {
	lines := strings.SplitAfter(table, "\n")
	for i, line := range lines {
		word, _, _ := strings.Cut(line, " ")
		if code := colours[word]; code != "" {
			lines[i] = code + strings.TrimSuffix(line, "\n") + "\x1b[0m\n"
		}
	}
	return strings.Join(lines, "")
}

var colours = map[string]string{
	string(Register): "\x1b[32m", string(Update): "\x1b[33m", string(Set): "\x1b[33m",
	string(RegisterCheck): "\x1b[32m", string(UpdateCheck): "\x1b[33m", string(DeregisterCheck): "\x1b[33m",
	string(Deregister): "\x1b[31m", string(Delete): "\x1b[31m",
	string(Absent): "\x1b[31m", string(Differs): "\x1b[33m", string(LeftOver): "\x1b[31m", string(Unknown): "\x1b[35m",
	"held": "\x1b[35m", "unconfirmed": "\x1b[35m", "conflict": "\x1b[31m", "clash": "\x1b[31m", "unread": "\x1b[31m",
}

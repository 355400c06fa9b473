package desired

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"consular/consul"
	"consular/marathon"
)

// How much labels may make of one service, and how much of them is told: what is just within
// a bound is taken whole, and no problem.

func TestMetaJustWithinItsBounds(t *testing.T) {
	const most = consul.MaxMeta - ourMeta
	for name, test := range map[string]struct {
		said, become, same int // pairs of two kinds, and how many keys of the second are the first's
		meta, left         int
	}{
		"none":                          {0, 0, 0, 0, 0},
		"as many as there may be":       {most, 0, 0, most, 0},
		"of two kinds":                  {30, most - 30, 0, most, 0},
		"one too many":                  {30, most - 29, 0, most, 1},
		"one too many of one kind":      {most + 1, 0, 0, most, 1},
		"as many, some of them twice":   {most, 5, 5, most, 0},
		"a few too many, some of twice": {most, 9, 5, most, 4},
	} {
		labels := map[string]string{}
		for i := range test.said {
			labels[fmt.Sprintf("consul.meta.a%03d", i)] = "said"
		}
		for i := range test.become {
			key := fmt.Sprintf("b%03d", i)
			if i < test.same {
				key = fmt.Sprintf("a%03d", i)
			}
			labels[key] = "become"
		}
		got := shapeIt(Shaping{MetaLabels: Globs{"{a,b}*"}}, "/shop", marathon.Definition{Labels: labels})
		if n := len(got.shape.services[0].meta); n != test.meta {
			t.Errorf("%s: %d pairs, want %d", name, n, test.meta)
		}
		for key, value := range got.services[0].Meta {
			if key[0] == 'a' && value != "said" {
				t.Errorf("%s: %s is %s", name, key, value)
			}
		}
		var problems []string
		if test.left > 0 {
			problems = []string{fmt.Sprintf("has %d pairs of Meta too many", test.left)}
		}
		wantProblems(t, got.problems, problems)
	}
}

func TestTagsJustWithinTheirBounds(t *testing.T) {
	tags := make([]string, maxTags/maxTag)
	for i := range tags {
		tags[i] = fmt.Sprintf("%02d%s", i, strings.Repeat("x", maxTag-2))
	}
	for more, problems := range map[string][]string{"": nil, ",y": {"has tags of more than 65536 bytes"}} {
		got := shapeIt(Shaping{}, "/shop", marathon.Definition{Labels: map[string]string{"consul.tags": strings.Join(tags, ",") + more}})
		if n := len(got.services[0].Tags) - 2; n != len(tags) {
			t.Errorf("%d tags, want %d", n, len(tags))
		}
		wantProblems(t, got.problems, problems)
	}
}

// An app's tags are on each of its services: thousands of both make no more of them than one
// definition may have, and every service all the same.
func TestTagsOfManyServices(t *testing.T) {
	d := marathon.Definition{Labels: map[string]string{"consul.tags": "said"}}
	for i := range 2_000 {
		d.Ports = append(d.Ports, marathon.Port{Name: fmt.Sprint("port-", i), OnHost: true})
		d.Labels[fmt.Sprint("label-", i)] = strings.Repeat("x", 20)
	}
	tr := testTranslation()
	tr.Shaping = Shaping{AllPorts: true, TagLabels: Globs{"label-*"}}
	sh := tr.shape("/shop", d)
	size := 0
	for _, s := range sh.services {
		for _, tag := range s.tags[2:] {
			size += len(tag)
		}
	}
	if len(sh.services) != 2_000 || size > maxAllTags || size < maxAllTags-100 {
		t.Errorf("%d services with tags of %d bytes", len(sh.services), size)
	}
	if !slices.Contains(sh.services[1].tags, "label-1="+strings.Repeat("x", 20)) {
		t.Errorf("the second service has the tags %.200q", sh.services[1].tags)
	}
	wantProblems(t, sh.problems, []string{"have tags of more than 4194304 bytes"})
}

func TestNamesJustWithinTheirBounds(t *testing.T) {
	for name, test := range map[string]struct {
		name     string
		problems []string
	}{
		"as long as in DNS":     {strings.Repeat("x", 63), nil},
		"longer than in DNS":    {strings.Repeat("x", 64), []string{"no name that DNS can carry"}},
		"as long as may be":     {strings.Repeat("x", maxName), []string{"no name that DNS can carry"}},
		"all that DNS has":      {"azAZ-09", nil},
		"a hyphen first":        {"-a", []string{"no name that DNS can carry"}},
		"a hyphen last":         {"a-", []string{"no name that DNS can carry"}},
		"a colon, behind the 9": {"a:b", []string{"no name that DNS can carry"}},
		"a slash, before the 0": {"a/b", []string{"no name that DNS can carry"}},
		"an at sign":            {"a@b", []string{"no name that DNS can carry"}},
		"a bracket":             {"a[b", []string{"no name that DNS can carry"}},
		"a backquote":           {"a`b", []string{"no name that DNS can carry"}},
		"a brace":               {"a{b", []string{"no name that DNS can carry"}},
	} {
		got := shapeIt(Shaping{}, "/shop", marathon.Definition{Labels: map[string]string{"consul.name": test.name}})
		if got.services[0].Name != test.name {
			t.Errorf("%s: becomes %s", name, got)
		}
		wantProblems(t, got.problems, test.problems)
	}
}

// Keys of Meta take letters, digits, - and _ of a label's name, and _ for all else.
func TestLabelsAsKeysOfMeta(t *testing.T) {
	for label, key := range map[string]string{
		"azAZ-09_": "azAZ-09_", "a/b:c": "a_b_c", "a@b[c": "a_b_c", "a`b{c": "a_b_c", "a.b c": "a_b_c", "é": "_",
	} {
		got := shapeIt(Shaping{MetaLabels: Globs{"**"}}, "/shop", marathon.Definition{Labels: map[string]string{label: "x"}})
		if got.services[0].Meta[key] != "x" {
			t.Errorf("%s: %v", label, got.services[0].Meta)
		}
	}
}

// Of many problems the first ones are told, and how many more there are.
func TestProblemsAreBounded(t *testing.T) {
	for n, last := range map[int]string{maxProblems: "is no setting of an app", maxProblems + 1: "and 1 more", maxProblems + 30: "and 30 more"} {
		labels := map[string]string{}
		for i := range n {
			labels[fmt.Sprintf("consul.x%03d", i)] = ""
		}
		problems := shapeIt(Shaping{}, "/shop", marathon.Definition{Labels: labels}).problems
		if len(problems) != min(n, maxProblems+1) || !strings.Contains(problems[len(problems)-1], last) {
			t.Errorf("%d problems are told in %d lines, the last one %q", n, len(problems), problems[len(problems)-1])
		}
	}
}

// What is told of a label fits in a line: a long name is cut, and quoted like an odd one.
func TestLabelsAreToldInALine(t *testing.T) {
	for rest, shown := range map[string]string{
		strings.Repeat("x", 73):           `consul.` + strings.Repeat("x", 73) + `="v": `,
		strings.Repeat("x", 73) + "y":     `"consul.` + strings.Repeat("x", 73) + `"="v": `,
		strings.Repeat("x", 73) + "yyyyy": `"consul.` + strings.Repeat("x", 73) + `"="v": `,
		"a\x1bb":                          `"consul.a\x1bb"="v": `,
	} {
		problems := shapeIt(Shaping{}, "/shop", marathon.Definition{Labels: map[string]string{"consul." + rest: "v"}}).problems
		if len(problems) != 1 || !strings.HasPrefix(problems[0], shown) {
			t.Errorf("%q: %q, want %q", rest, problems, shown)
		}
	}
}

// Which ports there are is told of ten of them.
func TestPortsAreToldOfTen(t *testing.T) {
	for n, told := range map[int]string{
		0: "(it declares none)", 1: "(it has p0)", 10: "p8, p9)", 11: "p8, p9, …)", 12: "p8, p9, …)",
	} {
		d := marathon.Definition{Labels: map[string]string{"consul.port.none.name": "x"}}
		for i := range n {
			d.Ports = append(d.Ports, marathon.Port{Name: fmt.Sprint("p", i), OnHost: true})
		}
		wantProblems(t, shapeIt(Shaping{}, "/shop", d).problems, []string{told})
	}
}

// What a label of a port says without naming one.
func TestLabelsOfNoPort(t *testing.T) {
	for label, problem := range map[string]string{
		"consul.port.name":      "says nothing about a port",
		"consul.port..name":     "the app has no port  (",
		"consul.port..meta.key": "the app has no port  (",
	} {
		got := shapeIt(Shaping{}, "/shop", labelsOf(marathon.Definition{Ports: shopPorts()}, label+"=x"))
		if got.String() != "t1 shop 31000" {
			t.Errorf("%s: becomes %s", label, got)
		}
		wantProblems(t, got.problems, []string{problem})
	}
}

// A bad name of a port, be it the first, makes nobody's name but that port's.
func TestBadNameOfTheFirstPort(t *testing.T) {
	for label, instead := range map[string]bool{"consul.name": true, "consul.port.web.name": false, "consul.port.admin.name": false} {
		problems := shapeIt(Shaping{}, "/shop", labelsOf(marathon.Definition{Ports: shopPorts()}, label+"= ")).problems
		if len(problems) != 1 || strings.Contains(problems[0], "the name made of the app's ID") != instead {
			t.Errorf("%s: %q", label, problems)
		}
	}
}

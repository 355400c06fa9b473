package desired

import (
	"fmt"
	"strings"
	"testing"

	"consular/marathon"
)

// What is wrong with the labels of an app is told once for each definition that its tasks
// run or are to run, as long as they do.
func TestTroublesOfEachDefinition(t *testing.T) {
	version := func(app marathon.App, version, change string) marathon.App {
		app.Version, app.Definition.LastConfigChangeAt = version, change
		app.Tasks[0].Version, app.Tasks[0].ID = version, "task-of-"+version
		return app
	}
	good := func(v string) marathon.App { return version(called("/shop", "consul.kv=true"), v, "change-"+v) }
	bad := func(v string) marathon.App { return version(called("/shop", "consul.kv=perhaps"), v, "change-"+v) }
	worse := version(called("/shop", "consul.kv=never"), "v3", "")
	for name, test := range map[string]struct {
		old, now marathon.App
		want     string
	}{
		"none":                {good("v1"), good("v2"), "[]"},
		"the old one":         {bad("v1"), good("v2"), "[change-v1 perhaps]"},
		"the new one":         {good("v1"), bad("v2"), "[change-v2 perhaps]"},
		"both, in two ways":   {bad("v1"), worse, "[v3 never change-v1 perhaps]"},
		"both, the same":      {bad("v1"), bad("v2"), "[change-v2 perhaps]"},
		"another app is fine": {good("v1"), worse, "[v3 never]"},
	} {
		now := test.now
		now.Tasks = append(now.Tasks, test.old.Tasks...)
		m := told(called("/other", ""), test.old, now)
		m.ApplyDefinition(Version{"/shop", "v1"}, test.old.Definition, false)
		said := func() string {
			var all []string
			for _, trouble := range m.Troubles() {
				value := strings.Split(trouble.Problems[0], `"`)[1]
				all = append(all, trouble.Definition+" "+value)
			}
			return fmt.Sprint(all)
		}
		if got := said(); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
		if got, all := fmt.Sprint(m.TroublesOf("/shop")), fmt.Sprint(m.Troubles()); got != all {
			t.Errorf("%s: of the app %s, of all %s", name, got, all)
		}
		if m.ApplyNotFound(m.BeginRead(), "/shop", start); said() != "[]" || m.TroublesOf("/shop") != nil {
			t.Errorf("%s: when the app is gone: %s", name, said())
		}
	}
}

// Of an app that is not known, or merely missing, nothing is wrong.
func TestNoTroublesOfWhatIsNotThere(t *testing.T) {
	m := knowing(called("/shop", "consul.kv=perhaps"))
	if got := m.TroublesOf("/none"); got != nil {
		t.Errorf("of an unknown app: %v", got)
	}
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(), start, Alone)
	if got := append(m.Troubles(), m.TroublesOf("/shop")...); got != nil {
		t.Errorf("of a missing app: %v", got)
	}
}

// How many ports an app declares that are no services, though no label says so: who moves
// here may miss them.
func TestPortsThatAreOmitted(t *testing.T) {
	for name, test := range map[string]struct {
		shaping Shaping
		labels  string
		want    int
	}{
		"three of four":          {want: 3},
		"none with --ports all":  {shaping: Shaping{AllPorts: true}},
		"none by a label":        {labels: "consul.ports=first"},
		"one has a label":        {labels: "consul.port.admin.name=x", want: 2},
		"one is said to be none": {labels: "consul.port.admin.register=false", want: 2},
		"none of an app":         {labels: "consul.register=false"},
	} {
		tr := testTranslation()
		tr.Shaping = test.shaping
		m := New(tr)
		app := newApp("/shop")
		app.Definition = labelsOf(marathon.Definition{Ports: shopPorts()}, test.labels)
		m.ApplyApp(m.BeginRead(), app, start)
		if got := m.Omitted("/shop"); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
		if got := m.Omitted("/none"); got != 0 {
			t.Errorf("%d of an unknown app", got)
		}
	}
}

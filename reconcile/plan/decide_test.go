package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"consular/consul"
	"consular/reconcile/desired"
)

// What is to become of a task's services on one agent, by what is there and how the
// agent stands to them.
func TestDecide(t *testing.T) {
	service := func(id string, port int) consul.Service { return consul.Service{ID: id, Name: "web", Port: port} }
	first, second, third := service("t1", 1), service("t1:admin", 2), service("t1:2", 3)
	foreign := service("t1:admin", 2)
	foreign.Tags = []string{"theirs"}
	present := desired.Want{Verdict: desired.Present, Task: "t1", Host: "h1", Services: []consul.Service{first, second, third}}
	gone := present
	gone.VersionGone = true
	waiting := present
	waiting.Services, waiting.Waits = []consul.Service{first}, []desired.Waiting{{ID: "t1:admin"}}
	all := []consul.Service{first, second, third}
	many := present
	many.Services = slices.Clone(all)
	for port := 4; port < 20; port++ {
		many.Services = append(many.Services, service(fmt.Sprint("t1:", port), port))
	}
	ofMany := append(slices.Clone(many.Services[1:]), service("t1:old", 4))
	ofMany[3].Port = 99
	for name, test := range map[string]struct {
		want desired.Want
		here []consul.Service
		at   Standing
		then string
	}{
		"home, nothing there":              {present, nil, Home, "register t1, register t1:admin, register t1:2"},
		"home, all there":                  {present, all, Home, ""},
		"home, one is missing":             {present, all[:2], Home, "register t1:2"},
		"home, one has drifted":            {present, []consul.Service{first, service("t1:admin", 9), third}, Home, "update t1:admin"},
		"home, version gone":               {gone, []consul.Service{first, service("t1:admin", 9)}, Home, "register t1:2"},
		"home, version gone, one too many": {gone, append(slices.Clone(all), service("t1:old", 4)), Home, ""},
		"home, many":                       {many, ofMany, Home, "register t1, update t1:5, deregister t1:old (excluded)"},
		"home, one is foreign":             {present, []consul.Service{first, foreign, third}, Home, "conflict t1:admin"},
		"home, one too many":               {present, append(slices.Clone(all), service("t1:old", 4)), Home, "deregister t1:old (excluded)"},
		"home, one is to wait":             {waiting, all, Home, "deregister t1:2 (excluded)"},
		"elsewhere, one is to wait":        {waiting, all[1:2], HomeHas, ""},
		"home, a foreign one more":         {present, append(slices.Clone(all), consul.Service{ID: "t1:x", Tags: []string{"theirs"}}), Home, ""},
		"elsewhere, nothing there":         {present, nil, HomeHas, ""},
		"elsewhere, home has it":           {present, all[:1], HomeHas, "deregister t1 (wrong agent)"},
		"elsewhere, home lacks it":         {present, all[:1], HomeLacks, "deregister t1 (wrong agent, home first)"},
		"elsewhere, home unknown":          {present, all, HomeUnknown, ""},
		"elsewhere, foreign":               {present, []consul.Service{foreign}, HomeHas, ""},
		"elsewhere, one too many":          {present, []consul.Service{service("t1:old", 4)}, HomeLacks, "deregister t1:old (excluded)"},
		"one too many, home unknown":       {present, []consul.Service{service("t1:old", 4)}, HomeUnknown, ""},
		"absent": {
			desired.Want{Task: "t1", Grounds: desired.Lost},
			[]consul.Service{first, foreign, third},
			Home,
			"deregister t1 (task is unreachable), deregister t1:2 (task is unreachable)",
		},
		"untouched": {desired.Want{Verdict: desired.Untouched}, all, Home, ""},
	} {
		ours := func(s consul.Service) bool { return len(s.Tags) == 0 }
		var then []string
		for _, d := range Decide(test.want, test.here, ours, func(string) Standing { return test.at }) {
			what := string(d.Op)
			if d.Conflict {
				what = "conflict"
			}
			what += " " + d.Service.ID
			switch {
			case d.HomeFirst:
				what += fmt.Sprintf(" (%s, home first)", d.Grounds)
			case d.Grounds != 0:
				what += fmt.Sprintf(" (%s)", d.Grounds)
			}
			if want, is := test.want.Service(d.Service.ID); is && d.Op != Deregister && !d.Conflict && want.Port != d.Service.Port {
				t.Errorf("%s: writes port %d of %s", name, d.Service.Port, d.Service.ID)
			}
			then = append(then, what)
		}
		if got := strings.Join(then, ", "); got != test.then {
			t.Errorf("%s: %q, want %q", name, got, test.then)
		}
	}
}

package desired

import (
	"strings"
	"testing"

	"consular/marathon"
)

func TestAllegrosLabels(t *testing.T) {
	for name, test := range map[string]struct {
		shaping      Shaping
		labels, want string
		problems     []string
	}{
		"no label":          {labels: "varnish=tag", want: "left out: no label consul"},
		"empty":             {labels: "consul=", want: "t1 group.shop 31000"},
		"true":              {labels: "consul=true", want: "t1 group.shop 31000"},
		"a name":            {labels: "consul= customName ", want: "t1 customName 31000"},
		"a path":            {labels: "consul=/a/b/", want: "t1 a.b 31000"},
		"another separator": {shaping: Shaping{Allegro: true, NameSeparator: "-"}, labels: "consul=", want: "t1 group-shop 31000"},
		"another word":      {shaping: Shaping{Allegro: true, LabelPrefix: "sd"}, labels: "sd=x\nconsul=y", want: "t1 x 31000"},
		"tags":              {labels: "consul=\nvarnish=tag\nmetrics=tag\nteam=shop", want: "t1 group.shop 31000 [metrics varnish]"},
		"several names": {
			labels: "consul=first, second,,first,true\na=tag\nb=tag:second\nc=tag:none\nd=tag:group.shop",
			want:   "t1 first 31000 [a]; t1:web:second second 31000 [a b]; t1:web:group.shop group.shop 31000 [a d]",
		},
		"ports": {
			labels: "consul=\ncommon-tag=tag\n0:consul=my-app-custom-name\n1:consul=my-app-other-name\n1:specific-tag=tag",
			want:   "t1 my-app-custom-name 31000 [common-tag]; t1:admin my-app-other-name 31001 [common-tag specific-tag]",
		},
		"ports, the app's name has no effect": {labels: "consul=x\n1:consul=y", want: "t1:admin y 31001"},
		"ports, the app has no label":         {labels: "1:consul=y", want: "left out: no label consul"},
		"ports of one name":                   {labels: "consul=\n0:consul=\n1:consul=true", want: "t1 group.shop 31000; t1:admin group.shop 31001"},
		"ports with several names": {
			labels: "consul=\n1:consul=a,b\n1:x=tag:b\n1:y=tag:a\n2:consul=c,d",
			want:   "t1:admin a 31001 [y]; t1:admin:b b 31001 [x]; t1:2 c 31002; t1:2:d d 31002",
		},
		"--ports all":                      {shaping: Shaping{Allegro: true, AllPorts: true}, labels: "consul=x", want: "t1 x 31000; t1:admin x-admin 31001; t1:2 x-2 31002; t1:3 x-3 31003"},
		"--ports all, and labels of ports": {shaping: Shaping{Allegro: true, AllPorts: true}, labels: "consul=x\n1:consul=y", want: "t1:admin y 31001"},
		"places": {
			labels: "consul=\nadmin:{port:admin}/{port:web}=tag\n0:consul=\n0:self:{port:web}=tag\nopen{port:web=tag",
			want:   "t1 group.shop 31000 [admin:31001/31000 open{port:web self:31000]",
		},
		"places of no port":              {labels: "consul=\nx{port:nope}=tag\ny=tag", want: "t1 group.shop 31000 [y]", problems: []string{`x{port:nope}="tag": the app has no port nope`}},
		"labels of the other dialect":    {labels: "consul=x\nconsul.name=y\nconsul.register=false", want: "t1 x 31000"},
		"a bad name":                     {labels: "consul=a\x01b", want: "t1 group.shop 31000", problems: []string{"contains control characters; taken instead: the name made of the app's ID"}},
		"a long name of a port":          {labels: "consul=\n1:consul=" + strings.Repeat("x", 200), want: "t1:admin group.shop 31001", problems: []string{"port admin: consul=", "longer than 128 bytes"}},
		"too many names":                 {labels: "consul=" + strings.Repeat("x,y,", 40), want: "t1 group.shop 31000", problems: []string{"more than 64 names; taken instead: the name made of the app's ID"}},
		"a name not for DNS":             {labels: "consul=a b", want: "t1 a b 31000", problems: []string{"no name that DNS can carry"}},
		"a name with dots":               {labels: "consul=a.b-c", want: "t1 a.b-c 31000"},
		"a second name that makes no ID": {labels: "consul=a,b c", want: "t1 a 31000", problems: []string{"no name that DNS can carry", "the service of port web: service id"}},
		"a tag without a name":           {labels: "consul=\n0:consul=\n0:=tag\n0:y=tag", want: "t1 group.shop 31000 [y]", problems: []string{"is empty"}},
		"tags that mark":                 {labels: "consul=\nconsular-reg-id=x=tag\nconsular-reg-id=tag", want: "t1 group.shop 31000 [consular-reg-id]"},
		"tag labels too":                 {shaping: Shaping{Allegro: true, TagLabels: Globs{"traefik.*"}, MetaLabels: Globs{"team"}}, labels: "consul=\nteam=x\ntraefik.enable=true", want: "t1 group.shop 31000 [traefik.enable=true] map[team:x]"},
	} {
		t.Run(name, func(t *testing.T) {
			shaping := test.shaping
			shaping.Allegro = true
			got := shapeIt(shaping, "/group/shop", labelsOf(marathon.Definition{Ports: shopPorts()}, test.labels))
			if got.String() != test.want {
				t.Errorf("becomes  %s\nwant     %s", got, test.want)
			}
			wantProblems(t, got.problems, test.problems)
		})
	}
}

// A place in a tag is the number at which the port is reached, in every network, and while
// that is not known the service waits.
func TestPlacesInTags(t *testing.T) {
	d := marathon.Definition{Network: marathon.ContainerNetwork, Ports: []marathon.Port{
		{Name: "web", Container: 8080}, {Name: "host", Container: 81, OnHost: true}, {Name: "random"},
	}}
	got := shapeIt(Shaping{Allegro: true}, "/shop", labelsOf(d, "consul=\na={port:web}\n{port:web}:{port:host}=tag\n{port:random}=tag"))
	if want := "t1 shop 8080 [8080:31000]"; got.String() != want {
		t.Errorf("becomes %s, want %s", got, want)
	}
	wantProblems(t, got.problems, []string{"port random: a random port"})

	app := newApp("/shop", newTask("t1", "/shop"))
	app.Definition = labelsOf(marathon.Definition{Ports: shopPorts()[:2]}, "consul=\n{port:admin}=tag")
	tr := testTranslation()
	tr.Shaping.Allegro = true
	m := New(tr)
	m.ApplySnapshot(m.BeginRead(), marathonSnapshot(app), start, Alone)
	if w := wantVerdict(t, m, "t1", "", Untouched); !w.notYet() {
		t.Errorf("a task of which a port is not known yet: %+v", w)
	}
}

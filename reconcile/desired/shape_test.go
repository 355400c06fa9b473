package desired

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"consular/consul"
	"consular/marathon"
)

// What labels make of the services of an app: /shop, which declares the ports web and admin,
// one without a name, and one whose name is a number.

// shopPorts are its ports, on its host.
func shopPorts() []marathon.Port {
	return []marathon.Port{{Name: "web", OnHost: true}, {Name: "admin", OnHost: true}, {OnHost: true}, {Name: "8080", OnHost: true}}
}

// shaped is what a task of an app becomes, and what is wrong with its labels.
type shaped struct {
	*shape
	services []consul.Service
	problems []string
}

// shapeIt shapes one task t1, whose host ports are 31000 and so on.
func shapeIt(s Shaping, app string, d marathon.Definition) shaped {
	tr := testTranslation()
	tr.Shaping = s
	t := newTask("t1", app)
	t.Ports = nil
	for _, p := range d.Ports {
		if p.OnHost {
			t.Ports = append(t.Ports, 31000+len(t.Ports))
		}
	}
	if d.Network == marathon.ContainerNetwork {
		t.Addresses = []string{"10.9.0.7"}
	}
	sh := tr.shape(app, d)
	out := shaped{shape: sh, problems: sh.problems}
	r := reach{Task: t, definition: d}
	for i := range sh.services {
		if one, err := tr.service(&sh.services[i], &r); err == nil {
			out.services = append(out.services, one)
		}
	}
	return out
}

// String is all services, but for what all have: "t1 shop 31000 [tag] {key=value}".
func (s shaped) String() string {
	var all []string
	for _, one := range s.services {
		line := fmt.Sprint(one.ID, " ", one.Name, " ", one.Port)
		if tags := one.Tags[2:]; len(tags) > 0 {
			line += fmt.Sprint(" ", tags)
		}
		meta := maps.Clone(one.Meta)
		for _, ours := range []string{consul.MetaApp, consul.MetaTask, consul.MetaVersion, consul.MetaFramework} {
			delete(meta, ours)
		}
		if len(meta) > 0 {
			line += fmt.Sprint(" ", meta)
		}
		all = append(all, line)
	}
	if s.leftOut != "" {
		all = append(all, "left out: "+s.leftOut)
	}
	if s.noKeys {
		all = append(all, "no keys")
	}
	return strings.Join(all, "; ")
}

// labels are written "key=value", with more on more lines; those of the nth port begin "n:".
func labelsOf(d marathon.Definition, text string) marathon.Definition {
	d.Labels, d.Ports = map[string]string{}, slices.Clone(d.Ports)
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(strings.TrimLeft(line, "\t"), "\n"), "=")
		if key == "" {
			continue
		}
		if len(key) > 1 && key[1] == ':' && key[0] <= '9' {
			port := &d.Ports[key[0]-'0']
			port.Labels = put(maps.Clone(port.Labels), key[2:], value)
			continue
		}
		d.Labels[key] = value
	}
	return d
}

func TestConsularLabels(t *testing.T) {
	const first, admin, third, fourth = "t1 shop 31000", "t1:admin shop-admin 31001", "t1:2 shop-2 31002", "t1:3 shop-3 31003"
	all := strings.Join([]string{first, admin, third, fourth}, "; ")
	for name, test := range map[string]struct {
		shaping      Shaping
		labels, want string
		problems     []string
	}{
		"nothing":        {want: first},
		"--ports all":    {shaping: Shaping{AllPorts: true}, want: all},
		"ports all":      {labels: "consul.ports=all", want: all},
		"ports first":    {shaping: Shaping{AllPorts: true}, labels: "consul.ports=first", want: first},
		"ports by name":  {labels: "consul.ports=admin", want: admin},
		"ports by index": {labels: "consul.ports= 0 , admin,, 2 ", want: strings.Join([]string{first, admin, third}, "; ")},
		"digits are no name": {
			labels: "consul.ports=8080", want: first,
			problems: []string{`consul.ports="8080": the app has no port 8080 (it has web, admin, 2, 3); taken instead: --ports`},
		},
		"ports none": {labels: "consul.ports= ,", want: first, problems: []string{"names no port"}},
		"port beyond": {
			labels: "consul.ports=web,7", want: first, problems: []string{"the app has no port 7"},
		},
		"register false": {labels: "consul.register=false", want: "left out: consul.register=false"},
		"register maybe": {labels: "consul.register=maybe", want: first, problems: []string{`consul.register="maybe": must be true or false; taken as if it were not there`}},
		"labelled":       {shaping: Shaping{Labelled: true}, want: "left out: --register labelled"},
		"labelled, in":   {shaping: Shaping{Labelled: true}, labels: "consul.register= True ", want: first},
		"labelled, a port's is none": {
			shaping: Shaping{Labelled: true}, labels: "0:consul.register=true", want: "left out: --register labelled",
		},
		"name":            {labels: "consul.name= front ", want: "t1 front 31000"},
		"name, all ports": {labels: "consul.name=front\nconsul.ports=web,admin", want: "t1 front 31000; t1:admin front-admin 31001"},
		"names of ports": {
			labels: "consul.ports=web,admin,2\nconsul.port.web.name=front\nconsul.port.1.name=back", want: "t1 front 31000; t1:admin back 31001; t1:2 front-2 31002",
		},
		"names of ports, the first is out": {labels: "consul.port.web.name=front\nconsul.port.web.register=false\nconsul.ports=admin", want: "t1:admin front-admin 31001"},
		"name empty":                       {labels: "consul.name=  ", want: first, problems: []string{`consul.name="  ": service name: empty; taken instead: the name made of the app's ID`}},
		"name with control":                {labels: "consul.name=a\x07b", want: first, problems: []string{"contains control characters"}},
		"name too long":                    {labels: "consul.name=" + strings.Repeat("x", 129), want: first, problems: []string{"longer than 128 bytes"}},
		"name not for DNS":                 {labels: "consul.name=a b", want: "t1 a b 31000", problems: []string{"no name that DNS can carry", "registered all the same"}},
		"name not for DNS because of the port": {
			labels: "consul.name=" + strings.Repeat("x", 60) + "\nconsul.ports=web,admin", want: "t1 " + strings.Repeat("x", 60) + " 31000; t1:admin " + strings.Repeat("x", 60) + "-admin 31001",
			problems: []string{"xxx-admin: no name that DNS can carry: A-Z a-z 0-9 -, up to 63 of them; registered all the same"},
		},
		"two of one name": {
			labels: "consul.port.web.name=x\nconsul.port.admin.name=x", want: "t1 x 31000", problems: []string{"the service of port admin: has the name of another: x; left out"},
		},
		"tags": {labels: `consul.tags= a ,b\,c, d\\e ,, f\g`, want: `t1 shop 31000 [a b,c d\e f\g]`},
		"tags, not the places of the other dialect": {labels: "consul.tags=x{port:web}", want: "t1 shop 31000 [x{port:web}]"},
		"tags, a backslash before a comma":          {labels: `consul.tags=a\\,b\,c`, want: `t1 shop 31000 [a\ b,c]`},
		"tags, twice the same":                      {labels: "consul.tags=a,b,a", want: "t1 shop 31000 [a b]"},
		"tags that mark": {
			labels: "consul.tags=a,consular-reg-id=x", want: first, problems: []string{"is how consular marks what is its own", "taken as if it were not there"},
		},
		"tags with control": {labels: "consul.tags=a,b\x01", want: first, problems: []string{"has control characters"}},
		"tags of port": {
			labels: "consul.tags=a\nconsul.port.admin.tags=b,a", want: "t1 shop 31000 [a]; t1:admin shop-admin 31001 [a b]",
		},
		"meta": {labels: "consul.meta.team=shop\nconsul.meta.tier=", want: "t1 shop 31000 map[team:shop tier:]"},
		"meta of port": {
			labels: "consul.meta.team=shop\nconsul.port.admin.meta.team=ops\nconsul.port.admin.meta.x=y",
			want:   "t1 shop 31000 map[team:shop]; t1:admin shop-admin 31001 map[team:ops x:y]",
		},
		"meta that is none": {
			labels: "consul.meta.a.b=c\nconsul.meta.=d\nconsul.meta.consul-x=e\nconsul.meta.marathon-app-id=f\nconsul.meta.consular-token=g", want: first,
			problems: []string{"service meta key", "its key is how consular marks what is its own"},
		},
		"meta too long":                     {labels: "consul.meta.k=" + strings.Repeat("x", 513), want: first, problems: []string{"513 bytes, Consul takes 512"}},
		"kv":                                {labels: "consul.kv=false", want: first + "; no keys"},
		"kv true":                           {labels: "consul.kv=true", want: first},
		"kv maybe":                          {labels: "consul.kv=0", want: first, problems: []string{`consul.kv="0": must be true or false`}},
		"health":                            {labels: "consul.health=none", want: first},
		"port, one label is enough":         {labels: "consul.port.admin.register=true", want: first + "; " + admin},
		"port, its own label":               {labels: "1:consul.meta.x=y", want: first + "; t1:admin shop-admin 31001 map[x:y]"},
		"port, beside those that are named": {labels: "consul.ports=2\n1:consul.tags=x", want: "t1:admin shop-admin 31001 [x]; " + third},
		"port, KEYs called like settings": {
			labels: "consul.port.admin.meta.name=a\nconsul.port.1.meta.tags=b\nconsul.port.admin.meta.register=c", want: first + "; t1:admin shop-admin 31001 map[name:a register:c tags:b]",
		},
		"port, not registered":                       {labels: "consul.ports=all\nconsul.port.1.register=false", want: strings.Join([]string{first, third, fourth}, "; ")},
		"port, not registered whatever else says so": {labels: "1:consul.register=true\nconsul.port.1.register=false", want: first},
		"port, nothing at all":                       {labels: "0:consul.register=false", want: ""},
		"port, who wins": {
			labels: "consul.port.1.name=index\nconsul.port.admin.name=name\n1:consul.name=own\nconsul.port.1.tags=index\nconsul.port.admin.tags=name\nconsul.port.1.meta.k=index\nconsul.port.1.meta.l=index\n1:consul.meta.k=own",
			want:   first + "; t1:admin own 31001 [name] map[k:own l:index]",
		},
		"port, a bad label changes nothing": {
			labels: "consul.port.1.name=good\nconsul.port.admin.name=", want: first + "; t1:admin good 31001", problems: []string{"service name: empty; taken as if it were not there"},
		},
		"port, a bad label makes no service": {labels: "consul.port.admin.register=perhaps\n2:consul.name=", want: first, problems: []string{"must be true or false", "port 2: consul.name"}},
		"port that is none": {
			labels: "consul.port.nope.name=x\nconsul.port.01.name=y\nconsul.port.8080.name=z\nconsul.port.name=z", want: first,
			problems: []string{"no port nope", "no port 01", "no port 8080", "consul.port.name"},
		},
		"no setting": {labels: "consul.tag=x\nconsul.port.web.port=x\n0:consul.ports=x\n0:consul.port.web.name=x", want: first, problems: []string{"is no setting of an app", "is no setting of a port"}},
		"another word": {
			shaping: Shaping{LabelPrefix: "bridge"}, labels: "bridge.name=x\nconsul.name=y\n1:bridge.name=z", want: "t1 x 31000; t1:admin z 31001",
		},
		"tag labels": {
			shaping: Shaping{TagLabels: Globs{"traefik.*"}},
			labels:  "traefik.enable=true\ntraefik.rule=Host(`x`), y\nteam=shop\n1:traefik.enable=false\nconsul.ports=web,admin\nconsul.tags=a",
			want:    "t1 shop 31000 [a traefik.enable=true traefik.rule=Host(`x`), y]; t1:admin shop-admin 31001 [a traefik.enable=false traefik.rule=Host(`x`), y]",
		},
		"tag labels do not make a service": {shaping: Shaping{TagLabels: Globs{"**"}}, labels: "1:x=y", want: first},
		"tag labels, but not ours":         {shaping: Shaping{TagLabels: Globs{"**"}}, labels: "consul.name=x\nconsul=y\na/b=c", want: "t1 x 31000 [a/b=c]"},
		"meta labels": {
			shaping: Shaping{MetaLabels: Globs{"{team,a/*}"}},
			labels:  "team=shop\na/b=1\na/b/c=2\nconsul.meta.team=ops\n1:team=admins\nconsul.ports=web,admin",
			want:    "t1 shop 31000 map[a_b:1 team:ops]; t1:admin shop-admin 31001 map[a_b:1 team:ops]",
		},
		"meta labels, one key": {
			shaping: Shaping{MetaLabels: Globs{"*"}}, labels: "a.b=1\na:b=2\nmarathon-x=3\nconsul-x=4\n" + strings.Repeat("k", 129) + "=5", want: "t1 shop 31000 map[a_b:1]",
			problems: []string{`a:b="2": as Meta: another label is a_b already; left out`, "marathon-x", "consul-x", "as Meta: service meta key"},
		},
		"labels of what is left out": {
			shaping: Shaping{Labelled: true, TagLabels: Globs{"*"}, MetaLabels: Globs{"*"}}, labels: "bad=\x00\nconsul.name=",
			want: "left out: --register labelled", problems: []string{"service name: empty"},
		},
		"tag label that marks": {
			shaping: Shaping{TagLabels: Globs{"*"}}, labels: "consular-app-id=/other\nok=1\nbad=\x00", want: "t1 shop 31000 [ok=1]",
			problems: []string{`consular-app-id="/other": as a tag it is how consular marks what is its own; left out`, "as a tag it has control characters"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := shapeIt(test.shaping, "/shop", labelsOf(marathon.Definition{Ports: shopPorts()}, test.labels))
			if got.String() != test.want {
				t.Errorf("becomes  %s\nwant     %s", got, test.want)
			}
			wantProblems(t, got.problems, test.problems)
		})
	}
}

// wantProblems fails the test unless each of the words is in some problem, and there are
// no problems without any.
func wantProblems(t *testing.T, have, words []string) {
	t.Helper()
	text := strings.Join(have, "\n")
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("no problem says %q:\n%s", word, text)
		}
	}
	for _, line := range have {
		if !slices.ContainsFunc(words, func(word string) bool { return strings.Contains(line, word) }) {
			t.Errorf("a problem too many: %s", line)
		}
	}
}

func TestPortsInAllNetworks(t *testing.T) {
	random, fixed, onHost := marathon.Port{Name: "random"}, marathon.Port{Name: "fixed", Container: 80}, marathon.Port{Name: "host", Container: 81, OnHost: true}
	d := func(network marathon.NetworkMode, ports ...marathon.Port) marathon.Definition {
		return marathon.Definition{Network: network, Ports: ports}
	}
	for name, test := range map[string]struct {
		definition marathon.Definition
		shaping    Shaping
		want       string
		addresses  string
		problems   []string
	}{
		"no ports":                         {definition: d(marathon.HostNetwork), want: "t1 shop 0", addresses: "agent-1.test"},
		"no ports, --ports all":            {definition: d(marathon.HostNetwork), shaping: Shaping{AllPorts: true}, want: "t1 shop 0", addresses: "agent-1.test"},
		"no ports, on a container network": {definition: d(marathon.ContainerNetwork), want: "t1 shop 0", addresses: "10.9.0.7"},
		"container network": {
			definition: d(marathon.ContainerNetwork, fixed, onHost, random), shaping: Shaping{AllPorts: true},
			want: "t1 shop 80; t1:host shop-host 31000", addresses: "10.9.0.7 agent-1.test",
			problems: []string{"port random: a random port within the container, which nobody can reach; left out"},
		},
		"container network, the first is out of reach": {
			definition: d(marathon.ContainerNetwork, random), want: "", problems: []string{"port random"},
		},
		"container network, what is no service is no problem": {definition: d(marathon.ContainerNetwork, fixed, random), want: "t1 shop 80", addresses: "10.9.0.7"},
		"bridge": {
			definition: d(marathon.BridgeNetwork, onHost, marathon.Port{OnHost: true}), shaping: Shaping{AllPorts: true},
			want: "t1 shop 31000; t1:1 shop-1 31001", addresses: "agent-1.test agent-1.test",
		},
		"the node's address": {
			definition: d(marathon.HostNetwork, marathon.Port{OnHost: true}), shaping: Shaping{NodeAddress: true}, want: "t1 shop 31000", addresses: "",
		},
		"the node's address, without ports": {definition: d(marathon.HostNetwork), shaping: Shaping{NodeAddress: true}, want: "t1 shop 0", addresses: ""},
		"the node's address, container network": {
			definition: d(marathon.ContainerNetwork, fixed, onHost), shaping: Shaping{NodeAddress: true, AllPorts: true},
			want: "t1 shop 80; t1:host shop-host 31000", addresses: "10.9.0.7 ",
		},
		"the node's address, the first port on the host": {
			definition: d(marathon.ContainerNetwork, onHost, fixed), shaping: Shaping{NodeAddress: true, AllPorts: true},
			want: "t1 shop 31000; t1:fixed shop-fixed 80", addresses: " 10.9.0.7",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := shapeIt(test.shaping, "/shop", test.definition)
			var addresses []string
			for _, s := range got.services {
				addresses = append(addresses, s.Address)
			}
			if got.String() != test.want || strings.Join(addresses, " ") != test.addresses {
				t.Errorf("becomes %s at %q, want %s at %q", got, addresses, test.want, test.addresses)
			}
			wantProblems(t, got.problems, test.problems)
		})
	}
}

// A port's name that has dots, and one that makes no ID.
func TestOddNamesOfPorts(t *testing.T) {
	d := marathon.Definition{Ports: []marathon.Port{
		{Name: "a.meta.b", OnHost: true}, {Name: "a b", OnHost: true}, {Name: "", OnHost: true}, {Name: "1", OnHost: true}, {Name: "a.meta.b", OnHost: true},
	}}
	got := shapeIt(Shaping{AllPorts: true}, "/shop", labelsOf(d, "consul.port.a.meta.b.name=dotted\nconsul.port.a.meta.b.meta.k=v\nconsul.port.3.meta.meta=x"))
	if want := "t1 dotted 31000 map[k:v]; t1:2 dotted-2 31002; t1:3 dotted-3 31003 map[meta:x]; t1:a.meta.b dotted-a.meta.b 31004"; got.String() != want {
		t.Errorf("becomes %s, want %s", got, want)
	}
	wantProblems(t, got.problems, []string{"the service of port a b: service id", "service dotted-a.meta.b: no name that DNS can carry"})
}

// What of a definition could not even be read is told with the labels.
func TestFieldsThatAreNotUnderstoodAreTold(t *testing.T) {
	app := newApp("/shop", newTask("t1", "/shop"))
	app.Definition.Problems, app.Definition.LastConfigChangeAt = []string{"port 0: field labels: not text; left out"}, "c1"
	m := knowing(app)
	if got := fmt.Sprint(m.Troubles()); got != "[{/shop c1 [port 0: field labels: not text; left out]}]" {
		t.Errorf("troubles %s", got)
	}
	mended := newApp("/shop", newTask("t1", "/shop"))
	m.ApplyApp(m.BeginRead(), mended, start)
	if got := m.Troubles(); len(got) > 0 {
		t.Errorf("and when it is mended: %v", got)
	}
}

// Sixty-four pairs are all that a service has, five of them ours.
func TestMetaHasBounds(t *testing.T) {
	d := marathon.Definition{Ports: shopPorts()[:1], Labels: map[string]string{}}
	for i := range 40 {
		d.Labels[fmt.Sprintf("consul.meta.said-%02d", i)] = "x"
		d.Labels[fmt.Sprintf("label-%02d", i)] = "x"
	}
	got := shapeIt(Shaping{MetaLabels: Globs{"label-*"}}, "/shop", d)
	meta := got.services[0].Meta
	if err := got.services[0].Check(); err != nil || len(meta) != 63 || meta["said-39"] == "" || meta["label-18"] == "" || meta["label-19"] != "" {
		t.Errorf("%v, %d pairs: %v", err, len(meta), meta)
	}
	wantProblems(t, got.problems, []string{"service shop: has 21 pairs of Meta too many; the last ones by name are left out"})
}

func TestTagsHaveBounds(t *testing.T) {
	d := marathon.Definition{Labels: map[string]string{"consul.tags": strings.Repeat(strings.Repeat("x", 1000)+",", 10) + strings.Repeat("y", maxTag+1)}}
	got := shapeIt(Shaping{}, "/shop", d)
	if got.String() != "t1 shop 0" {
		t.Errorf("becomes %s", got)
	}
	wantProblems(t, got.problems, []string{"is longer than 4096 bytes; taken as if it were not there"})
	var tags []string
	for i := range 100 {
		tags = append(tags, fmt.Sprintf("%03d%s", i, strings.Repeat("x", 997)))
	}
	got = shapeIt(Shaping{}, "/shop", marathon.Definition{Labels: map[string]string{"consul.tags": strings.Join(tags, ",")}})
	if n := len(got.services[0].Tags); n != 2+65 {
		t.Errorf("%d tags", n)
	}
	wantProblems(t, got.problems, []string{"service shop: has tags of more than 65536 bytes; the last ones are left out"})
	got = shapeIt(Shaping{}, "/shop", marathon.Definition{Labels: map[string]string{"consul.tags": strings.Repeat("same,", 20_000) + "other"}})
	if got.String() != "t1 shop 0 [same other]" {
		t.Errorf("becomes %s", got)
	}
	wantProblems(t, got.problems, nil)
}

// A port-mapping list that is longer than what the task has tells the first port alone; the
// others are left as they are.
func TestPortsThatAreNotKnownYetWait(t *testing.T) {
	app := newApp("/shop", newTask("t1", "/shop"))
	app.Definition.Ports = shopPorts()
	app.Definition.Labels = map[string]string{"consul.ports": "web,admin"}
	m := knowing(app)
	w := m.Want("t1", "")
	if len(w.Services) != 1 || w.Services[0].ID != "t1" || len(w.Waits) != 1 || w.Waits[0].ID != "t1:admin" || !w.notYet() {
		t.Errorf("%+v", w)
	}
	if !w.Belongs("t1:admin") || w.Belongs("t1:2") || w.PortName("t1") != "web" || w.PortName("t1:admin") != "admin" || w.PortName("t1:admin:x") != "admin" {
		t.Errorf("%+v", w)
	}
}

// Nothing of a task on a container network is there before it has its address.
func TestNothingBeforeItsAddress(t *testing.T) {
	app := newApp("/shop", newTask("t1", "/shop"))
	app.Definition = marathon.Definition{Network: marathon.ContainerNetwork, Ports: []marathon.Port{{Container: 80}, {Name: "host", OnHost: true}}}
	app.Definition.Labels = map[string]string{"consul.ports": "all"}
	m := knowing(app)
	if w := wantVerdict(t, m, "t1", "/shop", Untouched); w.Unfit == nil || len(w.Services) > 0 {
		t.Errorf("%+v", w)
	}
	e := m.ApplyEvent(changed(app.Tasks[0]), start)
	if !slices.Equal(e.ReadAgain, []string{"/shop"}) {
		t.Errorf("its address is not asked for: %+v", e)
	}
	there := newTask("t1", "/shop")
	there.Addresses = []string{"10.9.0.7"}
	m.ApplyEvent(changed(there), start)
	if w := wantVerdict(t, m, "t1", "/shop", Present); len(w.Services) != 2 || w.Services[1].Address != "agent-1.test" {
		t.Errorf("%+v", w)
	}
}

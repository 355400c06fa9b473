package reconcile_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"consular/consul"
	"consular/marathon/simulator"
	"consular/reconcile"
	"consular/reconcile/desired"
)

// What labels and options make of services and keys, on real Consul: each row is an app
// with one task, and what Consul has of it afterwards.

// shop is an app that declares the ports web and admin, with labels that are written
// "key=value"; those of the nth port begin "n:".
func shop(labels ...string) simulator.App {
	app := simulator.App{Instances: 1, Labels: map[string]string{}, Ports: []simulator.Port{{Name: "web"}, {Name: "admin"}}}
	for _, label := range labels {
		key, value, _ := strings.Cut(label, "=")
		if len(key) > 1 && key[1] == ':' && key[0] <= '9' {
			port := &app.Ports[key[0]-'0']
			if port.Labels == nil {
				port.Labels = map[string]string{}
			}
			port.Labels[key[2:]] = value
			continue
		}
		app.Labels[key] = value
	}
	return app
}

// onOverlay puts an app on a container network.
func onOverlay(app simulator.App, ports ...simulator.Port) simulator.App {
	app.Network, app.Ports = simulator.Container, ports
	return app
}

// row is one app.
type row struct {
	app simulator.App
	// id is "/" and the row's name when empty.
	id string
	// services are "ID name port address [tags] {Meta}": the task's ID is T, its host ports
	// P0 and P1, the address host, own, or node. keys are labels.
	services, keys string
	// warns is in one warning that names the app.
	warns string
}

func (s *env) shaped(shaping desired.Shaping) func(*reconcile.Config) {
	return func(c *reconcile.Config) { c.Translation.Shaping = shaping }
}

// appIn is what Consul has of one app, in the words of a row.
func (s *env) appIn(app string) (services, keys string) {
	have := s.actual()
	task := s.marathon.Tasks(app)[0]
	var lines, labels []string
	for _, x := range have.services {
		if x.Meta[consul.MetaTask] != task.ID {
			continue
		}
		port, address := fmt.Sprint(x.Port), x.Address
		for i, p := range task.Ports {
			if p == x.Port {
				port = fmt.Sprint("P", i)
			}
		}
		switch {
		case address == "":
			address = "node"
		case address == task.Host:
			address = "host"
		case len(task.Addresses) > 0 && address == task.Addresses[0]:
			address = "own"
		}
		line := strings.Join([]string{"T" + strings.TrimPrefix(x.ID, task.ID), x.Name, port, address}, " ")
		var tags []string
		for _, tag := range x.Tags {
			for i, p := range task.Ports {
				tag = strings.ReplaceAll(tag, fmt.Sprint(p), fmt.Sprint("P", i))
			}
			tags = append(tags, tag)
		}
		if !slices.Equal(tags[:2], consul.Owner{RegistrationID: s.id}.Tags(app)) {
			line += fmt.Sprint(" owned by ", tags)
		} else if len(tags) > 2 {
			line += fmt.Sprint(" ", tags[2:])
		}
		meta := maps.Clone(x.Meta)
		maps.DeleteFunc(meta, func(key, _ string) bool { return strings.HasPrefix(key, "marathon-") })
		if len(meta) > 0 {
			line += fmt.Sprint(" ", meta)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	for key := range have.keys {
		for _, separator := range []string{"-", ".", "_"} {
			name := strings.ReplaceAll(app[1:], "/", separator)
			if label, is := strings.CutPrefix(key, s.prefix+"/"+name+"/"); is && !slices.Contains(labels, label) {
				labels = append(labels, label)
			}
		}
	}
	slices.Sort(labels)
	return strings.Join(lines, "; "), strings.Join(labels, " ")
}

// manyMeta are so many labels that each make a pair of Meta: "consul.meta.k07=v".
func manyMeta(n int) (labels []string) {
	for i := range n {
		labels = append(labels, fmt.Sprintf("consul.meta.k%02d=v", i))
	}
	return labels
}

// metaOf is the Meta that such labels make, and labelsIn are their names.
func metaOf(labels []string) map[string]string {
	meta := map[string]string{}
	for _, label := range labelsIn(labels) {
		meta[strings.TrimPrefix(label, "consul.meta.")] = "v"
	}
	return meta
}

func labelsIn(labels []string) (names []string) {
	for _, label := range labels {
		name, _, _ := strings.Cut(label, "=")
		names = append(names, name)
	}
	return names
}

func TestServicesAsTheyAreShaped(t *testing.T) {
	const first, admin = "T NAME P0 host", "T:admin NAME-admin P1 host"
	for options, test := range map[string]struct {
		shaping desired.Shaping
		rows    map[string]row
	}{
		"no options": {rows: map[string]row{
			"nothing said":         {app: shop("a=1"), services: first, keys: "a"},
			"no ports":             {app: simulator.App{Instances: 1, Ports: []simulator.Port{}}, services: "T NAME 0 host"},
			"not registered":       {app: shop("consul.register=false", "a=1")},
			"register true":        {app: shop("consul.register=true"), services: first, keys: "consul.register"},
			"register maybe":       {app: shop("consul.register=maybe"), services: first, keys: "consul.register", warns: `consul.register=\"maybe\": must be true or false`},
			"ports all":            {app: shop("consul.ports=all"), services: first + "; " + admin, keys: "consul.ports"},
			"ports first":          {app: shop("consul.ports=first"), services: first, keys: "consul.ports"},
			"ports by name":        {app: shop("consul.ports=admin"), services: admin, keys: "consul.ports"},
			"ports by index":       {app: shop("consul.ports=0, 1"), services: first + "; " + admin, keys: "consul.ports"},
			"ports beyond":         {app: shop("consul.ports=7"), services: first, keys: "consul.ports", warns: `consul.ports=\"7\": the app has no port 7`},
			"a name":               {app: shop("consul.name=front", "consul.ports=all"), services: "T front P0 host; T:admin front-admin P1 host", keys: "consul.name consul.ports"},
			"a name not DNS":       {app: shop("consul.name=a b/ü"), services: "T a b/ü P0 host", keys: "consul.name", warns: "no name that DNS can carry"},
			"a name that is empty": {app: shop("consul.name="), services: first, keys: "consul.name", warns: "service name: empty"},
			"a name, unprintable":  {app: shop("consul.name=a\x01b"), services: first, keys: "consul.name", warns: "control characters"},
			"a name, too long":     {app: shop("consul.name=" + strings.Repeat("x", 129)), services: first, keys: "consul.name", warns: "longer than 128 bytes"},
			"tags":                 {app: shop(`consul.tags=urlprefix-/shop, a\,b,\\`), services: first + ` [urlprefix-/shop a,b \]`, keys: "consul.tags"},
			"tags that mark":       {app: shop("consul.tags=consular-reg-id=x"), services: first, keys: "consul.tags", warns: "consular marks what is its own"},
			"meta":                 {app: shop("consul.meta.team=a\nb", "consul.ports=all"), services: first + " map[team:a\nb]; " + admin + " map[team:a\nb]", keys: "consul.meta.team consul.ports"},
			"meta that is none":    {app: shop("consul.meta.a.b=x"), services: first, keys: "consul.meta.a.b", warns: "service meta key"},
			"meta that marks":      {app: shop("consul.meta.marathon-task-id=x"), services: first, keys: "consul.meta.marathon-task-id", warns: "consular marks what is its own"},
			"meta, too long":       {app: shop("consul.meta.k=" + strings.Repeat("x", 513)), services: first, keys: "consul.meta.k", warns: "512"},
			"meta, too many":       {app: shop(manyMeta(60)...), services: first + fmt.Sprint(" ", metaOf(manyMeta(59))), keys: strings.Join(labelsIn(manyMeta(60)), " "), warns: "has 1 pairs of Meta too many"},
			"no keys":              {app: shop("consul.kv=false", "a=1"), services: first},
			"port, register":       {app: shop("consul.port.admin.register=true"), services: first + "; " + admin, keys: "consul.port.admin.register"},
			"port, not registered": {app: shop("consul.ports=all", "consul.port.1.register=false"), services: first, keys: "consul.port.1.register consul.ports"},
			"port, name":           {app: shop("consul.port.1.name=back"), services: first + "; T:admin back P1 host", keys: "consul.port.1.name"},
			"port, tags":           {app: shop("consul.tags=all", "consul.port.admin.tags=mine"), services: first + " [all]; " + admin + " [all mine]", keys: "consul.port.admin.tags consul.tags"},
			"port, meta":           {app: shop("consul.port.admin.meta.k=v"), services: first + "; " + admin + " map[k:v]", keys: "consul.port.admin.meta.k"},
			"port, own labels": {
				app: shop("1:consul.name=back", "1:consul.tags=x", "1:consul.meta.k=v", "0:consul.register=false"), services: "T:admin back P1 host [x] map[k:v]",
			},
			"port, who wins":        {app: shop("1:consul.name=own", "consul.port.admin.name=name", "consul.port.1.name=index"), services: first + "; T:admin own P1 host", keys: "consul.port.1.name consul.port.admin.name"},
			"port that is none":     {app: shop("consul.port.x.name=y"), services: first, keys: "consul.port.x.name", warns: "the app has no port x"},
			"two ports of one name": {app: shop("consul.name=x", "1:consul.name=x"), services: "T x P0 host", keys: "consul.name", warns: "has the name of another"},
			"container network": {
				app:      onOverlay(shop("consul.ports=all"), simulator.Port{Name: "web", Container: 8080}, simulator.Port{Name: "host", Container: 81, OnHost: true}, simulator.Port{Name: "random"}),
				services: "T NAME 8080 own; T:host NAME-host P0 host", keys: "consul.ports", warns: "port random: a random port within the container",
			},
			"bridge": {
				app:      func() simulator.App { app := shop("consul.ports=all"); app.Network = simulator.Bridge; return app }(),
				services: first + "; " + admin, keys: "consul.ports",
			},
		}},
		"--ports all --service-address node": {
			shaping: desired.Shaping{AllPorts: true, NodeAddress: true},
			rows: map[string]row{
				"nothing said": {app: shop(), services: "T NAME P0 node; T:admin NAME-admin P1 node"},
				"ports first":  {app: shop("consul.ports=first"), services: "T NAME P0 node", keys: "consul.ports"},
				"overlay":      {app: onOverlay(shop(), simulator.Port{Name: "web", Container: 8080}), services: "T NAME 8080 own"},
			},
		},
		"--tag-labels --meta-labels --kv-labels": {
			shaping: desired.Shaping{TagLabels: desired.Globs{"traefik.*", "v/**"}, MetaLabels: desired.Globs{"team", "v/*"}, KVLabels: desired.Globs{"team"}},
			rows: map[string]row{
				"labels": {
					app:      shop("traefik.http.rule=Host(`x`)", "team=shop", "v/a=1", "v/a/b=2", "consul.meta.team=said", "1:traefik.http.rule=Host(`y`)", "consul.ports=all"),
					services: "T NAME P0 host [traefik.http.rule=Host(`x`) v/a=1 v/a/b=2] map[team:said v_a:1]; T:admin NAME-admin P1 host [traefik.http.rule=Host(`y`) v/a=1 v/a/b=2] map[team:said v_a:1]",
					keys:     "team",
				},
				"two for one key": {app: shop("v/ä=1", "v/ö=2"), services: first + " [v/ä=1 v/ö=2] map[v__:1]", warns: "another label is v__ already"},
			},
		},
		"--register labelled --label-prefix bridge": {
			shaping: desired.Shaping{Labelled: true, LabelPrefix: "bridge"},
			rows: map[string]row{
				"not labelled":        {app: shop("a=1", "consul.register=true")},
				"only a port's label": {app: shop("0:bridge.register=true")},
				"labelled":            {app: shop("bridge.register=true", "bridge.name=x"), services: "T x P0 host", keys: "bridge.name bridge.register"},
			},
		},
		"--apps --exclude-apps": {
			shaping: desired.Shaping{Apps: desired.Globs{"/prod/**"}, ExcludeApps: desired.Globs{"/prod/*/not-this"}},
			rows: map[string]row{
				"in":       {id: "/prod/a/this", app: shop("a=1"), services: "T prod-a-this P0 host", keys: "a"},
				"excluded": {id: "/prod/a/not-this", app: shop("a=1", "consul.register=true")},
				"not in":   {id: "/stage/a/this", app: shop("a=1")},
				// It has the name of one that is in, and clashes with nobody.
				"of the same name": {id: "/prod-a-this", app: shop("b=1"), keys: "a"},
			},
		},
		"--no-kv --name-separator _": {
			shaping: desired.Shaping{NoKV: true, NameSeparator: "_"},
			rows: map[string]row{
				"in a group": {id: "/a/b/c", app: shop("x=1"), services: "T a_b_c P0 host"},
			},
		},
		"--labels allegro --label-prefix sd --name-separator _": {
			shaping: desired.Shaping{Allegro: true, LabelPrefix: "sd", NameSeparator: "_"},
			rows: map[string]row{
				"made":  {id: "/group/made", app: shop("sd=", "a=tag"), services: "T group_made P0 host [a]", keys: "a sd"},
				"named": {app: shop("sd=my/name", "consul=tag"), services: "T my_name P0 host [consul]", keys: "consul sd", warns: "no name that DNS can carry"},
				"other": {app: shop("consul=x")},
			},
		},
		"--labels allegro": {
			shaping: desired.Shaping{Allegro: true},
			rows: map[string]row{
				"no label": {app: shop("varnish=tag")},
				"empty":    {id: "/group/empty", app: shop("consul=", "varnish=tag"), services: "T group.empty P0 host [varnish]", keys: "consul varnish"},
				"true":     {id: "/group/true", app: shop("consul=true"), services: "T group.true P0 host", keys: "consul"},
				"named":    {app: shop("consul=my/name"), services: "T my.name P0 host", keys: "consul"},
				"several":  {app: shop("consul=x,y", "a=tag:y"), services: "T x P0 host; T:web:y y P0 host [a]", keys: "a consul"},
				"ports": {
					app:      shop("consul=", "common=tag", "0:consul=p", "1:consul=q", "1:specific=tag"),
					services: "T p P0 host [common]; T:admin q P1 host [common specific]", keys: "common consul",
				},
				"ports of one name": {app: shop("consul=", "0:consul=p", "1:consul=p"), services: "T p P0 host; T:admin p P1 host", keys: "consul"},
				"places":            {app: shop("consul=x", "admin:{port:admin}=tag"), services: "T x P0 host [admin:P1]", keys: "admin:{port:admin} consul"},
			},
		},
	} {
		t.Run(options, func(t *testing.T) {
			s := newEnv(t, theCluster(t))
			s.configure = s.shaped(test.shaping)
			id := func(name string) string {
				if id := test.rows[name].id; id != "" {
					return id
				}
				return "/" + strings.Trim(strings.ToLower(strings.NewReplacer(" ", "-", ",", "").Replace(name)), "-")
			}
			for name, row := range test.rows {
				row.app.ID = id(name)
				must(t, s.marathon.Create(row.app))
			}
			if _, sum := s.sync(); sum.Failed > 0 || sum.Conflicts > 0 || sum.Quarantined > 0 {
				t.Errorf("sync: %s", sum.String())
			}
			for name, row := range test.rows {
				services, keys := s.appIn(id(name))
				want := strings.ReplaceAll(row.services, "NAME", strings.ReplaceAll(id(name)[1:], "/", "-"))
				if services != want || keys != row.keys {
					t.Errorf("%s: %s\nwant %s\nkeys %s, want %s", name, services, want, keys, row.keys)
				}
				warned := s.log.countBoth(`"level":"warn"`, fmt.Sprintf(`"app":%q`, id(name)))
				if row.warns == "" && warned > 0 || row.warns != "" && (warned != 1 || s.log.countBoth(row.warns, id(name)) != 1) {
					t.Errorf("%s: warned %d times, want %q once", name, warned, row.warns)
				}
			}
			if p := s.plan(); !p.InSync() {
				t.Errorf("another consular would do more: %v", whys(p))
			}
			if _, sum := s.sync(); sum.Registered+sum.Updated+sum.Deregistered+sum.KeysSet+sum.KeysDeleted > 0 {
				t.Errorf("a second sync: %s", sum.String())
			}
		})
	}
}

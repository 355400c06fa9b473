package settings

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/urfave/cli/v2"

	"consular/reconcile/desired"
)

var (
	labelPrefix   = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,64}$`)
	nameSeparator = regexp.MustCompile(`^[A-Za-z0-9._-]{0,8}$`)
)

// shapingFlags are the options that say what services and keys are like.
func shapingFlags(text func(name, value, usage string, env ...string) cli.Flag, yes func(name string, value bool, usage string, overruledBy ...string) cli.Flag) []cli.Flag {
	return []cli.Flag{
		several("apps", "", "the IDs of the apps that are registered: `GLOB,…`; all when empty"),
		several("exclude-apps", "", "the IDs of apps that are left out: `GLOB,…`"),
		text("register", "all", "which apps, as far as labels say: `all`, or labelled for those with consul.register=true"),
		text("ports", "first", "which declared ports are services: `first` or all"),
		text("labels", "consular", "whose labels say what services are like: `consular` or allegro, those of marathon-consul"),
		text("label-prefix", "consul", "the `word` that these labels begin with"),
		text("name-separator", "", "a `text` in place of the slashes of an app's ID; - when empty, or . with --labels allegro"),
		several("tag-labels", "", "the labels that become tags label=value: `GLOB,…`"),
		several("meta-labels", "", "the labels that become Meta: `GLOB,…`"),
		several("kv-labels", "", "the labels that become keys: `GLOB,…`; all when empty"),
		yes("no-kv", false, "no label becomes a key, and the KV store is not read"),
		text("service-address", "host", "the address that is registered: `host`, or node for none, so that Consul answers with its node's"),
	}
}

// readShaping reads what the options say about services and keys.
func readShaping(c *cli.Context) (desired.Shaping, error) {
	s := desired.Shaping{
		LabelPrefix: c.String("label-prefix"), NameSeparator: c.String("name-separator"), NoKV: c.Bool("no-kv"),
	}
	for _, words := range []struct {
		option, usual, other string
		is                   *bool
	}{
		{"ports", "first", "all", &s.AllPorts},
		{"register", "all", "labelled", &s.Labelled},
		{"labels", "consular", "allegro", &s.Allegro},
		{"service-address", "host", "node", &s.NodeAddress},
	} {
		value := c.String(words.option)
		if value != words.usual && value != words.other {
			return s, fmt.Errorf("--%s %q: must be %s or %s", words.option, value, words.usual, words.other)
		}
		*words.is = value == words.other
	}
	for _, list := range []struct {
		option string
		globs  *desired.Globs
		ofApps bool
	}{
		{"apps", &s.Apps, true},
		{"exclude-apps", &s.ExcludeApps, true},
		{"tag-labels", &s.TagLabels, false},
		{"meta-labels", &s.MetaLabels, false},
		{"kv-labels", &s.KVLabels, false},
	} {
		globs, err := desired.ParseGlobs(c.String(list.option))
		if err == nil && list.ofApps {
			err = globs.CheckApps()
		}
		if err != nil {
			return s, fmt.Errorf("--%s: %w", list.option, err)
		}
		*list.globs = globs
	}
	switch {
	case !labelPrefix.MatchString(s.LabelPrefix):
		return s, fmt.Errorf("--label-prefix %q: want 1 to 64 of A-Z a-z 0-9 . _ / -", s.LabelPrefix)
	case !nameSeparator.MatchString(s.NameSeparator):
		return s, fmt.Errorf("--name-separator %q: want up to 8 of A-Z a-z 0-9 . _ -", s.NameSeparator)
	case s.NoKV && len(s.KVLabels) > 0:
		return s, errors.New("--kv-labels: not together with --no-kv")
	}
	return s, nil
}

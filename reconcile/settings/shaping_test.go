package settings

import (
	"reflect"
	"strings"
	"testing"

	"consular/reconcile/desired"
)

func TestOptionsThatShapeServices(t *testing.T) {
	usual := desired.Shaping{LabelPrefix: "consul"}
	with := func(change func(*desired.Shaping)) desired.Shaping {
		s := usual
		change(&s)
		return s
	}
	for _, test := range []struct {
		words []string
		want  desired.Shaping
	}{
		{nil, usual},
		{[]string{"--ports", "all"}, with(func(s *desired.Shaping) { s.AllPorts = true })},
		{[]string{"CONSULAR_PORTS=all", "--ports", "first"}, usual},
		{[]string{"CONSULAR_LABEL_PREFIX=bridge"}, desired.Shaping{LabelPrefix: "bridge"}},
		{
			[]string{"--tag-labels", "traefik.*, {a,b}", "--meta-labels=team", "--kv-labels", "x", "--kv-labels", "y"},
			with(func(s *desired.Shaping) {
				s.TagLabels, s.MetaLabels, s.KVLabels = desired.Globs{"traefik.*", "{a,b}"}, desired.Globs{"team"}, desired.Globs{"x", "y"}
			}),
		},
		{
			[]string{"--apps", "/prod/**", "CONSULAR_EXCLUDE_APPS=**/test,", "--register", "labelled"},
			with(func(s *desired.Shaping) {
				s.Apps, s.ExcludeApps, s.Labelled = desired.Globs{"/prod/**"}, desired.Globs{"**/test"}, true
			}),
		},
		{[]string{"CONSULAR_APPS= , "}, usual},
		{[]string{"--no-kv"}, with(func(s *desired.Shaping) { s.NoKV = true })},
		{[]string{"CONSULAR_NO_KV=1", "--no-kv=false"}, usual},
		{[]string{"--service-address", "node"}, with(func(s *desired.Shaping) { s.NodeAddress = true })},
		{
			[]string{"--labels", "allegro", "CONSULAR_NAME_SEPARATOR=-"},
			with(func(s *desired.Shaping) { s.Allegro, s.NameSeparator = true, "-" }),
		},
	} {
		t.Run(strings.Join(test.words, " "), func(t *testing.T) {
			s, err := say(t, test.words...)
			if got := s.Reconcile.Translation.Shaping; err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

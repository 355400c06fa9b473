package consul

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestDiffNamesWhatDrifted(t *testing.T) {
	want := Service{
		ID: "web.1", Name: "web", Address: "10.0.0.1", Port: 31002,
		Tags: []string{"a", "b"}, Meta: map[string]string{"v": "2", "x": "1", "y": "1"},
	}
	for name, test := range map[string]struct {
		have  Service
		lines []string
	}{
		"nothing":      {want, nil},
		"tags' order":  {with(want, func(s *Service) { s.Tags = []string{"b", "a"} }), nil},
		"name":         {with(want, func(s *Service) { s.Name = "old" }), []string{"name old→web"}},
		"address":      {with(want, func(s *Service) { s.Address = "10.0.0.2" }), []string{"address 10.0.0.2→10.0.0.1"}},
		"port":         {with(want, func(s *Service) { s.Port = 31001 }), []string{"port 31001→31002"}},
		"tag missing":  {with(want, func(s *Service) { s.Tags = []string{"b"} }), []string{"tag missing: a"}},
		"tag extra":    {with(want, func(s *Service) { s.Tags = []string{"z", "b", "a"} }), []string{"tag extra: z"}},
		"meta changed": {with(want, func(s *Service) { s.Meta["v"] = "1" }), []string{"meta v 1→2"}},
		"all at once": {Service{Meta: map[string]string{"v": "2", "z": ""}}, []string{
			"name →web", "address →10.0.0.1", "port 0→31002",
			"tag missing: a", "tag missing: b", "meta missing: x", "meta missing: y", "meta extra: z",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := want.Diff(test.have); !slices.Equal(test.lines, got) || (got == nil) != (test.lines == nil) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestDiffTakesNilForEmpty(t *testing.T) {
	bare := Service{Tags: []string{}, Meta: map[string]string{}}
	if a, b := bare.Diff(Service{}), (Service{}).Diff(bare); a != nil || b != nil {
		t.Errorf("%q and %q", a, b)
	}
}

func TestDiffIsEmptyExactlyForEquals(t *testing.T) {
	text := rapid.SampledFrom([]string{"", "a", "b", "c"})
	service := rapid.Custom(func(t *rapid.T) Service {
		return Service{
			Name: text.Draw(t, "name"), Address: text.Draw(t, "address"), Port: rapid.IntRange(0, 2).Draw(t, "port"),
			Tags: rapid.SliceOfNDistinct(text, 0, 3, rapid.ID).Draw(t, "tags"), Meta: rapid.MapOfN(text, text, 0, 2).Draw(t, "meta"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := service.Draw(t, "a"), service.Draw(t, "b")
		if drift := a.Diff(a); drift != nil {
			t.Fatalf("differs from itself: %q", drift)
		}
		equal := a.Name == b.Name && a.Address == b.Address && a.Port == b.Port && maps.Equal(a.Meta, b.Meta) &&
			slices.Equal(slices.Sorted(slices.Values(a.Tags)), slices.Sorted(slices.Values(b.Tags)))
		if drift := a.Diff(b); (drift == nil) != equal {
			t.Fatalf("equal: %t, drift %q", equal, drift)
		}
		if !slices.Equal(a.Diff(b), a.Diff(b)) {
			t.Fatal("not the same twice")
		}
	})
}

// A resync compares every service there is, and nearly all are as they should be.
func TestDiffOfEqualsAllocatesNothing(t *testing.T) {
	a := Service{Name: "web", Tags: Owner{"one"}.Tags("/web"), Meta: map[string]string{MetaApp: "/web", MetaTask: "web.1"}}
	b := with(a, func(s *Service) { slices.Reverse(s.Tags) })
	if n := testing.AllocsPerRun(100, func() { a.Diff(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDiffOfEquals(b *testing.B) {
	s := Service{Name: "web", Tags: Owner{"one"}.Tags("/web"), Meta: map[string]string{MetaApp: "/web", MetaTask: "web.1"}}
	have := with(s, func(*Service) {})
	b.ReportAllocs()
	for b.Loop() {
		s.Diff(have)
	}
}

// with returns a changed copy.
func with(s Service, change func(*Service)) Service {
	s.Tags, s.Meta = slices.Clone(s.Tags), maps.Clone(s.Meta)
	change(&s)
	return s
}

package desired

import "testing"

// A name is gone when its app was seen and is, or when every app that it could
// be was asked for.
func TestNameOfTwoCandidatesIsGoneWhenBothAre(t *testing.T) {
	d := knowing(newApp("/seen"))
	d.ApplyNotFound(d.BeginRead(), "/a-b", start)
	if w := d.WantKeys("a-b"); w.Verdict != Absent || w.Grounds.Has(Announced) {
		t.Errorf("one of two asked for: %+v", w)
	}
	d.ApplyNotFound(d.BeginRead(), "/a/b", start)
	if w := d.WantKeys("a-b"); !w.Grounds.Has(Announced) {
		t.Errorf("both asked for: %+v", w)
	}
	d.ApplyNotFound(d.BeginRead(), "/seen", start)
	if w := d.WantKeys("seen"); !w.Grounds.Has(Announced) {
		t.Errorf("it was seen, and is gone: %+v", w)
	}
}

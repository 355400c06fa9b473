package desired

import "testing"

// When Consul may have been changed by others, that nothing of another Marathon was there is
// doubted, that something was is not; and who has a name is looked for anew.
func TestWhatIsKnownOfConsulIsDoubted(t *testing.T) {
	for name, test := range map[string]struct {
		found, all bool
		want       Another
	}{
		"nothing known": {false, false, AnotherUnknown},
		"none":          {false, true, AnotherUnknown},
		"one was seen":  {true, true, AnotherSeen},
	} {
		m := knowing()
		m.NoteAnother(test.found, test.all)
		if m.ForgetConsul(); m.Another() != test.want {
			t.Errorf("%s: %v, want %v", name, m.Another(), test.want)
		}
	}
	m := knowing(called("/shop", "consul.ports=all", "web"), called("/shop/web", ""))
	goesOn := func() string { return m.Clashes()[0].Incumbent }
	m.PickIncumbents(map[Registered]bool{{"/shop", "shop-web"}: true}, noKeys, true)
	if m.ForgetConsul(); goesOn() != "" {
		t.Errorf("nobody has looked, and %s goes on", goesOn())
	}
	m.PickIncumbents(nil, noKeys, true)
	if goesOn() != "/shop/web" {
		t.Errorf("nobody is registered, and %q goes on", goesOn())
	}
	if m.ForgetConsul(); goesOn() != "" {
		t.Errorf("nobody has looked again, and %s goes on", goesOn())
	}
}

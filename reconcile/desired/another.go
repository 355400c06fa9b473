package desired

// A second Marathon that was given our registration ID writes keys that look like ours.
// Only its services tell, for they name its framework. So what is known of it is one
// fact, which both plans and events go by; and not being able to look is no proof that
// there is none.

// Another is what is known of another Marathon with our registration ID.
type Another int

const (
	// AnotherUnknown is before everything has been looked at once.
	AnotherUnknown Another = iota
	// NoAnother is that nothing of one was found when all of Consul had been read.
	NoAnother
	// AnotherSeen is that services of one were found, and were not found gone since.
	AnotherSeen
)

// NoteAnother takes in what was found of it. all says that all of Consul was read: that
// alone proves that there is none, or none any more.
func (m *Model) NoteAnother(found, all bool) {
	switch {
	case found:
		m.another = AnotherSeen
	case all:
		m.another = NoAnother
	}
}

// ForgetConsul doubts what was known of Consul, for others may have changed it. That one of
// another Marathon was seen still counts, until all has been looked at.
func (m *Model) ForgetConsul() {
	if m.another == NoAnother {
		m.another = AnotherUnknown
	}
	for _, n := range m.names {
		for _, c := range []*contest{&n.services, &n.keys} {
			c.incumbent, c.looked = "", false
		}
	}
}

// Another returns what is known of another Marathon with our registration ID.
func (m *Model) Another() Another { return m.another }

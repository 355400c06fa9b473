package marathon

// texts are the texts of one answer, each once. An answer repeats versions,
// hosts and the names of labels for every task and app, and the decoder makes
// each anew: together they take more memory than all else that is kept.
type texts struct {
	known map[string]string
	// cost is about how many bytes of memory they take.
	cost int
}

func newTexts() *texts { return &texts{known: map[string]string{}} }

// text returns the one that is equal to s.
func (t *texts) text(s string) string {
	if s == "" {
		return ""
	}
	if one, known := t.known[s]; known {
		return one
	}
	t.known[s] = s
	t.cost += textCost + len(s)
	return s
}

// bytes returns the one that is equal to b.
func (t *texts) bytes(b []byte) string {
	if one, known := t.known[string(b)]; known {
		return one
	}
	return t.text(string(b))
}

// list returns s with each of its elements replaced by its equal.
func (t *texts) list(s []string) []string {
	for i := range s {
		s[i] = t.text(s[i])
	}
	return s
}

// texts returns a copy of m, made of keys and values that are there already; nil
// for an empty one.
func (t *texts) texts(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	same := make(map[string]string, len(m))
	for key, value := range m {
		same[t.text(key)] = t.text(value)
	}
	return same
}

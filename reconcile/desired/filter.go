package desired

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Globs are patterns of names, as github.com/bmatcuk/doublestar reads them: a * stops
// at a slash, a ** does not.
type Globs []string

// ParseGlobs reads a list of patterns with commas between them. A comma within braces
// separates nothing, spaces around commas are nothing, and neither are empty elements.
func ParseGlobs(list string) (Globs, error) {
	var globs Globs
	for _, glob := range splitGlobs(list) {
		if glob = strings.TrimSpace(glob); glob == "" {
			continue
		}
		if !doublestar.ValidatePattern(glob) {
			return nil, fmt.Errorf("%q is no pattern", glob)
		}
		globs = append(globs, glob)
	}
	return globs, nil
}

// splitGlobs splits at the commas that are in no braces and not escaped.
func splitGlobs(list string) []string {
	var parts []string
	start, depth := 0, 0
	for i := 0; i < len(list); i++ {
		switch list[i] {
		case '\\':
			i++
		case '{':
			depth++
		case '}':
			depth--
		case ',':
			if depth <= 0 {
				parts = append(parts, list[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, list[start:])
}

// Match reports whether any of the patterns matches.
func (g Globs) Match(name string) bool {
	return slices.ContainsFunc(g, func(glob string) bool { return doublestar.MatchUnvalidated(glob, name) })
}

// CheckApps reports which pattern no app's ID can match, for all begin with a slash.
func (g Globs) CheckApps() error {
	for _, glob := range g {
		if !strings.HasPrefix(glob, "/") && !strings.ContainsAny(glob[:1], `*{[\`) {
			return fmt.Errorf("%q matches no app: their IDs begin with a slash", glob)
		}
	}
	return nil
}

// What may leave an app out, as people read it. A label says so in its own words.
const (
	byApps        = "--apps"
	byExcludeApps = "--exclude-apps"
	byRegister    = "--register labelled"
)

// LeavesOut says which option leaves an app out because of its ID, whatever its labels
// say; "" when none does.
func (s Shaping) LeavesOut(app string) string {
	switch {
	case s.ExcludeApps.Match(app):
		return byExcludeApps
	case len(s.Apps) > 0 && !s.Apps.Match(app):
		return byApps
	}
	return ""
}

// keyed reports whether a label becomes a key, as far as options say.
func (s Shaping) keyed(label string) bool {
	return !s.NoKV && (len(s.KVLabels) == 0 || s.KVLabels.Match(label))
}

// LeftOut is how many apps one option, or one label, leaves out.
type LeftOut struct {
	By   string `json:"by"`
	Apps int    `json:"apps"`
}

// LeftOut says how many of Marathon's apps are left out, and by what, in order.
func (m *Model) LeftOut() []LeftOut {
	apps := map[string]int{}
	for _, by := range m.leftOut {
		apps[by]++
	}
	for _, a := range m.apps {
		if a.shape != nil && a.shape.leftOut != "" && a.missing.IsZero() {
			apps[a.shape.leftOut]++
		}
	}
	var all []LeftOut
	for _, by := range sortedKeys(apps) {
		all = append(all, LeftOut{By: by, Apps: apps[by]})
	}
	return all
}

package marathon

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// checkID reports why id is not the absolute ID of an app, such as
// "/group/my-app". It asks less than Marathon does: nothing but what would make
// the ID mean something else within a URL.
func checkID(id string) error {
	path, absolute := strings.CutPrefix(id, "/")
	switch {
	case !absolute:
		return fmt.Errorf("app ID %.200q: does not start with /", id)
	case !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl):
		return fmt.Errorf("app ID %.200q: has control characters", id)
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return fmt.Errorf("app ID %.200q: has a segment %q", id, segment)
		}
	}
	return nil
}

// checkVersion reports why version is not the name of a version.
func checkVersion(version string) error {
	if version == "" || version == "." || version == ".." {
		return errors.New("version is missing")
	}
	if strings.Contains(version, "/") || strings.ContainsFunc(version, unicode.IsControl) {
		return fmt.Errorf("version %.200q: has a / or control characters", version)
	}
	return nil
}

// appPath returns the path of an app under a master's URL, each segment escaped.
func appPath(id string) []string {
	path := []string{"v2", "apps"}
	for segment := range strings.SplitSeq(strings.TrimPrefix(id, "/"), "/") {
		path = append(path, url.PathEscape(segment))
	}
	return path
}

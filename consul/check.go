package consul

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What Consul 1.13 to 1.22 refuse or, worse, accept and cannot undo.
const (
	maxServiceID = 1024 // ours: Consul knows none, but the ID becomes part of a URL
	MaxMeta      = 64
	maxMetaKey   = 128
	maxMetaValue = 512 // bytes
	maxKey       = 64 << 10
	maxKeyValue  = 512 << 10 // limits.kv_max_value_size, Consul's default
)

// Check reports why Consul would refuse the service, or take it and choke on
// it: it registers any port and any ID, and an ID with a tab can then never be
// deregistered. The error names the field.
func (s Service) Check() error {
	if err := checkServiceID(s.ID); err != nil {
		return err
	}
	if err := CheckServiceName(s.Name); err != nil {
		return err
	}
	if s.Address != "" {
		if err := CheckHost(s.Address); err != nil {
			return fmt.Errorf("service address: %w", err)
		}
	}
	if s.Port < 0 || s.Port > 65535 {
		return fmt.Errorf("service port %d: want 0 to 65535", s.Port)
	}
	return checkMeta(s.Meta)
}

// CheckServiceName reports why a service cannot have this name. Consul takes any but an
// empty one; DNS finds letters, digits and dashes only.
func CheckServiceName(name string) error {
	switch {
	case name == "":
		return errors.New("service name: empty")
	case !utf8.ValidString(name):
		return fmt.Errorf("service name %.200q: not UTF-8", name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("service name %.200q: contains control characters", name)
	}
	return nil
}

// CheckMeta reports why a pair cannot be in a service's Meta.
func CheckMeta(key, value string) error { return checkPair(key, value) }

// CheckHost reports why host is not what a task's host must be: a host name or
// a bare IP address (IPv6 without brackets or zone), and nothing else, for it
// becomes part of a URL.
func CheckHost(host string) error {
	if len(host) > 253 {
		return fmt.Errorf("host %.40q...: longer than 253 characters", host)
	}
	if isAddress := strings.Contains(host, ":") || strings.Trim(host, "0123456789.") == ""; isAddress { // may be: each task is checked, and errors cost
		if ip, err := netip.ParseAddr(host); err == nil {
			return checkIP(ip)
		}
	}
	if !isHostName(host) {
		return fmt.Errorf("host %q: neither a host name nor an IP address", host)
	}
	return nil
}

// isHostName reports whether a name consists of labels with dots between them, and perhaps one
// behind; underscores are what some clusters have.
func isHostName(host string) bool {
	for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		if label == "" || !consistsOf(label, "_-") || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return true
}

// CheckLabel reports why the label of a service cannot be a key in Consul's KV
// store. The value is the text that would be stored, encoded that is. Labels
// may contain "/"; Consul would silently write "a//b" and "x/../a/b" to a/b,
// and store other misfits where no URL reaches them, or most tools do not.
func CheckLabel(name, label, value string) error {
	if err := checkSegment(name); err != nil {
		return fmt.Errorf("service name %.200q: %w", name, err)
	}
	if err := checkPath(label); err != nil {
		return fmt.Errorf("label %.200q: %w", label, err)
	}
	if strings.TrimSpace(label) != label {
		return fmt.Errorf("label %.200q: begins or ends with white space", label)
	}
	if len(name)+len(label) > maxKey {
		return fmt.Errorf("label %.200q...: longer than %d bytes with its service's name", label, maxKey)
	}
	if len(value) > maxKeyValue {
		return fmt.Errorf("label %.200q: value of %d bytes, Consul takes %d", label, len(value), maxKeyValue)
	}
	return nil
}

func checkServiceID(id string) error {
	switch {
	case len(id) > maxServiceID:
		return fmt.Errorf("service id %.40q...: longer than %d characters", id, maxServiceID)
	case !consistsOf(id, "._:-") || id == "." || id == "..":
		return fmt.Errorf("service id %.80q: want A-Z a-z 0-9 . _ : - only, and neither .. nor . alone", id)
	}
	return nil
}

// checkRemoval is not as strict as checkServiceID: whatever reaches Consul as the
// ID it is may be removed.
func checkRemoval(id string) error {
	if len(id) > maxServiceID {
		return fmt.Errorf("longer than %d characters", maxServiceID)
	}
	return checkPath(id)
}

func checkIP(ip netip.Addr) error {
	switch {
	case ip.Zone() != "":
		return fmt.Errorf("host %q: an address with a zone", ip)
	case ip.Unmap().IsUnspecified():
		return fmt.Errorf("host %q: no host's address", ip)
	}
	return nil
}

func checkMeta(meta map[string]string) error {
	if len(meta) > MaxMeta {
		return fmt.Errorf("service meta: %d pairs, Consul takes %d", len(meta), MaxMeta)
	}
	// Whatever the map's order, the first bad key is named.
	var first string
	var firstErr error
	for key, value := range meta {
		if err := checkPair(key, value); err != nil && (firstErr == nil || key < first) {
			first, firstErr = key, err
		}
	}
	return firstErr
}

func checkPair(key, value string) error {
	switch {
	case len(key) > maxMetaKey || !consistsOf(key, "_-") || strings.HasPrefix(key, "consul-"):
		return fmt.Errorf("service meta key %.200q: want 1 to %d of A-Z a-z 0-9 _ -, not beginning with consul-", key, maxMetaKey)
	case len(value) > maxMetaValue:
		return fmt.Errorf("service meta %s: %d bytes, Consul takes %d", key, len(value), maxMetaValue)
	case !utf8.ValidString(value):
		return fmt.Errorf("service meta %s: not UTF-8", key)
	}
	return nil
}

// consistsOf reports whether a word has letters and digits of ASCII and those
// others only, and at least one. Every task is asked twice at each resync, where
// a regular expression took a tenth of the time.
func consistsOf(word, others string) bool {
	for i := range len(word) {
		switch c := word[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte(others, c) < 0:
			return false
		}
	}
	return word != ""
}

// checkPath reports why a path of segments cannot be part of a URL of Consul's,
// which cleans the paths it is asked for.
func checkPath(path string) error {
	for segment := range strings.SplitSeq(path, "/") {
		if err := checkSegment(segment); err != nil {
			return err
		}
	}
	return nil
}

func checkSegment(segment string) error {
	switch {
	case segment == "":
		return errors.New("empty, or with an empty segment")
	case segment == "." || segment == "..":
		return errors.New("has . or .. for a segment")
	case strings.Contains(segment, "/"):
		return errors.New("contains a slash")
	case !utf8.ValidString(segment):
		return errors.New("not UTF-8")
	case strings.ContainsFunc(segment, func(r rune) bool { return !unicode.IsPrint(r) }):
		// What Consul answers is 400 and not a word.
		return errors.New("contains characters that are not printable, or white space other than a space")
	}
	return nil
}

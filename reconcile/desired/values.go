package desired

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"consular/consul"
)

// What the values of labels may be.

// Limits of what labels may make of one service. Consul takes more, but carries all of it to
// all servers with each registration.
const (
	maxName = 128
	// maxNames is how many names one port may have: each is a service.
	maxNames = 64
	maxTag   = 4 << 10
	maxTags  = 64 << 10
	// maxAllTags bounds those of all services of one definition: an app's are on each.
	maxAllTags = 4 << 20
	// ourMeta is how many pairs are ours: app, task, version, framework, and the token's.
	ourMeta = 5
)

// checkName reports why a label's value cannot be a service's name.
func checkName(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("longer than %d bytes", maxName)
	}
	return consul.CheckServiceName(name)
}

// checkTag reports why a text cannot be a tag of a service.
func checkTag(tag string) error {
	switch {
	case tag == "":
		return errors.New("is empty")
	case len(tag) > maxTag:
		return fmt.Errorf("is longer than %d bytes", maxTag)
	case !utf8.ValidString(tag):
		return errors.New("is not UTF-8")
	case strings.ContainsFunc(tag, unicode.IsControl):
		return errors.New("has control characters")
	case consul.MarksOwner(tag):
		return errors.New("is how consular marks what is its own")
	}
	return nil
}

// checkMeta reports why a pair cannot be in a service's Meta.
func checkMeta(key, value string) error {
	if strings.HasPrefix(key, "marathon-") || strings.HasPrefix(key, "consular-") {
		return errors.New("its key is how consular marks what is its own")
	}
	return consul.CheckMeta(key, value)
}

var errNotInDNS = errors.New("no name that DNS can carry: A-Z a-z 0-9 -, up to 63 of them")

// inDNS reports whether a service of this name is found by DNS.
func inDNS(name string) bool {
	return len(name) <= 63 && !strings.HasPrefix(name, "-") && !strings.HasSuffix(name, "-") &&
		!strings.ContainsFunc(name, func(r rune) bool {
			return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		})
}

func truth(value string) (bool, error) {
	switch value = strings.TrimSpace(value); {
	case strings.EqualFold(value, "true"):
		return true, nil
	case strings.EqualFold(value, "false"):
		return false, nil
	}
	return false, errNeither
}

// readTags reads tags with commas between them. Spaces around these are nothing. What is
// more than a service can have is not read.
func readTags(value string) ([]tagSetting, error) {
	var tags []tagSetting
	have, size := map[string]bool{}, 0
	for _, tag := range splitTags(value) {
		if tag = strings.TrimSpace(tag); tag == "" || have[tag] {
			continue
		}
		if err := checkTag(tag); err != nil {
			return nil, fmt.Errorf("tag %s %w", clipped(tag), err)
		}
		have[tag], tags = true, append(tags, tagSetting{text: tag})
		if size += len(tag); size > maxTags { // this one will be left out, and told of
			break
		}
	}
	return tags, nil
}

// splitTags splits at the commas that no backslash stands before. Of two backslashes
// one stays.
func splitTags(value string) []string {
	if !strings.Contains(value, `\`) {
		return strings.Split(value, ",")
	}
	var tags []string
	var tag strings.Builder
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] == '\\' && i+1 < len(value) && (value[i+1] == ',' || value[i+1] == '\\'):
			i++
			tag.WriteByte(value[i])
		case value[i] == ',':
			tags = append(tags, tag.String())
			tag.Reset()
		default:
			tag.WriteByte(value[i])
		}
	}
	return append(tags, tag.String())
}

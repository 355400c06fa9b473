package consul

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"
)

// The tags that mark a service as ours. They are those of the Python consular,
// so that what it registered can be taken over.
const (
	tagRegistrationID = "consular-reg-id="
	tagAppID          = "consular-app-id="
)

var registrationID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Owner says which services and keys in Consul are ours: those that carry its
// registration ID, one per Marathon cluster.
type Owner struct{ RegistrationID string }

// CheckRegistrationID reports why s cannot be a registration ID.
func CheckRegistrationID(s string) error {
	if !registrationID.MatchString(s) {
		return fmt.Errorf("registration id %q: want 1 to 64 of A-Z a-z 0-9 . _ -", s)
	}
	return nil
}

// RegistrationIDOf returns the registration ID that a service's tags name,
// whosever it is. Of several the first counts.
func RegistrationIDOf(tags []string) (string, bool) {
	return tagged(tags, tagRegistrationID)
}

// Tags returns the tags of a service of app, a Marathon app ID.
func (o Owner) Tags(app string) []string {
	return []string{tagRegistrationID + o.RegistrationID, tagAppID + app}
}

// MarksOwner reports whether a tag says whose a service is.
func MarksOwner(tag string) bool {
	return strings.HasPrefix(tag, tagRegistrationID) || strings.HasPrefix(tag, tagAppID)
}

// AppOf returns the Marathon app ID that a service's tags name, and whether the
// service is ours. The app is "" when somebody removed its tag.
func (o Owner) AppOf(tags []string) (app string, ours bool) {
	if id, ok := RegistrationIDOf(tags); !ok || id != o.RegistrationID {
		return "", false
	}
	app, _ = tagged(tags, tagAppID)
	return app, true
}

// Flags returns the mark of our keys: the 64-bit FNV-1a hash of the
// registration ID, and 1 if that is 0, since a key with flags 0 is nobody's.
func (o Owner) Flags() uint64 {
	hash := fnv.New64a()
	hash.Write([]byte(o.RegistrationID)) // never fails
	return max(hash.Sum64(), 1)
}

// tagged returns what follows the prefix in the first tag that has it.
func tagged(tags []string, prefix string) (string, bool) {
	for _, tag := range tags {
		if value, ok := strings.CutPrefix(tag, prefix); ok {
			return value, true
		}
	}
	return "", false
}

// Tag is the one that all our services carry.
func (o Owner) Tag() string { return tagRegistrationID + o.RegistrationID }

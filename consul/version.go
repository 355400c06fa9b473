package consul

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/consul/api"
)

// errOld means that a Consul is too old for its answers to prove anything: what it
// leaves out, or adds, cannot be told from them.
var errOld = errors.New("older than")

// release is a version of Consul, as far as it matters: 1.14 of "1.14.11".
type release struct{ major, minor int }

var (
	// oldest knows /v1/catalog/node-services (1.7) and ?filter= (1.5). Before, what is
	// asked with a filter is answered without: every check of a node looks like the one
	// that tells whether it is alive, and everybody's services look like ours.
	oldest = release{1, 7}
	// oldestWithACLs says when ACLs have left something out of an answer
	// (X-Consul-Results-Filtered-By-ACLs). Before, a token that may read half of it
	// gets 200 and that half.
	oldestWithACLs = release{1, 11}
)

func (r release) before(s release) bool {
	return r.major < s.major || r.major == s.major && r.minor < s.minor
}

// checkVersion returns errOld when a Consul of that version ("1.14.11", "1.9.2+ent",
// "1.7.0-beta4") may answer wrongly without a sign of it. One that has no number is
// somebody's own build, and not old.
func checkVersion(version string, acls bool) error {
	var r release
	if n, _ := fmt.Sscanf(version, "%d.%d", &r.major, &r.minor); n < 2 {
		return nil
	}
	switch {
	case r.before(oldest):
		return fmt.Errorf("consul %.40s: %w 1.7, which is the oldest that answers what it is asked", version, errOld)
	case acls && r.before(oldestWithACLs):
		return fmt.Errorf("consul %.40s with ACLs: %w 1.11, which is the oldest that says when they leave something out", version, errOld)
	}
	return nil
}

// notOld returns an error when the agent is too old, or does not answer. It asks once:
// what Self has found out since counts too. Whoever lists services has asked Self.
func (a *Agent) notOld(ctx context.Context) error {
	if a.current.Load() {
		return nil
	}
	_, err := a.Self(ctx)
	if _, answered := errors.AsType[api.StatusError](err); answered {
		return nil // it does not say who it is: what it may say is in the next answer
	}
	return err
}

package consul

import "context"

// Apply makes the changes to one service's keys: all of them or none, so that a
// watcher sees the old labels or the new, in one transaction when they fit into
// one. Otherwise it takes several, sets before deletes, and a value too large
// for any transaction goes by itself. It stops at the first error; ErrStale
// means that a key is not at its ModifyIndex any more, and that neither its
// transaction nor any after it was applied.
// Source: PUT /v1/txn, PUT /v1/kv/<key>?cas=; both need key:write.
func (l *Labels) Apply(ctx context.Context, name string, changes []KeyChange) error {
	panic("not yet")
}

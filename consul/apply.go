package consul

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/consul/api"
)

// What fits into one transaction.
const (
	maxOperations = 64            // of Consul up to 1.13; later ones take 128
	maxBody       = 512<<10 - 100 // limits.txn_max_req_len, Consul's default, less the brackets
)

// Apply makes the changes to one service's keys: all of them or none, so that a
// watcher sees the old labels or the new, in one transaction when they fit into
// one. Otherwise it takes several, sets before deletes, and a value too large
// for any transaction goes by itself, first. What Consul refuses of single keys, too
// large for it or not allowed, keeps no other back: the rest is made as one, and a
// RefusedError names the refused. It stops at any other error; ErrStale means that a
// key is not at its ModifyIndex any more, and that neither its transaction nor any
// after it was applied.
// Source: PUT /v1/txn, PUT /v1/kv/<key>?cas=; both need key:write.
func (l *Labels) Apply(ctx context.Context, name string, changes []KeyChange) error {
	err := unfit(checkChanges(name, changes))
	if err == nil {
		err = l.apply(ctx, changes)
	}
	if refused, ok := errors.AsType[*RefusedError](err); ok { // and explained already
		return fmt.Errorf("apply labels of %s on %s: %w", printable(name), l.agent.address, refused)
	}
	if err != nil {
		return l.agent.failed("apply labels of "+printable(name), err, "key:write")
	}
	return nil
}

func (l *Labels) apply(ctx context.Context, changes []KeyChange) error {
	large, rest := l.operations(changes)
	refused := &RefusedError{}
	for _, op := range large {
		err := l.put(ctx, op.KV)
		if refusesKey(err) {
			l.refuse(refused, op, err)
		} else if err != nil {
			return err
		}
	}
	for len(rest) > 0 {
		n := fitting(rest)
		if err := l.transact(ctx, rest[:n], refused); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if len(refused.Labels) > 0 {
		return refused
	}
	return nil
}

// checkChanges looks at the keys since nobody else does: Consul stores what a
// transaction says, and a tab in it where no URL reaches it. What is deleted
// was listed by Consul, and is right however it looks.
func checkChanges(name string, changes []KeyChange) error {
	for _, change := range changes {
		key := change.Key
		if key.Service != name || key.Label == "" {
			return fmt.Errorf("key %.200q of service %.200q is none of its labels", key.Label, key.Service)
		}
		if change.Delete {
			continue
		}
		if err := CheckLabel(name, key.Label, key.Value); err != nil {
			return err
		}
	}
	return nil
}

// operations returns the changes in the order they are to be made: sets too
// large for a transaction, then all other sets, then deletes.
func (l *Labels) operations(changes []KeyChange) (large, rest []*api.TxnOp) {
	for _, change := range changes {
		op := l.operation(change)
		if !change.Delete && size(op) > maxBody {
			large = append(large, op)
			continue
		}
		rest = append(rest, op)
	}
	slices.SortStableFunc(rest, func(a, b *api.TxnOp) int { return cmp.Compare(rank(a), rank(b)) })
	return large, rest
}

func (l *Labels) operation(change KeyChange) *api.TxnOp {
	op := &api.KVTxnOp{Key: l.path(change.Key), Index: change.Key.ModifyIndex, Verb: api.KVDeleteCAS}
	if !change.Delete {
		op.Verb, op.Value, op.Flags = api.KVCAS, []byte(change.Key.Value), change.Key.Flags
	}
	return &api.TxnOp{KV: op}
}

func rank(op *api.TxnOp) int {
	if op.KV.Verb == api.KVDeleteCAS {
		return 1
	}
	return 0
}

// fitting returns how many of the operations, at least one, go into one transaction.
func fitting(ops []*api.TxnOp) int {
	total := 0
	for i, op := range ops {
		total += size(op)
		if i == maxOperations || i > 0 && total > maxBody {
			return i
		}
	}
	return len(ops)
}

// size returns how many bytes of a transaction's body the operation takes, or
// slightly more.
func size(op *api.TxnOp) int {
	bare := *op.KV
	bare.Value = nil
	text, _ := json.Marshal(api.TxnOp{KV: &bare}) // strings and numbers: cannot fail
	return len(text) + len(",") + base64.StdEncoding.EncodedLen(len(op.KV.Value))
}

// transact makes the operations, but for those that are refused by themselves, in one
// transaction; in several when Consul takes less at once than it does by default.
func (l *Labels) transact(ctx context.Context, ops []*api.TxnOp, refused *RefusedError) error {
	for len(ops) > 0 {
		// Not the library's Txn: it makes mere text of a status that is no success.
		_, err := l.agent.client.Raw().Write("/v1/txn", ops, nil, write(ctx))
		wrong, err := blame(ops, err)
		switch {
		case len(wrong) > 0:
			ops = slices.DeleteFunc(slices.Clone(ops), func(op *api.TxnOp) bool {
				if wrong[op] != nil {
					l.refuse(refused, op, wrong[op])
				}
				return wrong[op] != nil
			})
		case tooLarge(err):
			half := len(ops) / 2
			if err := l.transact(ctx, ops[:half], refused); err != nil {
				return err
			}
			ops = ops[half:]
		default:
			return err
		}
	}
	return nil
}

func (l *Labels) put(ctx context.Context, op *api.KVTxnOp) error {
	pair := &api.KVPair{Key: op.Key, Value: op.Value, Flags: op.Flags, ModifyIndex: op.Index}
	ok, _, err := l.agent.client.KV().CAS(pair, write(ctx))
	if err == nil && !ok {
		err = fmt.Errorf("%w: %q", ErrStale, op.Key)
	}
	return err
}

func write(ctx context.Context) *api.WriteOptions {
	return (&api.WriteOptions{}).WithContext(ctx)
}

package consul

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"
)

// RefusedError means that Consul will not have some of a service's labels: they are
// too large for it, or not allowed. All other changes were made.
type RefusedError struct {
	// Labels are the refused, to be set or deleted.
	Labels []string
	// why is what was said of the first.
	why error
}

// Names reports whether the label is one of the refused. Of nil, none is.
func (e *RefusedError) Names(label string) bool { return e != nil && slices.Contains(e.Labels, label) }

// namedLabels is how many labels an error names.
const namedLabels = 10

// Error implements error. It is the same for the same refusal, whatever else was made.
func (e *RefusedError) Error() string {
	var named []string
	for _, label := range e.Labels[:min(len(e.Labels), namedLabels)] {
		named = append(named, fmt.Sprintf("%.80q", label))
	}
	if more := len(e.Labels) - len(named); more > 0 {
		named = append(named, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("%s refused, all else done: %v", strings.Join(named, ", "), e.why)
}

// Unwrap returns what was said of the first.
func (e *RefusedError) Unwrap() error { return e.why }

// refuse notes that an operation is refused, and why.
func (l *Labels) refuse(e *RefusedError, op *api.TxnOp, why error) {
	if e.why == nil {
		e.why = l.agent.cluster.explain(why, "key:write")
	}
	_, label, _ := strings.Cut(strings.TrimPrefix(op.KV.Key, l.prefix+"/"), "/")
	e.Labels = append(e.Labels, label)
}

// blame tells what of a transaction that was not made is wrong with single operations.
// If nothing is, err is why it was not made; nil if it was.
func blame(ops []*api.TxnOp, err error) (wrong map[*api.TxnOp]error, _ error) {
	status, ok := errors.AsType[api.StatusError](err)
	switch {
	case !ok:
		return nil, err
	case status.Code == http.StatusConflict:
		return blameConflict(ops, status)
	case len(ops) == 1 && tooLarge(err):
		return map[*api.TxnOp]error{ops[0]: err}, nil
	case tooLarge(err):
		return blameLarge(ops, status), err
	}
	return nil, err
}

// blameConflict reads a 409, which is all that Consul says of any operation that it did
// not do. It names all that are not allowed, and the first that is stale.
func blameConflict(ops []*api.TxnOp, status api.StatusError) (map[*api.TxnOp]error, error) {
	var answer api.TxnResponse
	if json.Unmarshal([]byte(status.Body), &answer) != nil || len(answer.Errors) == 0 {
		return nil, status
	}
	wrong := map[*api.TxnOp]error{}
	for _, failed := range answer.Errors {
		switch {
		case strings.Contains(failed.What, "index is stale"):
			return nil, fmt.Errorf("%w: %s", ErrStale, failed.What)
		case failed.OpIndex < 0 || failed.OpIndex >= len(ops):
			return nil, status
		}
		code := status.Code
		if strings.Contains(failed.What, permissionDenied) {
			code = http.StatusForbidden
		}
		wrong[ops[failed.OpIndex]] = api.StatusError{Code: code, Body: failed.What}
	}
	return wrong, nil
}

// blameLarge finds the operation whose value is larger than Consul takes of any
// (limits.kv_max_value_size), which names its key, and all that are no smaller.
func blameLarge(ops []*api.TxnOp, status api.StatusError) map[*api.TxnOp]error {
	wrong := map[*api.TxnOp]error{}
	for _, op := range ops {
		if !strings.HasPrefix(status.Body, fmt.Sprintf("Value for key %q ", op.KV.Key)) {
			continue
		}
		for _, other := range ops {
			if len(other.KV.Value) >= len(op.KV.Value) {
				wrong[other] = status
			}
		}
	}
	return wrong
}

const permissionDenied = "Permission denied"

// tooLarge knows 413: a value, a request, or more operations than Consul takes.
func tooLarge(err error) bool {
	status, ok := errors.AsType[api.StatusError](err)
	return ok && status.Code == http.StatusRequestEntityTooLarge
}

// refusesKey reports whether what was said of a write is about its key alone. That a
// token is unknown is about them all.
func refusesKey(err error) bool {
	status, ok := errors.AsType[api.StatusError](err)
	return tooLarge(err) || ok && status.Code == http.StatusForbidden && strings.Contains(status.Body, permissionDenied)
}

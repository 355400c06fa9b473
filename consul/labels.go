package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/consul/api"
)

// Labels is the part of Consul's KV store that holds the labels of services:
// the keys <prefix>/<service>/<label>.
type Labels struct {
	agent  *Agent
	prefix string
	format Format
}

// List returns all keys under the prefix, whosever they are, in Consul's order.
// Keys that are not below a service have nothing to do with labels and are left
// out. Source: GET /v1/kv/<prefix>/?recurse, which needs key:read for the prefix.
func (l *Labels) List(ctx context.Context) ([]Key, error) {
	return l.below(ctx, l.prefix+"/")
}

// Service returns one service's keys, as List does.
func (l *Labels) Service(ctx context.Context, name string) ([]Key, error) {
	if err := checkSegment(name); err != nil {
		return nil, fmt.Errorf("service name %.200q: %w", name, err)
	}
	return l.below(ctx, l.prefix+"/"+name+"/")
}

// Encode returns what is stored for a label's text.
func (l *Labels) Encode(value string) string {
	if l.format != FormatJSON {
		return value
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // a string in memory: cannot fail
	return strings.TrimSuffix(text.String(), "\n")
}

func (l *Labels) below(ctx context.Context, folder string) ([]Key, error) {
	if err := l.agent.notOld(ctx); err != nil {
		return nil, fmt.Errorf("list keys below %s: %w", folder, err)
	}
	pairs, meta, err := l.agent.client.KV().List(folder, query(ctx))
	if err == nil && len(pairs) == 0 && meta.LastIndex == 0 {
		// The library makes nothing of any 404. Consul's own has an index.
		err = api.StatusError{Code: http.StatusNotFound, Body: "not Consul's answer"}
	}
	if err != nil {
		return nil, l.agent.failed("list keys below "+folder, err, "key:read")
	}
	keys := make([]Key, 0, len(pairs))
	for i, pair := range pairs {
		if key, ok := l.key(pair); ok {
			keys = append(keys, key)
		}
		pairs[i] = nil // its value is copied: hold 50,000 keys once, not twice
	}
	return keys, nil
}

// key is the opposite of path.
func (l *Labels) key(pair *api.KVPair) (Key, bool) {
	below := strings.TrimPrefix(pair.Key, l.prefix+"/")
	service, label, _ := strings.Cut(below, "/")
	if service == "" || label == "" {
		return Key{}, false
	}
	return Key{
		Service: service, Label: label,
		Value: string(pair.Value), Flags: pair.Flags, ModifyIndex: pair.ModifyIndex,
	}, true
}

func (l *Labels) path(key Key) string {
	return l.prefix + "/" + key.Service + "/" + key.Label
}

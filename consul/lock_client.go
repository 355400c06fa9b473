package consul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// What a lock needs of Consul's ACLs.
const (
	sessionRule = `session_prefix "" { policy = "write" }`
	lockRule    = `key_prefix "%s" { policy = "write" }`
)

// maxHolderName is how much of a holder's name, which others have written, is repeated.
const maxHolderName = 100

// CheckLockKey reports why a key cannot be a lock's, by the name of its option: keys
// below the prefix are labels, which are listed, adopted and removed.
func CheckLockKey(key, prefix string) error {
	if err := checkPath(key); err != nil {
		return fmt.Errorf("--lock-key %.200q: %w", key, err)
	}
	prefix = strings.Trim(prefix, "/")
	switch {
	case len(key) > maxKey:
		return fmt.Errorf("--lock-key %.200q...: longer than %d bytes", key, maxKey)
	case key == prefix || strings.HasPrefix(key, prefix+"/"):
		return fmt.Errorf("--lock-key %q: below --kv-prefix %q, where the labels of apps are", key, prefix)
	}
	return nil
}

// lockClient makes the requests of a lock.
type lockClient struct {
	agent *Agent
	key   string
	// name is who we are; it becomes the key's value.
	name string
}

// create creates a session that holds what it acquires until it is destroyed, has not
// been renewed for the ttl (Consul takes up to twice as long), or the agent's node
// fails. Then the lock is free, and nobody gets it for the delay.
// Source: PUT /v1/session/create, which needs session:write for the agent's node.
func (c *lockClient) create(ctx context.Context, ttl, delay time.Duration) (session string, err error) {
	session, _, err = c.agent.client.Session().Create(&api.SessionEntry{
		Name: "consular " + c.key, TTL: ttl.String(), LockDelay: delay,
		// Not delete: a key that is deleted has no lock delay.
		Behavior: api.SessionBehaviorRelease,
	}, write(ctx))
	if err == nil && session == "" {
		err = errors.New("the answer names no session")
	}
	if err != nil {
		err = c.agent.failed("create a session for lock "+c.key, err, sessionRule)
		if strings.Contains(err.Error(), "Invalid Session TTL") { // Consul's text, 1.13 to 1.22
			err = fmt.Errorf("%w: --ha needs a session_ttl_min of %v or less on Consul's servers", err, ttl)
		}
		return "", err
	}
	return session, nil
}

// renew prolongs the session. Refused tells that it is none any more, or not ours to
// renew. Source: PUT /v1/session/renew/{session}.
func (c *lockClient) renew(ctx context.Context, session string) error {
	// Not the library's Renew: it makes mere text of a status that is no success.
	_, err := c.agent.client.Raw().Write("/v1/session/renew/"+session, nil, nil, write(ctx))
	if err != nil {
		return c.agent.failed("renew the session of lock "+c.key, err, sessionRule)
	}
	return nil
}

// acquire takes the lock if it is free and its delay is over.
// Source: PUT /v1/kv/{key}?acquire={session}, which needs key:write.
func (c *lockClient) acquire(ctx context.Context, session string) (bool, error) {
	ok, _, err := c.agent.client.KV().Acquire(c.pair(session), write(ctx))
	if err != nil {
		return false, c.failed("acquire", err)
	}
	return ok, nil
}

// release gives back the lock, if the session holds it, so that others may have it at
// once, and then the session. Sources: PUT /v1/kv/{key}?release={session},
// PUT /v1/session/destroy/{session}.
func (c *lockClient) release(ctx context.Context, session string) error {
	_, _, err := c.agent.client.KV().Release(c.pair(session), write(ctx))
	if err != nil {
		err = c.failed("release", err)
	}
	_, gone := c.agent.client.Session().Destroy(session, write(ctx)) // also if the key is not ours to write
	if gone != nil {
		gone = c.agent.failed("destroy the session of lock "+c.key, gone, sessionRule)
	}
	return cmp.Or(err, gone)
}

// look returns who holds the lock. With the index of an earlier look it waits until that
// may have changed, and for the time at most (and a sixteenth). Consul's answer is not
// older than the question. Source: GET /v1/kv/{key}?consistent&index=…&wait=…, which needs key:read.
func (c *lockClient) look(ctx context.Context, index uint64, wait time.Duration) (holder, error) {
	pair, meta, err := c.agent.client.KV().Get(c.key,
		(&api.QueryOptions{RequireConsistent: true, WaitIndex: index, WaitTime: wait}).WithContext(ctx))
	switch {
	case err != nil:
	case meta.LastIndex == 0:
		// The library makes nothing of any 404. Consul's own has an index.
		err = api.StatusError{Code: http.StatusNotFound, Body: "not Consul's answer"}
	case pair != nil && pair.Session == "" && pair.Flags != api.LockFlagValue:
		err = errors.New("the key holds something else: another --lock-key is needed, or the key must go")
	}
	if err != nil {
		return holder{}, c.failed("look at", err)
	}
	h := holder{index: meta.LastIndex}
	if pair != nil && pair.Session != "" {
		h.session, h.name = pair.Session, shortened(string(pair.Value))
	}
	return h, nil
}

func (c *lockClient) pair(session string) *api.KVPair {
	// The flags are those of all locks of Consul's library.
	return &api.KVPair{Key: c.key, Value: []byte(c.name), Flags: api.LockFlagValue, Session: session}
}

func (c *lockClient) failed(what string, err error) error {
	folder := c.key[:strings.LastIndex(c.key, "/")+1]
	if folder == "" {
		folder = c.key
	}
	return c.agent.failed(what+" lock "+c.key, err, fmt.Sprintf(lockRule, folder))
}

// shortened makes a name that others wrote fit for one line.
func shortened(name string) string {
	if len(name) > maxHolderName {
		name = name[:maxHolderName] + "..."
	}
	if checkSegment(strings.ReplaceAll(name, "/", "")) != nil {
		return fmt.Sprintf("%q", name)
	}
	return name
}

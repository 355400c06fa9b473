package consul

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/hashicorp/consul/api"
)

// accessor remembers whose accessor ID was asked for last.
type accessor struct {
	mu    sync.Mutex
	asked bool
	token string
	id    string
}

// TokenAccessor returns the accessor ID of the ACL token that is sent now: it names the
// token, and is no secret. It is "" without a token and where ACLs are off. Each token
// is asked about once, by the main agent, and again when ACLs have been turned on since.
// Source: GET /v1/acl/token/self, which needs no permission.
func (c *Cluster) TokenAccessor(ctx context.Context) (string, error) {
	token := ""
	if c.config.Token != nil {
		token = c.config.Token()
	}
	if token == "" {
		return "", nil
	}
	c.accessor.mu.Lock()
	defer c.accessor.mu.Unlock()
	known := &c.accessor
	if known.asked && known.token == token && (known.id != "" || !c.acls.Load()) {
		return known.id, nil
	}
	id, err := c.main.tokenAccessor(ctx)
	if err != nil {
		return "", err
	}
	known.asked, known.token, known.id = true, token, id
	return id, nil
}

func (a *Agent) tokenAccessor(ctx context.Context) (string, error) {
	var self struct{ AccessorID string }
	_, err := a.client.Raw().Query("/v1/acl/token/self", &self, query(ctx))
	if aclsAreOff(err) {
		return "", nil
	}
	if err == nil && self.AccessorID == "" {
		err = errors.New("the answer names no accessor id")
	}
	if err != nil {
		return "", a.failed("read accessor id of the token", err, "")
	}
	return self.AccessorID, nil
}

// aclsAreOff knows Consul's text (1.4 to 1.22), for a proxy answers 401 too.
func aclsAreOff(err error) bool {
	status, ok := errors.AsType[api.StatusError](err)
	return ok && status.Code == http.StatusUnauthorized && strings.Contains(status.Body, "ACL support disabled")
}

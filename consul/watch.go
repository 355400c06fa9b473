package consul

import (
	"context"
	"time"

	"github.com/hashicorp/consul/api"
)

// WatchWait is how long an agent keeps a watch's answer back at most while nothing changes;
// it adds up to a sixteenth to it.
const WatchWait = 5 * time.Minute

// Watch returns when the agent no longer has a service, or does not answer any more: the
// error says why in the latter case. An agent that ends breaks the connection off at that
// instant. It costs one connection that is idle nearly all the time, however many services
// the agent has. The caller's transport must bear with heads that take longer than WatchWait.
// Source: GET /v1/agent/service/{id}?hash=…&wait=5m (Consul 1.3), which needs service:read.
func (a *Agent) Watch(ctx context.Context, id string) error {
	hash := ""
	for {
		var service struct{ ContentHash string }
		options := (&api.QueryOptions{WaitHash: hash, WaitTime: WatchWait}).WithContext(ctx)
		_, err := a.client.Raw().Query("/v1/agent/service/"+id, &service, options)
		switch {
		case Unknown(err):
			return nil
		case err != nil:
			return a.failed("watch "+printable(id), err, "service:read")
		}
		hash = service.ContentHash
	}
}

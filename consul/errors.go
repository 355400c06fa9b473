package consul

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"github.com/hashicorp/consul/api"
)

var (
	// ErrFiltered means that ACLs have, or may have, left something out of an
	// answer. It proves nothing about what is missing in it.
	ErrFiltered = errors.New("acl: the answer is not complete")
	// ErrStale means that a key is no longer as it was when it was read.
	ErrStale = errors.New("a key has changed meanwhile")

	errUnfit = errors.New("not sent")
)

// Unreachable reports whether there is no way to the agent: the connection was
// refused, did not come about in time, or the host's name means nothing. An agent that is
// slow, or answers with an error, is not unreachable.
func Unreachable(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return false // we gave up, or have no more sockets: that says nothing of the agent
	}
	failed, ok := errors.AsType[*net.OpError](err)
	return ok && failed.Op == "dial"
}

// explain makes one line of what the client library returned, which a user can
// act on. What was returned stays reachable for errors.As. What others have said is
// shown without our credentials, for a proxy may repeat what it was sent.
func (c *Cluster) explain(err error, permission string) error {
	if request, ok := errors.AsType[*url.Error](err); ok {
		err = request.Err // the URL says nothing that our own text does not
	}
	conceal := c.config.Transport.Conceal
	status, answered := errors.AsType[api.StatusError](err)
	err = conceal(err)
	switch {
	case errors.Is(err, ErrFiltered):
		return fmt.Errorf("%w: needs %s for all there is", err, permission)
	case errors.Is(err, errWebPage):
		err = fmt.Errorf("%w%s", err, c.doubtPath())
	case answered:
		err = &answerError{status: status, text: conceal(errors.New(status.Body)).Error(), permission: permission}
	case byProxy(err):
		return fmt.Errorf("%w: that is the proxy of HTTP_PROXY or HTTPS_PROXY; NO_PROXY names hosts that need none", err)
	case errors.Is(err, syscall.ECONNREFUSED) && c.config.Address.Port() != "":
		return fmt.Errorf("%w: does the agent listen beyond loopback? (client_addr)", err)
	}
	if c.config.Address.Port() == "" && (Unreachable(err) || isWebPage(status.Body, err)) {
		return fmt.Errorf("%w: --consul names no port, and so that of %s is asked; Consul's own is 8500, with TLS often 8501", err, c.config.Address.Scheme)
	}
	return err
}

// notNull makes an error of an answer null: it lists nothing, not even that there is nothing.
func notNull(err error, null bool) error {
	if err == nil && null {
		return errors.New("the answer is null")
	}
	return err
}

// errWebPage is an answer that was made for people, whatever its status.
var errWebPage = errors.New("answered with a web page, not as Consul's API does")

// doubtPath says what may be wrong where a path is configured.
func (c *Cluster) doubtPath() string {
	if path := c.config.Address.Path; strings.Trim(path, "/") != "" {
		return fmt.Sprintf(": is the path %q of --consul right?", path)
	}
	return ""
}

// isWebPage reports whether a web server answered that has nothing to do with Consul.
func isWebPage(body string, err error) bool {
	return errors.Is(err, errWebPage) || strings.HasPrefix(strings.TrimSpace(body), "<")
}

// byProxy reports whether it was the connection to a proxy that failed.
func byProxy(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	return ok && failed.Op == "proxyconnect"
}

// printable returns the ID as it is, unless it is one that would spoil a line.
func printable(id string) string {
	if checkServiceID(id) == nil {
		return id
	}
	return fmt.Sprintf("%.80q", id)
}

// answerError is an answer that is no success.
type answerError struct {
	status     api.StatusError
	text       string
	permission string
}

func (e *answerError) Error() string {
	text := e.text
	if text == "" {
		text = http.StatusText(e.status.Code)
	}
	if e.status.Code == http.StatusForbidden && e.permission != "" && !strings.Contains(text, e.permission) {
		text += "; needs " + e.permission
	}
	return fmt.Sprintf("answered %d (%s)", e.status.Code, text)
}

func (e *answerError) Unwrap() error { return e.status }

// Unknown reports whether Consul answered that it has no such service or check. A 404 of a
// proxy, or of another server that has the port now, says nothing.
func Unknown(err error) bool {
	status, ok := errors.AsType[api.StatusError](err)
	return ok && status.Code == http.StatusNotFound && isConsulUnknown(status.Body)
}

// isConsulUnknown knows the texts of the 404 of agent/service/deregister, of
// agent/check/deregister and update in all of Consul 1.13 to 1.22, and of agent/check/register.
func isConsulUnknown(body string) bool {
	text := strings.ToLower(body)
	return strings.HasPrefix(text, "unknown service id") || strings.HasPrefix(text, "unknown check id") ||
		strings.HasPrefix(text, "serviceid ") && strings.HasSuffix(strings.TrimSpace(text), "does not exist")
}

// unfit marks what our own check says of something that was to be sent.
func unfit(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errUnfit, err)
}

// Refused reports whether this one thing will not be done: Consul answered that
// it is wrong, forbidden or too large, or our own check said so before it was
// sent. Asking for something else may go well; asking again soon will not.
func Refused(err error) bool {
	if errors.Is(err, errUnfit) {
		return true
	}
	status, ok := errors.AsType[api.StatusError](err)
	return ok && status.Code >= 400 && status.Code < 500 && status.Code != http.StatusTooManyRequests
}

// Unable reports whether Consul answered that it could not do this one thing, and nothing
// about itself: an error 5xx but for those of a server or proxy that is overloaded or away,
// and of an agent that finds no leader. Something else may go well.
func Unable(err error) bool {
	status, ok := errors.AsType[api.StatusError](err)
	if !ok || status.Code < http.StatusInternalServerError {
		return false
	}
	switch status.Code {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	}
	return !slices.ContainsFunc(noLeader, func(text string) bool { return strings.Contains(status.Body, text) })
}

// noLeader are texts of answers 500 that say that there is no way to a leader, or that it
// does not take anything now. Sources: agent/structs/errors.go and agent/pool/pool.go of
// Consul 1.14, api.go of its raft.
var noLeader = []string{
	"No cluster leader", "Raft leader not found", "not the leader", "leadership lost", "leadership transfer",
	"No known Consul servers", "No path to datacenter", "Not ready to serve consistent reads",
	"rate limit exceeded", "rpc error getting client", "rpc error making call: EOF",
}

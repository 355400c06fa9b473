package consul

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Format is how a label's text is stored in a key.
type Format string

const (
	// FormatRaw stores the text as it is.
	FormatRaw Format = "raw"
	// FormatJSON stores it as a JSON string, as the Python consular did, for
	// templates that use parseJSON.
	FormatJSON Format = "json"
)

// Config says how to reach a cluster of Consul, and where its labels are.
type Config struct {
	// Address is the main agent's. Its scheme and port serve for all others too;
	// its path, a reverse proxy's, does not. A user in it is sent to every
	// agent by HTTP Basic authentication.
	Address *url.URL
	// Token returns the ACL token, "" for none. It is asked before every
	// request, so that a token can be rotated. Nil is no token.
	Token func() string
	// Transport serves all agents, and must not be nil. It decides how long anything
	// may take (without a leader, Consul 1.22 answers after 7 to 11 s), and how many
	// connections an agent gets: it takes 200 from one client address.
	Transport Transport
	// MaxAnswer limits the bytes of one answer; 0 is 256 MiB.
	MaxAnswer int64
	// Prefix of all keys, without slashes around it: "consular".
	Prefix string
	Format Format
}

// Transport sends requests.
type Transport interface {
	http.RoundTripper
	// Conceal returns the whole error of a request as a log may have it: without
	// credentials that the other side has repeated, on one line, not too long.
	Conceal(err error) error
}

const defaultMaxAnswer = 256 << 20

// Check reports the first thing that is wrong, in one line that names it.
func (c Config) Check() error {
	switch {
	case c.Address == nil:
		return errors.New("consul address: missing")
	case c.Transport == nil:
		return errors.New("consul transport: missing")
	case c.MaxAnswer < 0:
		return fmt.Errorf("consul answer limit %d: want 0 or more bytes", c.MaxAnswer)
	case c.Format != FormatRaw && c.Format != FormatJSON:
		return fmt.Errorf("--kv-format %q: want raw or json", c.Format)
	}
	if err := checkAddress(c.Address); err != nil {
		shown := url.URL{Scheme: c.Address.Scheme, Host: c.Address.Host, Path: c.Address.Path}
		return fmt.Errorf("consul address %q: %w", shown.String(), err)
	}
	if err := checkPath(c.Prefix); err != nil {
		return fmt.Errorf("--kv-prefix %q: %w", c.Prefix, err)
	}
	return nil
}

// ParseAddress reads the address of an agent, such as "http://localhost:8500".
// Without a scheme it is http, as in CONSUL_HTTP_ADDR. Errors hide what may be a secret.
func ParseAddress(s string) (*url.URL, error) {
	whole := s
	if !strings.Contains(s, "://") {
		whole = "http://" + s
	}
	u, err := url.Parse(whole)
	if err != nil {
		// url.Parse's error repeats its input, and with it the password.
		return nil, fmt.Errorf("consul address %q: not a URL", mask(s))
	}
	if err := checkAddress(u); err != nil {
		return nil, fmt.Errorf("consul address %q: %w", mask(s), err)
	}
	return u, nil
}

func checkAddress(u *url.URL) error {
	switch {
	case strings.Contains(u.EscapedPath(), "@"):
		return errors.New("a special character in user or password must be %-escaped")
	case u.Scheme == "unix":
		return errors.New("a unix socket, which no other host's agent has: want http or https")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme %q: want http or https", u.Scheme)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("has a query or a fragment")
	case strings.Contains(u.Host, "%"):
		return errors.New("a host with a zone")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("port %s: want 1 to 65535", port)
		}
	}
	return CheckHost(u.Hostname())
}

// mask hides what may be a password, or a token in a query, in something that may
// not be a URL.
func mask(s string) string {
	at := strings.LastIndex(s, "@")
	user, rest := s[:max(at, 0)], s[max(at, 0):]
	if end := strings.IndexAny(rest, "?#"); end >= 0 {
		rest = rest[:end+1] + "***"
	}
	if user == "" {
		return rest
	}
	if scheme, _, ok := strings.Cut(user, "://"); ok {
		return scheme + "://***" + rest
	}
	return "***" + rest
}

package marathon

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Config says which Marathon to ask, and how.
type Config struct {
	// URLs are those of all masters, each http or https, with the path that
	// Marathon has there ("https://master/service/marathon"). User and
	// password in one are sent to it as HTTP Basic.
	URLs []*url.URL
	// Timeout is how long a request may take to get an answer started, times
	// 3, or times 12 for a snapshot. It has effect if Transport is one of
	// package transport, which also limits silence within an answer.
	Timeout time.Duration
	// MaxAnswer is the size of the largest answer that is read, in bytes,
	// unpacked.
	MaxAnswer int64
	Transport Transport
}

// Transport sends requests, as a transport.Transport does.
type Transport interface {
	http.RoundTripper
	// Conceal returns the whole error of a request as a log may have it: without
	// credentials that the other side has repeated, on one line, not too long.
	Conceal(err error) error
}

// Check reports what is wrong with c.
func (c Config) Check() error {
	switch {
	case len(c.URLs) == 0:
		return errors.New("marathon URL is missing")
	case c.Timeout <= 0:
		return fmt.Errorf("marathon timeout %v: must be more than 0", c.Timeout)
	case c.MaxAnswer <= 0:
		return fmt.Errorf("largest answer of %d bytes: must be more than 0", c.MaxAnswer)
	case c.Transport == nil:
		return errors.New("marathon transport is missing")
	}
	for i, u := range c.URLs {
		if err := checkURL(u); err != nil {
			return fmt.Errorf("marathon URL %d: %w", i+1, err)
		}
	}
	return nil
}

// ParseURLs reads "URL[,URL…]". Its errors name a URL by its number, and never
// repeat one that may hold a password.
func ParseURLs(s string) ([]*url.URL, error) {
	var urls []*url.URL
	for i, text := range strings.Split(s, ",") {
		u, err := parseURL(strings.TrimSpace(text))
		if err != nil && strings.Contains(s, "@") {
			// Any part of it may be one of a password with a character that needs escaping.
			err = errors.New("not usable (a special character in user or password must be %-escaped)")
		}
		if err != nil {
			return nil, fmt.Errorf("marathon URL %d: %w", i+1, err)
		}
		urls = append(urls, u)
	}
	return urls, nil
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if wrong, ok := errors.AsType[*url.Error](err); ok {
		err = wrong.Err
	}
	if err == nil {
		err = checkURL(u)
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %w", withoutQuery(text), err)
	}
	return u, nil
}

// withoutQuery hides what may be a token.
func withoutQuery(text string) string {
	if end := strings.IndexAny(text, "?#"); end >= 0 {
		return text[:end+1] + "***"
	}
	return text
}

func checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("must start with http:// or https://")
	case u.Hostname() == "":
		return errors.New("host is missing")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("must not have a query or fragment")
	case strings.Contains(u.EscapedPath(), "@"):
		return errors.New("must not have @ in its path")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n == 0 || n > maxPort {
			return fmt.Errorf("%s is no port", port)
		}
	}
	return nil
}

// master is one Marathon node to ask.
type master struct {
	// url has no user and password, so that it can be shown.
	url  *url.URL
	user *url.Userinfo
}

func newMaster(u *url.URL) master {
	shown := *u
	shown.User = nil
	return master{url: &shown, user: u.User}
}

// String returns the URL without user and password.
func (m master) String() string { return m.url.String() }

// authorize adds the master's credentials to a request of it.
func (m master) authorize(req *http.Request) {
	if m.user == nil {
		return
	}
	password, _ := m.user.Password()
	req.SetBasicAuth(m.user.Username(), password)
}

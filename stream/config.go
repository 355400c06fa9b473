package stream

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/rs/zerolog"

	"consular/marathon"
)

// Config says what to subscribe to, and how patiently.
type Config struct {
	// URLs are the masters, in the order in which they are tried. Each may have
	// a path, which is kept, and a user with a password, which are sent as HTTP
	// Basic and appear in no log and no error.
	URLs []*url.URL
	// IdleTimeout is how long a connection may stay without a byte, and, from the head
	// of the answer on, without a first event: heartbeats are no subscription. Marathon
	// sends one every 10 s, but may be late with it for as long again.
	IdleTimeout time.Duration
	// Timeout is for connecting; the head of the answer may take three times
	// as long. It is not used when there is a Transport.
	Timeout time.Duration
	// MaxEvent is the size in bytes from which on an event is not read but missed.
	MaxEvent int
	// EventTypes are the types to be told of, such as "status_update_event".
	// Empty means all.
	EventTypes []string
	// Transport sends the requests; nil is a transport.Transport with Timeout.
	// It must limit dial and head, and must not limit the body. It may add
	// credentials to every request it sees: each goes to a configured master,
	// or to the leader that one named and that may have them (see leaderEvents).
	Transport marathon.Transport
	// Log takes connects, disconnects and failures.
	Log zerolog.Logger
}

// Check reports what is wrong with c, in one line that names the option.
func (c Config) Check() error {
	if len(c.URLs) == 0 {
		return errors.New("--marathon: no URL given")
	}
	for _, u := range c.URLs {
		if err := checkURL(u); err != nil {
			return err
		}
	}
	switch {
	case c.IdleTimeout < time.Second:
		return fmt.Errorf("--idle-timeout %v: must be at least 1s", c.IdleTimeout)
	case c.Timeout <= 0 && c.Transport == nil:
		return fmt.Errorf("--timeout %v: must be more than 0", c.Timeout)
	case c.MaxEvent <= 0:
		return fmt.Errorf("--max-event %d: must be more than 0", c.MaxEvent)
	}
	return nil
}

func checkURL(u *url.URL) error {
	shown := bare(u)
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("--marathon %s: must begin with http:// or https://", shown)
	case u.Hostname() == "":
		return fmt.Errorf("--marathon %s: has no host", shown)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("--marathon %s: must end with its path", shown)
	}
	return nil
}

// bare returns u as it may be shown: without credentials, query and fragment.
func bare(u *url.URL) *url.URL {
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
}

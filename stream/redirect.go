package stream

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// unheardFor is how long a leader that could not be heard is not tried again while a
// standby passes its stream on: being silent, it costs Config.Timeout three times.
const unheardFor = 10 * time.Minute

// unheard is a leader that could not be heard.
type unheard struct {
	leader string
	since  time.Time
}

func (u unheard) is(leader string) bool {
	return leader == u.leader && time.Since(u.since) < unheardFor
}

// leaderEvents returns where a standby (Marathon 1.7 and later) says that its
// leader's event stream is. The leader need not be a configured master, and
// gets the credentials of the master that named it. So it must be named for
// the stream, which the login page of a proxy is not, and over a scheme that is
// the same or becomes https; else the error says why it is not followed.
//
// Of the Location only scheme, host and path count: the query is the one that
// was asked for, and credentials in it are not ours.
func leaderEvents(asked *url.URL, location string) (*url.URL, error) {
	to, err := asked.Parse(location)
	if err != nil {
		// Not wrapped: it quotes the Location, which may hold credentials.
		return nil, errors.New("redirect not followed: its Location is no URL")
	}
	target := bare(to)
	shown := target.String()
	switch {
	case to.Host == "":
		return nil, fmt.Errorf("redirect to %s not followed: it names no host", shown)
	case to.Scheme != asked.Scheme && (asked.Scheme != "http" || to.Scheme != "https"):
		return nil, fmt.Errorf("redirect to %s not followed: from %s only to the same or to https", shown, asked.Scheme)
	case !strings.HasSuffix(to.Path, "/v2/events"):
		return nil, fmt.Errorf("redirect to %s not followed: it is no event stream", shown)
	}
	target.RawQuery = asked.RawQuery
	return target, nil
}

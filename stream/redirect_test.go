package stream

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const leader = "http://leader.test:8080"

func TestLeaderEvents(t *testing.T) {
	const refused = ""
	for _, c := range []struct{ asked, location, want string }{
		{"http://a:1/v2/events?x=1", "http://b:2/v2/events?x=1", "http://b:2/v2/events?x=1"},
		{"http://a:1/v2/events?x=1", "http://b:2/v2/events", "http://b:2/v2/events?x=1"},
		{"http://a:1/v2/events?x=1", "/v2/events", "http://a:1/v2/events?x=1"},
		{"http://a:1/v2/events", "https://b:2/v2/events", "https://b:2/v2/events"},
		{"https://a:1/v2/events", "https://b:2/v2/events", "https://b:2/v2/events"},
		{"http://a:1/v2/events", "http://user:pw@b:2/v2/events#x", "http://b:2/v2/events"},
		{"http://a:1/service/marathon/v2/events", "http://b:2/v2/events", "http://b:2/v2/events"},
		{"https://a:1/v2/events", "http://b:2/v2/events", refused},
		{"http://a:1/v2/events", "ftp://b:2/v2/events", refused},
		{"https://a:1/v2/events", "//b:2/v2/events", "https://b:2/v2/events"},
		{"http://a:1/v2/events", "http://login.test/?next=/v2/events", refused},
		{"http://a:1/v2/events", "http:///v2/events", refused},
		{"http://a:1/v2/events", "http://user:pw@b:x/v2/events", refused},
	} {
		asked, err := url.Parse(c.asked)
		if err != nil {
			t.Fatal(err)
		}
		got, err := leaderEvents(asked, c.location)
		switch {
		case err != nil && c.want != refused:
			t.Errorf("%s: %v", c.location, err)
		case err != nil && strings.Contains(err.Error(), "pw"):
			t.Errorf("%s: the error %q has the password", c.location, err)
		case err == nil && got.String() != c.want:
			t.Errorf("%s from %s leads to %s, want %q", c.location, c.asked, got, c.want)
		}
	}
}

// sse.md, row 10: net/http drops Authorization when the host changes.
func TestFollowsAStandbyWithItsCredentials(t *testing.T) {
	l := listen(t, time.Second, "http://joe:s3cret@one.test:8080", map[string][]answer{
		"one.test:8080":    {redirects(leader + "/v2/events")},
		"leader.test:8080": {stays(head, attached("a"))},
	}, nil, nil)
	l.wantTold(t, "connected "+one, "event_stream_attached")
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("joe:s3cret"))
	for _, req := range l.requests() {
		if got := req.Header.Get("Authorization"); got != want || !strings.Contains(req.URL.RawQuery, "event_type=") {
			t.Errorf("asked %s for %s with Authorization %q", req.Host, req.URL, got)
		}
	}
	l.wantLogged(t, `"message":"connected"`, `"leader":"leader.test:8080"`)
}

func TestCredentialsOfOneMasterDoNotGoToAnother(t *testing.T) {
	l := listen(t, time.Second, "http://joe:s3cret@one.test:8080,"+two, map[string][]answer{
		"one.test:8080": {says("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")},
		"two.test:8080": {stays(head, attached("a"))},
	}, nil, nil)
	l.wantTold(t, "disconnected refused", "connected "+two, "event_stream_attached")
	for _, req := range l.requests() {
		if got := req.Header.Get("Authorization"); (got != "") != (req.Host == "one.test:8080") {
			t.Errorf("asked %s with Authorization %q", req.Host, got)
		}
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	for name, answers := range map[string][]answer{
		"nobody there":      nil,
		"refused":           {says("HTTP/1.1 401 Unauthorized\r\n\r\n")},
		"redirect":          {redirects("http://joe:s3cret@login.test/login?password=s3cret")},
		"strange redirect":  {redirects("http://joe:s3cret@login.test:what/")},
		"redirect to dead":  {redirects("http://joe:s3cret@dead.test/v2/events?password=s3cret")},
		"connected and not": {says(head, attached("a"))},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, 5*time.Second, "http://joe:s3cret@one.test:8080", map[string][]answer{"one.test:8080": answers}, nil, nil)
			shown := l.log.String() + strings.Join(l.told, "\n")
			for _, gap := range l.gaps {
				shown += gap.Error() + gap.Master
			}
			if strings.Contains(shown, "s3cret") || strings.Contains(shown, "joe") || !strings.Contains(shown, one) {
				t.Errorf("want the URL without its credentials:\n%s", shown)
			}
		})
	}
}

func TestRedirectsThatLeadNowhere(t *testing.T) {
	for name, c := range map[string]struct {
		hosts  map[string][]answer
		cause  Cause
		err    string
		leader int // connections made to the leader for each to the standby
	}{
		"dead leader": {
			map[string][]answer{"one.test:8080": {redirects(leader + "/v2/events")}},
			Standby, "follow " + one + " to its leader: connect: subscribe to " + leader + "/v2/events: ", 1,
		},
		"loop": {
			map[string][]answer{"one.test:8080": {redirects(one + "/v2/events")}},
			Standby, one + "/v2/events redirects again", 0,
		},
		"two hops": {map[string][]answer{
			"one.test:8080": {redirects(leader + "/v2/events")}, "leader.test:8080": {redirects(two + "/v2/events")},
			"two.test:8080": {stays(head, attached("a"))},
		}, Standby, leader + "/v2/events redirects again", 1},
		"leader that refuses": {map[string][]answer{
			"one.test:8080": {redirects(leader + "/v2/events")}, "leader.test:8080": {says(recorded(t, "standby-500-html.http"))},
		}, Standby, "answered 500", 1},
		"leader no more": {map[string][]answer{
			"one.test:8080": {redirects(leader + "/v2/events")}, "leader.test:8080": {says(head)},
		}, Closed, "", 1},
		"login page": {
			map[string][]answer{"one.test:8080": {redirects("http://leader.test:8080/login")}},
			Refused, "redirect to http://leader.test:8080/login not followed", 0,
		},
		"other scheme": {
			map[string][]answer{"one.test:8080": {redirects("gopher://leader.test:8080/v2/events")}},
			Refused, "not followed", 0,
		},
		"no location": {
			map[string][]answer{"one.test:8080": {says("HTTP/1.1 302 Found\r\n\r\n")}},
			Refused, "answered 302 Found", 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, 30*time.Second, one, c.hosts, nil, nil)
			l.wantTold(t, "disconnected "+string(c.cause))
			if gap := l.gaps[0]; !strings.Contains(gap.Error(), c.err) {
				t.Errorf("gap %q, want %q", gap.Error(), c.err)
			}
			count := map[string]int{}
			for _, d := range l.dialled() {
				count[d.host]++
			}
			if n := count["one.test:8080"]; n < 8 || n > 120 {
				t.Errorf("%d attempts at the standby in 30 s, want to go on and not to hammer", n)
			}
			if got := count["leader.test:8080"]; got != c.leader*count["one.test:8080"] {
				t.Errorf("%d connections to the leader for %d to the standby", got, count["one.test:8080"])
			}
		})
	}
}

// A standby redirects to the dead leader for some seconds, and to the new one then.
func TestStandbyStaysInTheList(t *testing.T) {
	dead, next := redirects("http://dead.test:8080/v2/events"), redirects(leader+"/v2/events")
	l := listen(t, 10*time.Second, one, map[string][]answer{
		"one.test:8080":    {dead, dead, dead, dead, next},
		"leader.test:8080": {stays(head, attached("a"))},
	}, nil, nil)
	l.wantTold(t, "disconnected standby", "connected "+one, "event_stream_attached")
	l.wantLogged(t, "connected, deaf for ", `"failed_attempts":4`)
}

func TestTriesTheNextMasterAndStaysWithTheOneThatWorks(t *testing.T) {
	ended := says(head, attached("a"))
	l := listen(t, 20*time.Second, one+","+two, map[string][]answer{
		"two.test:8080": {ended, ended, stays(head, attached("b"))},
	}, nil, nil)
	again := []string{"connected " + two, "event_stream_attached", "disconnected closed"}
	l.wantTold(t, slices.Concat([]string{"disconnected connect"}, again, again, again[:2])...)
	hosts := []string{}
	for _, d := range l.dialled() {
		hosts = append(hosts, d.host)
	}
	want := []string{"one.test:8080", "two.test:8080", "two.test:8080", "two.test:8080"}
	if !slices.Equal(hosts, want) {
		t.Errorf("tried %q, want %q", hosts, want)
	}
	if first := l.dialled(); first[1].at != first[0].at {
		t.Errorf("waited %v for the second master", first[1].at.Sub(first[0].at))
	}
}

func TestTellsOfANewLeader(t *testing.T) {
	led := func(by string) string {
		return strings.Replace(head, "\r\n", "\r\nX-Marathon-Leader: "+by+"\r\n", 1)
	}
	l := listen(t, 10*time.Second, one, map[string][]answer{"one.test:8080": {
		says(led("http://a:1"), attached("a")), says(led("http://a:1"), attached("a")),
		says(head, attached("a")), stays(led("http://b:1"), attached("a")),
	}}, nil, nil)
	end := []string{"event_stream_attached", "disconnected closed", "connected " + one}
	l.wantTold(t, slices.Concat([]string{"connected " + one}, end, end, end,
		[]string{"event_stream_attached"})...)
	l.wantLogged(t, `"leader":"b:1"`, `"before":"a:1"`, `"deaf_ms":`, "leader changed")
}

// A Transport may add a token: it is sent where the rule above allows, and nowhere else.
func TestTransportSeesOnlyMastersAndTheirLeaders(t *testing.T) {
	var hosts []string
	listen(t, time.Second/5, one, map[string][]answer{
		"one.test:8080":    {redirects("http://evil.test/login"), redirects(leader + "/v2/events")},
		"leader.test:8080": {redirects("http://evil.test/v2/events")},
	}, func(c *Config) {
		inner := c.Transport
		c.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
			hosts = append(hosts, req.URL.Host)
			return inner.RoundTrip(req)
		})
	}, nil)
	if slices.Contains(hosts, "evil.test") {
		t.Errorf("asked %q", hosts)
	}
}

// Before 1.7 a standby passes the leader's stream on. The leader itself is
// better, where there is a way to it.
func TestPrefersTheLeaderToAStandbyThatProxies(t *testing.T) {
	proxied := passedOn(leader)
	for name, c := range map[string]struct {
		leader []answer
		heard  string
		dials  []string
	}{
		"reachable":   {[]answer{stays(head, attached("a"), changed("direct"))}, "task direct", []string{"one.test:8080", "leader.test:8080"}},
		"unreachable": {nil, "task proxied", []string{"one.test:8080", "leader.test:8080", "one.test:8080"}},
		"no stream":   {[]answer{says("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")}, "task proxied", []string{"one.test:8080", "leader.test:8080", "one.test:8080"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, 10*time.Second, one, map[string][]answer{
				"one.test:8080": {stays(proxied, attached("a"), changed("proxied"))}, "leader.test:8080": c.leader,
			}, nil, nil)
			l.wantTold(t, "connected "+one, "event_stream_attached", c.heard)
			l.wantLogged(t, `"message":"connected"`, `"leader":"leader.test:8080"`, `"failed_attempts":0`)
			var dials []string
			for _, d := range l.dialled() {
				dials = append(dials, d.host)
			}
			if !slices.Equal(dials, c.dials) {
				t.Errorf("dialled %q, want %q", dials, c.dials)
			}
		})
	}
}

// passedOn is the head of a stream that a standby passes on.
func passedOn(leader string) string {
	return strings.Replace(head, "\r\n", "\r\nX-Marathon-Leader: "+leader+"\r\nX-Marathon-Via: 1.1 one.test:8080\r\n", 1)
}

// A leader to which there is no way is not tried at each reconnect: that costs 15 s when
// it is silent.
func TestALeaderThatFailedIsRemembered(t *testing.T) {
	const other = "http://other.test:8080"
	silent := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	for name, failed := range map[string]answer{
		"silent": silent, "mute": beats(time.Hour, head), "refused": says("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
		"closed": says(head),
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, 25*time.Minute, one, map[string][]answer{
				"one.test:8080": {
					says(passedOn(leader)),                                 // and then the leader itself is tried
					beats(10*time.Second, passedOn(leader), attached("a")), // but this one holds
					beats(10*time.Second, passedOn(leader), attached("b")),
					says(passedOn(other)), // another one is worth trying
					beats(11*time.Minute, passedOn(other), attached("c")),
					says(passedOn(other)), // and any, after a while
					beats(time.Hour, passedOn(other), attached("d")),
				},
				"leader.test:8080": {failed}, "other.test:8080": {failed},
			}, nil, nil)
			tries := map[string]int{}
			for _, d := range l.dialled() {
				tries[d.host]++
			}
			if tries["leader.test:8080"] != 1 || tries["other.test:8080"] != 2 {
				t.Errorf("tried %v; log:\n%s", tries, l.log)
			}
			if told := strings.Join(l.told, " "); strings.Count(told, "event_stream_attached") != 4 {
				t.Errorf("told %s", told)
			}
			l.wantLogged(t, `"level":"warn"`, `"master":"`+one+`"`, `"leader":"leader.test:8080"`, `"error":`, `"message":"leader not heard: its stream comes through the standby, for 10m0s at least"`)
			if n := strings.Count(l.log.String(), "leader not heard"); n != 3 {
				t.Errorf("said so %d times, want once for each try:\n%s", n, l.log)
			}
		})
	}
}

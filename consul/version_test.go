package consul

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestCheckVersion(t *testing.T) {
	for _, test := range []struct {
		version string
		acls    bool
		want    string
	}{
		{"1.6.10", false, "consul 1.6.10: older than 1.7"},
		{"0.9.3", false, "consul 0.9.3: older than 1.7"},
		{"1.6.10", true, "older than 1.7"},
		{"1.7.0-beta4", false, ""},
		{"1.10.12", false, ""},
		{"1.10.12", true, "consul 1.10.12 with ACLs: older than 1.11"},
		{"1.9.2+ent", true, "consul 1.9.2+ent with ACLs: older than 1.11"},
		{"1.11.0", true, ""},
		{"1.22.7", true, ""},
		{"2.0.1", true, ""},
		{"", true, ""},
		{"dev", true, ""},
	} {
		switch err := checkVersion(test.version, test.acls); {
		case test.want == "" && err != nil, test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s, ACLs %t: %v; want %q", test.version, test.acls, err, test.want)
		case err != nil && !errors.Is(err, errOld):
			t.Errorf("%v is not errOld", err)
		}
	}
}

// What an old agent answers proves nothing: neither its services nor its keys nor its
// catalog are read. (Self is asked before an agent's services.)
func TestOldAgentIsNotRead(t *testing.T) {
	for self, want := range map[string]string{
		old("1.6.10", false): "consul 1.6.10: older than 1.7",
		old("1.10.12", true): "consul 1.10.12 with ACLs: older than 1.11",
	} {
		c := answering(t, self, "")
		_, errSelf := c.Main().Self(t.Context())
		_, errKeys := c.Labels().List(t.Context())
		_, errService := c.Labels().Service(t.Context(), "web")
		_, errNodes := c.Catalog().Nodes(t.Context())
		_, errNode := c.Catalog().Services(t.Context(), "node", "tag")
		_, errFind := c.Catalog().Find(t.Context(), "web", "web.1")
		for what, err := range map[string]error{
			"self": errSelf, "keys": errKeys, "keys of web": errService, "nodes": errNodes, "node": errNode, "find": errFind,
		} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v; want %q", what, err, want)
			}
		}
	}
	c := answering(t, old("1.10.12", false), "")
	if _, err := c.Main().Self(t.Context()); err != nil {
		t.Errorf("1.10.12 without ACLs: %v", err)
	}
}

// A server answers through our agent, which may be a newer one.
func TestOldServerIsNotRead(t *testing.T) {
	const member = `[{"Name": "s1", "Status": %d, "Tags": {"role": %q, "build": "1.9.17:abc", "acls": %q}}]`
	for _, test := range []struct {
		status     int
		role, acls string
		old        bool
	}{
		{memberAlive, "consul", "1", true},
		{memberAlive, "consul", "0", false},
		{memberAlive, "node", "1", false},
		{memberLeft, "consul", "1", false},
	} {
		c := answering(t, old("1.14.11", true), fmt.Sprintf(member, test.status, test.role, test.acls))
		_, err := c.Catalog().Nodes(t.Context())
		if (err != nil) != test.old || test.old && !strings.Contains(err.Error(), "server s1: consul 1.9.17 with ACLs: older than 1.11") {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// It is asked once how old the agent is.
func TestAgeIsAskedOnce(t *testing.T) {
	asked := 0
	c := connect(t, open.get(t).Server().URL(), func(c *Config) { c.Transport = counting(&asked, c.Transport) })
	for range 3 {
		if _, err := c.Labels().List(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 4 {
		t.Errorf("%d requests for three lists", asked)
	}
}

func old(version string, acls bool) string {
	return fmt.Sprintf(`{"Config": {"NodeID": "1", "NodeName": "n", "Version": %q}, "DebugConfig": {"ACLsEnabled": %t}}`, version, acls)
}

// answering returns a cluster of one agent that says so of itself and its members, and
// to all else that nothing is there.
func answering(t *testing.T, self, members string) *Cluster {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v1/agent/self":
			_, _ = io.WriteString(w, self)
		case r.URL.Path == "/v1/agent/members":
			_, _ = io.WriteString(w, members)
		case strings.HasPrefix(r.URL.Path, "/v1/kv/"):
			w.Header().Set("X-Consul-Index", "1")
			w.WriteHeader(http.StatusNotFound)
		default:
			_, _ = io.WriteString(w, "[]")
		}
	}, withToken("a"))
}

package consul

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// A label with any byte in it is refused, or is a key that Consul lists as it is
// and deletes again.
func TestLabelsWithEveryByte(t *testing.T) {
	labels := connect(t, open.get(t).Server().URL()).Labels()
	var keys []Key
	refused := 0
	for b := range 256 {
		key := Key{Service: "bytes", Label: fmt.Sprintf("%03d-%s-", b, []byte{byte(b)}), Value: string([]byte{byte(b)}), Flags: 1}
		if CheckLabel(key.Service, key.Label, key.Value) != nil {
			refused++
			continue
		}
		keys = append(keys, key)
	}
	if refused != 128+32+1 { // not UTF-8 by itself, control characters, DEL; a slash is one more segment
		t.Errorf("refused %d of 256", refused)
	}
	set(t, labels, keys...)
	stored, err := labels.Service(t.Context(), "bytes")
	if err != nil || len(stored) != len(keys) {
		t.Fatalf("stored %d of %d, %v", len(stored), len(keys), err)
	}
	changes := make([]KeyChange, 0, len(stored))
	for _, key := range stored {
		if !slices.ContainsFunc(keys, func(k Key) bool { return k.Label == key.Label && k.Value == key.Value }) {
			t.Errorf("stored %q = %q", key.Label, key.Value)
		}
		changes = append(changes, KeyChange{Key: key, Delete: true})
	}
	if err := labels.Apply(t.Context(), "bytes", changes); err != nil {
		t.Error(err)
	}
	if left, err := labels.Service(t.Context(), "bytes"); err != nil || len(left) > 0 {
		t.Errorf("left %+v, %v", left, err)
	}
}

// A service ID with any byte in it is refused, or can be registered, listed and
// deregistered.
func TestServiceIDsWithEveryByte(t *testing.T) {
	agent := connect(t, open.get(t).Server().URL()).Main()
	for b := range 256 {
		id := "a" + string([]byte{byte(b)}) + ".." + "b"
		s := Service{ID: id, Name: "bytes", Address: "10.0.0.1"}
		if s.Check() != nil {
			if err := agent.Register(t.Context(), s); err == nil || strings.ContainsAny(err.Error(), "\n\x00\x1b") {
				t.Errorf("%q: %v", id, err)
			}
			continue
		}
		if err := agent.Register(t.Context(), s); err != nil {
			t.Errorf("%q: %v", id, err)
		}
		if err := agent.Deregister(t.Context(), id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	services, err := agent.Services(t.Context())
	if err != nil || slices.ContainsFunc(services, func(s Service) bool { return s.Name == "bytes" }) {
		t.Errorf("left %+v, %v", services, err)
	}
}

// What we do not send is refused, as what Consul itself will not have: an agent
// that does not answer is another thing. IDs that are merely odd are sent.
func TestWhatIsNotSentIsRefused(t *testing.T) {
	sent := 0
	c := serve(t, func(http.ResponseWriter, *http.Request) { sent++ })
	agent := c.Main()
	for _, id := range []string{"", "..", "../../x", "a//b", "a/./b", "/a", "a\x1b[2J", "a\xff", strings.Repeat("x", 1025), strings.Repeat("\x00", 1<<20)} {
		for what, err := range map[string]error{
			"deregister": agent.Deregister(t.Context(), id),
			"register":   agent.Register(t.Context(), Service{ID: id, Name: "web", Address: "10.0.0.1"}),
			"apply":      c.Labels().Apply(t.Context(), "web", []KeyChange{{Key: Key{Service: "web", Label: "/" + id}}}),
		} {
			if !Refused(err) || Unreachable(err) || len(err.Error()) > 1000 || !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\x00\x1b") {
				t.Errorf("%s %.40q: %.600v", what, id, err)
			}
		}
	}
	if sent > 0 {
		t.Errorf("sent %d requests", sent)
	}
	for i, id := range []string{"a/b", "a b", "a?b#c%2f", "é", "...", strings.Repeat("x", 1024)} {
		if err := agent.Deregister(t.Context(), id); err != nil || sent != i+1 {
			t.Errorf("%.40q: %v, sent %d", id, err, sent)
		}
	}
}

func TestHostsThatAreNone(t *testing.T) {
	cluster := connect(t, open.get(t).Server().URL())
	for _, host := range []string{
		"127.0.0.1:8500/x", "user@host", "user:pw@127.0.0.1", "[::1]", "host?x", "host#x", "", "/", "..", "host\\x", "host%2fx",
		"http://host", "host\r\nX-Consul-Token: x", strings.Repeat("a", 1<<20), strings.Repeat("a@", 1<<19), "\x00", "0x7f.1 ",
	} {
		agent, err := cluster.Agent(host)
		if err == nil || len(err.Error()) > 500 || strings.ContainsAny(err.Error(), "\r\n\x00") {
			t.Errorf("%.40q: %v, %.600v", host, agent, err)
		}
	}
}

// Tags say exactly what they were made to say, and nothing else makes a service ours.
func FuzzOwner(f *testing.F) {
	for _, seed := range [][2]string{{"consular", "/a"}, {"a", "a\nconsular-reg-id=b"}, {"b", ""}, {"x=", "consular-app-id="}} {
		f.Add(seed[0], seed[1], "consular-reg-id="+seed[1])
	}
	f.Fuzz(func(t *testing.T, id, app, tag string) {
		owner := Owner{RegistrationID: id}
		if got, ours := owner.AppOf(owner.Tags(app)); !ours || got != app {
			t.Errorf("%q of %q is %q, %t", app, id, got, ours)
		}
		if _, ours := owner.AppOf([]string{tag}); ours != (tag == owner.Tag()) {
			t.Errorf("%q is ours: %t", tag, ours)
		}
		if _, ours := owner.AppOf([]string{tag, owner.Tag()}); !ours && !strings.HasPrefix(tag, tagRegistrationID) {
			t.Errorf("%q hides our tag", tag)
		}
		if owner.Flags() == 0 {
			t.Errorf("%q has the flags of nobody", id)
		}
	})
}

// A proxy that shows the headers it was sent does not bring credentials into the log.
func TestErrorsRepeatNoCredentials(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprintf(w, "no upstream for %v", r.Header)
	}, withToken("s3cret"), func(c *Config) { c.Address.User = url.UserPassword("ann", "p4ssword") })
	_, err := c.Main().Self(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no upstream for map") {
		t.Fatalf("error %v, want the proxy's text", err)
	}
	for _, secret := range []string{"s3cret", "p4ssword", "YW5uOnA0c3N3b3Jk"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error has %s: %v", secret, err)
		}
	}
}

// What CheckLabel lets pass, Consul serves by its URL; what is not printable, it does not.
func TestLabelsThatPassAreServed(t *testing.T) {
	c := connect(t, open.get(t).Server().URL(), func(c *Config) { c.Prefix = "served" })
	kv := c.Main().client.KV()
	for _, label := range []string{"a b", "ü", "日本", "a/ b /c", "a%20b", "a?b#c", "+", "\u00a0", "a\u200bb", "a\u2028", "\u3000a"} {
		err := CheckLabel("web", label, "1")
		_, _, errGet := kv.Get("served/web/"+label, nil)
		if (err == nil) != (errGet == nil) {
			t.Errorf("%q: the check says %v, Consul %v", label, err, errGet)
		}
		if err != nil {
			continue
		}
		set(t, c.Labels(), Key{Service: "web", Label: label, Value: "1"})
		if pair, _, err := kv.Get("served/web/"+label, nil); err != nil || pair == nil || string(pair.Value) != "1" {
			t.Errorf("%q: stored %v, %v", label, pair, err)
		}
	}
}

package transport

import (
	"context"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// secure returns a transport that every connection takes to a server, so that
// hosts in URLs may have any name.
func secure(t *testing.T, server *httptest.Server, files TLS, notice Notice) *Transport {
	t.Helper()
	c := limits
	c.TLS, c.Notice = files, notice
	c.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	transport, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func TestTLS(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	named := ours.issue(t, "server", "consul.test", "127.0.0.9")
	dir := files(t.TempDir())
	client := ours.issue(t, "consular")
	stranger := theirs.issue(t, "stranger")
	ca := dir.write(t, "ca.pem", append([]byte("# a comment\n"), ours.pem()...))
	otherCA := dir.write(t, "other-ca.pem", theirs.pem())
	cert, key := dir.write(t, "cert.pem", client.cert), dir.write(t, "key.pem", client.key)
	strangeCert, strangeKey := dir.write(t, "strange.pem", stranger.cert), dir.write(t, "strange-key.pem", stranger.key)

	for name, test := range map[string]struct {
		mutual bool
		url    string
		tls    TLS
		want   string // of the answer
		err    string
	}{
		"host name":      {url: "https://consul.test", tls: TLS{CAFile: ca}, want: "nobody asks for consul.test"},
		"IP address":     {url: "https://127.0.0.9:8501", tls: TLS{CAFile: ca}, want: "nobody asks for "},
		"other IP":       {url: "https://127.0.0.8:8501", tls: TLS{CAFile: ca}, err: "valid for 127.0.0.9, not 127.0.0.8"},
		"other name":     {url: "https://other.test", tls: TLS{CAFile: ca}, err: "valid for consul.test, not other.test"},
		"name set":       {url: "https://other.test", tls: TLS{CAFile: ca, ServerName: "consul.test"}, want: "nobody asks for consul.test"},
		"wrong name set": {url: "https://consul.test", tls: TLS{CAFile: ca, ServerName: "x.test"}, err: "not x.test: the TLS server name is set to it"},
		"system's CAs":   {url: "https://consul.test", err: "unknown authority: trusted are those of the system"},
		"other CA":       {url: "https://consul.test", tls: TLS{CAFile: otherCA}, err: "trusted are those of " + otherCA},
		"insecure":       {url: "https://other.test", tls: TLS{Insecure: true}, want: "nobody asks for other.test"},
		"mutual":         {mutual: true, url: "https://consul.test", tls: TLS{CAFile: ca, CertFile: cert, KeyFile: key}, want: "consular asks for consul.test"},
		"no certificate": {mutual: true, url: "https://consul.test", tls: TLS{CAFile: ca}, err: "our certificate file is not set"},
		"stranger": {
			mutual: true, url: "https://consul.test",
			tls: TLS{CAFile: ca, CertFile: strangeCert, KeyFile: strangeKey}, err: "our certificate file is " + strangeCert,
		},
	} {
		t.Run(name, func(t *testing.T) {
			clients := ours
			if !test.mutual {
				clients = nil
			}
			transport := secure(t, serveTLS(t, named, clients), test.tls, nil)
			text, err := fetch(t.Context(), transport, test.url, 0)
			if test.err == "" && (err != nil || text != test.want) {
				t.Errorf("answer is %q, %v; want %q", text, err, test.want)
			}
			if test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("error is %v, want one with %q", err, test.err)
			}
		})
	}
}

func TestTLSFilesAreCheckedAtStart(t *testing.T) {
	ours := newAuthority(t, "ours")
	one, two := ours.issue(t, "one"), ours.issue(t, "two")
	dir := files(t.TempDir())
	cert, key := dir.write(t, "cert.pem", one.cert), dir.write(t, "key.pem", two.key)
	empty := dir.write(t, "empty.pem", nil)
	for want, c := range map[string]TLS{
		"ca file: open /nowhere/ca.pem: no such file":                      {CAFile: "/nowhere/ca.pem"},
		"ca file " + empty + ": holds no certificate":                      {CAFile: empty},
		"certificate file: open /nowhere/c.pem":                            {CertFile: "/nowhere/c.pem", KeyFile: key},
		"key file: open /nowhere/k.pem":                                    {CertFile: cert, KeyFile: "/nowhere/k.pem"},
		"certificate file " + cert + ": its key file":                      {CertFile: cert},
		"key file " + key + ": its certificate":                            {KeyFile: key},
		"certificate file " + cert + " with key file " + key + ": tls: pr": {CertFile: cert, KeyFile: key},
		"certificate file " + empty + " with key file " + key:              {CertFile: empty, KeyFile: key},
		"ca file: /dev/zero: not a regular file":                           {CAFile: "/dev/zero"},
	} {
		c := Config{Connect: 1, Head: 1, TLS: c}
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
}

// notices are all that was told.
type notices struct {
	mu   sync.Mutex
	told []string
}

func (n *notices) notice(file string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	text := file + " is used"
	if err != nil {
		text = file + ": " + err.Error()
	}
	n.told = append(n.told, text)
}

func (n *notices) want(t *testing.T, parts ...string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.told) != len(parts) {
		t.Fatalf("told %q, want %q", n.told, parts)
	}
	for i, part := range parts {
		if !strings.Contains(n.told[i], part) {
			t.Errorf("told %q, want %q in it", n.told[i], part)
		}
	}
}

// A certificate is replaced before its key is: in between the old pair serves.
func TestCertificatesRotateWhileRunning(t *testing.T) {
	ours, next := newAuthority(t, "ours"), newAuthority(t, "next")
	dir := files(t.TempDir())
	first, second := ours.issue(t, "first"), ours.issue(t, "second")
	tls := TLS{
		CAFile:   dir.write(t, "ca.pem", ours.pem()),
		CertFile: dir.write(t, "cert.pem", first.cert), KeyFile: dir.write(t, "key.pem", first.key),
	}
	old := serveTLS(t, ours.issue(t, "server", "consul.test"), ours)
	renewed := serveTLS(t, next.issue(t, "server", "consul.test"), ours)
	var told notices
	server := old
	c := limits
	c.TLS, c.Notice = tls, told.notice
	c.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	transport, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { transport.CloseIdleConnections() })
	ask := func(want string) {
		t.Helper()
		transport.pool.looked = time.Time{} // a second has passed
		text, err := fetch(t.Context(), transport, "https://consul.test", 0)
		if err != nil || text != want+" asks for consul.test" {
			t.Errorf("answer is %q, %v; want %s", text, err, want)
		}
	}
	ask("first")
	dir.write(t, "cert.pem", second.cert)
	ask("first")
	ask("first")
	told.want(t, "private key does not match")
	dir.write(t, "key.pem", second.key)
	ask("second")
	told.want(t, "private key does not match", "is used")

	server = renewed
	dir.write(t, "ca.pem", append(ours.pem(), next.pem()...))
	ask("second")
	told.want(t, "private key does not match", "is used", "is used")
}

// Files are looked at once a second, and so well within the 5 s of the spec.
func TestFilesAreReadAgainWithinASecond(t *testing.T) {
	dir := files(t.TempDir())
	ca := dir.write(t, "ca.pem", newAuthority(t, "ours").pem())
	other := newAuthority(t, "other").pem()
	synctest.Test(t, func(t *testing.T) {
		c := limits
		c.TLS = TLS{CAFile: ca}
		transport, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		first := transport.pool.transport()
		dir.write(t, "ca.pem", other)
		time.Sleep(rereadEvery - 1)
		if transport.pool.transport() != first {
			t.Error("read again too early")
		}
		time.Sleep(time.Nanosecond)
		second := transport.pool.transport()
		if second == first {
			t.Error("not read again")
		}
		time.Sleep(time.Hour)
		if transport.pool.transport() != second {
			t.Error("replaced without a change")
		}
	})
}

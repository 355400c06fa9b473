package transport

import (
	"bufio"
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// Hosts are dialled by themselves or through the proxy, as NO_PROXY says.
func TestProxyOfTheEnvironment(t *testing.T) {
	joe := "Basic " + base64.StdEncoding.EncodeToString([]byte("joe:s3cret"))
	for _, test := range []struct{ url, dialled, asked, proxyUser string }{
		{"http://far.test:8080/v2/info", "proxy.test:3128", "GET http://far.test:8080/v2/info", joe},
		{"https://far.test/v2/info", "proxy.test:3128", "CONNECT //far.test:443", joe},
		{"http://marathon.test/v2/info", "marathon.test:80", "GET /v2/info", ""},
		{"http://[2001:db8::1]:8500/", "proxy.test:3128", "GET http://[2001:db8::1]:8500/", joe},
		{"http://[::1]:8500/", "[::1]:8500", "GET /", ""},
		{"http://127.0.0.2:8500/", "127.0.0.2:8500", "GET /", ""},
	} {
		t.Run(test.url, func(t *testing.T) {
			p := &proxied{}
			c := limits
			c.Dial = p.dial
			transport, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			_, err = fetch(t.Context(), transport, test.url, 0)
			p.serving.Wait()
			if p.dialled != test.dialled || p.asked != test.asked || p.user != test.proxyUser {
				t.Errorf("dialled %s, asked %q as %q; want %s, %q", p.dialled, p.asked, p.user, test.dialled, test.asked)
			}
			if err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("error is %v, want one without the password", err)
			}
		})
	}
}

// proxied answers 502 to whatever it is asked, and then hangs up.
type proxied struct {
	dialled, asked, user string
	serving              sync.WaitGroup
}

func (p *proxied) dial(_ context.Context, _, address string) (net.Conn, error) {
	p.dialled = address
	near, far := net.Pipe()
	p.serving.Go(func() {
		defer far.Close()
		req, err := http.ReadRequest(bufio.NewReader(far))
		if err != nil {
			return
		}
		p.asked, p.user = req.Method+" "+req.URL.String(), req.Header.Get("Proxy-Authorization")
		_, _ = io.WriteString(far, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\nConnection: close\r\n\r\nnone")
	})
	return near, nil
}

// The head of an answer is read into memory as a whole.
func TestLargeHeadIsRefused(t *testing.T) {
	transport := piped(t, limits, says(0, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 2*maxHeader)+"\r\n\r\n"))
	_, err := fetch(t.Context(), transport, "http://marathon.test/", 0)
	if err == nil || !strings.Contains(err.Error(), "header") || len(err.Error()) > 500 {
		t.Errorf("error is %.600v, want one about the header", err)
	}
}

package transport

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

// net/http reads the environment once: the proxy is there for all tests, and only
// for the hosts of TestProxyOfTheEnvironment.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"HTTP_PROXY": "http://joe:s3cret@proxy.test:3128", "HTTPS_PROXY": "http://joe:s3cret@proxy.test:3128",
		"NO_PROXY": "consul.test,marathon.test,other.test,127.0.0.0/8,::1",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

var limits = Config{Connect: 5 * time.Second, Head: 15 * time.Second, Silence: 5 * time.Second}

// peer is what the other end of a connection does, once a request has arrived.
type peer func(conn net.Conn)

const head = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"

// says returns a peer that writes each text after a pause, and then waits to be hung up on.
func says(pause time.Duration, texts ...string) peer {
	return func(conn net.Conn) {
		for _, text := range texts {
			time.Sleep(pause)
			if _, err := io.WriteString(conn, text); err != nil {
				return
			}
		}
		_, _ = io.Copy(io.Discard, conn)
	}
}

// drips returns a peer that lets so many bytes go at a time, thirty times.
func drips(pause time.Duration, size int) peer {
	return func(conn net.Conn) {
		if _, err := fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 30*size); err == nil {
			says(pause, slices.Repeat([]string{strings.Repeat("x", size)}, 30)...)(conn)
		}
	}
}

// piped returns a transport whose connections all lead to p, for use in a
// synctest bubble, and a function that waits until all of them are over.
func piped(t *testing.T, c Config, p peer) *Transport {
	t.Helper()
	var serving sync.WaitGroup
	c.Dial = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		serving.Go(func() {
			defer server.Close()
			if _, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
				p(server)
			}
		})
		return client, nil
	}
	transport, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		serving.Wait()
	})
	return transport
}

// fetch sends one request and reads the whole answer; pause is the reader's own
// slowness before each read.
func fetch(ctx context.Context, rt http.RoundTripper, url string, pause time.Duration) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var text strings.Builder
	some := make([]byte, 4<<10)
	if pause > 0 {
		some = some[:1]
	}
	for {
		time.Sleep(pause)
		n, err := resp.Body.Read(some)
		text.Write(some[:n])
		if errors.Is(err, io.EOF) {
			return text.String(), nil
		}
		if err != nil {
			return text.String(), err
		}
	}
}

func TestLimits(t *testing.T) {
	for _, test := range []struct {
		name   string
		peer   peer
		config Config
		// head overrides Config.Head unless negative.
		head  time.Duration
		pause time.Duration
		text  string
		err   string
		took  time.Duration
	}{
		{"answer in time", says(4*time.Second, head, "body"), limits, -1, 0, "body", "", 8 * time.Second},
		{"no head", says(16*time.Second, head, "body"), limits, -1, 0, "", "no head of the answer within 15s", 15 * time.Second},
		{"longer for this head", says(16*time.Second, head+"body"), limits, time.Minute, 0, "body", "", 16 * time.Second},
		{"shorter for this head", says(4*time.Second, head, "body"), limits, time.Second, 0, "", "no head of the answer within 1s", time.Second},
		{"no limit for this head", says(time.Hour, head+"body"), limits, 0, 0, "body", "", time.Hour},
		{"silence within the body", says(0, head, "bo"), limits, -1, 0, "bo", "no byte of the answer within 5s", 5 * time.Second},
		{"slow but never silent", says(4*time.Second, head, "b", "o", "d", "y"), limits, -1, 0, "body", "", 20 * time.Second},
		{"a slow reader is not silence", says(0, head+"body"), limits, -1, time.Minute, "body", "", 4 * time.Minute},
		{"a byte every few seconds", drips(4*time.Second, 1), limits, -1, 0, strings.Repeat("x", 16), "no end of the answer within 1m0s", 64 * time.Second},
		{"as slow, but as much as it takes", drips(2500*time.Millisecond, 36<<10), limits, -1, 0, strings.Repeat("x", 30*36<<10), "", 75 * time.Second},
		{"a byte every few seconds without a limit", drips(4*time.Second, 1), Config{Connect: time.Second, Head: time.Second}, -1, 0, strings.Repeat("x", 30), "", 2 * time.Minute},
		{"silence without a limit", says(time.Hour, head, "body"), Config{Connect: time.Second, Head: 2 * time.Hour}, -1, 0, "body", "", 2 * time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if test.head >= 0 {
					ctx = WithHead(ctx, test.head)
				}
				start := time.Now()
				text, err := fetch(ctx, piped(t, test.config, test.peer), "http://marathon.test/", test.pause)
				if text != test.text {
					t.Errorf("read %d bytes %.99q, want %d %.99q", len(text), text, len(test.text), test.text)
				}
				if took := time.Since(start); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				checkTimeout(t, err, test.err)
			})
		})
	}
}

// checkTimeout fails unless err is a timeout with the text want; "" wants no error.
func checkTimeout(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("unexpected error: %v", err)
		}
		return
	}
	if err == nil || err.Error() != want {
		t.Fatalf("error is %v, want %s", err, want)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error("error is not context.DeadlineExceeded")
	}
	if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
		t.Error("error is not a net.Error that is a timeout")
	}
}

// TestHeadAtTheLastMoment allows either outcome, and nothing between them.
func TestHeadAtTheLastMoment(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			text, err := fetch(t.Context(), piped(t, limits, says(limits.Head, head+"body")), "http://marathon.test/", 0)
			if err != nil {
				checkTimeout(t, err, "no head of the answer within 15s")
			} else if text != "body" {
				t.Errorf("read %q and no error", text)
			}
		})
	}
}

func TestWaitingForAConnectionCountsAsHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := limits
		c.MaxConnsPerHost = 1
		transport := piped(t, c, says(10*time.Second, head+"body"))
		go func() { _, _ = fetch(t.Context(), transport, "http://consul.test/", 10*time.Second) }()
		synctest.Wait()
		start := time.Now()
		_, err := fetch(t.Context(), transport, "http://consul.test/", 0)
		checkTimeout(t, err, "no head of the answer within 15s")
		if took := time.Since(start); took != c.Head {
			t.Errorf("took %v, want %v", took, c.Head)
		}
		time.Sleep(time.Minute)
	})
}

func TestDialLimitKeepsTheDialError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := limitDial(func(ctx context.Context, network, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
		}, 2*time.Second)
		_, err := dial(t.Context(), "tcp", "10.0.0.1:8500")
		checkTimeout(t, err, "no connection to 10.0.0.1:8500 within 2s")
		if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" {
			t.Errorf("%v does not hold the dial's own error", err)
		}
	})
}

func TestDialErrorsStayAsTheyAre(t *testing.T) {
	refused := errors.New("connection refused")
	dial := limitDial(func(context.Context, string, string) (net.Conn, error) { return nil, refused }, time.Second)
	if _, err := dial(t.Context(), "tcp", "127.0.0.1:1"); !errors.Is(err, refused) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v, want %v", err, refused)
	}
}

func TestCallersCancellationIsNotATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := fetch(ctx, piped(t, limits, says(time.Minute, head)), "http://marathon.test/", 0)
		if !errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v, want a cancellation", err)
		}
	})
}

// TestClosingInTheMiddle relies on the bubble: it fails when a goroutine outlives the test.
func TestClosingInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://marathon.test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := piped(t, limits, says(0, head, "bo")).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		reading := make(chan error)
		go func(body io.Reader) {
			_, err := io.ReadAll(body)
			reading <- err
		}(resp.Body)
		synctest.Wait()
		start := time.Now()
		resp.Body.Close()
		if err := <-reading; err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("read ended with %v, want an error that is no timeout", err)
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("read went on for %v after the body was closed", waited)
		}
	})
}

func TestTLSHandshakeLimit(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	transport, err := New(Config{Connect: time.Second, Head: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	// The kernel accepts the connection, and nobody ever answers on it.
	_, err = fetch(t.Context(), transport, "https://"+listener.Addr().String(), 0)
	checkTimeout(t, err, "no TLS handshake within 1s")
}

func TestGzipAndReuseOfConnections(t *testing.T) {
	var peers sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peers.Store(r.RemoteAddr, true)
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Error("gzip was not asked for")
		}
		w.Header().Set("Content-Encoding", "gzip")
		packed := gzip.NewWriter(w)
		if _, err := io.WriteString(packed, "unpacked"); err != nil {
			t.Error(err)
		}
		if err := packed.Close(); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	transport, err := New(limits)
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	for range 3 {
		if text, err := fetch(t.Context(), transport, server.URL, 0); text != "unpacked" || err != nil {
			t.Errorf("read %q, %v", text, err)
		}
	}
	connections := 0
	peers.Range(func(any, any) bool { connections++; return true })
	if connections != 1 {
		t.Errorf("three requests took %d connections, want 1", connections)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for want, c := range map[string]Config{
		"connect timeout 0s":       {Head: 1},
		"head timeout -1s":         {Connect: 1, Head: -time.Second},
		"silence timeout -1s":      {Connect: 1, Head: 1, Silence: -time.Second},
		"connections per host -1:": {Connect: 1, Head: 1, MaxConnsPerHost: -1},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error of %+v is %v, want one with %q", c, err, want)
		}
	}
}

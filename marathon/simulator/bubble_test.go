package simulator_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"consular/marathon/simulator"
)

// pipes is a listener within the process: in a bubble, reading from it lets time go on.
type pipes struct {
	dialed chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.dialed:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// serveByPipe starts a server for m that ends with the test, and returns its client.
func serveByPipe(t *testing.T, m *simulator.Marathon) *http.Client {
	t.Helper()
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		p.dialed <- theirs
		return ours, nil
	}}
	server := &http.Server{Handler: m.Handler(), ReadHeaderTimeout: time.Minute}
	served := make(chan error)
	go func() { served <- server.Serve(p) }()
	t.Cleanup(func() {
		m.CloseStreams()
		transport.CloseIdleConnections()
		must(t, server.Close())
		<-served
	})
	return &http.Client{Transport: transport}
}

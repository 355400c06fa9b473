package reconcile_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"consular/consul"
	"consular/marathon/transport"
	"consular/reconcile"
)

// oneFails is the way to a real Consul on which requests about one service are answered
// with an error 500.
type oneFails struct {
	*transport.Transport
	service atomic.Value
}

// RoundTrip implements http.RoundTripper.
func (f *oneFails) RoundTrip(r *http.Request) (*http.Response, error) {
	service := f.service.Load().(string)
	if service == "" || r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, "/"+service) {
		return f.Transport.RoundTrip(r)
	}
	return &http.Response{
		Status: "500 Internal Server Error", StatusCode: http.StatusInternalServerError, Header: http.Header{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader("cannot be done")), Request: r,
	}, nil
}

func TestServiceThatFailsDelaysNoOtherOfItsAgent(t *testing.T) {
	s := newEnv(t, theCluster(t))
	way := &oneFails{Transport: s.transport()}
	way.service.Store("")
	c, err := consul.NewCluster(consul.Config{Address: s.main.URL(), Transport: way, Prefix: s.prefix, Format: s.format})
	must(t, err)
	consular := s.consul()
	consular.Agent = func(host string) (reconcile.Agent, error) { return c.Agent(host) }
	must(t, s.marathon.Create(web("/web", 6)))
	s.run(s.between(s.client(), consular))
	s.converges()

	bad := s.marathon.Tasks("/web")[0]
	way.service.Store(bad.ID)
	must(t, s.marathon.Kill(bad.ID, true))
	stays := s.actual().only(func(id string) bool { return strings.HasSuffix(id, " "+bad.ID) })
	eventually(t, "says what fails", func() string { return s.saysNothingOf(bad.ID + `","cause"`) })
	must(t, s.marathon.Scale("/web", 12))
	s.converges(stays)
	if n := s.log.count("left alone for a while"); n > 0 {
		t.Error("the agent was left alone")
	}
	way.service.Store("")
	s.converges()
	eventually(t, "says that it is done", func() string { return s.saysNothingOf("done, after failures") })
}

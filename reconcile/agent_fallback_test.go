package reconcile_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
)

// balancer is an address of several agents, which take turns.
type balancer struct {
	noChecks
	turn   atomic.Int64
	agents []*fakeAgent
}

func (b *balancer) next() *fakeAgent {
	return b.agents[int(b.turn.Add(1))%len(b.agents)]
}

// Address sorts before those of its agents: it is the one that plans see.
func (b *balancer) Address() string { return "10.0.0.0:8500" }

func (b *balancer) Self(ctx context.Context) (consul.Node, error) { return b.next().Self(ctx) }

func (b *balancer) Services(ctx context.Context) ([]consul.Service, error) {
	return b.next().Services(ctx)
}

func (b *balancer) Register(ctx context.Context, s consul.Service) error {
	return b.next().Register(ctx, s)
}

func (b *balancer) Deregister(ctx context.Context, id string) error {
	return b.next().Deregister(ctx, id)
}

// With --fallback, a main agent that is several is told from one, and nothing is
// deregistered because of what one of them has and another does not.
func TestBalancedMainAgentDeregistersNothing(t *testing.T) {
	for name, hosts := range map[string][]string{"of two": {h1, h2}, "of three": {h1, h2, h3}} {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				x.config.Fallback = true
				x.config.SyncInterval = time.Minute
				b := &balancer{}
				for _, host := range hosts {
					b.agents = append(b.agents, x.agents[host])
					x.marathon.apps = append(x.marathon.apps, appOn(host, "/on/"+host, "t."+host))
				}
				x.main = b
				x.connect()
				time.Sleep(time.Hour)
				for _, host := range hosts {
					x.wants(host, "t."+host)
					if gone := x.agents[host].deregistered(); len(gone) > 0 {
						x.Errorf("deregistered on %s: %v", host, gone)
					}
				}
				if x.log.count("is several agents") == 0 {
					x.Error("the log does not say so")
				}
			}, hosts...)
		})
	}
}

// answering is a resolver whose server answers each query with a code: 3 that
// there is no such name, 2 that it failed.
func answering(code byte) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			for answerQuery(server, code) == nil {
			}
		}()
		return client, nil
	}}
}

// answerQuery sends a query back as its answer, framed as over TCP.
func answerQuery(conn io.ReadWriter, code byte) error {
	size := make([]byte, 2)
	if _, err := io.ReadFull(conn, size); err != nil {
		return err
	}
	message := make([]byte, binary.BigEndian.Uint16(size))
	if _, err := io.ReadFull(conn, message); err != nil {
		return err
	}
	if len(message) < 4 {
		return errors.New("short query")
	}
	message[2], message[3] = message[2]|0x80, 0x80|code
	_, err := conn.Write(append(size, message...))
	return err
}

// A host whose agent cannot be reached and whose name cannot be looked up just
// now may be any node, and have its service already: it takes no fallback. A
// name that does not exist is no node's.
func TestFailedLookupIsNoProofOfAnUnknownNode(t *testing.T) {
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	for name, c := range map[string]struct {
		code byte
		main []string
	}{"the lookup fails": {2, nil}, "no such name": {3, []string{"a.1"}}} {
		t.Run(name, func(t *testing.T) {
			net.DefaultResolver = answering(c.code)
			const host = "h.such-host.test."
			x := newFakeCluster(t, host)
			x.config.Fallback, x.config.Patience = true, patience // real time, for a real lookup
			x.catalog.unknown[host] = true
			x.agents[host].gone = true
			x.marathon.apps = []marathon.App{appOn(host, "/a", "a.1")}
			_, _, err := x.consular().Sync(t.Context())
			must(t, err)
			x.wants("", c.main...)
		})
	}
}

// A host with two addresses goes by either, and its task's service may be in the catalog
// on a node whose address is another one: nothing of it is registered a second time.
func TestHostOfTwoAddressesTakesNoFallback(t *testing.T) {
	const second = "10.0.1.1"
	for name, shown := range map[string]func(c *fakeCatalog){
		"the node has both":    func(c *fakeCatalog) { c.tagged = map[string]string{h1: second} },
		"the service is there": func(*fakeCatalog) {},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeCluster(t, func(x *fakeCluster) {
				x.config.Fallback = true
				x.agents[second] = &fakeAgent{host: second, gone: true, services: map[string]consul.Service{}, registers: map[string]int{}}
				x.catalog.unknown[second] = true
				x.catalog.set(shown)
				service := consul.Service{ID: "a.1", Name: "a", Tags: clusterOwner.Tags("/a")}
				x.agents[h1].services["a.1"] = service
				x.agents[h1].gone = true
				x.marathon.apps = []marathon.App{appOn(second, "/a", "a.1"), appOn(second, "/b", "b.1")}
				x.connect()
				time.Sleep(time.Minute)
				if slices.Contains(x.agents[""].tasks(), "a.1") {
					t.Error("a.1 is registered a second time")
				}
			}, h1)
		})
	}
}

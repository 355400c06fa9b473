package devconsul

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// ports are all that an agent may listen on: HTTP, gRPC over TLS, DNS, server
// RPC, and gossip within and between data centres.
var ports = []int{8500, 8503, 8600, 8300, 8301, 8302}

// blocks is how many networks tests may use at once, on one machine.
const blocks = 250

// reserve returns a network, the first three numbers of its addresses
// ("127.53.7"), in which nobody listens, and the lock that keeps it ours.
func reserve(ctx context.Context, agents int) (network string, lock *os.File, err error) {
	cache, err := cacheDir()
	if err != nil {
		return "", nil, err
	}
	for block := 1; block <= blocks; block++ {
		network = fmt.Sprintf("127.53.%d", block)
		lock, err = tryLock(filepath.Join(cache, network+".lock"))
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return "", nil, err
		}
		if err = checkFree(ctx, network, agents); err == nil {
			return network, lock, nil
		}
		lock.Close()
	}
	return "", nil, fmt.Errorf("no network from 127.53.1 to 127.53.%d is free: %w", blocks, err)
}

// checkFree reports the first address of the network that agents of Consul
// could not use.
func checkFree(ctx context.Context, network string, agents int) error {
	for i := range agents {
		for _, port := range ports {
			address := net.JoinHostPort(host(network, i), strconv.Itoa(port))
			listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
			if errors.Is(err, syscall.EADDRINUSE) {
				return fmt.Errorf("%s is taken: is another Consul running?", address)
			}
			if err != nil {
				return fmt.Errorf("cannot use %s for an agent: %w", address, err)
			}
			listener.Close()
		}
	}
	return nil
}

// host returns the address of the i-th agent; that of the server is .1.
func host(network string, i int) string {
	return network + "." + strconv.Itoa(i+1)
}

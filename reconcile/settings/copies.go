package settings

import (
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"consular/consul"
	"consular/marathon/transport"
)

// Copies says whether this is one of several copies, and which lock they share.
type Copies struct {
	// HA is whether it is: then it writes only while the lock is sure.
	HA bool
	// LockKey is the lock's, in Consul's KV store.
	LockKey string
	// Name says to people which copy this is.
	Name string

	// keySaid is whether the key is not the default.
	keySaid bool
	// transport is for the lock alone: a renewal does not wait behind other requests.
	transport consul.Transport
}

func readCopies(c *cli.Context) Copies {
	copies := Copies{HA: c.Bool("ha"), LockKey: c.String("lock-key"), Name: copyName(os.Getenv)}
	copies.keySaid = copies.LockKey != ""
	if !copies.keySaid {
		copies.LockKey = "consular-lock/" + c.String("registration-id")
	}
	return copies
}

// check reports what is wrong with the lock, if one was asked for.
func (c Copies) check(prefix string) error {
	if !c.HA && !c.keySaid {
		return nil
	}
	return consul.CheckLockKey(c.LockKey, prefix)
}

// reachConsul makes connections for the lock as for all else of Consul.
func (c *Copies) reachConsul(waits transport.Config) error {
	if !c.HA {
		return nil
	}
	waits.Head = max(waits.Head, consul.LockHead)
	requests, err := transport.New(waits)
	if err != nil {
		return fmt.Errorf("tls to consul: %w", err)
	}
	c.transport = requests
	return nil
}

// copyName is a task's ID and host under Mesos, and host and process elsewhere.
func copyName(env func(string) string) string {
	if task := env("MESOS_TASK_ID"); task != "" {
		return task + " on " + env("HOST")
	}
	host, err := os.Hostname()
	if err != nil {
		host = "a host without a name"
	}
	return fmt.Sprintf("process %d on %s", os.Getpid(), host)
}

// Lock returns the lock that the copies share. told hears of its changes.
func (s Settings) Lock(told func(consul.LockChange)) (*consul.Lock, error) {
	config := s.Consul
	config.Transport = s.Copies.transport
	cluster, err := consul.NewCluster(config)
	if err != nil {
		return nil, err
	}
	return consul.NewLock(cluster.Main(), consul.LockConfig{Key: s.Copies.LockKey, Name: s.Copies.Name, Told: told}), nil
}

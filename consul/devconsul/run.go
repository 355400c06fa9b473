package devconsul

import (
	"context"
	"os"
)

// TB is what Run needs of a *testing.T.
type TB interface {
	Helper()
	Context() context.Context
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Run starts a cluster with a number of client agents for a test, and stops it when the
// test ends. For the tests of a whole package to share one, which saves
// seconds for each, use Find and Start in TestMain.
func Run(tb TB, clients int) *Cluster {
	tb.Helper()
	return RunConfig(tb, Config{Clients: clients})
}

// RunConfig is Run with more to say. It finds the binary if none is named.
func RunConfig(tb TB, config Config) *Cluster {
	tb.Helper()
	binary, err := Find(tb.Context(), config.Binary, os.Stderr)
	if err != nil {
		tb.Fatalf("%s", err)
	}
	config.Binary = binary
	cluster, err := Start(tb.Context(), config)
	if err != nil {
		tb.Fatalf("%s", err)
	}
	tb.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			tb.Errorf("%s", err)
		}
	})
	return cluster
}

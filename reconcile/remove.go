package reconcile

import (
	"context"

	"consular/marathon"
)

// NoMarathon is a Marathon without apps. A forced sync with it removes
// everything that our registration ID owns, of whatever framework.
type NoMarathon struct{}

// Apps tells of none.
func (NoMarathon) Apps(context.Context) (marathon.Snapshot, error) { return marathon.Snapshot{}, nil }

// App is always marathon.ErrNotFound.
func (NoMarathon) App(context.Context, string) (marathon.App, error) {
	return marathon.App{}, marathon.ErrNotFound
}

// Version is always marathon.ErrNotFound.
func (NoMarathon) Version(context.Context, string, string) (marathon.Definition, error) {
	return marathon.Definition{}, marathon.ErrNotFound
}

// Info names no framework: all are ours.
func (NoMarathon) Info(context.Context) (marathon.Info, error) { return marathon.Info{}, nil }

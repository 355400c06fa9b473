package consul

// Service is one service instance on one agent.
// Source: GET /v1/agent/services, PUT /v1/agent/service/register.
type Service struct {
	ID   string
	Name string
	// Address is where it is reached; "" is where its node is.
	Address string
	// Port is 0 for a service without one.
	Port int
	Tags []string
	Meta map[string]string
	// Checks are those of its checks that are ours, in the order of their IDs. nil is that
	// they were not asked for, where it was listed.
	Checks []Check
}

// Meta keys of the services that consular registers.
const (
	MetaApp       = "marathon-app-id"
	MetaTask      = "marathon-task-id"
	MetaVersion   = "marathon-version"
	MetaFramework = "marathon-framework-id"
	// MetaToken is the accessor ID of the token that a service was registered with, which
	// is the one that its agent syncs it with. Only who knows the token has an opinion of it.
	MetaToken = "consular-token"
)

// Node is the agent's own view of itself. Source: GET /v1/agent/self.
type Node struct {
	// ID is a UUID that outlives restarts; it, and not an address, tells
	// whether two addresses are one agent.
	ID   string
	Name string
}

// Key is one key under the prefix, as read or as it should be.
type Key struct {
	// Service and Label make the key: <prefix>/<service>/<label>. Service is the
	// first segment after the prefix, Label all that follows.
	Service, Label string
	Value          string
	// Flags is the owner: 0 is nobody.
	Flags uint64
	// ModifyIndex is what a check-and-set compares; 0 means "does not exist".
	ModifyIndex uint64
}

// KeyChange is one write within a transaction. It is done only if the key is
// still at the index of Key.ModifyIndex.
type KeyChange struct {
	Key    Key
	Delete bool
}
